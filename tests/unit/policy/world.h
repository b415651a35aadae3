/*
 * tests/unit/policy/world.h - random policies and facts, and the slowest evaluator there could be: it walks every rule and
 * every name of it for each question, and shares nothing with the engine.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ip.h"

enum {
        WORLD_USERS = 5,
        WORLD_NODES = 10,
        WORLD_GROUPS = 3,
        WORLD_TAGS = 4,
        WORLD_RULES = 8,
        WORLD_NAMES = 3
};

enum name_kind {
        NAME_ANY,
        NAME_USER,
        NAME_GROUP,
        NAME_TAG,
        NAME_MEMBER,
        NAME_TAGGED,
        NAME_ADMIN,
        NAME_DANGER_ALL, /* sources only */
        NAME_PREFIX,
        NAME_HOST,
        NAME_SELF, /* destinations only */
        NAME_INTERNET,
        NAME_SERVICE, /* upward */
        NAME_MODEL,
        NAME_PROVIDER,
};

struct world_name {
        enum name_kind kind;
        unsigned which;
};

struct world_rule {
        bool is_acl;
        struct world_name src[WORLD_NAMES], dst[WORLD_NAMES];
        unsigned src_count, dst_count;
        int proto; /* 0: none named */
        unsigned first, last;
        int posture; /* 0: none, 1: linux, 2: macos, 3: either */
        int via;     /* tag, or -1 */
        int auth;    /* upward: 0 none, 1 mfa; */
        bool is_upward;
};

struct world_user {
        bool exists, is_shared, is_admin;
        unsigned groups; /* bits */
};

struct world_node {
        bool exists;
        int user;      /* or -1: tagged */
        unsigned tags; /* bits */
        struct ip v4, v6;
        unsigned routes; /* bits of world_routes */
        int os;          /* 0: not known, 1: linux, 2: macos */
};

struct world {
        struct world_user users[WORLD_USERS];
        struct world_node nodes[WORLD_NODES];
        struct world_rule rules[WORLD_RULES + 1];
        unsigned rules_count;
        bool has_default_posture; /* macos */
};

/* A generator whose runs can be repeated. */
struct chance {
        uint64_t state;
};
unsigned chance_below(struct chance *c, unsigned n);

void world_make(struct world *w, struct chance *c);
void world_rule_make(struct world_rule *r, struct chance *c);

/* Changes one or two machines or people; what is gone or new is told by `exists`. */
void world_change(struct world *w, struct chance *c);

void world_policy(const struct world *w, struct buf *out);
void world_facts(const struct world *w, struct buf *out);

/* The text for policy_facts_patch that leads from `before` to `after`. */
void world_patch(const struct world *before, const struct world *after, struct buf *out);

/* An address that may mean something: a machine's, behind a route, or none of ours. */
struct ip world_address(const struct world *w, struct chance *c);

bool world_allows(const struct world *w, struct ip src, struct ip dst, int proto, unsigned port);

/* By a user, or by a machine: -1 for neither. `auth` as in a rule. */
bool world_lets_use(const struct world *w, int user, int node, enum name_kind kind, unsigned which, int auth);

/* "service:s0", "model:gpt-1", ...; what world_lets_use is asked for. */
void world_target(enum name_kind kind, unsigned which, char out[64]);
