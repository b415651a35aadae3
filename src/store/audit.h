/*
 * store/audit.h - the trail: who did what, when, to which object; each record's hash covers the one before it.
 *
 * Records are written by store_change_finish and by nothing else, and never changed. A trail of which a record was altered,
 * taken out or put in does not verify; that its end was cut off shows as long as the counter beside it was not set back too.
 * Whoever can write to the whole database can make a new chain: keep the last hash (store_audit_last) somewhere else.
 *
 * hash = SHA-256(hash of the record before, or 32 zeros || seq || org || time || actor || source || action || object || detail):
 * numbers as 8 bytes and texts with their length before them as 8 bytes, big endian.
 */
#pragma once

#include "base/arena.h"
#include "base/report.h"
#include "store/store.h"

enum { STORE_HASH_BYTES = 32 };

struct store_audit {
        int64_t seq, org; /* seq from 1, without a gap */
        unix_ms time;
        struct str actor, source, action, object;
        struct str detail; /* JSON, see change.h */
        struct str hash;
};

/* Which records: all that is set must hold. */
struct store_audit_filter {
        int64_t org;                      /* 0: of all organisations */
        int64_t before_seq;               /* 0: from the newest */
        struct str actor, action, object; /* empty: any; action may end in '*' */
        unix_ms since, until;             /* 0: any */
        unsigned limit;                   /* 1 to STORE_AUDIT_PAGE_MAX, else that */
};
enum { STORE_AUDIT_PAGE_MAX = 500 };

/* Newest first. Texts are in the arena. */
MUST_USE enum err store_audit_list(struct store_txn *t, const struct store_audit_filter *filter,
                                   struct arena *a, struct store_audit **out, size_t *count);

/* The newest record's number and hash; 0 when there is none. */
MUST_USE enum err store_audit_last(struct store_txn *t, int64_t *seq, uint8_t hash[STORE_HASH_BYTES]);

/* Walks the whole chain. ERR_MALFORMED: the report names the first record that does not fit. */
MUST_USE enum err store_audit_verify(struct store_txn *t, struct report *r, int64_t *records_count);
