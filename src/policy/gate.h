/*
 * policy/gate.h - upward: may this person or machine use that service, model, provider or tool, now, from there?
 *
 * Does:   walks the ways in: every unit, and every set of limits in it, whose conditions hold. Any one suffices, so the
 *         caller takes the first whose budget and rate are not used up; a new grant never takes a way away.
 * Not:    counting budgets and rates. Allocates nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "policy/tables.h"
#include "policy/when.h"

struct policy_principal {
        const struct policy_class *class; /* of a user's or a machine's entry; NULL: a stranger */
        const struct policy_attrs *attrs; /* of the device asked from; NULL: nothing is known of it */
};

struct policy_resource {
        enum policy_alias_kind kind; /* ALIAS_SERVICE, ALIAS_MODEL, ALIAS_PROVIDER or ALIAS_TOOL */
        struct str name;
        struct str provider; /* of a model the facts do not know; else empty */
};

struct policy_way {
        uint32_t unit;
        const struct policy_limits *limits; /* NULL: without limits */
};

/* The walk; a value of the caller. What it borrows must stay until its last use. */
struct policy_gate {
        const struct policy_tables *t;
        struct policy_principal who;
        const struct policy_asker *asker;
        struct policy_resource what;
        /* private */
        const struct policy_set *target; /* NULL: unknown to the facts, asked unit by unit */
        struct policy_meet meet;
        uint32_t unit, limits_at, unknown_at, ranged_at;
};

void policy_gate_open(struct policy_gate *g, const struct policy_tables *t, struct policy_principal who,
                      const struct policy_asker *asker, struct policy_resource what);

/* False when there is no further way: at the first call, refused. */
bool policy_gate_next(struct policy_gate *g, struct policy_way *out);

/* The parts, for policy/explain.h. */
bool policy_unit_names(const struct policy_tables *t, const struct policy_unit *u,
                       const struct policy_resource *what);
bool policy_unit_takes_asker(const struct policy_tables *t, uint32_t unit, const struct policy_principal *who,
                             const struct policy_asker *asker);

/* The first condition of the unit that fails, as a word; NULL when all hold. Limits are not conditions. */
const char *policy_unit_condition_fails(const struct policy_tables *t, const struct policy_unit *u,
                                        const struct policy_principal *who, const struct policy_asker *asker);
