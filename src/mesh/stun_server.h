/*
 * mesh/stun_server.h - answers STUN's one question on UDP, once per question, and nothing else.
 *
 * A source (an IPv6 /64) gets WG_SOURCE_BURST answers at once and WG_SOURCE_RATE a second; the rest is dropped and counted.
 * Thread: the loop's.
 */
#pragma once

#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/ip.h"
#include "io/loop.h"

struct mesh_stun_server;

struct mesh_stun_server_stats {
        uint64_t answered, refused; /* refused: answered with 420 */
        uint64_t malformed, too_small, too_often;
};

/* Port 0: any. `bind` of family 0: every address of both families. ERR_EXISTS, ERR_DENIED, ERR_UNSUPPORTED, ERR_NO_MEMORY. */
MUST_USE enum err mesh_stun_server_start(struct loop *l, struct ip bind, uint16_t port,
                                         struct mesh_stun_server **out);
void mesh_stun_server_stop(struct mesh_stun_server *s); /* stop(NULL) is fine */

uint16_t mesh_stun_server_port(const struct mesh_stun_server *s);
const struct mesh_stun_server_stats *mesh_stun_server_get_stats(const struct mesh_stun_server *s);
