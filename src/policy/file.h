/*
 * policy/file.h - a policy file as what it says: sections, rules and names, each with its place in the text.
 *
 * Does:   huJSON text into rules (absent kept apart from empty), with every refusal in the hosted service's words,
 *         line and column; names are looked up once (policy/check.h runs as part of it).
 * Not:    machines and people: those are facts (policy/facts.h). Nothing here changes after policy_file_new.
 * Source: Tailscale's tailnet policy file syntax; what goes beyond it is marked "upward" (docs/policy.md).
 * Thread: immutable once made; get and put by the thread that compiles.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "policy/alias.h"
#include "policy/ports.h"
#include "policy/posture.h"
#include "policy/ranges.h"
#include "policy/when.h"
#include "json/value.h"

enum {
        POLICY_TEXT_BYTES_MAX = 4 * 1024 * 1024,
        POLICY_VALUES_MAX = 1024 * 1024, /* JSON values in the text */
        POLICY_RULES_MAX = 100000,       /* acls, grants, ssh, nodeAttrs and tests, each */
        POLICY_IPSET_DEPTH_MAX = 16,
};

struct policy_place {
        uint32_t line, column; /* from 1; 0 for what stands in no file */
};

struct policy_aliases {
        struct policy_alias *items;
        size_t count;
};

/* What one destination of an acl adds to the name. */
struct policy_target {
        struct policy_alias alias;
        struct policy_ports ports;
};

enum policy_rule_kind { POLICY_ACL, POLICY_GRANT };

struct policy_rule {
        enum policy_rule_kind kind;
        struct policy_place at;
        uint32_t index; /* in its section, from 0 */
        struct policy_aliases src;

        /* acl: a destination with its own ports each; `proto` is in the ports */
        struct policy_target *targets;
        size_t targets_count;

        /* grant */
        struct policy_aliases dst;
        struct policy_ports *ip;
        size_t ip_count;
        const struct json_value *app; /* object of capability name to array; NULL: none */
        struct policy_aliases via;
        const struct policy_when *when; /* upward; NULL: always */
        const struct policy_limits *
                *limits; /* upward: the objects of POLICY_CAP_LIMITS; any of them suffices */
        size_t limits_count;

        /* both: indexes into `postures`, any of which suffices; count 0: no condition */
        uint32_t *src_posture;
        size_t src_posture_count;
};

enum policy_ssh_action { POLICY_SSH_NONE, POLICY_SSH_ACCEPT, POLICY_SSH_CHECK };

struct policy_ssh_rule {
        struct policy_place at;
        uint32_t index;
        enum policy_ssh_action action;
        struct policy_aliases src, dst;
        struct str *users; /* trimmed */
        size_t users_count;
        struct str *accept_env;
        size_t accept_env_count;
        struct policy_aliases recorder; /* tags */
        bool recorder_enforced;
        bool has_check_period, check_always;
        int64_t check_period_ns; /* 12 h when the file is silent */
        uint32_t *src_posture;
        size_t src_posture_count;
};

struct policy_node_attr {
        struct policy_place at;
        struct policy_aliases target;
        struct str *attrs;
        size_t attrs_count;
        const struct json_value *app; /* object of name to array, or NULL */
        struct ip_prefix *pool;
        size_t pool_count;
};

struct policy_group {
        struct str name; /* "group:eng" */
        struct policy_place at;
        struct policy_aliases members; /* users */
};

struct policy_host {
        struct str name;
        struct policy_place at;
        struct ip_prefix prefix;
};

struct policy_tag {
        struct str name; /* "tag:db" */
        struct policy_place at;
        struct policy_aliases owners;
};

struct policy_ipset {
        struct str name; /* "ipset:offices" */
        struct policy_place at;
        const struct json_value *entries;
        struct policy_ranges ranges; /* sealed, once checked */
        uint8_t visit;               /* check: not yet, under way (a cycle when met again), done */
};

