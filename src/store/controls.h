/*
 * store/controls.h - which controls share this store, and when each was heard of last.
 *
 * A control is known by the address at which nodes reach it: one that starts again is the same row.
 */
#pragma once

#include "store/table.h"

struct store_control {
        STORE_ROW;
        struct str url; /* unique in its organisation */
        /* quiet: */
        unix_ms started, last_seen;
};

STORE_FAMILY(control);

/* The row of that address; added, as a change of `actor`, where there is none. */
MUST_USE enum err store_control_by_url(struct store_txn *t, int64_t org, struct str url,
                                       const struct store_actor *actor, struct arena *a,
                                       struct store_control *out);

/* Quiet: it is there. `started` 0: as it was. ERR_NOT_FOUND. */
MUST_USE enum err store_control_seen(struct store_txn *t, int64_t id, unix_ms when, unix_ms started);

/* Removes those not heard of since, as a change of `actor` where there are any. */
MUST_USE enum err store_control_forget(struct store_txn *t, int64_t org, unix_ms seen_since,
                                       const struct store_actor *actor);
