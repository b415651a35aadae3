/*
 * proxy/gate.h - rates by key, in memory shared by all workers: a fixed table of GCRA clocks, no lock.
 *
 * Source: generic cell rate algorithm, ITU-T I.371. Keys are hashes; two keys in one slot are told apart by a tag, and
 * the least active of a bucket gives way, which errs on the side of letting through. Any worker, any time.
 */
#pragma once

#include "base/clock.h"
#include "base/compiler.h"
#include "base/units.h"

struct gate;

MUST_USE struct gate *gate_new(
        size_t entries_count); /* one shared mapping, inherited by fork; NULL: no memory */
void gate_free(struct gate *g);

/*
 * Takes one from `key`'s rate (count per period, all of count at once at most). True when it passes; else *wait_ms says
 * when the next would.
 */
bool gate_pass(struct gate *g, uint64_t key, const struct units_rate *rate, mono_ms now, int64_t *wait_ms);

/* The same question without taking. */
bool gate_would_pass(struct gate *g, uint64_t key, const struct units_rate *rate, mono_ms now,
                     int64_t *wait_ms);
