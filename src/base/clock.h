/*
 * base/clock.h - the two kinds of time, kept apart by name. Engines are given `now`; only io reads a clock.
 */
#pragma once

#include <stdint.h>

typedef int64_t mono_ms; /* milliseconds of CLOCK_MONOTONIC: deadlines, ages, timers */
typedef int64_t unix_ms; /* milliseconds since 1970 UTC: expiry dates, log lines */

#define MONO_NEVER INT64_MAX
