/*
 * base/buf.h - a growing run of bytes with a bound, for text that is being built.
 *
 * Like the arena it is full for ever once something does not fit: append freely, look at `full` once at the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/str.h"

struct buf {
        char *ptr; /* owned; NULL while nothing was appended */
        size_t len;
        bool full; /* something did not fit in bytes_max, or memory ran out */
        /* private */
        size_t cap, bytes_max;
        bool is_secret;
};

void buf_init(struct buf *b, size_t bytes_max);
/* For secrets: memory that it outgrows is overwritten before it is freed. End with buf_wipe. */
void buf_init_secret(struct buf *b, size_t bytes_max);
void buf_fini(struct buf *b);              /* frees; the buf may be used again after buf_init */
void buf_wipe(struct buf *b);              /* overwrites what it held, then frees: for secrets */
void buf_clear(struct buf *b);             /* len 0 and not full; keeps the memory */
void buf_rest(struct buf *b, size_t keep); /* len 0 and not full; memory of more than `keep` bytes is freed */

void buf_add(struct buf *b, struct str s);
/* What of the slices is behind their first `skip` bytes. */
void buf_add_behind(struct buf *b, const struct str *slices, size_t slices_count, size_t skip);
void buf_add_char(struct buf *b, char c);
void buf_addf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* Room for `len` more bytes to write into directly, or NULL (then full). Follow with buf_added. */
char *buf_reserve(struct buf *b, size_t len);
void buf_added(struct buf *b, size_t len);

/* Drops the first `len` bytes and moves the rest to the front. */
void buf_consume(struct buf *b, size_t len);

static inline struct str buf_str(const struct buf *b)
{
        return (struct str){ b->ptr, b->len };
}
