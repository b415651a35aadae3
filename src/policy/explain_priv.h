/* policy/explain_priv.h - how an explanation is put together. Only for explain*.c. */
#pragma once

#include "policy/explain.h"

void policy_finding_add(struct policy_explanation *e, struct policy_considered *c, const char *what,
                        struct str asked, struct str found, bool holds);

/* Each condition of the postures of which one must hold; of those that fail nothing when another holds. */
void policy_postures_find(struct policy_explanation *e, struct policy_considered *c,
                          const struct policy_file *f, const uint32_t *list, size_t count,
                          const struct policy_attrs *attrs);

/* Keeps it when it is among the nearest. */
void policy_considered_keep(struct policy_explanation *e, const struct policy_considered *c);

/* "tag:web, alice@example.com, ..."; "laptop (alice@example.com, 100.64.0.7)". */
struct str policy_aliases_text(struct policy_explanation *e, const struct policy_aliases *list);
struct str policy_address_text(struct policy_explanation *e, const struct policy_tables *t, struct ip ip);

/*
 * explain_text.c: a machine by id or name, else whatever a test could name, as one address; of `family` if it has one,
 * 0: any. NULL, or why not.
 */
const char *policy_explain_end(const struct policy_tables *t, struct arena *arena, struct str text,
                               uint8_t family, struct ip *out);
struct str policy_explain_why(const struct policy_tables *t, struct policy_explanation *e, struct str from,
                              struct str to, const char *text);
