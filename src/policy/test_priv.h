/* policy/test_priv.h - one end of a question as a test names it. Only for test*.c, explain.c and preview.c. */
#pragma once

#include "policy/decide.h"
#include "policy/test.h"

/* A machine's address, or a range that a name stands for. */
struct policy_spot {
        struct policy_range range;
        const struct policy_node_entry *entry; /* NULL: no machine has it */
};

struct policy_end {
        struct policy_spot *spots;
        size_t count;
        const struct policy_user *user; /* when the name is one person's */
        bool is_self;                   /* autogroup:self: of whom is asked from */
};

/*
 * What the name stands for. NULL when it was found; else why not, in the arena. The name need not stand in the file's
 * rules.
 */
const char *policy_end_find(const struct policy_tables *t, struct arena *arena, struct policy_alias name,
                            struct policy_end *out);

void policy_fail(struct policy_test_run *run, bool is_ssh, size_t index, struct policy_place at,
                 struct str src, const char *format, ...) PRINTF_LIKE(6, 7);

void policy_test_ssh(const struct policy_tables *t, struct policy_test_run *run); /* test_ssh.c */
