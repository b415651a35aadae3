/*
 * proxy/up_h2_priv.h - what the connection (up_h2.c) and its streams (up_h2_stream.c) know of each other.
 */
#pragma once

#include "http/h2_client.h"
#include "io/stream.h"
#include "io/timer.h"
#include "proxy/up_h2.h"
#include "proxy/worker.h"

struct up_h2 {
        /* identity */
        struct stream stream;
        struct worker *w;
        struct target *target;
        struct link *
                link; /* an agent's: every stream has a target of its own, and this one is a stand-in; or NULL */
        struct snapshot *snap; /* owns the target; NULL with a link */
        struct list node;      /* target.shared */

        struct h2_client *client;
        struct list streams; /* up_h2_stream.node */
        struct list dead;    /* streams that nothing refers to any more: freed at the turn's end */
        struct list waiting; /* exchange.connect_node: tunnels that wait for the peer's settings */
        struct up_h2_stream
                *unflushed; /* gave its exchange a head or data that may still wait to be sent on */
        struct rbuf *out;   /* while something waits for the socket */
        uint32_t streams_count, served_count;
        bool is_probe, is_draining, is_closing, is_closed, heard_any;
        enum err over; /* the connection is of no more use, once its output is sent */

        /* liveness */
        struct timer timer;
        mono_ms heard_at, ping_at, asked_at; /* asked_at: the first PING since something was heard */
        uint8_t pings;                       /* since it last said something of use */

        struct task task; /* sends, frees, closes */
};

/* One exchange. */
struct up_h2_stream {
        struct side side;
        struct h2_client_stream h2;
        struct up_h2 *conn;
        struct target *target;
        struct list node;
        struct timer timer;

        bool pulled, is_open;
        bool request_is_sent, saw_answer, head_is_done, is_tunnel, is_head_last;
        uint8_t interim_count;

        /* of the answer, while the exchange does not take it */
        struct buf kept;
        bool kept_is_last;
        const struct http_field *trailers; /* in the exchange's arena */
        size_t trailers_count;
};

/* up_h2_stream.c: the streams' half of the engine's events, and what a lost connection does to them. */
void up_h2_stream_on_head(struct h2_client_stream *h, struct http_head *head, bool is_end);
void up_h2_stream_on_data(struct h2_client_stream *h, const struct str *slices, size_t slices_count,
                          bool is_end);
void up_h2_stream_on_end(struct h2_client_stream *h, const struct http_field *trailers, size_t count);
void up_h2_stream_on_room(struct h2_client_stream *h);
void up_h2_stream_on_reset(struct h2_client_stream *h, enum err e, enum h2_client_reset how);
MUST_USE enum err up_h2_stream_start(struct up_h2 *c, struct exchange *x);
void up_h2_stream_lost(struct up_h2_stream *s, enum err e, bool is_unprocessed);
/* One whose answer is not here whole; NULL: there is none. */
struct up_h2_stream *up_h2_stream_unfinished(const struct up_h2 *c);
void up_h2_streams_free(struct list *dead);

/* up_h2.c */
void up_h2_flush(struct up_h2 *c, const struct up_h2_stream *but);
void up_h2_wake(struct up_h2 *c); /* something is to be sent, freed or closed: before the turn ends */
