/* tests/unit/policy/kit.h - policies and facts from texts, and questions to them, for the tests of this room. */
#pragma once

#include "../test.h"

#include "policy/explain.h"
#include "policy/tables.h"

/* The texts of the reasons why the last kit_* call was refused, a line each. */
extern char kit_report[8192];

/* NULL when the policy or the facts are refused. */
struct policy_file *kit_file(const char *policy);
struct policy_facts *kit_facts(const char *facts);
struct policy_tables *kit_tables(const char *policy, const char *facts);

/* The same; fails the test when refused. */
struct policy_tables *kit_tables_must(const char *policy, const char *facts);

/* "laptop" to "db:22/tcp" or "service:wiki"; `given` is JSON or NULL. 1, 0, or -1 when the question is not understood. */
int kit_ask(const struct policy_tables *t, const char *from, const char *to, const char *given);

/* What the node of that name is told, as JSON; in `arena`. */
struct str kit_told(const struct policy_tables *t, struct arena *arena, struct str node);
