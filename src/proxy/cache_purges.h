/*
 * proxy/cache_purges.h - what is to be forgotten by every worker's cache: a ring in shared memory, no lock.
 *
 * A worker reads on from where it was before each look-up. One that finds the ring gone past it, or an entry not yet
 * written, forgets everything: rather too much than too little. Any worker, at any time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

enum { CACHE_PURGES_MAX = 256 };
#define CACHE_PURGE_ALL 0 /* no key's hash */

struct cache_purges;

MUST_USE struct cache_purges *cache_purges_new(void);
void cache_purges_free(struct cache_purges *p);

void cache_purges_add(struct cache_purges *p, uint64_t hash);
uint64_t cache_purges_now(const struct cache_purges *p);

/* The next to forget after *seen, which it advances. False: there is none. */
bool cache_purges_next(const struct cache_purges *p, uint64_t *seen, uint64_t *hash);
