/*
 * http/h2_memory.h - memory for nghttp2, which takes and gives back some dozen small blocks a stream, and for lists of fields.
 *
 * Freed blocks are kept by their size, at most H2_MEMORY_KEPT_MAX bytes a thread, and serve the next stream; larger ones go
 * to malloc. A block is given back by the thread that took it. Under AddressSanitizer all goes to malloc, so that it sees
 * what it should.
 */
#pragma once

#include <nghttp2/nghttp2.h>

enum { H2_MEMORY_KEPT_MAX = 512 * 1024 };

/* For nghttp2_session_*_new3: the one that keeps, or NULL, which stands for malloc. Both live for ever. */
nghttp2_mem *h2_memory(void);
nghttp2_mem *h2_memory_keeping(void);

/* From the same: blocks of ours that come and go with streams. NULL: memory ran out. */
void *h2_memory_take(size_t bytes);
void h2_memory_give(void *memory); /* NULL is fine */
