/*
 * policy/alias.h - one name in a rule: who or what it is meant to be, before anything is looked up.
 *
 * Does:   "tag:db", "alice@example.com", "10.0.0.0/8", "autogroup:self", "model:gpt-*" into a kind and its parts.
 * Not:    whether it exists, or may stand there: policy/check.h.
 * Memory: borrows the text it was read from.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/ip.h"
#include "base/str.h"

enum policy_alias_kind {
        ALIAS_ANY,       /* "*" */
        ALIAS_USER,      /* "alice@example.com"; "alice@" by short name */
        ALIAS_DOMAIN,    /* "user:*@example.com" */
        ALIAS_GROUP,     /* "group:eng" */
        ALIAS_TAG,       /* "tag:db" */
        ALIAS_AUTOGROUP, /* "autogroup:member" */
        ALIAS_PREFIX,    /* an address or CIDR */
        ALIAS_IPSET,     /* "ipset:offices" */
        ALIAS_SVC,       /* "svc:web": a service with addresses of its own */
        ALIAS_HOST,      /* a name from `hosts` */
        ALIAS_SERVICE,   /* upward: "service:wiki", a published service */
        ALIAS_MODEL,     /* upward: "model:gpt-*" */
        ALIAS_PROVIDER,  /* upward: "provider:openai" */
        ALIAS_TOOL,      /* upward: "tool:github.*" */
        ALIAS_INVALID,
};

enum policy_autogroup {
        AUTOGROUP_UNKNOWN,
        AUTOGROUP_MEMBER,
        AUTOGROUP_TAGGED,
        AUTOGROUP_SHARED,
        AUTOGROUP_OWNER,
        AUTOGROUP_ADMIN,
        AUTOGROUP_IT_ADMIN,
        AUTOGROUP_NETWORK_ADMIN,
        AUTOGROUP_BILLING_ADMIN,
        AUTOGROUP_AUDITOR,
        AUTOGROUP_SELF,
        AUTOGROUP_INTERNET,
        AUTOGROUP_DANGER_ALL,
        AUTOGROUP_NONROOT,
        AUTOGROUPS,
};

#define POLICY_REF_NONE UINT32_MAX

struct policy_alias {
        enum policy_alias_kind kind;
        enum policy_autogroup autogroup; /* of ALIAS_AUTOGROUP */
        struct str text;                 /* as written, without spaces around it */
        struct str name; /* what follows the prefix: "db", "gpt-*", the domain; all of it for a user */
        struct ip_prefix prefix; /* of ALIAS_PREFIX; of ALIAS_HOST once checked */
        uint32_t line, column;
        uint32_t
                ref; /* set by the check: index of the group, tag, ipset...; POLICY_REF_NONE: nothing of that name */
};

/* Never fails: what cannot be a name becomes ALIAS_INVALID. */
struct policy_alias policy_alias_parse(struct str text, uint32_t line, uint32_t column);

/* "autogroup:it-admin" and the like; NULL for AUTOGROUP_UNKNOWN. */
const char *policy_autogroup_name(enum policy_autogroup which);
enum policy_autogroup policy_autogroup_find(struct str text);

/* Whether it names a target above the network: service, model, provider or tool. */
bool policy_alias_is_upward(const struct policy_alias *a);

/* Whether membership is a matter of who the node is, not of its addresses. */
bool policy_alias_is_identity(const struct policy_alias *a);

/*
 * "host:ports" cut at the last colon. NULL when it was; else why not, for `dst="TEXT": WHY`.
 */
const char *policy_destination_split(struct str text, struct str *host, struct str *ports);

/* Without spaces, tabs and line ends around it. */
struct str policy_text_trim(struct str text);
