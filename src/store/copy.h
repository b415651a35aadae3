/*
 * store/copy.h - the store as a whole: backed up, restored, verified.
 *
 * A backup is one SQLite file whatever the store is, made row by row through the same door: what comes from SQLite can go to
 * PostgreSQL and back, and what was deleted is not in it. It holds what the store holds: hashes and sealed keys, no usable
 * secret; still it is made for its owner's eyes only (0600).
 */
#pragma once

#include "base/report.h"
#include "store/change.h"
#include "store/store.h"

/*
 * Writes all that this transaction sees to `path`, which must not exist. In a job with is_read the store goes on serving meanwhile.
 * Written beside, verified, made durable, then given its name. ERR_EXISTS, ERR_IO: the report says what; nothing is left.
 */
MUST_USE enum err store_backup(struct store_txn *t, const char *path, struct report *r);

/*
 * Makes a store at `url`, where there is none, from the backup at `path`, which is verified first. Its epoch is then higher than
 * any before it (seconds since 1970, if that is more than one up), which tells nodes that this history replaces the one they
 * know. Blocks; for a command. ERR_EXISTS: there is a store. ERR_MALFORMED: the backup is damaged. ERR_UNSUPPORTED: it is
 * newer than this program, or older and `url` is PostgreSQL (restore it into a SQLite store first).
 */
MUST_USE enum err store_restore(const char *path, struct str url, const struct store_actor *actor,
                                struct report *r, int64_t *epoch);

struct store_verified {
        int64_t rows_count, records_count; /* of all tables; of the audit trail */
        uint8_t last_hash[32];             /* of the trail: to be kept somewhere else */
};

/*
 * The engine's own check of everything, every row read, counters ahead of what they number, and the audit chain. In a job with
 * is_read. ERR_MALFORMED: the report says what is wrong.
 */
MUST_USE enum err store_verify(struct store_txn *t, struct report *r, struct store_verified *out);
