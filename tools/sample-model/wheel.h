/*
 * wheel.h - many deadlines of one thread, in slots of a millisecond; one that lies further than a turn waits in its slot
 * for another round.
 */
#pragma once

#include <stdint.h>

#include "base/list.h"

enum { WHEEL_SLOTS = 4096 };

struct timer {
        struct list link;
        int64_t due_ms;
        void (*fire)(struct timer *t);
};

struct wheel {
        int64_t now_ms; /* every slot up to here was looked at */
        struct list slots[WHEEL_SLOTS];
        uint64_t used[WHEEL_SLOTS / 64]; /* a bit for a slot that may hold one */
};

void wheel_init(struct wheel *w, int64_t now_ms);
void wheel_add(struct wheel *w, struct timer *t, int64_t due_ms); /* moves one that was added already */
void wheel_fire(struct wheel *w, int64_t now_ms);
int wheel_wait_ms(const struct wheel *w,
                  int64_t now_ms); /* until there may be something to fire; -1: nothing */

static inline void timer_stop(struct timer *t)
{
        list_remove(&t->link);
}
