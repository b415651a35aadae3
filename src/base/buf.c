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

void buf_fini(struct buf *b)
{
        free(b->ptr);
        buf_init(b, b->bytes_max);
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

char *buf_reserve(struct buf *b, size_t len)
{
        if (b->full || len > b->bytes_max - b->len) {
                b->full = true;
                return NULL;
        }
        if (len > b->cap - b->len) {
                size_t doubled = b->cap > b->bytes_max / 2 ? b->bytes_max : b->cap * 2;
                size_t cap = MAX(MAX(b->len + len, doubled), (size_t)BUF_BYTES_MIN);
                char *ptr = realloc(b->ptr, cap);

                if (!ptr) {
                        b->full = true;
                        return NULL;
                }
                b->ptr = ptr;
                b->cap = cap;
        }
        return b->ptr + b->len;
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
        char *room = buf_reserve(b, (size_t)len + 1);
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
