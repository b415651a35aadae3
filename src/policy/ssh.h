/*
 * policy/ssh.h - SSH rules resolved: who may log in where, as whom, and whether the sign-in is asked for again.
 *
 * Source: tailcfg.SSHPolicy; captured rules of the hosted service. A rule with action "check" comes before every one with
 * "accept"; the first that matches decides.
 * Memory: a set keeps what its rules share; made for one set of tables, freed by its maker.
 */
#pragma once

#include "base/arena.h"
#include "base/compiler.h"
#include "policy/tables.h"

/* A login and what it becomes: {"root", ""} is refused, {"*", "="} is any but root. */
struct policy_login {
        struct str from, to;
};

struct policy_ssh_out {
        const struct policy_ssh_rule *rule;
        const struct ip *principals; /* addresses, perhaps repeated as the hosted service repeats them */
        size_t principals_count;
        const struct policy_login *logins; /* sorted by from */
        size_t logins_count;
};

struct policy_ssh_set;

/* Borrows the tables until policy_ssh_set_free. NULL when memory runs out. */
MUST_USE struct policy_ssh_set *policy_ssh_set_new(const struct policy_tables *t);
void policy_ssh_set_free(struct policy_ssh_set *s);

/* The rules on that node, in order, in the caller's arena. False when memory runs out. */
MUST_USE bool policy_ssh_rules(struct policy_ssh_set *s, struct arena *arena,
                               const struct policy_node_entry *node, struct policy_ssh_out **out,
                               size_t *count);

/* Whether the logins let that name in. */
bool policy_logins_allow(const struct policy_ssh_out *rule, struct str login);
