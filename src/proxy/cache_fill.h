/*
 * proxy/cache_fill.h - one answer on its way into the store: judged by its head, gathered, kept once it is whole.
 *
 * An answer that does not come to its clean end, or grows over the bound, is never kept. Thread: its worker.
 */
#pragma once

#include "base/arena.h"
#include "proxy/cache_store.h"
#include "proxy/side.h"

struct cache_fill {
        bool is_open;
        /* private */
        struct cache_store *store;
        struct cache_draft draft;
        struct http_head head;
        struct buf body;
        size_t reserved, bytes_max;
        uint64_t promised; /* by Content-Length; UINT64_MAX: nothing was */
};

struct cache_question {
        struct cache_store *store;
        struct str key; /* lives as long as the fill */
        const struct http_head *request;
        bool has_credentials;
        unix_ms asked, now;
        uint64_t body_bytes_max;
};

/* NULL: it is open. Else the word why the answer is not kept. Copies what it needs of the head into `a`. */
const char *cache_fill_begin(struct cache_fill *f, const struct cache_question *q,
                             const struct http_head *answer, struct arena *a);
/* False: it was given up. With is_last it is kept, and closed. */
bool cache_fill_data(struct cache_fill *f, const struct side_data *d);
void cache_fill_drop(struct cache_fill *f); /* zeroed storage is fine */

/* The kept answer was found good (304): kept anew with the fields of the 304. Gives what to serve: the entry, or NULL when
 * it cannot be kept any longer. RFC 9111 3.2, 4.3.4. */
struct cache_entry *cache_freshen(const struct cache_question *q, const struct cache_entry *old,
                                  const struct http_head *not_modified, struct arena *a);
