/*
 * store/leader.h - which of several controls leads.
 *
 * The leader holds a lock of the database's session that its changes are made in: when that session ends, so does the lead, and
 * no transaction of it can be committed afterwards. Whoever takes the lead from another raises the epoch, so that nodes can tell
 * the newer leader's word from the older's. On SQLite there is one control and it leads.
 */
#pragma once

#include "base/arena.h"
#include "store/change.h"

struct store_leader {
        struct str control; /* who leads, or led last; empty: nobody yet */
        int64_t epoch;      /* that it began with */
        unix_ms since;
        bool is_us; /* for this transaction: what it commits is the leader's word */
};

/*
 * Takes the lead if it is free, and says who has it. In a job that changes, again every few seconds and before what only the
 * leader may do. `control` names this process: another each time it starts. Records it as `actor` when the lead changed hands.
 */
MUST_USE enum err store_lead(struct store_txn *t, struct str control, const struct store_actor *actor,
                             struct arena *a, struct store_leader *out);

/* Who leads, or led last, by the row alone; `is_us` is not filled. */
MUST_USE enum err store_leader(struct store_txn *t, struct arena *a, struct store_leader *out);

/* Gives it up, for a planned stop: another need not wait for the session's end. */
MUST_USE enum err store_lead_end(struct store_txn *t);
