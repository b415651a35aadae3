/*
 * wg/noise.h - the key agreement, Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s. Source: paper 5.4; Noise specification, IK.
 *
 *     <- s
 *     ...
 *     -> e, es, s, ss, {t}
 *     <- e, ee, se, psk, {}
 *
 * Does:   makes and takes the two handshake messages and derives a session's keys from them.
 * Not:    macs and cookies (cookie.h), which session is in use (peer.h), clocks and randomness: the caller brings them.
 * Thread: one. Nothing allocates. A message that is refused leaves every state as it was. Secrets are wiped on every path.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "crypto/aead.h"
#include "wg/messages.h"
#include "wg/replay.h"

/* This end's long-term key. */
struct wg_identity {
        bool has_key;
        uint8_t private_key[WG_KEY_BYTES];
        uint8_t public_key[WG_KEY_BYTES];
};

void wg_identity_set(struct wg_identity *id, const uint8_t private_key[WG_KEY_BYTES]);
void wg_identity_wipe(struct wg_identity *id);

enum wg_handshake_state {
        WG_HANDSHAKE_NONE,
        WG_HANDSHAKE_INITIATION_CREATED,
        WG_HANDSHAKE_INITIATION_CONSUMED,
        WG_HANDSHAKE_RESPONSE_CREATED,
        WG_HANDSHAKE_RESPONSE_CONSUMED,
};

/* What is agreed with one peer, and the handshake under way with it. */
struct wg_handshake {
        uint8_t remote_static[WG_KEY_BYTES];
        uint8_t preshared_key[WG_KEY_BYTES]; /* all zero: none */
        uint8_t static_static[WG_KEY_BYTES]; /* DH of both long-term keys, worked out once */
        bool has_static_static;

        enum wg_handshake_state state;
        uint32_t local_index, remote_index;
        uint8_t ephemeral_private[WG_KEY_BYTES], remote_ephemeral[WG_KEY_BYTES];
        uint8_t hash[WG_HASH_BYTES], chaining_key[WG_HASH_BYTES];

        uint8_t latest_timestamp[WG_TIMESTAMP_BYTES]; /* of initiations taken from the peer */
        mono_ms latest_initiation;
        bool has_latest;
};

/* One session's keys. */
struct wg_keypair {
        struct crypto_aead_key sending, receiving;
        uint64_t sending_counter; /* of the next packet */
        uint32_t local_index, remote_index;
        bool is_initiator;
        mono_ms born;
        struct wg_replay replay;
};

void wg_handshake_init(struct wg_handshake *h, const struct wg_identity *id,
                       const uint8_t remote_static[WG_KEY_BYTES]);

/* To be called for each peer after wg_identity_set: works the static DH out anew and forgets a handshake under way. */
void wg_handshake_set_identity(struct wg_handshake *h, const struct wg_identity *id);

/* Forgets the handshake under way; the agreed keys and the latest timestamp stay. */
void wg_handshake_clear(struct wg_handshake *h);

/*
 * Initiator. `ephemeral` is 32 random bytes, `sender` the index the answer shall name. Writes the message up to mac1.
 * ERR_DENIED: there is no identity, or the peer's key is a point of small order.
 */
MUST_USE enum err wg_noise_create_initiation(struct wg_handshake *h, const struct wg_identity *id,
                                             const uint8_t ephemeral[WG_KEY_BYTES],
                                             const uint8_t timestamp[WG_TIMESTAMP_BYTES], uint32_t sender,
                                             uint8_t message[WG_INITIATION_BYTES]);

/* An initiation half read: whom it is from is known, whether it is fresh is not. */
struct wg_initiation {
        uint8_t remote_static[WG_KEY_BYTES];
        /* private */
        uint8_t remote_ephemeral[WG_KEY_BYTES];
        uint8_t hash[WG_HASH_BYTES], chaining_key[WG_HASH_BYTES];
};

/* Responder, first half. ERR_DENIED: not authentic; `i` is wiped. */
MUST_USE enum err wg_noise_read_initiation(const struct wg_identity *id,
                                           const uint8_t message[WG_INITIATION_BYTES],
                                           struct wg_initiation *i);

/* Second half, with the state of the peer that has i->remote_static. Wipes `i`. ERR_DENIED: not authentic, a repeat, or too soon. */
MUST_USE enum err wg_noise_accept_initiation(struct wg_handshake *h, struct wg_initiation *i,
                                             const uint8_t message[WG_INITIATION_BYTES], mono_ms now);

/* Responder, after accept. As create_initiation. */
MUST_USE enum err wg_noise_create_response(struct wg_handshake *h, const uint8_t ephemeral[WG_KEY_BYTES],
                                           uint32_t sender, uint8_t message[WG_RESPONSE_BYTES]);

/* Initiator. ERR_DENIED: not authentic, or no initiation is under way. */
MUST_USE enum err wg_noise_consume_response(struct wg_handshake *h, const struct wg_identity *id,
                                            const uint8_t message[WG_RESPONSE_BYTES]);

/* After create_response or consume_response: the session's keys. The handshake's own secrets are wiped. */
void wg_noise_begin_session(struct wg_handshake *h, struct wg_keypair *k, mono_ms now);
