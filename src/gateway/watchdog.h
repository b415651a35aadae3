/*
 * gateway/watchdog.h - a worker that stands still is noticed: it beats from its loop, the supervisor looks.
 *
 * A spinning worker is worse than a dead one: it keeps its share of the connections and answers none.
 */
#pragma once

#include "io/timer.h"

enum { WATCHDOG_PLACES_MAX = 64 + 1 }; /* the workers', and the key holder's */

typedef void watchdog_stuck_fn(void *context, unsigned place, int64_t silent_ms);

/* The supervisor's. */
struct watchdog {
        int64_t limit_ms; /* 0: off */
        /* private */
        _Atomic mono_ms *beats; /* shared with the workers; MONO_NEVER: nobody beats here */
        struct timer timer;
        struct loop *loop;
        mono_ms looked_at;
        watchdog_stuck_fn *fn;
        void *context;
};

/* Before the first fork. ERR_NO_MEMORY. */
MUST_USE enum err watchdog_init(struct watchdog *w, struct loop *l, watchdog_stuck_fn *fn, void *context);
void watchdog_set(struct watchdog *w, int64_t limit_ms);  /* starts, stops, or changes the bound */
void watchdog_begin(struct watchdog *w, unsigned place);  /* a worker was forked */
void watchdog_forget(struct watchdog *w, unsigned place); /* it is gone, or told to end */

/* The worker's. */
struct heart {
        struct timer timer;
        struct loop *loop;
        _Atomic mono_ms *beat;
};

/* In the forked worker, with its own loop. */
void heart_start(struct heart *h, struct loop *l, const struct watchdog *w, unsigned place);
