/*
 * proxy/h1_in.h - the receiving half of an HTTP/1.1 connection: a buffer while bytes are in flight, and the body reader.
 *
 * Offers body pieces by a function that may take fewer bytes than offered; the rest is offered again, from the same
 * place, when asked. The head stays where it was received until h1_in_next.
 */
#pragma once

#include "http/h1_read.h"
#include "io/stream.h"
#include "proxy/side.h"
#include "proxy/worker.h"

struct h1_in {
        struct rbuf *buffer; /* NULL: nothing is held */
        struct rbuf
                *body_buffer; /* where a longer body is read, so that the head can stay; NULL: in `buffer` */
        struct h1_body body;
        size_t scanned;      /* of a head not yet whole */
        uint32_t body_start; /* in `buffer`: behind the head */
        bool in_body;        /* behind a head */
        bool is_bulk;        /* the last read of a body filled its room */
        bool is_last;        /* the body's end was given and taken */
        bool is_ended;       /* the peer's end was read */
};

/* Returns the bytes taken. */
typedef size_t h1_in_give(void *context, const struct side_data *d);

void h1_in_init(struct h1_in *in);
void h1_in_fini(struct h1_in *in, struct worker *w);

/* What was received and not yet used. */
struct str h1_in_bytes(const struct h1_in *in);

/*
 * Reads once from the stream behind what is there. ERR_OK: something came. ERR_TOO_LARGE: no room (a head larger than the
 * largest buffer, or a body nobody takes). ERR_NO_MEMORY: no buffer. Else as stream_read; *filled: the read used all the room,
 * so there may be more.
 */
MUST_USE enum err h1_in_read(struct h1_in *in, struct worker *w, struct stream *s, bool *filled);

/* A head of `head->bytes` (0: made up) was parsed at the front: what follows is its body. */
void h1_in_body_begin(struct h1_in *in, const struct http_head *head);

/*
 * Gives as much of the body as is there and as the far end takes. ERR_OK: the body's last piece was taken (is_last).
 * ERR_AGAIN: *wants_more_out: more must be read first; else the far end is full. ERR_MALFORMED, ERR_TOO_LARGE: *refusal.
 */
MUST_USE enum err h1_in_offer(struct h1_in *in, struct worker *w, h1_in_give *give, void *context,
                              bool *wants_more_out, struct http_refusal *refusal);

/* In a long body whose head nobody reads any more: the buffers go back while they hold nothing. */
void h1_in_rest(struct h1_in *in, struct worker *w);

/* After the body: what is left (the next message) moves to the front, or the buffers go back. */
void h1_in_next(struct h1_in *in, struct worker *w);
