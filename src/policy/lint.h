/*
 * policy/lint.h - what a policy says that it cannot mean: warnings, never refusals.
 *
 * A rule that can never match, one that another covers, a test that cannot fail, a name nobody has.
 */
#pragma once

#include "base/report.h"
#include "policy/facts.h"
#include "policy/file.h"

/* Adds warnings to the report. `facts` may be NULL: then people and machines are not looked for. */
void policy_lint(const struct policy_file *f, const struct policy_facts *facts, struct report *report);
