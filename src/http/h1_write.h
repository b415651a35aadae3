/*
 * http/h1_write.h - heads and bodies as vectors for one writev. Nothing is copied but what is new.
 */
#pragma once

#include <sys/uio.h>

#include "http/head.h"

enum { H1_VECTOR_MAX = 64 };

/* A vector being gathered. Parts that touch become one. */
struct h1_vector {
        struct iovec parts[H1_VECTOR_MAX];
        int parts_count;
        size_t bytes;
        bool full; /* a part did not fit and was left out, and so are all after it */
};

/* Keeps `s` until it is written. */
void h1_vector_add(struct h1_vector *v, struct str s);

/* Copies all parts into one in the arena. ERR_NO_MEMORY: the vector is unchanged. */
MUST_USE
enum err h1_vector_flatten(struct h1_vector *v, struct arena *a);

/*
 * Appends "METHOD target HTTP/1.1\r\n" or "HTTP/1.1 status reason\r\n", every field not removed in its order (raw lines as
 * ranges, added ones made in `a`), and the empty line. Start line and added lines live in the arena. `target` replaces the
 * head's own (the canonical one). A head takes at most H1_HEAD_PARTS_MAX parts: one of more ranges than that is copied
 * into the arena. ERR_NO_MEMORY: arena or vector is full; ERR_MALFORMED: a target, method or reason with bytes that could
 * end the line. An empty reason is filled in from the status.
 */
enum { H1_HEAD_PARTS_MAX = 16 };
MUST_USE
enum err h1_request_write(const struct http_head *h, struct str target, struct arena *a, struct h1_vector *v);
MUST_USE
enum err h1_response_write(const struct http_head *h, struct arena *a, struct h1_vector *v);

/* The size line before a chunk's payload ("1a\r\n"), written to `out`; after the payload comes "\r\n". */
enum { H1_CHUNK_HEAD_MAX = 20 };
struct str h1_chunk_head(char out[H1_CHUNK_HEAD_MAX], uint64_t bytes);

/* "0\r\n" trailers "\r\n". ERR_NO_MEMORY; ERR_MALFORMED: a name or value that is not valid. */
MUST_USE
enum err h1_last_chunk_write(const struct http_field *trailers, size_t trailers_count, struct arena *a,
                             struct h1_vector *v);

/* Drops `written` bytes from the front of the parts. */
void h1_vector_consume(struct h1_vector *v, size_t written);
