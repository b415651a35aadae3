/*
 * mesh/private.h - an overlay for one process: a WireGuard interface whose other side is a private network (io/broker.h), not this
 * host. No privilege is needed, nothing of the host changes, and no other program gets there.
 *
 * Does:   addresses, keys and peers as they are given, over and over; sockets of the network for its owner.
 * Not:    who is a peer (node/overlay.h), what is spoken.
 * Thread: the loop's. To be opened before the process has threads or closes itself in.
 */
#pragma once

#include "io/broker.h"
#include "io/loop.h"
#include "wg/messages.h"

struct mesh_private;

struct mesh_private_peer {
        uint8_t key[WG_KEY_BYTES];
        struct ip v4, v6; /* its addresses inside, and no others; family 0: none */
};

struct mesh_private_conf {
        const uint8_t *key; /* ours, private: WG_KEY_BYTES */
        struct ip v4, v6;   /* ours, inside */
        const struct mesh_private_peer *peers;
        size_t peers_count;
};

/* The network, from which no program can be started, and the interface. ERR_UNSUPPORTED, and *lack says why. */
MUST_USE enum err mesh_private_open(struct loop *l, struct mesh_private **out, enum broker_lack *lack);
void mesh_private_free(struct mesh_private *p); /* NULL is fine */

/* The port of UDP on this host, 0: any. ERR_EXISTS: it is taken, ask again later. */
MUST_USE enum err mesh_private_bind(struct mesh_private *p, uint16_t port);

/* From now on. Peers that were there keep their sessions, and where they are. ERR_NO_MEMORY: some are missing. */
MUST_USE enum err mesh_private_set(struct mesh_private *p, const struct mesh_private_conf *conf);

/*
 * Where to look for a peer: it is asked at once, and again and again, so that what is in between remembers us. Keys that there were are
 * forgotten: a peer that began anew has lost its own, and would not say so.
 */
void mesh_private_call(struct mesh_private *p, const struct mesh_private_peer *peer, struct ip ip,
                       uint16_t port);

/* When it last proved itself; 0: never, or it is no peer. */
unix_ms mesh_private_proven_at(const struct mesh_private *p, const uint8_t key[WG_KEY_BYTES]);
/* There are keys that packets go under now. */
bool mesh_private_has_session(const struct mesh_private *p, const uint8_t key[WG_KEY_BYTES]);

/* A non-blocking TCP socket of the network, of IPv4 or IPv6. Gives *fd. */
MUST_USE enum err mesh_private_socket(struct mesh_private *p, int family, int *fd);
/* One that listens on all of its addresses. Before the process closes itself in: no port is opened after. */
MUST_USE enum err mesh_private_listen(struct mesh_private *p, uint16_t port, int *fd);
