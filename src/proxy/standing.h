/*
 * proxy/standing.h - the health of each upstream target, in memory shared by the workers and kept across reloads.
 *
 * One worker (the first) probes and writes `is_down`; every worker reads it with one load, and adds its own failures to
 * the ejection. Targets are found by the hash of upstream name and URL.
 *
 *   up → failures in a row → ejected → its time is over → half open: one request at a time → up, or ejected for longer
 *
 * Down (active checks) stands above all of these.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/compiler.h"

struct standing {
        _Atomic uint64_t key;
        _Atomic bool is_down;          /* active checks say so */
        _Atomic mono_ms ejected_until; /* passive: after failures in a row */
        _Atomic uint32_t failures;     /* in a row */
        _Atomic uint32_t ejections;    /* in a row: each doubles the time; 0: up */
        _Atomic mono_ms failing_since; /* the first of these failures */
        _Atomic mono_ms probe_until;   /* half open: a request tries it, for so long at most */
        _Atomic mono_ms back_since;    /* it came back then, from an ejection or from being down; 0: never */
};

enum standing_state { STANDING_UP, STANDING_HALF_OPEN, STANDING_EJECTED, STANDING_DOWN };

/* What failures lead to. */
struct standing_rule {
        uint32_t failures_max; /* in a row, within window_ms; 0: off */
        int64_t window_ms;
        int64_t eject_ms; /* doubled each time in a row, up to 10 minutes */
};

struct standings;

MUST_USE struct standings *standings_new(size_t targets_max); /* shared mapping; NULL: no memory */
void standings_free(struct standings *s);

/* The target's place, made where it is new. NULL when the table is full: the target then counts as up. */
struct standing *standing_of(struct standings *s, uint64_t key);

enum standing_state standing_look(const struct standing *s, mono_ms now); /* NULL is up */

/* A half-open target takes one request at a time: true when this one may be it, for `lease_ms` or until it is put back. */
MUST_USE bool standing_probe_take(struct standing *s, mono_ms now, int64_t lease_ms);
void standing_probe_put(struct standing *s);
bool standing_probe_is_taken(const struct standing *s, mono_ms now);

/* True when this failure would eject it: standing_eject does, unless the caller keeps it for want of others. */
bool standing_fail(struct standing *s, const struct standing_rule *rule, mono_ms now);
void standing_eject(struct standing *s, const struct standing_rule *rule, mono_ms now);
/* True when this brought it back. What began before an ejection does not end it. */
bool standing_succeed(struct standing *s, mono_ms now);
/* The active checks' word. True when it is news. */
bool standing_set_down(struct standing *s, bool is_down, mono_ms now);

bool standing_is_usable(const struct standing *s, mono_ms now); /* NULL is usable */
