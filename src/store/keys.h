/*
 * store/keys.h - API keys. Stored as hashes; the secret is shown once by who made it.
 */
#pragma once

#include "store/table.h"

struct store_key {
        STORE_ROW;
        struct str name; /* unique in its organisation */
        struct str hash; /* unique; hidden */
        struct str hint; /* its first letters, to know it by */
        struct str scopes;
        struct str owner;
        unix_ms created;
        unix_ms expires; /* 0: never */
        bool is_revoked;
        unix_ms last_used; /* quiet */
};

STORE_FAMILY(key);

/* Whatever its state: the caller judges expiry and revocation. */
MUST_USE enum err store_key_by_hash(struct store_txn *t, struct str hash, struct arena *a,
                                    struct store_key *out);

/* Quiet. Write it now and then, not for each request. ERR_NOT_FOUND. */
MUST_USE enum err store_key_used(struct store_txn *t, int64_t id, unix_ms when);
