/*
 * io/timer.h - timers in a hierarchical wheel of the loop, one millisecond a slot.
 *
 * Setting a timer to a later time than it has is O(1) and moves nothing: it looks again when the old time comes. So a
 * timer may be pushed on at every byte. Source: Varghese and Lauck, 1987.
 */
#pragma once

#include "io/loop.h"

struct timer;
typedef void timer_fn(struct timer *t);

/* Embedded in its owner. */
struct timer {
        timer_fn *fn;
        mono_ms due; /* MONO_NEVER while clear */
        /* private */
        struct list node;
        mono_ms slot_due;
};

void timer_init(struct timer *t, timer_fn *fn);
/* Fires once, in the first turn after the millisecond `due` is over; never inside this call. So what was set to loop_now()
 * and t fires no sooner than t after the turn began, by any clock. MONO_NEVER clears it. */
void timer_set(struct loop *l, struct timer *t, mono_ms due);
void timer_clear(struct timer *t); /* may be clear already */
