/*
 * wg/device.h - a WireGuard interface as a pure state machine: datagrams and packets in, datagrams and packets out, and
 * when to be called next. Source: Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel".
 *
 * Does:   handshakes, key rotation, cookies under load, replay window, timers, roaming, allowed addresses both ways,
 *         queueing while there is no key, in batches.
 * Not:    sockets, clock, randomness, routes and addresses of the host: the caller brings them.
 * Thread: owned by one worker; nothing here locks.
 *
 * A turn of the caller's loop: wg_device_receive what came from the network, wg_device_send what came from the host,
 * wg_device_tick, then send the outbox (wg_outbox_seal) and write the inbox. Strangers are never answered, except under load a sender who
 * knows our public key, with one smaller cookie reply. Handshakes are worked off a few a tick, so they cannot hold up data.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/ip.h"
#include "wg/batch.h"
#include "wg/peer.h"
#include "wg/random.h"
#include "wg/segment.h"

struct wg_device;

/* Both clocks at this turn. The wall clock only names initiations (TAI64N) and dates handshakes for people. */
struct wg_time {
        mono_ms mono;
        unix_ms wall;
};

struct wg_device_conf {
        size_t peers_max;
        uint8_t worker; /* in the highest byte of our indices */
        uint16_t mtu;   /* of the tunnel: packets are padded up to this at the most */
        struct wg_random random;
};

/* NULL when memory runs out. No key yet: nothing is sent or understood. */
MUST_USE struct wg_device *wg_device_new(const struct wg_device_conf *conf);
void wg_device_free(struct wg_device *d); /* free(NULL) is fine; all keys are wiped */

/* All zero takes the key away. A peer with the same public key is removed: one cannot talk to oneself. */
void wg_device_set_private_key(struct wg_device *d, const uint8_t private_key[WG_KEY_BYTES]);
const uint8_t *wg_device_private_key(const struct wg_device *d); /* all zero: none */
const uint8_t *wg_device_public_key(const struct wg_device *d);
void wg_device_set_mtu(struct wg_device *d, uint16_t mtu);

/*
 * The floor of our timestamps. A peer takes no initiation dated before the last it took, so after a restart with a clock
 * that went back the stored floor must be given again.
 */
void wg_device_set_timestamp_floor(struct wg_device *d, unix_ms floor);
unix_ms wg_device_timestamp_floor(const struct wg_device *d);

/* ERR_EXISTS; ERR_DENIED: our own key; ERR_TOO_LARGE: peers_max; ERR_NO_MEMORY. *out is borrowed. */
MUST_USE enum err wg_device_add_peer(struct wg_device *d, const uint8_t public_key[WG_KEY_BYTES],
                                     struct wg_peer **out);
void wg_device_remove_peer(struct wg_device *d, struct wg_peer *p); /* frees it */
struct wg_peer *wg_device_find_peer(const struct wg_device *d, const uint8_t public_key[WG_KEY_BYTES]);
struct wg_peer *wg_device_first_peer(const struct wg_device *d);
struct wg_peer *wg_device_next_peer(const struct wg_device *d,
                                    const struct wg_peer *p); /* NULL after the last */
size_t wg_device_peers_count(const struct wg_device *d);

/* See wg_allowedips_add, wg_allowedips_remove. */
MUST_USE enum err wg_device_add_allowedip(struct wg_device *d, struct wg_peer *p,
                                          const struct ip_prefix *prefix);
MUST_USE enum err wg_device_remove_allowedip(struct wg_device *d, struct wg_peer *p,
                                             const struct ip_prefix *prefix);
void wg_device_clear_allowedips(struct wg_device *d, struct wg_peer *p);
struct wg_peer *wg_device_route(const struct wg_device *d, struct ip destination); /* NULL: nobody */

/*
 * Takes a packet of the host. It is sealed into `out`, or kept until there is a key (at most WG_STAGED_PACKETS_MAX a
 * peer, the oldest goes first). Borrows the frame.
 * ERR_AGAIN: send what `out` holds, then call again; nothing has changed. Otherwise the packet is gone: ERR_NOT_FOUND,
 * no peer has that destination; ERR_UNREACHABLE, nobody knows where the peer is; ERR_MALFORMED; ERR_TOO_LARGE; ERR_NO_MEMORY.
 */
