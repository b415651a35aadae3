/*
 * base/pool.h - objects of one size, bounded in number, handed out last-freed-first.
 *
 * Memory is taken in slabs as it is first needed and kept until pool_free: a pool at rest does not shrink, a pool never
 * used costs one small struct. One thread. Under AddressSanitizer a touch of an object that was put back is reported.
 */
#pragma once

#include <stddef.h>

#include "base/compiler.h"

struct pool;

/* NULL when memory runs out. The objects are aligned for any type. */
MUST_USE struct pool *pool_new(size_t object_bytes, size_t objects_max);
void pool_free(struct pool *p); /* free(NULL) is fine; every object is gone with it */

/* Uninitialised; NULL when objects_max are out, or memory ran out. */
void *pool_take(struct pool *p);
void pool_put(struct pool *p, void *object); /* NULL is fine */

size_t pool_taken_count(const struct pool *p);
size_t pool_objects_max(const struct pool *p);
