/*
 * proxy/h1_out.h - the sending half of an HTTP/1.1 connection, the same for clients and upstreams.
 *
 * Gathers a head, goes out with the first data in one writev. What the socket does not take of head and framing is copied
 * here; of a body with a length it is left with the giver; of a chunk, whose size was announced, it is copied too, and no
 * more is taken until it is gone. So at most one offer is ever held.
 */
#pragma once

#include "http/h1_write.h"
#include "io/stream.h"
#include "proxy/side.h"

struct h1_out {
        bool is_chunked, is_broken; /* broken: a write failed; nothing more is sent */
        struct h1_vector *gathered; /* holds a head of ours that was not sent yet; NULL: none */
        /* private */
        char *pending;
        size_t pending_len, pending_at;
};

void h1_out_init(struct h1_out *o);
void h1_out_fini(struct h1_out *o);

/*
 * Begins a head in the worker's vector, which is empty then. It goes out with the next h1_out_data or h1_out_flush, or is
 * forgotten by h1_out_drop, which must be called before the connection closes: what stays in the vector would go out in
 * front of somebody else's answer.
 */
struct h1_vector *h1_out_gather(struct h1_out *o, struct h1_vector *v);
void h1_out_drop(struct h1_out *o);

/* Sends vector (a head, or nothing) and the data with its framing; empties the vector. Returns payload bytes taken. */
size_t h1_out_data(struct h1_out *o, struct stream *s, struct h1_vector *v, const struct side_data *d,
                   struct arena *a);

/* Sends the vector alone, or what is pending. */
void h1_out_flush(struct h1_out *o, struct stream *s, struct h1_vector *v);

static inline bool h1_out_is_pending(const struct h1_out *o)
{
        return o->pending_len > 0;
}
