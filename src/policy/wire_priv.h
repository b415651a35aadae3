/* policy/wire_priv.h - the parts of a writer. Only for wire*.c. */
#pragma once

#include "base/arena.h"
#include "base/map.h"
#include "policy/wire.h"

/* Texts of addresses in the making, kept in `arena`. */
struct policy_texts {
        struct arena *arena;
        struct str *items;
        size_t count, cap;
};

/* The same sorted, each once, as the JSON array that rules have: written a thousand times, so made once. */
struct policy_sources {
        struct str json;
        size_t count;
};

struct policy_writer {
        const struct policy_tables *t;
        struct arena arena;
        const struct policy_sources **sources;      /* of each unit; NULL: not yet asked for */
        const struct policy_sources **destinations; /* of each unit with a companion capability */
        struct map known;                           /* each policy_sources once, by its JSON */
        uint32_t *user_nodes, *user_starts;         /* nodes by index of their user */
        struct policy_ssh_set *ssh;                 /* NULL: not yet asked for */
        bool no_memory;
};

/* wire_text.c. NULL when memory runs out. Of equal sources there is one: they can be told apart by their address. */
const struct policy_sources *policy_writer_sources(struct policy_writer *w, uint32_t unit);
const struct policy_sources *policy_writer_destinations(struct policy_writer *w, uint32_t unit);
void policy_texts_add(struct policy_writer *w, struct policy_texts *texts, struct str text);
const struct policy_sources *policy_texts_seal(struct policy_writer *w, struct policy_texts *texts);

/* The nodes of the same person, by index of t->nodes. */
const uint32_t *policy_writer_own_nodes(const struct policy_writer *w, const struct policy_user *user,
                                        size_t *count);
