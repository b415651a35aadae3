/*
 * policy/names.h - services, models, providers and tools that a policy names: are there any of that name?
 *
 * For the moment a policy is written. Later a service may come and go with its machine, so that compiling (policy/tables.h)
 * does not ask: a rule to what is not there opens nothing.
 */
#pragma once

#include "base/report.h"
#include "policy/facts.h"
#include "policy/file.h"

/*
 * A name that is none, of a kind the facts list: an error that suggests the nearest. A pattern that fits nothing there: a
 * warning. Kinds the facts do not list are not asked.
 */
void policy_names_check(const struct policy_file *f, const struct policy_facts *facts, struct report *report);
