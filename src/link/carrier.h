/*
 * link/carrier.h - this machine's connection to a relay: packets to and from keys, over TLS 1.3.
 *
 * Does:   looks the relay up, connects, proves our key, keeps the connection alive and makes it anew when it ends.
 * Not:    deciding when to use it (mesh/path.h), reading what it carries.
 * Thread: the loop's. Packets that cannot go at once wait in a bounded queue, from which the oldest go first.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "io/loop.h"
#include "io/resolver.h"
#include "io/tls.h"
#include "link/derp.h"

enum { LINK_CARRIER_TEXT_MAX = 256, LINK_CARRIER_QUEUE_BYTES = 1 << 20 };

/* "https://relay.example[:443][/derp]": DERP; "wss://...": the same in WebSocket. */
struct link_carrier_url {
        char host[LINK_CARRIER_TEXT_MAX], path[LINK_CARRIER_TEXT_MAX];
        uint16_t port;
        bool is_websocket;
};
MUST_USE enum err link_carrier_url_parse(struct str text, struct link_carrier_url *out);

struct link_carrier;

struct link_carrier_conf {
        struct loop *loop;
        struct resolver *resolver;
        struct tls_context *tls; /* shared (counted) */
        struct link_carrier_url url;
        /* Our X25519 key, asked for at each connection; all zero: none yet. Borrowed. */
        const uint8_t *(*private_key)(void *context);
        uint32_t (*fwmark)(
                void *context); /* on the connection, so that it stays out of the tunnel; 0: none */
        void (*on_change)(void *context, bool is_up);
        /* Borrows the packet, which may be changed in place. */
        void (*on_packet)(void *context, const uint8_t from[LINK_KEY_BYTES], uint8_t *packet, size_t len);
        void *context;
};

/* Begins to connect in a later turn. ERR_NO_MEMORY. */
MUST_USE enum err link_carrier_new(const struct link_carrier_conf *conf, struct link_carrier **out);
void link_carrier_stop(struct link_carrier *c); /* free it after two more turns of the loop */
void link_carrier_free(struct link_carrier *c); /* free(NULL) is fine */

bool link_carrier_is_up(const struct link_carrier *c);

/* Our key has changed: prove the new one. */
void link_carrier_restart(struct link_carrier *c);

/* Dropped when it is not up. Sent at the end of this turn. */
void link_carrier_send(struct link_carrier *c, const uint8_t to[LINK_KEY_BYTES], struct str packet);
