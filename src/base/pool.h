/*
 * base/pool.h - objects of one size, bounded in number.
 *
 * Memory is taken in slabs of many objects, as it is first needed, and goes back by pool_trim. Objects come from the
 * fullest slab that has one, and there last-freed-first, so that the others run empty. One thread. A pool never used
 * costs one small struct. Under AddressSanitizer a touch of an object that was put back is reported.
 */
#pragma once

#include <stddef.h>

#include "base/compiler.h"

struct pool;

/* Where slabs come from: `bytes` is a power of two, 64 KiB or more, and what is given is aligned to as many. */
struct pool_source {
        void *(*take)(size_t bytes); /* NULL: memory ran out */
        void (*give)(void *memory, size_t bytes);
};

/* NULL when memory runs out. The objects are aligned for any type. Keeps `source` until pool_free. */
MUST_USE struct pool *pool_new(size_t object_bytes, size_t objects_max, const struct pool_source *source);
void pool_free(struct pool *p); /* free(NULL) is fine; every object is gone with it */

/* Uninitialised; NULL when objects_max are out, or memory ran out. */
void *pool_take(struct pool *p);
void pool_put(struct pool *p, void *object); /* NULL is fine; else one of this pool, and taken */

/*
 * Gives the system half of the slabs that stood empty all the time since the last call; one always stays. Called at a steady
 * pace: what a burst took is gone some calls after it, what comes and goes within a few calls mostly stays.
 */
void pool_trim(struct pool *p);

size_t pool_taken_count(const struct pool *p);
size_t pool_objects_max(const struct pool *p);
size_t pool_slabs_count(const struct pool *p);
