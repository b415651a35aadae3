/*
 * link/keeper_priv.h - what is wanted (keeper.c) and one link on its way (keeper_dial.c).
 */
#pragma once

#include "base/list.h"
#include "crypto/text.h"
#include "io/dial.h"
#include "io/peek.h"
#include "io/timer.h"
#include "link/keeper.h"

enum {
        KEEPER_HOST_MAX = 255,
        KEEPER_CREDENTIALS_MAX = 256,
        CREDENTIALS_TEXT = CRYPTO_BASE64_SIZE(KEEPER_CREDENTIALS_MAX),
        KEEPER_WORKERS_MAX = 256,
        KEEPER_NO_WORKER = -1,
        KEEPER_OPENING_MS = 10 * 1000, /* from the first packet to the end of the handshake */
        KEEPER_DIALLING_MS = 3 * 1000  /* of it for the connection, where there is another address to try */
};

struct keeper_place { /* an address of ours: a copy */
        char host[KEEPER_HOST_MAX + 1];
        struct ip ip;
        uint16_t port;
};

struct keeper {
        struct loop *loop;
        struct resolver *resolver;
        const struct keeper_events *events;
        void *context;
        struct tls_context *tls, *outer;
        enum keeper_websocket websocket;
        struct list sockets; /* those that are open */
        struct node_name own;
        struct keeper_place proxy;                /* host empty: none */
        char proxy_credentials[CREDENTIALS_TEXT]; /* in base64; empty: none */
        unsigned links;
        struct list gateways;
        bool is_stopped;
};

/* One of the list. Stays until its last link ended. */
struct kept {
        struct keeper *keeper;
        struct list node, links;
        struct keeper_place *places;
        size_t places_count, place, tried; /* `place`: dialled now; `tried`: in a row, without a link */
        char id[NODE_ID_BYTES_MAX + 1];    /* wanted; empty: any */
        struct node_name found;
        bool is_found, is_gone, is_waiting;
        bool as_websocket; /* how it is dialled now */
        bool was_met;      /* in this round somebody answered, but not as a gateway does */
        unsigned workers;  /* 0: not known now */
        unsigned failures;
        unsigned address_next;
        const char *problem;
        struct timer timer; /* until then nothing is dialled */
        struct task task;   /* looks what is missing */
};

enum keeper_link_state {
        KEPT_RESOLVING,
        KEPT_DIALLING,
        KEPT_ASKING,
        KEPT_WRAPPING, /* a WebSocket */
        KEPT_TAKEN,    /* made by the gateway, over the overlay */
        KEPT_OPENING,
        KEPT_OPEN,
        KEPT_LEAVING,
        KEPT_ENDED,
        KEPT_STATES
};

struct keeper_link {
        struct kept *gateway;
        const struct keeper_place *at; /* the gateway's */
        struct list node;
        uint8_t state;
        int worker; /* asked for, then told; KEEPER_NO_WORKER: whichever accepts */
        bool is_told;
        enum keeper_way way;
        mono_ms since;
        struct node_name name;

        /* on its way */
        struct resolver_query query;
        struct dial dial;
        struct peek peek;
        struct keeper_socket *socket; /* KEPT_WRAPPING */
        struct stream stream;
        struct timer timer;
        struct task task; /* frees it */
        struct ip ip;
        int fd; /* connected, not yet a stream; -1 */
};

void keeper_link_enter(struct keeper_link *l, enum keeper_link_state next);

/* keeper_dial.c: on its way to `worker`. NULL: no memory. */
struct keeper_link *keeper_dial(struct kept *g, int worker);
/* Gives up what is under way; keeper_link_over follows, inside or later. */
void keeper_dial_cancel(struct keeper_link *l);

/* keeper_dial.c: a connection that is there, from TLS on. Takes fd. NULL: no memory. */
struct keeper_link *keeper_dial_taken(struct kept *g, int fd);

/* Told by keeper_socket.c, once. */
void keeper_dial_wrapped(struct keeper_link *l, int fd); /* takes fd: the connection from here on */
void keeper_dial_failed(struct keeper_link *l, const char *problem);

/* keeper_socket.c: a WebSocket over this connection, for this attempt. Takes fd. NULL: no memory. */
struct keeper_socket *keeper_socket_open(struct keeper_link *l, int fd);
void keeper_socket_let_go(struct keeper_socket *s); /* before either was told */
void keeper_sockets_forget(struct list *sockets);   /* they end by themselves */

/* keeper.c: told by keeper_dial.c. `problem` NULL: it was given up. */
void keeper_link_failed(struct keeper_link *l, const char *problem);
