/* policy/facts_priv.h - how a text of facts becomes records, and records a set. Only for facts.c and facts_read.c. */
#pragma once

#include "policy/facts.h"
#include "policy/read_priv.h"

enum { POLICY_BATCH_FIRST = 1024 };

struct policy_batch {
        unsigned references;
        struct arena arena;
        const struct policy_facts *seen_by; /* the set under construction that has counted it */
        _Alignas(max_align_t) char first[POLICY_BATCH_FIRST]; /* one machine's record fits in */
};

/* What one text says, before it is merged with what was there. Every list may be absent. */
struct policy_facts_draft {
        struct policy_batch *batch;
        struct policy_user *users;
        size_t users_count;
        struct policy_node *nodes;
        size_t nodes_count;
        struct policy_service *services;
        struct policy_model *models;
        struct str *providers, *tools, *domains;
        size_t services_count, models_count, providers_count, tools_count, domains_count;
        bool has_services, has_models, has_providers, has_tools, has_domains, has_network, has_now;
        struct str network;
        unix_ms now;
        struct str *users_removed, *nodes_removed;
        size_t users_removed_count, nodes_removed_count;
};

/* facts_read.c. `may_remove`: whether the text is a patch. Strings are copied into the batch. */
MUST_USE enum err policy_facts_read(struct str text, bool may_remove, struct report *report,
                                    struct policy_facts_draft *draft);
