/*
 * io/timer_priv.h - the wheel behind timer.h, with an explicit clock so that tests can drive it.
 *
 * Theory of operation. Time is cut into groups of 6 bits. A timer stands at the level of the highest group in which its
 * time differs from `now`, in the slot its time has in that group. So everything at a lower level is due before
 * anything at a higher one, and the earliest slot is the lowest bit of the lowest level that has one. When `now` reaches
 * the start of a slot above level 0, its timers move down. Clearing a timer leaves the bit of its slot: a bit may be set
 * over an empty slot, never clear over a full one.
 */
#pragma once

#include "io/timer.h"

enum { WHEEL_BITS = 6, WHEEL_SLOTS = 1 << WHEEL_BITS, WHEEL_LEVELS = 11 }; /* 66 bits: all of mono_ms */

struct wheel {
        mono_ms now;   /* what is due up to here has fired */
        mono_ms least; /* nothing is placed at or before this: during an advance, the time advanced to */
        uint64_t occupied[WHEEL_LEVELS];
        struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, mono_ms now);
bool wheel_is_empty(struct wheel *w);
void wheel_set(struct wheel *w, struct timer *t, mono_ms due);

/* Fires what is due at `now` or before, in the order of due times. A timer set meanwhile fires at a later advance. */
void wheel_advance(struct wheel *w, mono_ms now);

/* When the wheel wants to be advanced next: at the latest when the first timer is due. MONO_NEVER when it is empty. */
mono_ms wheel_next(struct wheel *w);
