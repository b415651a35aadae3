/*
 * http/h2_room_priv.h - the caller's memory that an engine writes into, for the time of one call.
 *
 * DATA frames go straight in from where the body lies (nghttp2's send_data callback); all others come as a piece of nghttp2's
 * memory, of which what does not fit waits for the next call.
 */
#pragma once

#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <string.h>

#include "base/compiler.h"

struct h2_room {
        char *out; /* outside of a call there is none */
        size_t len, cap;
        const uint8_t *rest; /* nghttp2's until it is asked again */
        size_t rest_len;
};

static inline size_t h2_room_left(const struct h2_room *r)
{
        return r->cap - r->len;
}

/* The caller has made sure that there is room. */
static inline void h2_room_put(struct h2_room *r, const void *bytes, size_t len)
{
        assert(len <= h2_room_left(r));
        if (len)
                memcpy(r->out + r->len, bytes, len);
        r->len += len;
}

static inline void h2_room_rest_put(struct h2_room *r)
{
        size_t n = MIN(r->rest_len, h2_room_left(r));

        if (n == 0)
                return;
        h2_room_put(r, r->rest, n);
        r->rest += n;
        r->rest_len -= n;
}

/* Begins with what the last call left. */
static inline void h2_room_open(struct h2_room *r, char *out, size_t cap)
{
        r->out = out;
        r->cap = cap;
        r->len = 0;
        h2_room_rest_put(r);
}

/* Asks nghttp2 once. Returns the bytes that came, 0: nothing that goes there now; or its error. */
static inline ssize_t h2_room_take(struct h2_room *r, nghttp2_session *ng)
{
        size_t before = r->len;
        ssize_t n = nghttp2_session_mem_send(ng, &r->rest);

        if (n < 0)
                return n;
        r->rest_len = (size_t)n;
        h2_room_rest_put(r);
        return (ssize_t)(r->len - before);
}

/* Returns how much was written. */
static inline size_t h2_room_close(struct h2_room *r)
{
        size_t len = r->len;

        r->out = NULL;
        r->len = r->cap = 0;
        return len;
}
