/*
 * store/shares.h - temporary public names, gone when the command that asked for them ends or is not heard of any more.
 */
#pragma once

#include "store/table.h"

struct store_share {
        STORE_ROW;
        int64_t service; /* what it publishes; 0: none */
        int64_t node;    /* where from; 0: none */
        struct str host; /* unique over all organisations */
        struct str url;
        struct str owner;
        unix_ms created, expires;
        unix_ms last_seen; /* quiet */
};

STORE_FAMILY(share);

MUST_USE enum err store_share_by_host(struct store_txn *t, struct str host, struct arena *a,
                                      struct store_share *out);

/* Quiet: the command is still there. ERR_NOT_FOUND. */
MUST_USE enum err store_share_seen(struct store_txn *t, int64_t id, unix_ms when);

/* Those that expired before `now`, or were not heard of since `seen_since`. */
MUST_USE enum err store_share_over(struct store_txn *t, unix_ms now, unix_ms seen_since,
                                   struct store_page *page, struct arena *a, struct store_share **out);
