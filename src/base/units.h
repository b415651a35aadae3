/*
 * base/units.h - numbers, sizes, durations, rates and times from an operator's or a peer's text. All or nothing.
 */
#pragma once

#include <stdint.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

/* Digits only: no sign, space, or "0x". ERR_MALFORMED; ERR_TOO_LARGE above max. */
MUST_USE enum err units_parse_u64(struct str text, uint64_t max, uint64_t *out);

/* "4096", "32KiB", "1MiB", "2GiB" (binary) or "32kB", "1MB" (decimal), as bytes. */
MUST_USE enum err units_parse_bytes(struct str text, uint64_t *out);

/* "250ms", "5s", "2m", "12h", "30d", as milliseconds. A bare number is refused: say the unit. */
MUST_USE enum err units_parse_duration(struct str text, int64_t *out_ms);

/* "60/min", "5/s", "1000/h", "10/day". */
struct units_rate {
        uint64_t count;
        int64_t period_ms;
};
MUST_USE enum err units_parse_rate(struct str text, struct units_rate *out);

/* RFC 3339 date-time: "2027-01-31T00:00:00Z", with a fraction or an offset too. */
MUST_USE enum err units_parse_time(struct str text, unix_ms *out);

enum { UNITS_TIME_TEXT_MAX = 32 };
/* "2027-01-31T00:00:00.000Z" */
struct str units_format_time(unix_ms when, char out[UNITS_TIME_TEXT_MAX]);
