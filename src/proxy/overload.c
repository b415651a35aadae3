#include "proxy/overload.h"

#include "io/memory.h"
#include "proxy/down.h"
#include "proxy/up.h"
#include "proxy/worker.h"

enum {
        LOOK_MS = 250,
        LOOK_MS_SHORT = 50,
        HYSTERESIS_PERCENT = 5,
        DESCRIPTORS_OWN = 48,
        SHED_PART = 8,
        SHED_LEAST = 16
};

static const unsigned begins_at[OVERLOAD_LEVELS] = { 0, 80, 90 }; /* percent */
static const char *const names[OVERLOAD_LEVELS] = { "easy", "shedding", "closed" };

const char *overload_level_name(enum overload_level level)
{
        return names[level];
}

enum overload_level overload_next(enum overload_level level, uint64_t used, uint64_t max)
{
        enum overload_level next = OVERLOAD_EASY;
        uint64_t percent = max ? MIN(used, max) * 100 / max : 0;

        for (int i = OVERLOAD_SHEDDING; i < OVERLOAD_LEVELS; i++) {
                unsigned from = begins_at[i] - ((int)level >= i ? HYSTERESIS_PERCENT : 0);

                if (percent >= from)
                        next = (enum overload_level)i;
        }
        return next;
}

static uint64_t descriptors_in_use(const struct worker *w)
{
        return pool_taken_count(w->downs) + w->prefaces_count + pool_taken_count(w->ups) +
               pool_taken_count(w->dials) + pool_taken_count(w->h2s) + DESCRIPTORS_OWN;
}

/* Connections without a request, an eighth of all a look, oldest first. */
static void connections_shed(struct worker *w)
{
        size_t count = pool_taken_count(w->downs) / SHED_PART + SHED_LEAST;

        list_for_each_safe(node, &w->down_list) {
                if (count == 0)
                        return;
                if (!down_shed(node))
                        continue;
                measure_refused(w, "shed");
                count--;
        }
}

static void idle_upstreams_close(struct worker *w)
{
        for (size_t i = 0; i < w->snap->upstreams_count; i++)
                for (size_t j = 0; j < w->snap->upstreams[i]->targets_count; j++)
                        up_close_idle(&w->snap->upstreams[i]->targets[j]);
}

static void level_changed(struct worker *w, enum overload_level before, enum overload_level level)
{
        log_warning("overload", LOG_S("level", str_of(names[level])),
                    LOG_S("memory", str_of(names[w->overload.memory])),
                    LOG_S("descriptors", str_of(names[w->overload.descriptors])), LOG_N("worker", w->index));
        measure_overload(w, level);
        if (w->on_closed_doors && (level == OVERLOAD_CLOSED) != (before == OVERLOAD_CLOSED))
                w->on_closed_doors(w, level == OVERLOAD_CLOSED);
}

static enum overload_level level_of(const struct overload *o)
{
        return MAX(o->memory, o->descriptors);
}

void overload_look(struct worker *w, bool fully)
{
        struct overload *o = &w->overload;
        const struct proxy_limits *l = &w->snap->limits;
        enum overload_level before = level_of(o);

        if (fully)
                o->memory = overload_next(o->memory, l->memory_bytes_max ? memory_allocated_bytes() : 0,
                                          l->memory_bytes_max);
        o->descriptors = overload_next(o->descriptors, descriptors_in_use(w), l->descriptors_max);
        if (level_of(o) == before)
                return;
        level_changed(w, before, level_of(o));
        timer_set(w->loop, &o->timer, loop_now(w->loop)); /* act on it */
}

bool overload_is_closed(const struct worker *w)
{
        return level_of(&w->overload) == OVERLOAD_CLOSED;
}

static void on_look(struct timer *t)
{
        struct overload *o = CONTAINER_OF(t, struct overload, timer);
        struct worker *w = CONTAINER_OF(o, struct worker, overload);
        bool is_easy;

        worker_pools_trim(w);
        overload_look(w, true);
        is_easy = level_of(o) == OVERLOAD_EASY;
        if (!is_easy) {
                idle_upstreams_close(w);
                connections_shed(w);
        }
        timer_set(w->loop, t, loop_now(w->loop) + (is_easy ? LOOK_MS : LOOK_MS_SHORT));
}

void overload_start(struct worker *w)
{
        timer_init(&w->overload.timer, on_look);
        timer_set(w->loop, &w->overload.timer, loop_now(w->loop) + LOOK_MS);
}

void overload_stop(struct worker *w)
{
        if (w->overload.timer.fn)
                timer_clear(&w->overload.timer);
}
