/*
 * proxy/down.h - a client's connection beneath its protocol: limits, TLS, and the choice of what is spoken.
 *
 *   opening (TLS) → h1 | h2 by ALPN; a plain one begins as h1 and becomes h2 when its first bytes say so
 *
 * First member of what each protocol makes of it (down_h1.c, down_h2.c); one pool holds either, so that a connection can
 * change without moving.
 */
#pragma once

#include "io/stream.h"
#include "proxy/exchange.h"
#include "proxy/worker.h"

struct down;

/* Who is connected, where a PROXY header said so. */
struct down_peer {
        struct ip ip;
        uint16_t port;
};

struct down_protocol {
        const char *name;
        void (*on_ready)(struct down *c, unsigned ready);
        void (*on_closed)(
                struct down *c); /* ends with down_free, now or when nothing refers to it any more */
        /* No new requests: close when idle, else after what is under way. */
        void (*drain)(struct down *c);
        void (*cut)(struct down *c);  /* closes it now; NULL: nobody asks */
        bool (*shed)(struct down *c); /* closes it when no request is under way; NULL: drain does */
};

/* Somebody who made the connection and has its eye on it: an agent on its links. Embedded in its owner. */
struct down_link {
        void (*on_closed)(struct down_link *l); /* nothing refers to it any more */
        struct down *conn;
        mono_ms heard_at; /* when bytes came last */
};

struct down {
        struct stream stream;
        struct worker *w;
        struct list node; /* worker.down_list */
        struct exchange_origin origin;
        const struct down_protocol *protocol;
        int32_t tally_slot;
        uint16_t https_port;
        bool is_redirecting;
        bool takes_h2;          /* a plain connection may begin with HTTP/2's preface */
        struct down_link *link; /* NULL: a client's that came by itself */
        struct timer timer;     /* the protocol's, once there is one */
};

/* Takes fd; refuses (closes) when a limit is reached. `peer` NULL: the socket's own. */
void down_open(struct worker *w, int fd, const struct listen_conf *listen, const struct down_peer *peer);

/* Serves on an open stream that we made (moved; on an error it stays): HTTP/2 without a client's limits of time and
 * number; requests on it are a gateway's (link_in.h). Keeps `link` until its on_closed. */
MUST_USE enum err down_adopt(struct worker *w, struct stream *from, struct down_link *link);
/* Now; what is under way on it fails. */
void down_cut(struct down *c);

/* The last thing a protocol does with it, after on_closed. */
void down_free(struct down *c);

/* Draining: as the protocol can. One still opening may ask once. */
void down_drain(struct list *node);

/* Room is short: closed when nothing is under way on it. True when it goes. */
bool down_shed(struct list *node);

static inline const struct proxy_limits *down_limits(const struct down *c)
{
        return &c->w->snap->limits;
}

static inline void down_timer_start(struct down *c, int64_t ms)
{
        timer_set(c->w->loop, &c->timer, loop_now(c->w->loop) + ms);
}

size_t down_bytes(void); /* of the largest, for the pool */
