/*
 * store/tokens.h - join tokens: what lets a node in, and the owner's first sign-in. Stored as hashes only.
 */
#pragma once

#include "store/table.h"

enum store_token_kind { STORE_TOKEN_GATEWAY, STORE_TOKEN_AGENT, STORE_TOKEN_CLIENT, STORE_TOKEN_OWNER };

struct store_token {
        STORE_ROW;
        enum store_token_kind kind;
        struct str label;
        struct str hash;  /* of the secret; unique; hidden */
        int64_t uses_max; /* at least 1 */
        unix_ms expires;  /* always: a token without an end is refused by who makes it */
        bool needs_approval;
        struct str node_name;  /* the name its node must take; empty: as it likes */
        int64_t node_lifetime; /* milliseconds until the node expires; 0: never */
        bool is_revoked;
        unix_ms created;
        struct str created_by;
        /* quiet: */
        int64_t uses_left; /* add makes it uses_max */
        unix_ms last_used;
};

STORE_FAMILY(token);

/*
 * Takes one use of the token with this hash, by one conditional UPDATE: of any number of callers at the same time no more
 * than uses_left succeed, on both engines. Is part of the change that lets the node in, and goes back with it. ERR_DENIED:
 * unknown, used up, expired, revoked or of another kind; which of them is not told apart.
 */
MUST_USE enum err store_token_take(struct store_change *c, enum store_token_kind kind, struct str hash,
                                   struct arena *a, struct store_token *out);

/* Whatever its state, for the list of tokens and `revoke`. */
MUST_USE enum err store_token_by_hash(struct store_txn *t, struct str hash, struct arena *a,
                                      struct store_token *out);
