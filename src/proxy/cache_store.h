/*
 * proxy/cache_store.h - answers kept in memory by one worker: found by key and variant, the longest unused go first.
 *
 * Bound: bytes_max over all entries, those still being served included, and those being filled. Thread: its worker.
 */
#pragma once

#include "base/hash.h"
#include "base/list.h"
#include "proxy/cache_rules.h"

enum { CACHE_VARIANTS_MAX = 16, CACHE_BUCKETS = 1024 };

/* Shared: counted by `uses` while it is served. Its memory is one block. */
struct cache_entry {
        struct str key, vary, body;
        uint16_t status;
        struct http_field *fields; /* names and values only */
        uint16_t fields_count;
        struct cache_age age;
        unix_ms answered;
        struct str etag, last_modified; /* of fields; may be empty */
        /* private */
        unsigned uses;
        bool is_gone; /* not found any more; freed with its last use */
        size_t bytes;
        struct list bucket_node, lru_node;
};

struct cache_store {
        size_t bytes_max, bytes; /* kept, served or being filled */
        size_t entries_count;
        uint64_t evictions;
        /* private */
        struct hash_key hash_key;
        struct list buckets[CACHE_BUCKETS], lru;
};

/* What becomes an entry. */
struct cache_draft {
        struct str key, vary;
        uint16_t status;
        const struct http_head *head;
        struct cache_age age;
        unix_ms answered;
        struct str body;
};

MUST_USE struct cache_store *cache_store_new(size_t bytes_max, struct hash_key hash_key);
void cache_store_free(struct cache_store *s); /* nobody serves from it any more; NULL is fine */

/* The variant that matches the request, or NULL. Borrowed until the turn ends, or counted by cache_entry_get. */
struct cache_entry *cache_find(struct cache_store *s, struct str key, const struct http_head *request);

/* Adds a copy; a variant of the same values goes. NULL: it does not fit, or memory ran out. */
struct cache_entry *cache_add(struct cache_store *s, const struct cache_draft *d);

struct cache_entry *cache_entry_get(struct cache_entry *e);
void cache_entry_put(struct cache_store *s, struct cache_entry *e); /* NULL is fine */

void cache_remove(struct cache_store *s, struct str key); /* all variants */
void cache_remove_hash(struct cache_store *s, uint64_t hash);
void cache_clear(struct cache_store *s);
uint64_t cache_key_hash(const struct cache_store *s, struct str key);

/* Room for a body on its way in: false when `len` more do not fit beside what is in use. cache_unreserve gives it back. */
MUST_USE bool cache_reserve(struct cache_store *s, size_t len);
void cache_unreserve(struct cache_store *s, size_t len);
