/*
 * proxy/pace.h - a least rate for bodies, both ways: who sends too little, or takes too little, is cut off.
 *
 * Only time in which the client is the one all wait for counts, so a slow upstream harms nobody. A body of any size passes
 * at an honest rate, and one that trickles to hold a place here does not.
 */
#pragma once

#include "proxy/exchange.h"

enum { PACE_TICK_MS = 1000, PACE_WINDOW_MS = 5000 };

/* How one half of a body keeps up. */
struct pace {
        uint64_t bytes;     /* where this window began */
        uint64_t waited_ms; /* in it */
};

/*
 * Once a tick: `bytes` have passed in all, and the client kept us waiting since the tick before or not. True when over a
 * whole window of waiting less than `rate` bytes a second came. Pure.
 */
MUST_USE bool pace_is_too_slow(struct pace *p, uint64_t rate, uint64_t bytes, bool is_waiting);

/* Watches over x until it ends, by its route's least rate. False when memory runs out. */
MUST_USE bool pace_watch(struct exchange *x);
void pace_end(struct exchange *x);