struct policy_approver {
        struct policy_place at;
        struct ip_prefix prefix; /* of a route */
        struct str service;      /* "svc:web" or "tag:x", of a service */
        struct policy_aliases approvers;
};

/* One entry of `tests`. */
struct policy_test {
        struct policy_place at;
        struct policy_alias src; /* ALIAS_INVALID with empty text: missing */
        struct str proto_text;   /* "" when absent */
        struct str *accept, *deny;
        size_t accept_count, deny_count;
        struct policy_place *accept_at, *deny_at;
        const struct json_value *posture_attrs; /* srcPostureAttrs */
        const struct json_value *given;         /* upward: address, country, time, auth of the question */
};

struct policy_ssh_test {
        struct policy_place at;
        struct policy_alias src;
        struct policy_aliases dst;
        struct str *accept, *deny, *check;
        size_t accept_count, deny_count, check_count;
};

struct policy_file {
        /* absent is not empty: with neither section everything is allowed, with an empty one nothing */
        bool has_acls, has_grants;

        /* rules in the order they count: grants first, then acls (as the hosted service compiles them) */
        struct policy_rule *rules;
        size_t rules_count, grants_count;

        struct policy_ssh_rule *ssh;
        size_t ssh_count;
        struct policy_node_attr *node_attrs;
        size_t node_attrs_count;

        /* definitions, sorted by name */
        struct policy_group *groups;
        size_t groups_count;
        struct policy_host *hosts;
        size_t hosts_count;
        struct policy_tag *tags;
        size_t tags_count;
        struct policy_ipset *ipsets;
        size_t ipsets_count;
        struct policy_posture *postures;
        size_t postures_count;
        uint32_t *default_posture; /* defaultSrcPosture */
        size_t default_posture_count;

        struct policy_approver *routes, *services;
        size_t routes_count, services_count;
        struct policy_aliases exit_node;

        struct policy_test *tests;
        size_t tests_count;
        struct policy_ssh_test *ssh_tests;
        size_t ssh_tests_count;

        bool randomize_client_port, disable_ipv4, one_cgnat_route;
        const struct json_value *attr_config, *derp_map; /* as written, or NULL */
        bool is_upward;                                  /* it uses words beyond Tailscale's */

        struct str text;               /* the file's own copy */
        const struct json_value *root; /* the tree it came from */

        /* private */
        struct str *subject_users, *subject_domains, *subject_outer; /* policy/subject.c */
        uint32_t subject_users_count, subject_domains_count, subject_outer_count;
        uint32_t *memberships, *memberships_start;
        struct arena arena;
        unsigned references;
};

/*
 * Reads and checks `text`. Gives one reference, for policy_file_put; *out is untouched on an error, and `report` says
 * why. Warnings may be added in either case.
 * ERR_MALFORMED: not huJSON; ERR_CONFIG: it breaks a rule of the format; ERR_TOO_LARGE: over a limit; ERR_NO_MEMORY.
 */
MUST_USE enum err policy_file_new(struct str text, struct report *report, struct policy_file **out);

struct policy_file *policy_file_get(struct policy_file *f);
void policy_file_put(struct policy_file *f); /* NULL is fine */

/* Look-ups by name, or NULL. O(log n). */
const struct policy_group *policy_file_find_group(const struct policy_file *f, struct str name);
const struct policy_host *policy_file_find_host(const struct policy_file *f, struct str name);
const struct policy_tag *policy_file_find_tag(const struct policy_file *f, struct str name);
const struct policy_ipset *policy_file_find_ipset(const struct policy_file *f, struct str name);
const struct policy_posture *policy_file_find_posture(const struct policy_file *f, struct str name);

/* Whether a login of an ssh rule is "localpart:*@DOMAIN", and its domain. Any other form is a login name as it stands. */
bool policy_localpart_domain(struct str login, struct str *domain);

/* "acls[3]" or "grants[0]", as operators count them. */
struct str policy_rule_label(const struct policy_rule *r, char out[32]);
