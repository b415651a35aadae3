/*
 * policy/facts.h - what is true outside the policy file: people, machines, services, models, the time.
 *
 * Does:   a JSON text (docs/policy-facts.schema.json) into records; and a second text on top of the first, sharing
 *         all that did not change.
 * Not:    rules. Nothing here is looked up in a policy; policy/compile.h brings the two together.
 * Thread: immutable once made; made, counted and freed by the thread that compiles.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/report.h"
#include "base/str.h"
#include "policy/posture.h"

enum {
        POLICY_FACTS_BYTES_MAX = 256 * 1024 * 1024,
        POLICY_NODES_MAX = 200000,
        POLICY_USERS_MAX = 200000,
        POLICY_NODE_ADDRESSES_MAX = 16,
        POLICY_NODE_ROUTES_MAX = 1024,
        POLICY_NODE_TAGS_MAX = 64,
};

enum policy_role {
        ROLE_UNKNOWN, /* the facts do not say */
        ROLE_MEMBER,
        ROLE_OWNER,
        ROLE_ADMIN,
        ROLE_IT_ADMIN,
        ROLE_NETWORK_ADMIN,
        ROLE_BILLING_ADMIN,
        ROLE_AUDITOR,
        ROLES,
};

const char *policy_role_name(enum policy_role r); /* "it-admin"; NULL for ROLE_UNKNOWN */
bool policy_role_find(struct str text, enum policy_role *out);

/* Whether the role may change the policy: owner, admin, network-admin. */
bool policy_role_may_edit(enum policy_role r);

struct policy_batch; /* the memory of the records that one text brought */

struct policy_user {
        struct str id, email,
                name; /* name: the short one, else the part of the email before the @; both may be empty */
        enum policy_role role;
        bool is_shared; /* of another network, with a machine shared in */
        const struct str *groups;
        size_t groups_count;
        struct policy_batch *batch;
};

struct policy_node {
        struct str id, name;
        struct str user; /* id, email or name of a user; ignored when there are tags */
        const struct str *tags;
        size_t tags_count;
        const struct ip *addresses;
        size_t addresses_count;
        const struct ip_prefix *advertised, *approved; /* host bits clear */
        size_t advertised_count, approved_count;
        struct policy_attrs attrs;
        struct policy_batch *batch;
};

struct policy_service {
        struct str name;
        struct str node;            /* id of the machine that publishes it, or empty */
        const struct ip *addresses; /* of its own (svc:) */
        size_t addresses_count;
        bool is_admin; /* the way to change the policy: it must stay open to somebody */
};

struct policy_model {
        struct str name, provider; /* provider may be empty */
};

struct policy_facts {
        struct policy_user **users; /* sorted by id, numbers by value */
        size_t users_count;
        struct policy_node **nodes; /* likewise */
        size_t nodes_count;

        const struct policy_service *services; /* sorted by name; so are the next three */
        size_t services_count;
        const struct policy_model *models;
        size_t models_count;
        const struct str *providers;
        size_t providers_count;
        const struct str *tools;
        size_t tools_count;

        const struct str *domains; /* that belong to the network; empty: the owner's */
        size_t domains_count;
        struct str network; /* its name to show, or empty */
        unix_ms now;        /* 0: the facts do not say */
        bool has_roles;     /* at least one user's role is known */

        /* private */
        struct policy_user **by_email, **by_name; /* sorted, without the empty ones */
        size_t by_email_count, by_name_count;
        struct policy_batch **batches; /* every one that a record lies in */
        size_t batches_count;
        struct policy_batch *common[6]; /* of services, models, providers, tools, domains, network */
        unsigned references;
};

/*
 * Reads a whole set. Gives one reference, for policy_facts_put. ERR_MALFORMED: not JSON; ERR_CONFIG: says something
 * that cannot be (the report tells); ERR_TOO_LARGE, ERR_NO_MEMORY.
 */
MUST_USE enum err policy_facts_new(struct str text, struct report *report, struct policy_facts **out);

/*
 * `old` with the records of `text` put in place of those with the same id, and `"remove": {"nodes": [ID], "users": [ID]}`
 * taken out; the other keys, where present, replace. Shares what did not change. Same errors.
 */
MUST_USE enum err policy_facts_patch(const struct policy_facts *old, struct str text, struct report *report,
                                     struct policy_facts **out);

struct policy_facts *policy_facts_get(struct policy_facts *f);
void policy_facts_put(struct policy_facts *f); /* NULL is fine */

/* By id, email or short name, in this order; NULL. O(log n). */
const struct policy_user *policy_facts_find_user(const struct policy_facts *f, struct str text);

/* By id, else the one of that name; NULL. */
const struct policy_node *policy_facts_find_node(const struct policy_facts *f, struct str text);
const struct policy_service *policy_facts_find_service(const struct policy_facts *f, struct str name);

/* The one with the role owner; else, when the facts name no role at all, the first user. NULL when there is none. */
const struct policy_user *policy_facts_owner(const struct policy_facts *f);

/* Whether user:*@DOMAIN may be said of this network. */
bool policy_facts_has_domain(const struct policy_facts *f, struct str domain);

/* The part of an address after the @, or empty. */
struct str policy_email_domain(struct str email);

/* Ids in order: numbers by value, before texts. */
int policy_id_compare(struct str a, struct str b);
