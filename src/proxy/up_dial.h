/*
 * proxy/up_dial.h - a connection to an upstream target on its way up: name, address, TCP, TLS and the protocol agreed on.
 *
 *   resolving → dialling → opening (TLS) → done
 *
 * Pooled by the worker. Several exchanges may wait for one (up.h); who speaks on the connection takes it over when done.
 */
#pragma once

#include "http/proxy_protocol.h"
#include "io/dial.h"
#include "io/resolver.h"
#include "io/stream.h"
#include "io/timer.h"
#include "proxy/upstream.h"

struct snapshot;
struct up_dial;
struct worker;

/* ERR_OK: the connection is there, to be taken with up_dial_take. Never inside up_dial_start; up_dial_free follows from whoever
 * started it. */
typedef void up_dial_fn(struct up_dial *d, enum err e);

struct up_dial {
        /* identity */
        struct worker *w;
        struct target *target;
        struct snapshot *snap; /* owns the target */
        up_dial_fn *fn;
        bool offers_h2; /* in the TLS handshake; in plain text: will speak it */
        bool is_over;   /* fn was called, and frees it */

        /* who waits: exchange.connect_node */
        struct list waiting;
        uint32_t waiting_count;
        struct list node; /* target.dials while it is shared and under way */

        /* private */
        uint8_t state;
        bool has_stream;
        bool is_resolving; /* the query is under way */
        bool is_denied;    /* the next address is not to be dialled: told by the task */
        int fd;            /* plain and connected; -1: none */
        struct stream stream;
        char announce[PROXY_WRITE_MAX]; /* said before anything else; of datagrams, in each (up_udp.c) */
        uint8_t announce_len;
        struct timer timer;
        struct task task; /* frees it, or tells of a denied address */
        struct resolver_query query;
        struct dial dial;
        struct ip addresses[RESOLVER_ADDRESSES_MAX];
        uint8_t addresses_count, addresses_tried;
        mono_ms until;
};

/* NULL: the pool is used up. Shares the snapshot. */
MUST_USE struct up_dial *up_dial_start(struct worker *w, struct snapshot *snap, struct target *t,
                                       bool offers_h2, int64_t timeout_ms, up_dial_fn *fn);

/* Begins the connection with a PROXY header. In the turn of up_dial_start. */
void up_dial_announce(struct up_dial *d, const struct proxy_header *h, uint8_t version);

/* The open stream moves to `out`. Once, after ERR_OK. */
MUST_USE enum err up_dial_take(struct up_dial *d, struct stream *out, const struct stream_events *events);

/* The socket itself, of a target of datagrams. Once, after ERR_OK. */
int up_dial_take_fd(struct up_dial *d);

/* What TLS agreed on. */
bool up_dial_is_h2(const struct up_dial *d);

/* Ends it in whatever state; what was not taken is closed. Nobody may wait for it any more. */
void up_dial_free(struct up_dial *d);
