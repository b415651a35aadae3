/*
 * proxy/standing.h - the health of each upstream target, in memory shared by the workers and kept across reloads.
 *
 * One worker (the first) probes and writes `is_down`; every worker reads it with one load, and adds its own failures to
 * the ejection. Targets are found by the hash of upstream name and URL.
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
        _Atomic uint32_t ejections;    /* in a row: each doubles the time */
};

struct standings;

MUST_USE struct standings *standings_new(size_t targets_max); /* shared mapping; NULL: no memory */
void standings_free(struct standings *s);

/* The target's place, made where it is new. NULL when the table is full: the target then counts as up. */
struct standing *standing_of(struct standings *s, uint64_t key);

bool standing_is_usable(const struct standing *s, mono_ms now); /* NULL is usable */
