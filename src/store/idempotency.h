/*
 * store/idempotency.h - answers kept by a caller's own key, so that a request sent twice has one effect and one answer.
 *
 * Ask in the transaction that makes the change, before it; keep the answer at its end, in the same transaction.
 */
#pragma once

#include "base/arena.h"
#include "store/store.h"

enum { STORE_IDEMPOTENCY_KEY_MAX = 200, STORE_IDEMPOTENCY_BODY_MAX = 256 * 1024 };

struct store_answer {
        int64_t status;
        struct str headers; /* as the caller of this room likes */
        struct str body;
};

/*
 * `request` is a hash of what was asked. ERR_OK: *found says whether it was answered before, and how. ERR_EXISTS: the key
 * was used for another request: answer 422. An answer older than `since` counts as none.
 */
MUST_USE enum err store_idempotency_find(struct store_txn *t, int64_t org, struct str actor, struct str key,
                                         struct str request, unix_ms since, struct arena *a, bool *found,
                                         struct store_answer *out);

/* ERR_TOO_LARGE: key or body over their bounds. */
MUST_USE enum err store_idempotency_keep(struct store_txn *t, int64_t org, struct str actor, struct str key,
                                         struct str request, const struct store_answer *answer);

MUST_USE enum err store_idempotency_prune(struct store_txn *t, unix_ms before, unsigned limit,
                                          int64_t *removed);
