#include "io/timer.h"

#include <assert.h>

#include "io/loop_priv.h"
#include "io/timer_priv.h"

void timer_init(struct timer *t, timer_fn *fn)
{
        t->fn = fn;
        t->due = MONO_NEVER;
        t->slot_due = MONO_NEVER;
        list_init(&t->node);
}

void timer_set(struct loop *l, struct timer *t, mono_ms due)
{
        wheel_set(loop_wheel(l), t, due);
}

void timer_clear(struct timer *t)
{
        t->due = MONO_NEVER;
        list_remove(&t->node);
}

void wheel_init(struct wheel *w, mono_ms now)
{
        assert(now >= 0);
        w->now = w->least = now;
        for (int level = 0; level < WHEEL_LEVELS; level++) {
                w->occupied[level] = 0;
                for (int slot = 0; slot < WHEEL_SLOTS; slot++)
                        list_init(&w->slots[level][slot]);
        }
}

static void place(struct wheel *w, struct timer *t, mono_ms at)
{
        int level = (63 - __builtin_clzll((uint64_t)(at ^ w->now))) / WHEEL_BITS;
        int slot = (int)(at >> (level * WHEEL_BITS) & (WHEEL_SLOTS - 1));

        t->slot_due = at;
        list_add_last(&w->slots[level][slot], &t->node);
        w->occupied[level] |= UINT64_C(1) << slot;
}

void wheel_set(struct wheel *w, struct timer *t, mono_ms due)
{
        if (due == MONO_NEVER) {
                timer_clear(t);
                return;
        }
        t->due = due;
        if (!list_is_empty(&t->node)) {
                if (due >= t->slot_due)
                        return; /* stays; looked at again when its slot comes */
                list_remove(&t->node);
        }
        place(w, t, MAX(due, w->least + 1));
}

/* The earliest slot with a timer in it, and its start. */
static bool find_first(struct wheel *w, int *level_out, int *slot_out, mono_ms *start_out)
{
        for (int level = 0; level < WHEEL_LEVELS; level++) {
                while (w->occupied[level]) {
                        int slot = __builtin_ctzll(w->occupied[level]);
                        int shift = level * WHEEL_BITS;
                        mono_ms above = shift + WHEEL_BITS < 63 ? w->now >> (shift + WHEEL_BITS) : 0;

                        if (list_is_empty(&w->slots[level][slot])) {
                                w->occupied[level] &= ~(UINT64_C(1) << slot);
                                continue;
                        }
                        *level_out = level;
                        *slot_out = slot;
                        *start_out = (above << WHEEL_BITS | slot) << shift;
                        return true;
                }
        }
        return false;
}

/* All timers of a slot that starts now: those due fire, the others find a lower place or, pushed on, a later one. */
static void run_slot(struct wheel *w, int level, int slot)
{
        struct list timers;

        list_init(&timers);
        list_move_all(&timers, &w->slots[level][slot]);
        w->occupied[level] &= ~(UINT64_C(1) << slot);
        while (!list_is_empty(&timers)) {
                struct timer *t = CONTAINER_OF(timers.next, struct timer, node);
                mono_ms at = MAX(t->due, t->slot_due);

                list_remove(&t->node);
                if (at > w->now) {
                        place(w, t, at);
                        continue;
                }
                t->due = MONO_NEVER;
                t->fn(t); /* may free it, and clear or set any other */
        }
}

void wheel_advance(struct wheel *w, mono_ms now)
{
        int level, slot;
        mono_ms start;

        if (now <= w->now)
                return;
        w->least = now;
        while (find_first(w, &level, &slot, &start) && start <= now) {
                w->now = start;
                run_slot(w, level, slot);
        }
        w->now = now;
}

mono_ms wheel_next(struct wheel *w)
{
        int level, slot;
        mono_ms start;

        return find_first(w, &level, &slot, &start) ? start : MONO_NEVER;
}

bool wheel_is_empty(struct wheel *w)
{
        return wheel_next(w) == MONO_NEVER;
}
