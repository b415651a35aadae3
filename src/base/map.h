/*
 * base/map.h - a hash table from text to a pointer. Keys are borrowed: they must outlive their entry.
 *
 * Open addressing, keyed hash, grows by doubling up to entries_max. One thread, or read-only by many.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"

struct map_entry {
        struct str key;
        void *value; /* NULL: a free slot */
};

struct map {
        size_t count;
        /* private */
        struct hash_key hash_key;
        size_t cap, entries_max;
        struct map_entry *entries;
};

void map_init(struct map *m, struct hash_key hash_key, size_t entries_max);
void map_fini(struct map *m); /* the values are the caller's */

void *map_find(const struct map *m, struct str key);

/* `value` is not NULL. ERR_EXISTS when the key is there (unchanged), ERR_TOO_LARGE, ERR_NO_MEMORY. */
MUST_USE enum err map_add(struct map *m, struct str key, void *value);

/* The value taken out, or NULL. */
void *map_remove(struct map *m, struct str key);

/* Walks all entries in no order: start with *at = 0; NULL at the end. No change meanwhile. */
const struct map_entry *map_next(const struct map *m, size_t *at);
