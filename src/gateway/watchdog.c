#include "gateway/watchdog.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

enum { LOOKS_PER_LIMIT = 4, LOOK_MS_LEAST = 20, BEAT_MS = 250 };

static int64_t look_ms(const struct watchdog *w)
{
        return MAX(w->limit_ms / LOOKS_PER_LIMIT, (int64_t)LOOK_MS_LEAST);
}

static void look(struct timer *t)
{
        struct watchdog *w = CONTAINER_OF(t, struct watchdog, timer);
        mono_ms now = loop_now(w->loop), late = now - w->looked_at - look_ms(w);

        /* When we come late ourselves, the machine stood still (suspended, stopped, starved), not a worker. */
        for (unsigned i = 0; i < WATCHDOG_PLACES_MAX; i++) {
                mono_ms beat = atomic_load_explicit(&w->beats[i], memory_order_relaxed);

                if (beat == MONO_NEVER)
                        continue;
                if (late > look_ms(w)) {
                        mono_ms excused = MIN(now, beat + late);
                        atomic_compare_exchange_strong(&w->beats[i], &beat, excused);
                } else if (now - beat > w->limit_ms) {
                        watchdog_forget(w, i);
                        w->fn(w->context, i, now - beat);
                }
        }
        w->looked_at = now;
        timer_set(w->loop, t, now + look_ms(w));
}

enum err watchdog_init(struct watchdog *w, struct loop *l, watchdog_stuck_fn *fn, void *context)
{
        size_t bytes = WATCHDOG_PLACES_MAX * sizeof(*w->beats);
        void *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        *w = (struct watchdog){ .loop = l, .fn = fn, .context = context };
        timer_init(&w->timer, look);
        if (shared == MAP_FAILED)
                return ERR_NO_MEMORY;
        w->beats = shared;
        for (unsigned i = 0; i < WATCHDOG_PLACES_MAX; i++)
                watchdog_forget(w, i);
        return ERR_OK;
}

void watchdog_set(struct watchdog *w, int64_t limit_ms)
{
        w->limit_ms = limit_ms;
        w->looked_at = loop_now(w->loop);
        if (limit_ms)
                timer_set(w->loop, &w->timer, w->looked_at + look_ms(w));
        else
                timer_clear(&w->timer);
}

void watchdog_begin(struct watchdog *w, unsigned place)
{
        atomic_store(&w->beats[place], loop_now(w->loop));
}

void watchdog_forget(struct watchdog *w, unsigned place)
{
        atomic_store(&w->beats[place], MONO_NEVER);
}

static void on_beat(struct timer *t)
{
        struct heart *h = CONTAINER_OF(t, struct heart, timer);
        mono_ms now = loop_now(h->loop);

        if (atomic_load_explicit(h->beat, memory_order_relaxed) != MONO_NEVER)
                atomic_store_explicit(h->beat, now, memory_order_relaxed);
        timer_set(h->loop, t, now + BEAT_MS);
}

void heart_start(struct heart *h, struct loop *l, const struct watchdog *w, unsigned place)
{
        *h = (struct heart){ .loop = l, .beat = &w->beats[place] };
        timer_init(&h->timer, on_beat);
        timer_set(l, &h->timer, loop_now(l));
}
