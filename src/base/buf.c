#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_BYTES_MIN = 256 };

void buf_init(struct buf *b, size_t bytes_max)
{
        *b = (struct buf){ .bytes_max = bytes_max };
}

void buf_init_secret(struct buf *b, size_t bytes_max)
{
        *b = (struct buf){ .bytes_max = bytes_max, .is_secret = true };
}

void buf_fini(struct buf *b)
{
        free(b->ptr);
        *b = (struct buf){ .bytes_max = b->bytes_max, .is_secret = b->is_secret };
}

void buf_wipe(struct buf *b)
{
        if (b->ptr)
                explicit_bzero(b->ptr, b->cap);
        buf_fini(b);
}

void buf_clear(struct buf *b)
{
        b->len = 0;
        b->full = false;
}

void buf_rest(struct buf *b, size_t keep)
{
        if (b->cap > keep && b->is_secret)
                buf_wipe(b);
        else if (b->cap > keep)
                buf_fini(b);
        buf_clear(b);
}

/* realloc would leave a copy of a secret behind. */
static char *memory_move(struct buf *b, size_t cap)
{
        if (!b->is_secret)
                return realloc(b->ptr, cap);
        char *ptr = malloc(cap);

        if (ptr && b->ptr) {
                memcpy(ptr, b->ptr, b->len);
                explicit_bzero(b->ptr, b->cap);
                free(b->ptr);
        }
        return ptr;
}

/* Room for `len` bytes that count and `spare` ones that do not (a NUL). */
static char *room_make(struct buf *b, size_t len, size_t spare)
{
        if (b->full || len > b->bytes_max - b->len) {
                b->full = true;
                return NULL;
        }
        if (!b->ptr || len + spare > b->cap - b->len) {
                size_t doubled = b->cap > b->bytes_max / 2 ? b->bytes_max : b->cap * 2;
                size_t cap = MAX(MAX(b->len + len + spare, doubled), (size_t)BUF_BYTES_MIN);
                char *ptr = memory_move(b, cap);

                if (!ptr) {
                        b->full = true;
                        return NULL;
                }
                b->ptr = ptr;
                b->cap = cap;
        }
        return b->ptr + b->len;
}

char *buf_reserve(struct buf *b, size_t len)
{
        return room_make(b, len, 0);
}

void buf_added(struct buf *b, size_t len)
{
        assert(len <= b->cap - b->len);
        b->len += len;
}

void buf_add(struct buf *b, struct str s)
{
        if (s.len == 0)
                return;
        char *room = buf_reserve(b, s.len);

        if (room) {
                memcpy(room, s.ptr, s.len);
                b->len += s.len;
        }
}

void buf_add_behind(struct buf *b, const struct str *slices, size_t slices_count, size_t skip)
{
        for (size_t i = 0; i < slices_count; i++) {
                size_t n = MIN(skip, slices[i].len);

                buf_add(b, str_from(slices[i], n));
                skip -= n;
        }
}

void buf_add_char(struct buf *b, char c)
{
        buf_add(b, (struct str){ &c, 1 });
}

void buf_addf(struct buf *b, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        int len = vsnprintf(NULL, 0, format, args);
        va_end(args);
        assert(len >= 0);
        char *room = room_make(b, (size_t)len, 1);
        if (!room)
                return;
        va_start(args, format);
        vsnprintf(room, (size_t)len + 1, format, args);
        va_end(args);
        b->len += (size_t)len;
}

void buf_consume(struct buf *b, size_t len)
{
        assert(len <= b->len);
        if (len == 0)
                return;
        memmove(b->ptr, b->ptr + len, b->len - len);
        b->len -= len;
}
