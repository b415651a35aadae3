/*
 * node/connect_priv.h - one connection to control: its name looked up, addresses tried in turn, TLS 1.3 under the internal
 * name with control's URI name checked. For this room only.
 *
 * Embedded in its owner. Thread: the loop's. After `on_ready` with ERR_OK the stream is open and its owner's events come; after an
 * error nothing is left open.
 */
#pragma once

#include "io/dial.h"
#include "io/loop.h"
#include "io/resolver.h"
#include "io/stream.h"
#include "io/tls.h"
#include "node/state.h"

/* "https://host[:port]": no path, no user. */
struct node_url {
        char host[256];
        uint16_t port;
};
MUST_USE enum err node_url_parse(struct str text, struct node_url *out);

struct node_connect {
        struct stream stream;
        const char *why; /* of the last failure; static text */
        bool is_open;    /* stream is: close it, then wait for its on_closed */
        /* private */
        struct loop *loop;
        struct tls_context *tls;
        const struct stream_events *events;
        struct node_url url;
        struct resolver_query query;
        struct dial dial;
        bool is_resolving, is_dialling;
        struct ip addresses[RESOLVER_ADDRESSES_MAX];
        size_t addresses_count, address;
        void (*on_failed)(struct node_connect *c);
};

/*
 * `on_failed` comes in a later turn when no address could be connected to; else the stream's events begin with on_open, which may
 * say that TLS failed (then close it). Keeps `tls` (the caller's reference) and `events`.
 */
void node_connect_start(struct node_connect *c, struct loop *l, struct resolver *r, struct tls_context *tls,
                        const struct node_url *url, const struct stream_events *events,
                        void (*on_failed)(struct node_connect *c));
/* Before the stream is open: stops looking up and dialling. */
void node_connect_cancel(struct node_connect *c);

/* A context that takes nobody for control but who has its certificate. ERR_CONFIG, ERR_NO_MEMORY. */
MUST_USE enum err node_tls_new(const struct node_state *s, const uint8_t *fingerprint,
                               struct tls_context **out);
