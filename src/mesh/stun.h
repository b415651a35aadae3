/*
 * mesh/stun.h - the one question of STUN: from which address do you see me? Source: RFC 8489 (Binding alone).
 *
 * Does:   bytes into answers and back. Pure: no socket, clock or randomness.
 * Not:    authentication, TURN, ICE, TCP. Nothing else is understood, so nothing else is answered.
 *
 * An answer is never larger than the question, so that a forged source cannot make the server louder than its asker: a
 * question with no room for the answer (an empty one of 20 bytes) hears nothing. Ours carries a long SOFTWARE for that.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/str.h"

enum {
        MESH_STUN_PORT = 3478,
        MESH_STUN_ID_BYTES = 12,
        MESH_STUN_REQUEST_BYTES = 64,
        MESH_STUN_DATAGRAM_MAX = 1280, /* longer ones are not looked at */
        MESH_STUN_ANSWER_MAX = 96,
};

/* By its first 20 bytes; WireGuard's messages never are. */
bool mesh_stun_is(struct str datagram);

/* `id` is random: an answer is known by it. */
void mesh_stun_request(const uint8_t id[MESH_STUN_ID_BYTES], uint8_t out[MESH_STUN_REQUEST_BYTES]);

/*
 * What to answer. ERR_OK: *len bytes in `out`, not more than the question had. ERR_MALFORMED: no Binding request, cut short,
 * or a wrong fingerprint: silence. ERR_TOO_LARGE: the answer would be larger than the question: silence.
 */
MUST_USE enum err mesh_stun_answer(struct str request, struct ip from, uint16_t port,
                                   uint8_t out[MESH_STUN_ANSWER_MAX], size_t *len);

/* ERR_MALFORMED: not an answer to the question with this id. ERR_DENIED: the server refused. */
MUST_USE enum err mesh_stun_read(struct str answer, const uint8_t id[MESH_STUN_ID_BYTES], struct ip *ip,
                                 uint16_t *port);
