/*
 * policy/when.h - upward: the conditions and limits of a grant to a service, model, provider or tool.
 *
 * Does:   `when` (address, country, time, strength of sign-in) and the limits in the capability POLICY_CAP_LIMITS (budget,
 *         rate, methods, paths, hours): parsed once, judged without allocating.
 * Not:    counting: a budget and a rate are handed to whoever counts (identity, llm).
 * Thread: immutable once made.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "base/units.h"
#include "policy/ranges.h"
#include "json/value.h"

#define POLICY_CAP_LIMITS "sekisho.dev/cap/limits"

enum policy_auth { AUTH_NONE, AUTH_TOKEN, AUTH_PASSWORD, AUTH_SSO, AUTH_MFA, AUTH_HARDWARE, AUTHS };

/* "none", "token", "password", "sso", "mfa", "hardware": each at least as strong as those before it. */
const char *policy_auth_name(enum policy_auth a);
bool policy_auth_find(struct str text, enum policy_auth *out);

/* Days of the week and a part of the day, in a fixed offset from UTC: {"days": ["mon"], "from": "08:00", "to": "18:00"}. */
struct policy_hours {
        uint8_t days; /* bit 0 is Monday; 0x7f every day */
        uint16_t from_minute,
                to_minute;      /* of the day; to below from goes past midnight, equal is the whole day */
        int16_t offset_minutes; /* east of UTC is positive */
};

struct policy_when {
        struct policy_ranges address; /* the client's; empty: any */
        const struct str *country;    /* ISO 3166 alpha-2, upper case */
        size_t country_count;
        const struct policy_hours *hours; /* any of them */
        size_t hours_count;
        enum policy_auth auth; /* at least */
        unix_ms after, before; /* 0: no bound */
        struct str text;       /* as written */
        uint32_t line, column;
};

/* One object of the capability POLICY_CAP_LIMITS. */
struct policy_limits {
        const struct str *methods; /* upper case; count 0: any */
        size_t methods_count;
        const struct str *paths; /* globs on the canonical path; count 0: any */
        size_t paths_count;
        const struct policy_hours *hours;
        size_t hours_count;
        struct units_rate rate;   /* count 0: none */
        uint64_t budget_micros;   /* money, millionths of the account's unit; 0: none */
        uint64_t budget_tokens;   /* 0: none */
        int64_t budget_period_ms; /* 0: for good */
        uint32_t line, column;
};

/* What is known about who asks, and about the request. Texts are borrowed; what is not known is empty. */
struct policy_asker {
        struct ip address;
        struct str country; /* upper case alpha-2 */
        unix_ms now;
        enum policy_auth auth;
        struct str method, path; /* path is canonical */
};

/* Read from the file; faults go to the report with their place. NULL on a fault or when the arena is full. */
const struct policy_when *policy_when_read(struct arena *arena, const struct json_value *v,
                                           struct report *report);
const struct policy_limits *policy_limits_read(struct arena *arena, const struct json_value *v,
                                               struct report *report);

/* The first condition that does not hold, as a word ("address", "country", "hours", "auth", ...); NULL when all do. */
const char *policy_when_fails(const struct policy_when *w, const struct policy_asker *asker);
const char *policy_limits_fail(const struct policy_limits *l, const struct policy_asker *asker);

bool policy_hours_hold(const struct policy_hours *h, size_t count, unix_ms now);

/* The next moment after `now` at which an answer can change, or INT64_MAX. */
unix_ms policy_when_next(const struct policy_when *w, unix_ms now);
