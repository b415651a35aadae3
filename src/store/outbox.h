/*
 * store/outbox.h - which rows changed, in the order of commits: what the fan-out to nodes and event streams reads.
 *
 * An entry is written with the change it tells of. Numbers rise without end and never come twice; after a restore they go on
 * from the backup's, in a higher epoch (settings.h).
 */
#pragma once

#include "base/arena.h"
#include "store/store.h"

enum store_operation { STORE_ADDED, STORE_UPDATED, STORE_REMOVED };

struct store_event {
        int64_t seq, org;
        unix_ms time;
        struct str table; /* "nodes" */
        int64_t row;
        enum store_operation operation;
};

enum { STORE_EVENTS_MAX = 1000 };

/* Those after `seq`, oldest first, at most STORE_EVENTS_MAX. */
MUST_USE enum err store_outbox_after(struct store_txn *t, int64_t seq, struct arena *a,
                                     struct store_event **out, size_t *count);

/* The numbers of the oldest entry kept and the newest ever written; 0 when there is none. Who is behind `first` - 1 reads
 * everything anew. */
MUST_USE enum err store_outbox_range(struct store_txn *t, int64_t *first, int64_t *last);

/* A row means something else to others without a change of it: what a node said of itself. `table` is static text. */
MUST_USE enum err store_outbox_note(struct store_txn *t, int64_t org, const char *table, int64_t row);

/* Forgets what is older than `before`, at most `limit` entries a call; no change, leaves no record. */
MUST_USE enum err store_outbox_prune(struct store_txn *t, unix_ms before, unsigned limit, int64_t *removed);
