/*
 * policy/period.h - durations as policy files write them: "12h", "1h30m", "168h0m1s", "-1m". Source: Go's time package,
 * whose syntax, messages and canonical form the policy format inherited.
 */
#pragma once

#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

enum { PERIOD_TEXT_MAX = 40, PERIOD_WHY_MAX = 200 };

/* Nanoseconds. On ERR_MALFORMED `why` holds the whole sentence: `time: invalid duration "abc"`. */
MUST_USE enum err policy_period_parse(struct str text, int64_t *ns, char why[PERIOD_WHY_MAX]);

/* "-1m0s", "168h0m1s", "1.5s", "0s" */
struct str policy_period_format(int64_t ns, char out[PERIOD_TEXT_MAX]);
