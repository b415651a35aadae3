/* policy/diff_priv.h - the parts of a comparison. Only for diff*.c. */
#pragma once

#include "policy/diff.h"

struct policy_comparison {
        const struct policy_tables *before, *after;
        struct policy_diff *out;
        struct arena scratch; /* emptied for each pair */
};

void policy_diff_add(struct policy_comparison *c, enum policy_change_kind kind, struct str who,
                     struct str where, struct str what);

/* "laptop", "db (tag:db)": a machine for people. */
struct str policy_node_label(struct arena *arena, const struct policy_node_entry *e);
struct str policy_tags_text(struct arena *arena, const struct policy_node *node);

void policy_diff_flows(struct policy_comparison *c); /* diff_flow.c */
void policy_diff_uses(struct policy_comparison *c);  /* diff_use.c */
void policy_diff_ssh(struct policy_comparison *c);   /* diff_use.c */
