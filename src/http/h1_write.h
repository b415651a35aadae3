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
        bool full; /* did not fit: gather into the arena instead (h1_vector_flatten) */
};

void h1_vector_add(struct h1_vector *v, struct str s);

/*
 * Appends "METHOD target HTTP/1.1\r\n" or "HTTP/1.1 status reason\r\n", every field not removed in its order (raw lines as
 * ranges, added ones made in `a`), and the empty line. Start line and added lines live in the arena. `target` replaces the
 * head's own (the canonical one). When the vector would overflow the fields are joined in the arena. ERR_NO_MEMORY.
 */
MUST_USE
enum err h1_request_write(const struct http_head *h, struct str target, struct arena *a, struct h1_vector *v);
MUST_USE
enum err h1_response_write(const struct http_head *h, struct arena *a, struct h1_vector *v);

/* The size line before a chunk's payload ("1a\r\n"), written to `out`; after the payload comes "\r\n". */
enum { H1_CHUNK_HEAD_MAX = 20 };
struct str h1_chunk_head(char out[H1_CHUNK_HEAD_MAX], uint64_t bytes);

/* "0\r\n" trailers "\r\n". */
MUST_USE
enum err h1_last_chunk_write(const struct http_field *trailers, size_t trailers_count, struct arena *a,
                             struct h1_vector *v);

/* Drops `written` bytes from the front of the parts. */
void h1_vector_consume(struct h1_vector *v, size_t written);
