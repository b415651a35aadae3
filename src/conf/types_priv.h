/*
 * conf/types_priv.h - the types of the table: setting a member from a value, and numbers as people write them.
 */
#pragma once

#include "conf/loader_priv.h"

/* Checks the value and puts it at `at`, a member of the type's kind. On an error: reported, the member unchanged. */
void conf_type_set(struct loader *l, const struct conf_key *key, const struct json_value *v, void *at);

enum { CONF_UNIT_TEXT_MAX = 32 };
/* "75s", "32KiB", "100": in the largest unit that divides, by the type of the key. Returns `out`. */
const char *conf_unit_format(enum conf_type type, uint64_t value, char out[CONF_UNIT_TEXT_MAX]);
const char *conf_rate_format(struct units_rate rate, char out[CONF_UNIT_TEXT_MAX]);
