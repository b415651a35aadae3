/*
 * proxy/down_h1_priv.h - what down_h1.c (the connection: life, heads, events) and down_h1_side.c (its side of an exchange:
 * the request's body, the answer) share.
 */
#pragma once

#include "proxy/down_h1.h"
#include "proxy/h1_in.h"
#include "proxy/h1_out.h"

enum down_state { DOWN_IDLE, DOWN_READING, DOWN_ACTIVE, DOWN_FLUSHING, DOWN_CLOSING, DOWN_STATES };

struct down_h1 {
        struct down conn;
        struct side side;

        uint8_t state;
        bool keeps_alive;               /* after the present answer */
        bool pulls;                     /* the exchange wants the request's body */
        bool is_lent, is_gone;          /* an exchange reads its memory; its stream is closed */
        bool is_raw;                    /* no HTTP is spoken: one byte stream */
        bool is_tunnel, answer_is_open; /* no length: the end of the answer is the end of the connection */
        uint32_t served_count;
        mono_ms rate_since; /* the window of a body's least rate; 0: none yet */
        uint64_t rate_bytes;

        struct h1_in in;
        struct h1_out out;
};

extern const struct side_ops down_h1_side_ops;

/* ---- down_h1.c ---- */
/* The only writer of c->state. */
void down_h1_enter(struct down_h1 *c, enum down_state next);
void down_h1_close(struct down_h1 *c, enum stream_close_how how);
void down_h1_free(struct down_h1 *c);
/* The answer is out: on to the next request, or the end. */
void down_h1_step(struct down_h1 *c);

/* ---- down_h1_side.c ---- */
/* Reads the request's body while the exchange takes it. */
void down_h1_body_read(struct down_h1 *c);
void down_h1_body_is_late(struct down_h1 *c);
/* Its body was given; or it has none, and waits for its turn at an upstream. */
bool down_h1_is_whole(const struct down_h1 *c);
/* The request is whole and its answer is awaited: look for the client's end, and let a next request wait. */
void down_h1_watch(struct down_h1 *c);
/* The client ended or failed before its request was whole, or while it waited. */
void down_h1_client_left(struct down_h1 *c, enum err e);
