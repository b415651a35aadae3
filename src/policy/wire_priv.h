/* policy/wire_priv.h - the parts of a writer. Only for wire*.c. */
#pragma once

#include "base/arena.h"
#include "policy/wire.h"

/* Texts of addresses, sorted, each once; kept in the writer's arena. */
struct policy_texts {
        struct str *items;
        size_t count, cap;
};

struct policy_writer {
        const struct policy_tables *t;
        struct arena arena;
        struct policy_texts **sources;      /* of each unit; NULL: not yet asked for */
        struct policy_texts **destinations; /* of each unit with a companion capability */
        uint32_t *user_nodes, *user_starts; /* nodes by index of their user */
        struct policy_ssh_set *ssh;         /* NULL: not yet asked for */
        bool no_memory;
};

/* wire_text.c. NULL when memory runs out. */
const struct policy_texts *policy_writer_sources(struct policy_writer *w, uint32_t unit);
const struct policy_texts *policy_writer_destinations(struct policy_writer *w, uint32_t unit);
void policy_texts_add(struct policy_writer *w, struct policy_texts *texts, struct str text);
void policy_texts_seal(struct policy_texts *texts);
void policy_texts_write(const struct policy_texts *texts, struct json_writer *out);

/* The nodes of the same person, by index of t->nodes. */
const uint32_t *policy_writer_own_nodes(const struct policy_writer *w, const struct policy_user *user,
                                        size_t *count);
