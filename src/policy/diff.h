/*
 * policy/diff.h - what a change of the policy gives and takes, for every principal.
 *
 * Does:   two tables over the same facts: for each user, each kind of tagged machine and each part of a routed network
 *         that rules tell apart, the destinations and ports gained and lost; services, models, providers and tools; SSH logins. Equal principals
 *         and equal destinations are told once.
 * Not:    the texts' difference: two files that say the same differ in nothing here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "policy/tables.h"
#include "json/writer.h"

enum policy_change_kind { CHANGE_GAINED, CHANGE_LOST, CHANGE_ALTERED };

struct policy_change {
        enum policy_change_kind kind;
        struct str who;   /* "alice@example.com", "tag:web", "10.33.0.0/16"; several joined by ", " */
        struct str where; /* "db (tag:db)", "10.33.0.0/16", "service:wiki", "ssh db" */
        struct str what;  /* "tcp:5432", "root (check)", "use" */
};

enum { POLICY_CHANGES_MAX = 100000 };

struct policy_diff {
        struct policy_change *changes;
        size_t changes_count; /* at most POLICY_CHANGES_MAX are kept; the count goes on */
        size_t changes_cap;
        bool no_memory;
        bool is_partial; /* rules cut the networks behind routes into more parts than are compared (200,000) */
        /* private */
        struct arena arena;
};

/* Fills `out`; policy_diff_fini frees it. Both tables were compiled from the same facts. */
void policy_diff(const struct policy_tables *before, const struct policy_tables *after,
                 struct policy_diff *out);
void policy_diff_fini(struct policy_diff *d);

void policy_diff_print(const struct policy_diff *d, struct buf *out);

/* The members "changes", "count" and "partial" of an object that the caller has begun. */
void policy_diff_write_members(const struct policy_diff *d, struct json_writer *w);
