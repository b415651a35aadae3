#include "wheel.h"

#include <string.h>

void wheel_init(struct wheel *w, int64_t now_ms)
{
        memset(w, 0, sizeof(*w));
        w->now_ms = now_ms;
        for (int i = 0; i < WHEEL_SLOTS; i++)
                list_init(&w->slots[i]);
}

void wheel_add(struct wheel *w, struct timer *t, int64_t due_ms)
{
        list_remove(&t->link);
        t->due_ms = MAX(due_ms, w->now_ms + 1);
        unsigned slot = (unsigned)(t->due_ms % WHEEL_SLOTS);
        list_add_last(&w->slots[slot], &t->link);
        w->used[slot / 64] |= 1ull << slot % 64;
}

static void fire_slot(struct wheel *w, unsigned slot)
{
        struct list due;

        list_init(&due);
        list_move_all(&due, &w->slots[slot]);
        w->used[slot / 64] &= ~(1ull << slot % 64);
        while (!list_is_empty(&due)) {
                struct timer *t = LIST_FIRST(&due, struct timer, link);

                if (t->due_ms > w->now_ms)
                        wheel_add(w, t, t->due_ms);
                else {
                        list_remove(&t->link);
                        t->fire(t);
                }
        }
}

void wheel_fire(struct wheel *w, int64_t now_ms)
{
        if (now_ms - w->now_ms > WHEEL_SLOTS)
                w->now_ms = now_ms - WHEEL_SLOTS;
        while (w->now_ms < now_ms) {
                unsigned slot = (unsigned)(++w->now_ms % WHEEL_SLOTS);

                if (w->used[slot / 64] & 1ull << slot % 64)
                        fire_slot(w, slot);
        }
}

int wheel_wait_ms(const struct wheel *w, int64_t now_ms)
{
        for (int64_t ahead = 1; ahead <= WHEEL_SLOTS; ahead++) {
                unsigned slot = (unsigned)((w->now_ms + ahead) % WHEEL_SLOTS);

                if (!w->used[slot / 64]) {
                        ahead += 63 - slot % 64;
                        continue;
                }
                if (w->used[slot / 64] & 1ull << slot % 64)
                        return (int)MAX(w->now_ms + ahead - now_ms, (int64_t)0);
        }
        return -1;
}
