/* policy/diff_priv.h - the parts of a comparison. Only for diff*.c. */
#pragma once

#include "policy/diff.h"

struct policy_comparison {
        const struct policy_tables *before, *after;
        struct policy_diff *out;
        struct arena scratch;             /* emptied for each pair */
        struct policy_set_pool were, are; /* sets of networks' units, before and after */
};

/*
 * A part of what lies behind a route: its addresses are all decided alike before, and all alike after. Parts with the same
 * units are neighbours.
 */
struct policy_network {
        struct ip ip;                      /* one of them; a machine's never */
        const struct policy_set *was, *is; /* units that take it at that end */
        struct str label;                  /* "10.33.0.0/16", "10.33.0.7, 10.33.8.0/24 and 3 more" */
};

/* For free(); NULL, with out->no_memory set. The sets are of c->were and c->are, for policy_diff_networks_fini. */
struct policy_network *policy_diff_networks(struct policy_comparison *c, bool is_src, size_t *count);
void policy_diff_networks_fini(struct policy_comparison *c, struct policy_network *networks, size_t count);

void policy_diff_add(struct policy_comparison *c, enum policy_change_kind kind, struct str who,
                     struct str where, struct str what);

/* "laptop", "db (tag:db)": a machine for people. */
struct str policy_node_label(struct arena *arena, const struct policy_node_entry *e);
struct str policy_tags_text(struct arena *arena, const struct policy_node *node);

void policy_diff_flows(struct policy_comparison *c); /* diff_flow.c */
void policy_diff_uses(struct policy_comparison *c);  /* diff_use.c */
void policy_diff_ssh(struct policy_comparison *c);   /* diff_use.c */
