/*
 * mesh/probe.h - "is this way open?" and its answer, as two peers ask each other beside their tunnel. Source: Tailscale's
 * disco format, ping and pong; the key of a probe is the WireGuard key, since nobody else told ours.
 *
 * Only a peer can make a probe that is read, and only its peer can read it: a box between their keys. A probe is answered once,
 * with no more bytes than it had. Pure: bytes in and out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/str.h"
#include "crypto/pairbox.h"

enum {
        MESH_PROBE_ID_BYTES = 12,
        MESH_PROBE_BYTES = 124, /* of a ping without padding */
        MESH_PROBE_MAX = 65507, /* with it */
};

struct mesh_probe {
        bool is_pong;
        uint8_t id[MESH_PROBE_ID_BYTES]; /* a pong bears that of its ping */
        struct ip seen;                  /* pong: where the ping came from */
        uint16_t seen_port;
};

/* By its first bytes and its length. */
bool mesh_probe_is(struct str datagram);
const uint8_t *mesh_probe_sender(struct str datagram); /* the key it claims to be of; mesh_probe_is holds */

/*
 * `nonce` is random. `len` is the datagram's length for a ping, padded up to it; MESH_PROBE_BYTES at least. Returns the length
 * written: a pong is always smaller than any ping.
 */
size_t mesh_probe_write(const struct mesh_probe *p, const uint8_t own_public[CRYPTO_PAIRBOX_KEY_BYTES],
                        const struct crypto_pairbox_key *key, const uint8_t nonce[CRYPTO_PAIRBOX_NONCE_BYTES],
                        size_t len, uint8_t *out);

/* ERR_MALFORMED: not of that pair of keys, changed, or of another kind. Opened in place. */
MUST_USE enum err mesh_probe_read(struct str datagram, const struct crypto_pairbox_key *key,
                                  struct mesh_probe *out);
