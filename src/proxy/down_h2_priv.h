/*
 * proxy/down_h2_priv.h - a connection (down_h2.c) and its streams (down_h2_stream.c).
 *
 * Theory of operation. Bytes go into the session, which calls back per stream. Inside of such a call nothing may be sent,
 * so an answer that starts there is not taken until the call is over: its stream stands in `waiting`, with those whose
 * window or whose socket is full, and is told of room in `settle`. What an event asks for that must not happen inside it
 * (running the exchange, telling it that its client is gone) is marked on the stream, which then stands in `marked`.
 *
 * Everything written within a turn gathers in one buffer and goes out with the turn's end.
 */
#pragma once

#include "http/h2_session.h"
#include "proxy/down_h2.h"
#include "proxy/route.h"

enum { DOWN_H2_KEY_TEXT_MAX = 29 /* 16 bytes in base64, and a NUL */ };

struct down_h2 {
        struct down conn;
        struct h2_session *session;
        struct rbuf *out; /* what the socket did not take yet; NULL: nothing */
        struct list streams, waiting, marked, finishing;
        struct list lane_node; /* in worker.h2_lane */
        struct rbuf *held;     /* received, and not given to the session; NULL: nothing */
        size_t streams_count;
        bool is_receiving;        /* inside h2_session_receive */
        bool is_closing, is_gone; /* we closed it; the stream below is closed */
        bool is_broken;           /* a write failed */
        bool is_in_list;          /* a request's list has begun and not ended */
        bool is_draining, has_served;
        uint8_t refusals_logged;
        struct timer drain_timer;
        struct task task;
};

struct down_stream {
        struct side side;
        struct h2_stream h2;
        struct down_h2 *c;
        struct list node, waiting_node, marked_node, finishing_node;

        bool is_open; /* the session has it */
        bool is_lent; /* an exchange reads its list */
        bool must_run, must_leave, must_refuse;
        bool pulls;                  /* the exchange wants the request's body */
        bool has_no_body;            /* what comes belongs to a tunnel */
        bool input_done, last_given; /* the client ended; the exchange was told */
        bool is_tunnel, head_waits;
        bool answer_is_out; /* the whole of it was taken */
        struct http_refusal refusal;
        struct h2_list head; /* of the answer, in the exchange's arena */
        struct buf body;     /* received, not taken */
        const struct http_field *trailers;
        size_t trailers_count;
        mono_ms rate_since;
        uint64_t body_bytes, rate_bytes;
        struct timer timer;
        char websocket_key[DOWN_H2_KEY_TEXT_MAX];
};

static inline mono_ms down_h2_now(const struct down_h2 *c)
{
        return loop_now(c->conn.w->loop);
}

/* ---- of the connection ---- */

void down_h2_settle_later(struct down_h2 *c); /* at the turn's end */
void down_h2_free(struct down_h2 *c);

/* Room to write into: takes the buffer, or gives false; what is in it goes out. */
bool down_h2_out_take(struct down_h2 *c);
size_t down_h2_out_room(const struct down_h2 *c);
void down_h2_out_flush(struct down_h2 *c);

/* Gives bytes to the session; fewer than all are taken once it is doubtful. */
enum err down_h2_receive(struct down_h2 *c, struct str in, size_t *taken_out, const char **reason_out);
/* A read is over: what it asked for is done, or the connection ends. ERR_OK, ERR_AGAIN: it goes on. */
void down_h2_input_over(struct down_h2 *c, enum err e, const char *reason);

/* ---- the lane of those that others do not wait for ---- */

bool down_h2_lane_has(const struct down_h2 *c);
void down_h2_lane_join(struct down_h2 *c);  /* may be in it already */
void down_h2_lane_leave(struct down_h2 *c); /* what is held goes; may be in none */
/* Holds a copy of what was received, and joins. False: no memory. */
bool down_h2_hold(struct down_h2 *c, struct str rest);

/* ---- of a stream ---- */

extern const struct h2_session_events down_h2_session_events;

/* An answer from before there is an exchange: st->refusal. */
void down_h2_stream_refuse(struct down_stream *st);
/* Starts the time the client has for more of the body. */
void down_h2_stream_body_wait(struct down_stream *st);
/* Once the session, the exchange's memory and the exchange itself have all let go. */
void down_h2_stream_free_if_done(struct down_stream *st);
