/*
 * proxy/tally.h - how many of something each key has now (connections of an address, requests of a token), over all
 * workers. Shared memory, no lock; a worker writes only its own row, so that what a dead worker held can be forgotten.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

struct tally;

enum { TALLY_NO_SLOT = -1 };

MUST_USE struct tally *tally_new(unsigned workers_count, size_t keys_count);
void tally_free(struct tally *t);

/* One more for `key`; returns the slot to give back, or TALLY_NO_SLOT when it would pass `max`. A full table counts
 * strangers together, which errs on the side of refusing. */
int32_t tally_enter(struct tally *t, unsigned worker, uint64_t key, uint32_t max);
void tally_leave(struct tally *t, unsigned worker, int32_t slot); /* TALLY_NO_SLOT is fine */

uint32_t tally_count(const struct tally *t, uint64_t key);
void tally_forget(struct tally *t, unsigned worker); /* the worker is dead */
