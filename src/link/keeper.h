/*
 * link/keeper.h - keeps links to gateways: dials out, proves who it is, hands ready connections up, dials again.
 *
 *   waiting → resolving → dialling → [asking a proxy] → [wrapping: a WebSocket] → opening (TLS) → open → leaving | ended
 *
 * A gateway has several workers, each of which wants links of its own. The first connection goes to whichever worker accepts it
 * (link.sekisho.internal); what it tells (keeper_told) is which worker that is and how many there are, and the others
 * are dialled by name (wI.link.sekisho.internal). While no link to a gateway is open only one connection at a time asks, after
 * half a second doubling to thirty, a random part of it, so that a gateway that comes back meets no crowd. Of several addresses
 * of a gateway the one that worked stays; all are tried before it waits. Where somebody on the way lets only HTTP through, a link goes
 * as a WebSocket of HTTPS to the same address, with the same TLS inside of it: the outer one proves nothing and is not asked to
 * (docs/decisions/0077). Which way worked stays, too.
 *
 * A gateway may also make a connection to us, over the overlay (keeper_take). What is spoken on it is the same, from TLS on; such links are beside
 * those that are wanted, and neither count for them nor are missed when they end.
 *
 * Not:    what is spoken on a link, which gateways there are.
 * Thread: the loop's. Source: docs/protocol/nodes.md 5; RFC 9110 9.3.6 (CONNECT).
 */
#pragma once

#include "io/nodename.h"
#include "io/resolver.h"
#include "io/stream.h"

struct keeper;
struct keeper_link;

struct keeper_address {
        struct str host; /* name or address */
        struct ip ip;    /* when it is an address; else family 0 */
        uint16_t port;
};

struct keeper_gateway {
        const struct keeper_address
                *at;     /* where it may be reached: the next one after an attempt that failed */
        size_t at_count; /* at least one */
        struct str id;   /* what its certificate must say; empty: any gateway of our organisation */
};

enum keeper_websocket {
        KEEPER_WEBSOCKET_FALLBACK, /* where the straight way meets somebody else than a gateway, and in turn with it */
        KEEPER_WEBSOCKET_ALWAYS,
        KEEPER_WEBSOCKET_NEVER
};

enum keeper_way { KEEPER_STRAIGHT, KEEPER_AS_WEBSOCKET, KEEPER_OVER_OVERLAY };

struct keeper_conf {
        struct tls_context
                *tls; /* a client's, with our certificate and the one authority; shared. NULL: no gateways */
        struct tls_context *outer; /* of WebSockets: a client's that verifies nobody; shared. With `tls` */
        enum keeper_websocket websocket;
        struct keeper_address proxy;  /* host empty: none */
        struct str proxy_credentials; /* "user:password", sent as Basic (RFC 7617); empty: none */
        unsigned links;               /* to each worker */
        const struct keeper_gateway *gateways;
        size_t gateways_count;
};

struct keeper_events {
        /* Open and verified: move the stream (stream_move) inside this call and give true, or it is closed. keeper_ended follows. */
        bool (*on_link)(struct keeper *k, struct keeper_link *l, struct stream *s);
        /* It is not wanted any more (its gateway left the list, or another worker serves in its place): let it end. */
        void (*on_unwanted)(struct keeper *k, struct keeper_link *l);
};

/* Keeps `resolver` and `events`. NULL: no memory. */
MUST_USE struct keeper *keeper_new(struct loop *l, struct resolver *resolver,
                                   const struct keeper_events *events, void *context);
void *keeper_context(const struct keeper *k);

/* What is wanted from now on; copies it. Gateways that were there keep their links. ERR_NO_MEMORY: nothing changed.
 * ERR_CONFIG: our certificate names no agent. */
MUST_USE enum err keeper_set(struct keeper *k, const struct keeper_conf *conf);

/* The gateway said which worker a link goes to, of how many. `is_leaving`: no more streams will come, look for another. */
void keeper_told(struct keeper_link *l, unsigned worker, unsigned workers, bool is_leaving);
/* What on_link took has ended; `l` is gone. Once. */
void keeper_ended(struct keeper_link *l);

/* Whose link it is, as its certificate says. */
const struct node_name *keeper_link_gateway(const struct keeper_link *l);
enum keeper_way keeper_link_way(const struct keeper_link *l);
/* "straight", "websocket", "overlay". */
const char *keeper_way_text(enum keeper_way way);

/*
 * A connection that was made to us as by the gateway of this id, which has to prove that it is. on_link follows, or nothing. Takes fd.
 * ERR_NOT_FOUND: none of that id is wanted; ERR_TOO_LARGE: it has more of these than it may have; ERR_NO_MEMORY.
 */
MUST_USE enum err keeper_take(struct keeper *k, struct str gateway, int fd);

/* Whether anything of what gateways made to us is still there, what is ending too. */
bool keeper_has_overlay(const struct keeper *k);

/* Nothing more is dialled. What is open stays until it ends. */
void keeper_stop(struct keeper *k);
/* When every link it gave has ended, and a turn later. NULL is fine. */
void keeper_free(struct keeper *k);

/* How it stands, for status pages. */
struct keeper_standing {
        struct keeper_address at;
        struct str wanted, id;   /* asked for, may be empty; as found, empty: never reached */
        unsigned workers, links; /* of the gateway; open */
        unsigned overlay_links;  /* beside them */
        const char *problem;     /* why the last attempt failed, or NULL */
        bool as_websocket;       /* how it is dialled */
};
/* Fills up to `max`, gives how many there are. Borrowed until the next call of anything here. */
size_t keeper_look(const struct keeper *k, struct keeper_standing *out, size_t max);
