/*
 * store/dispatches.h - requests that agents sent out: what became of each, and what was counted of each address.
 *
 * Not changes: nothing here is audited or told to nodes. Bounded by whoever writes: store_dispatch_prune.
 */
#pragma once

#include "base/arena.h"
#include "store/store.h"

enum { STORE_DISPATCH_PAGE_MAX = 1000, STORE_DISPATCH_URL_MAX = 2048 };

struct store_dispatch {
        int64_t id; /* in the order of writing */
        int64_t org;
        struct str request, caller, method, url, agent, source, error; /* error empty: an answer came */
        unix_ms begun;
        int64_t status, duration_ms, answer_bytes, attempts;
        /* Beginnings of the bodies, where they are kept: what was asked with, and the answer's. Bytes: control seals them. */
        bool has_bodies;
        struct str asked, answered;
        int64_t asked_bytes; /* of the whole */
};

/* Gives the rows their ids, in their order. A longer URL is cut. */
MUST_USE enum err store_dispatch_add(struct store_txn *t, struct store_dispatch *rows, size_t count);

/* The newest first; `before` 0: from the end. `limit` up to STORE_DISPATCH_PAGE_MAX. Without bodies. */
MUST_USE enum err store_dispatch_list(struct store_txn *t, int64_t org, int64_t before, unsigned limit,
                                      struct arena *a, struct store_dispatch **out, size_t *count);
/* Those of rows that were listed, where they are kept. */
MUST_USE enum err store_dispatch_bodies(struct store_txn *t, struct arena *a, struct store_dispatch *rows,
                                        size_t count);

/* Keeps the newest `rows_max` that began at or after `since`; removes at most twice `limit` of the others at a time. */
MUST_USE enum err store_dispatch_prune(struct store_txn *t, unix_ms since, int64_t rows_max, unsigned limit,
                                       int64_t *removed);

/* The same for bodies: the newest of `bytes_max` in all, of rows that are kept. */
MUST_USE enum err store_dispatch_bodies_prune(struct store_txn *t, unix_ms since, int64_t rows_max,
                                              int64_t bytes_max, unsigned limit);

/* What was counted of one address of one agent. */
struct store_dispatch_source {
        int64_t org;
        struct str agent, address;
        int64_t requests, failures;
        unix_ms used;
};
MUST_USE enum err store_dispatch_source_put(struct store_txn *t, const struct store_dispatch_source *row);
/* Those used last first. */
MUST_USE enum err store_dispatch_sources(struct store_txn *t, int64_t org, struct arena *a,
                                         struct store_dispatch_source **out, size_t *count);
/* Those not used at or after `since`. */
MUST_USE enum err store_dispatch_sources_prune(struct store_txn *t, int64_t org, unix_ms since);
/* All of an agent's. */
MUST_USE enum err store_dispatch_sources_remove(struct store_txn *t, int64_t org, struct str agent);
