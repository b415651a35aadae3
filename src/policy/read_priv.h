/*
 * policy/read_priv.h - the shared way from JSON values to the structs of policy/file.h and policy/facts.h.
 *
 * Objects are read by a table of their members: names match in any case (old files write "ACLs"), an unknown one is an
 * error that names the nearest, null means absent. Faults go to the report with their place; reading goes on, so that
 * one run tells all. Nothing recurses: the format's own nesting is fixed.
 */
#pragma once

#include "base/arena.h"
#include "base/report.h"
#include "policy/file.h"
#include "json/value.h"

struct policy_reader {
        struct arena *arena;
        struct report *report;
        struct policy_file *file;
        bool no_memory;
};

typedef void policy_member_read(struct policy_reader *r, void *into, const struct json_value *v);

struct policy_member {
        struct str name;
        policy_member_read *read; /* NULL: known, and of no effect here */
};

/* Calls the members' functions with `into`. `what` is for messages: "acls[2]" or "the policy". */
void policy_read_object(struct policy_reader *r, const struct json_value *v, const char *what,
                        const struct policy_member *members, size_t members_count, void *into);

/* An error at that value. */
void policy_fault(struct policy_reader *r, const struct json_value *v, const char *format, ...)
        PRINTF_LIKE(3, 4);
void policy_fault_at(struct policy_reader *r, struct policy_place at, const char *format, ...)
        PRINTF_LIKE(3, 4);

/* Zeroed memory; NULL and no_memory set when the arena is full. */
void *policy_read_alloc(struct policy_reader *r, size_t count, size_t size, size_t align);
#define READ_ARRAY(r, type, n) ((type *)policy_read_alloc((r), (n), sizeof(type), _Alignof(type)))

/* Whether v is of that type, or a fault was noted. NULL and null are neither: false without a fault. */
bool policy_read_is(struct policy_reader *r, const struct json_value *v, enum json_type type,
                    const char *what);

/* The common shapes. What is wrong in them is noted; `out` then holds what was right. */
void policy_read_text(struct policy_reader *r, const struct json_value *v, const char *what, struct str *out);
void policy_read_flag(struct policy_reader *r, const struct json_value *v, const char *what, bool *out);
void policy_read_texts(struct policy_reader *r, const struct json_value *v, const char *what,
                       struct str **out, size_t *count);
void policy_read_aliases(struct policy_reader *r, const struct json_value *v, const char *what,
                         struct policy_aliases *out);

struct policy_place policy_place_of(const struct json_value *v);

/* Sections, each in its file. `into` of the member functions is the struct policy_file. */
policy_member_read policy_read_acls, policy_read_grants;     /* file_rules.c */
policy_member_read policy_read_ssh, policy_read_node_attrs;  /* file_ssh.c */
policy_member_read policy_read_tests, policy_read_ssh_tests; /* file_tests.c */
policy_member_read policy_read_groups, policy_read_hosts, policy_read_tag_owners, policy_read_ipsets,
        policy_read_postures, policy_read_default_posture, policy_read_auto_approvers; /* file_names.c */

/* srcPosture: names into indexes of the file's postures, which are read before every rule. */
void policy_read_posture_names(struct policy_reader *r, const struct json_value *v, uint32_t **out,
                               size_t *count);

/* Looks names up and judges what may stand where (check.c). Adds faults to the report. */
void policy_check(struct policy_reader *r);
void policy_check_ipsets(struct policy_reader *r);   /* check_ipsets.c */
void policy_check_subjects(struct policy_reader *r); /* subject.c */
void policy_check_tests(struct policy_reader *r);    /* check_tests.c */

/* The nearest known name as " (did you mean \"x\"?)", or "". Looks only while few faults were reported. */
const char *policy_hint(const struct policy_reader *r, struct str word, const struct str *names, size_t count,
                        char out[160]);
