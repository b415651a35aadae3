#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES_MIN = 4096 };

struct arena_block {
        struct arena_block *next;
        size_t size;
        _Alignas(max_align_t) char bytes[];
};

void arena_init(struct arena *a, void *first, size_t first_size, size_t bytes_max)
{
        *a = (struct arena){ .first = first, .first_size = first_size, .budget = bytes_max };
        a->used = first_size;
        a->next = a->first;
        a->end = a->first + first_size;
}

static void blocks_free(struct arena *a)
{
        while (a->blocks) {
                struct arena_block *block = a->blocks;
                a->blocks = block->next;
                free(block);
        }
}

void arena_fini(struct arena *a)
{
        blocks_free(a);
        *a = (struct arena){ .full = true };
}

void arena_reset(struct arena *a)
{
        blocks_free(a);
        arena_init(a, a->first, a->first_size, a->budget);
}

/* Chains a block that can hold `size` bytes at any alignment up to `align`; false when over budget. */
static bool block_add(struct arena *a, size_t size, size_t align)
{
        size_t room = a->budget > a->used ? a->budget - a->used : 0;
        size_t want = MAX(size, (size_t)BLOCK_BYTES_MIN), bytes;

        if (align > _Alignof(max_align_t) || size > room)
                return false;
        want = MIN(want, room);
        if (__builtin_add_overflow(sizeof(struct arena_block), want, &bytes))
                return false;
        struct arena_block *block = malloc(bytes);
        if (!block)
                return false;
        block->next = a->blocks;
        block->size = want;
        a->blocks = block;
        a->used += want;
        a->next = block->bytes;
        a->end = block->bytes + want;
        return true;
}

void *arena_alloc(struct arena *a, size_t size, size_t align)
{
        assert(align && (align & (align - 1)) == 0);
        size_t room = (size_t)(a->end - a->next);
        size_t pad = (size_t)(-(uintptr_t)a->next & (align - 1));

        if (a->full)
                return NULL;
        if (!a->next || pad > room || size > room - pad) {
                if (!block_add(a, size, align)) {
                        a->full = true;
                        return NULL;
                }
                pad = 0;
        }
        char *p = a->next + pad;
        a->next = p + size;
        return p;
}

void *arena_zalloc(struct arena *a, size_t size, size_t align)
{
        void *p = arena_alloc(a, size, align);

        if (p)
                memset(p, 0, size);
        return p;
}

void *arena_array(struct arena *a, size_t count, size_t size, size_t align)
{
        size_t bytes;

        if (__builtin_mul_overflow(count, size, &bytes)) {
                a->full = true;
                return NULL;
        }
        return arena_alloc(a, bytes, align);
}

void *arena_calloc(struct arena *a, size_t count, size_t size, size_t align)
{
        void *p = arena_array(a, count, size, align);

        if (p)
                memset(p, 0, count * size);
        return p;
}

struct str arena_copy(struct arena *a, struct str s)
{
        return arena_join(a, &s, 1);
}

struct str arena_join(struct arena *a, const struct str *parts, size_t parts_count)
{
        size_t len = 0;

        for (size_t i = 0; i < parts_count; i++)
                if (__builtin_add_overflow(len, parts[i].len, &len) || len == SIZE_MAX) {
                        a->full = true;
                        return STR_NULL;
                }
        char *copy = arena_alloc(a, len + 1, 1);
        if (!copy)
                return STR_NULL;
        char *at = copy;
        for (size_t i = 0; i < parts_count; i++) {
                if (parts[i].len)
                        memcpy(at, parts[i].ptr, parts[i].len);
                at += parts[i].len;
        }
        *at = '\0';
        return (struct str){ copy, len };
}

struct str arena_format(struct arena *a, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        int len = vsnprintf(NULL, 0, format, args);
        va_end(args);
        assert(len >= 0);
        char *text = arena_alloc(a, (size_t)len + 1, 1);
        if (!text)
                return STR_NULL;
        va_start(args, format);
        vsnprintf(text, (size_t)len + 1, format, args);
        va_end(args);
        return (struct str){ text, (size_t)len };
}

size_t arena_chained_bytes(const struct arena *a)
{
        return a->used - a->first_size;
}
