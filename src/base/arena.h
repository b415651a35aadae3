/*
 * base/arena.h - memory that lives as long as one request, freed all at once.
 *
 * A fixed first block (the caller's, often inside a pooled struct) and, when that is full, chained blocks from malloc
 * up to a total the caller named. Once something does not fit the arena is full for ever and every later call gives
 * NULL: build freely, look at `full` once at the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

struct arena_block;

struct arena {
        bool full; /* something did not fit; read by the caller */
        /* private */
        char *next, *end;
        char *first;
        size_t first_size, budget, used;
        struct arena_block *blocks;
};

/* Keeps `first` until fini. `bytes_max` bounds first and chained blocks together. */
void arena_init(struct arena *a, void *first, size_t first_size, size_t bytes_max);
void arena_fini(struct arena *a);

/* Empties the arena; the first block stays, chained ones are freed. */
void arena_reset(struct arena *a);

/*
 * Uninitialised memory, or NULL. `align` is a power of two; what goes past the first block is aligned for any
 * ordinary type, and more than that does not fit.
 */
void *arena_alloc(struct arena *a, size_t size, size_t align);
void *arena_zalloc(struct arena *a, size_t size, size_t align);

#define ARENA_NEW(a, type)      ((type *)arena_zalloc((a), sizeof(type), _Alignof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_calloc((a), (n), sizeof(type), _Alignof(type)))
void *arena_calloc(struct arena *a, size_t count, size_t size, size_t align);

/* The same, not zeroed: for one that is filled from its beginning. */
#define ARENA_ARRAY_RAW(a, type, n) ((type *)arena_array((a), (n), sizeof(type), _Alignof(type)))
void *arena_array(struct arena *a, size_t count, size_t size, size_t align);

/* A copy in the arena, with a NUL after it that len does not count. STR_NULL when it does not fit. */
struct str arena_copy(struct arena *a, struct str s);

/* The parts joined. STR_NULL when it does not fit. */
struct str arena_join(struct arena *a, const struct str *parts, size_t parts_count);

/* Formatted text. STR_NULL when it does not fit. */
struct str arena_format(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3);

/* Bytes taken from malloc for chained blocks, for accounting. */
size_t arena_chained_bytes(const struct arena *a);