MUST_USE enum err wg_device_send(struct wg_device *d, const struct wg_frame *frame, struct wg_time now,
                                 struct wg_outbox *out);

/*
 * Takes what came from the network, as many arrivals as surely fit, and returns how many: at least one. `in` must have room
 * for WG_ARRIVAL_DATAGRAMS_MAX packets, which point into the arrivals' memory. Cookie replies go to `out`, where there is
 * room.
 */
MUST_USE size_t wg_device_receive(struct wg_device *d, const struct wg_arrival *arrivals,
                                  size_t arrivals_count, struct wg_time now, struct wg_inbox *in,
                                  struct wg_outbox *out);

/*
 * Peers that a datagram went to or came from (an authentic one), each once since it was last taken. NULL: no more. For who
 * watches the ways to those that are in use.
 */
struct wg_peer *wg_device_take_touched(struct wg_device *d);
bool wg_device_has_touched(const struct wg_device *d);

/* The network could not send to `to` from its source address: no peer uses that one any more. */
void wg_device_source_gone(struct wg_device *d, const struct wg_endpoint *to);

/*
 * Answers handshakes, fires timers, sends what waited. To be called after each turn and at the deadline it returned:
 * at once (now.mono) when more is to be done or `out` is full, MONO_NEVER when nothing is.
 */
mono_ms wg_device_tick(struct wg_device *d, struct wg_time now, struct wg_outbox *out);

/* Why something was dropped. */
#define WG_DROP_LIST(X)                                                                    \
        X(MALFORMED, "malformed", "not a message: type, reserved bytes or length")         \
        X(PORT_ZERO, "port_zero", "came from port 0, which cannot be answered")            \
        X(MAC1, "mac1", "the sender does not know our public key")                         \
        X(COOKIE_ASKED, "cookie_asked", "under load: answered with a cookie")              \
        X(SOURCE_RATE, "source_rate", "under load: too many handshakes from one source")   \
        X(QUEUE_FULL, "queue_full", "too many handshakes waiting")                         \
        X(HANDSHAKE, "handshake", "handshake not authentic, repeated or too soon")         \
        X(UNKNOWN_PEER, "unknown_peer", "a handshake of somebody who is no peer")          \
        X(COOKIE, "cookie", "a cookie nobody asked for")                                   \
        X(INDEX, "index", "for a session we do not have")                                  \
        X(KEY_EXPIRED, "key_expired", "sealed with a key past its time")                   \
        X(NOT_AUTHENTIC, "not_authentic", "data that is not authentic")                    \
        X(REPLAY, "replay", "data seen before or too old")                                 \
        X(INNER_MALFORMED, "inner_malformed", "not an IP packet inside")                   \
        X(INNER_SOURCE, "inner_source", "an inner source the peer may not use")            \
        X(INBOX_FULL, "inbox_full", "more packets at once than there is room for")         \
        X(NO_PEER, "no_peer", "no peer has the destination")                               \
        X(NO_ENDPOINT, "no_endpoint", "the peer's address is not known")                   \
        X(HOST_MALFORMED, "host_malformed", "the host gave no IP packet or wrong offload") \
        X(TOO_LARGE, "too_large", "the host gave more than can be sent")                   \
        X(STAGED_FULL, "staged_full", "too many packets waiting for a handshake")          \
        X(STAGED_LOST, "staged_lost", "the handshake they waited for did not come")        \
        X(OUTBOX_FULL, "outbox_full", "no room to answer with a cookie")                   \
        X(NO_MEMORY, "no_memory", "out of memory")

enum wg_drop {
#define X(name, label, text) WG_DROP_##name,
        WG_DROP_LIST(X)
#undef X
                WG_DROPS
};

const char *wg_drop_label(enum wg_drop which); /* for a metric */
const char *wg_drop_text(enum wg_drop which);

/* Counted since the device was born. */
struct wg_device_stats {
        uint64_t drops[WG_DROPS];
        uint64_t initiations_sent, initiations_received, responses_sent,
                responses_received; /* that were good */
        uint64_t cookies_sent, keepalives_sent, keepalives_received;
        uint64_t packets_sent, packets_received;
};
const struct wg_device_stats *wg_device_get_stats(const struct wg_device *d);
bool wg_device_is_under_load(const struct wg_device *d, mono_ms now);
