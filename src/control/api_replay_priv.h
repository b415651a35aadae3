/*
 * control/api_replay_priv.h - Idempotency-Key: the same request again gets its first answer, within a day.
 *
 * An answer is kept in a sealed box, since it may hold a secret. Thread: the store's, inside the call's transaction.
 */
#pragma once

#include "control/api.h"

/*
 * Looks for the first answer; c->is_replayed says that it is the call's now. `*hash` stands in c->work. 422 was said: the
 * key was used for another request.
 */
MUST_USE enum err api_replay_find(struct api_call *c, struct store_txn *t, struct str *hash);
MUST_USE enum err api_replay_keep(struct api_call *c, struct store_txn *t, struct str hash);
