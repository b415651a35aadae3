/*
 * policy/subject.h - who somebody is, as numbers: one for each identity that a policy can name.
 *
 * Does:   "alice@example.com", "group:eng", "tag:db", "autogroup:admin" into a subject; a user or a machine into the
 *         sorted list of all the subjects it belongs to. A name of an identity matches when its number is in the list.
 * Not:    addresses (policy/ranges.h) and postures.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "policy/facts.h"
#include "policy/file.h"

#define POLICY_SUBJECT_NONE UINT32_MAX

/* Subjects are numbered from 0 to this; autogroups keep their enum's number. */
uint32_t policy_subjects_count(const struct policy_file *f);

/* The subject of a checked alias of that file; POLICY_SUBJECT_NONE for what is no identity. */
uint32_t policy_subject_of(const struct policy_file *f, const struct policy_alias *a);

struct policy_subjects {
        uint32_t *items; /* sorted, each once */
        size_t count;
        /* private */
        size_t cap;
};

void policy_subjects_fini(struct policy_subjects *s);
bool policy_subjects_contain(const struct policy_subjects *s, uint32_t subject);

/* What it was before is replaced. False when memory runs out. */
MUST_USE bool policy_subjects_of_user(const struct policy_file *f, const struct policy_facts *facts,
                                      const struct policy_user *user, struct policy_subjects *out);
MUST_USE bool policy_subjects_of_node(const struct policy_file *f, const struct policy_facts *facts,
                                      const struct policy_node *node, struct policy_subjects *out);

/* Whether the name, as a rule or a test writes it, means that user: by email, or by short name when it ends in "@". */
bool policy_user_is(const struct policy_user *user, struct str name);
