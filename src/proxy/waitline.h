/*
 * proxy/waitline.h - requests that wait for a target with room: so many, so long, and in an order that fits the load.
 *
 * Oldest first while all is well. Once the oldest has waited half of the time there is, more come than are served: then
 * the newest goes first, who can still be answered in time, and the oldest run out, instead of everybody being answered too
 * late. Pure; one worker's own.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"

/* Embedded in who waits. */
struct waiter {
        struct list node; /* list_init before use */
        mono_ms since;
};

struct waitline {
        uint32_t waiters_max;
        int64_t wait_ms;
        /* private */
        uint32_t count;
        struct list waiters; /* oldest first */
};

void waitline_init(struct waitline *l, uint32_t waiters_max, int64_t wait_ms);
/* False: the line is full. Who was called and found no room comes back to its old place with `since` unchanged. */
MUST_USE bool waitline_join(struct waitline *l, struct waiter *w, mono_ms now);
MUST_USE bool waitline_join_again(struct waitline *l, struct waiter *w);
void waitline_leave(struct waitline *l, struct waiter *w); /* not in it is fine */
/* The one to be served next, taken out; or NULL. */
struct waiter *waitline_next(struct waitline *l, mono_ms now);
static inline mono_ms waitline_until(const struct waitline *l, const struct waiter *w)
{
        return w->since + l->wait_ms;
}
