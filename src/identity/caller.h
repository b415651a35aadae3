/*
 * identity/caller.h - who is calling: nobody, somebody with an API key, or a node by its certificate.
 */
#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "store/change.h"

/* What a caller may do; the owner has all. A set. */
/* clang-format off */
#define IDENTITY_SCOPE_LIST(X)                                                                  \
        X(READ,     1 << 0, "read",     "see everything but secrets and the audit trail")       \
        X(SERVICES, 1 << 1, "services", "publish: services, targets, shares, domains, certificates") \
        X(NODES,    1 << 2, "nodes",    "join tokens, gateways and agents")                     \
        X(AUDIT,    1 << 3, "audit",    "read the audit trail")                                 \
        X(ADMIN,    1 << 4, "admin",    "all of it, API keys and settings too")                 \
        X(USE,      1 << 5, "use",      "call published services whose access is a token; nothing here") \
        X(OWNER,    1 << 6, "use-owner", "call also services whose access is the owner's; nothing here") \
        X(DISPATCH, 1 << 8, "dispatch", "have agents send requests out") \
        X(MODELS,   1 << 7, "use-models", "call models at every gateway; nothing here")
/* clang-format on */
enum identity_scope {
#define X(name, bit, word, doc) IDENTITY_##name = bit,
        IDENTITY_SCOPE_LIST(X)
#undef X
                IDENTITY_SCOPES_ALL = ((1 << 5) - 1) | IDENTITY_DISPATCH, /* of what is done at control */
        IDENTITY_SCOPES_USE = IDENTITY_USE | IDENTITY_OWNER |
                              IDENTITY_MODELS, /* of what is done at gateways: never in one key with those */
};

enum identity_kind { IDENTITY_NOBODY, IDENTITY_KEY, IDENTITY_NODE, IDENTITY_SYSTEM };

struct identity_caller {
        enum identity_kind kind;
        int64_t id, org;
        unsigned scopes;
        struct str actor;  /* "key/12", "node/7", "system": for the audit trail; in the arena */
        struct str name;   /* the key's or node's */
        struct str source; /* the address it came from; set by whoever knows it */
};

/* "read,services" both ways. ERR_MALFORMED: a word that is none; *bad is it. */
MUST_USE enum err identity_scopes_parse(struct str text, unsigned *out, struct str *bad);
struct str identity_scopes_format(unsigned scopes, struct arena *a);

/*
 * Whose key it is. ERR_DENIED: unknown, revoked or expired, which are not told apart; ERR_NO_MEMORY, and the store's.
 */
MUST_USE enum err identity_caller_of_key(struct store_txn *t, struct str presented, struct arena *a,
                                         struct identity_caller *out);

/* Control itself: migrations, expiry, what nodes report. */
struct identity_caller identity_system(void);

struct store_actor identity_actor(const struct identity_caller *c);
