#include "dispatch/dispatcher_priv.h"

#include <stdlib.h>
#include <string.h>

#include "dispatch/outward.h"
#include "proxy/links.h"
#include "proxy/up.h"

/*
 * Theory of operation. Whoever finds no address with room waits in one line. When a turn may have come (a request ended, an agent came) the
 * line is looked through from its front once, in a task: those who can go, go; the others keep their places. Who comes new looks for an
 * address when those who wait have.
 */

enum { CONNECT_MS = 3000, CALLERS_MAX = 4096 };

static bool takes_any(const struct dispatch_ask *ask)
{
        return ask->source.family == 0 && ask->family == 0 && ask->agent.len == 0 && ask->tag.len == 0;
}

/* Where `refused` found no address with room, `ask` finds none. */
static bool is_as_narrow(const struct dispatch_ask *refused, const struct dispatch_ask *ask)
{
        return takes_any(refused) || (ip_eq(refused->source, ask->source) && refused->family == ask->family &&
                                      str_eq(refused->agent, ask->agent) && str_eq(refused->tag, ask->tag));
}

void dispatcher_look(struct dispatcher *d)
{
        const struct dispatch_ask *refused = NULL; /* the last one, of those that had tried none before */

        list_for_each_safe(node, &d->waiting) {
                struct execution *e = CONTAINER_OF(node, struct execution, node);

                if (refused && is_as_narrow(refused, &e->order.ask))
                        continue;
                if (!execution_begin(e) && e->attempts == 0)
                        refused = &e->order.ask;
                if (refused && takes_any(refused)) /* then nobody behind it either */
                        break;
        }
        dispatcher_pace(d);
}

static void on_turn(struct task *t)
{
        dispatcher_look(CONTAINER_OF(t, struct dispatcher, turn));
}

static void on_pace(struct timer *t)
{
        dispatcher_turn(CONTAINER_OF(t, struct dispatcher, pace));
}

void dispatcher_pace(struct dispatcher *d)
{
        const struct units_rate *rate = &d->conf.agent_rate;

        if (rate->count && !list_is_empty(&d->waiting) && d->pace.due == MONO_NEVER)
                timer_set(d->w->loop, &d->pace,
                          loop_now(d->w->loop) + MAX(rate->period_ms / (int64_t)rate->count, (int64_t)1));
}

void dispatcher_turn(struct dispatcher *d)
{
        if (!list_is_empty(&d->waiting))
                loop_post(d->w->loop, &d->turn);
}

/* ---- agents ---- */

/* Nobody's any more: a call that has begun a moment ago has not chosen its target yet, but its address is in flight. */
static bool is_left(const struct dispatcher *d, const struct agent_way *way)
{
        const struct target *t = &way->target;

        return t->requests_active == 0 && t->connections == 0 && list_is_empty(&t->dials) &&
               list_is_empty(&t->shared) && !sources_find(d->sources, t->agent);
}

static void way_forget(struct dispatcher *d, struct agent_way *way)
{
        map_remove(&d->ways, way->target.agent);
        free(way);
}

/* An agent that was removed in the middle of a request left its way behind: one of these goes for each that comes. */
static void way_forget_left(struct dispatcher *d)
{
        const struct map_entry *entry;

        for (size_t at = 0; (entry = map_next(&d->ways, &at));) {
                struct agent_way *way = entry->value;

                if (is_left(d, way)) {
                        way_forget(d, way);
                        return;
                }
        }
}

static struct agent_way *way_make(struct dispatcher *d, struct str agent)
{
        struct agent_way *way = agent.len < sizeof(way->id) ? calloc(1, sizeof(*way)) : NULL;

        if (!way)
                return NULL;
        memcpy(way->id, agent.ptr, agent.len);
        way->id_len = agent.len;
        way->upstream = (struct upstream){ .name = STR("dispatch"),
                                           .targets = &way->target,
                                           .targets_count = 1,
                                           .protocol = PROTOCOL_H2,
                                           .may_speak_h2 = true,
                                           .waits = { CONNECT_MS, DISPATCH_TIMEOUT_MAX_MS,
                                                      DISPATCH_TIMEOUT_MAX_MS, DISPATCH_TIMEOUT_MAX_MS },
                                           .tries_max = 1,
                                           .measure = d->upstream_measure };
        waitline_init(&way->upstream.line, 0, 0);
        way->target = (struct target){ .upstream = &way->upstream,
                                       .url = STR("dispatch"),
                                       .agent = { way->id, way->id_len },
                                       .agent_target = OUTWARD_TARGET,
                                       .seat = { .weight = 1 },
                                       .measure = d->target_measure };
        up_target_init(&way->target);
        if (map_add(&d->ways, way->target.agent, way) == ERR_OK)
                return way;
        free(way);
        return NULL;
}

struct upstream *dispatcher_way(struct dispatcher *d, struct str agent)
{
        struct agent_way *way = map_find(&d->ways, agent);

        if (!way) {
                way_forget_left(d);
                way = way_make(d, agent);
        }
        return way ? &way->upstream : NULL;
}

void dispatcher_told(struct dispatcher *d, struct str id, const struct ip *addresses, size_t count)
{
        unix_ms now = loop_wall(d->w->loop);
        enum err e;

        if (count == 0 && !sources_find(d->sources, id))
                return;
        if ((e = sources_tell(d->sources, id, addresses, count, now)) != ERR_OK)
                log_warning("dispatch_addresses_left_out", LOG_S("agent", id), LOG_N("told", count),
                            LOG_E(e));
        sources_link(d->sources, id, links_has(d->w->links, id), now);
        dispatcher_turn(d);
}

void dispatcher_named(struct dispatcher *d, struct str id, struct str name, struct str tags)
{
        if (sources_name(d->sources, id, name, tags) != ERR_OK)
                log_warning("dispatch_agent_not_named", LOG_S("agent", id));
}

void dispatcher_removed(struct dispatcher *d, struct str id)
{
        struct agent_way *way = map_find(&d->ways, id);

        sources_remove(d->sources, id); /* `id` may be its own */
        if (way && is_left(d, way))
                way_forget(d, way);
        dispatcher_turn(d);
}

void dispatcher_linked(struct dispatcher *d, struct str id, bool is_linked)
{
        sources_link(d->sources, id, is_linked, loop_wall(d->w->loop));
        dispatcher_turn(d);
}

/* ---- the whole ---- */

struct sources *dispatcher_sources(struct dispatcher *d)
{
        return d->sources;
}

size_t dispatcher_waiting(const struct dispatcher *d)
{
        return d->waiting_count;
}

struct dispatcher *dispatcher_new(struct worker *w, const struct dispatcher_conf *conf)
{
        struct dispatcher *d = calloc(1, sizeof(*d));

        if (!d || !(d->sources = sources_new(w->shared->hash_key, conf->agent_requests, conf->agent_rate)) ||
            !(d->callers = tally_new(1, CALLERS_MAX))) {
                if (d)
                        sources_free(d->sources);
                free(d);
                return NULL;
        }
        d->w = w;
        d->conf = *conf;
        timer_init(&d->pace, on_pace);
        list_init(&d->waiting);
        task_init(&d->turn, on_turn);
        map_init(&d->ways, w->shared->hash_key, SOURCES_AGENTS_MAX);
        measure_target_init(w->shared->metrics, &d->target_measure, STR("dispatch"), STR("dispatch"));
        measure_upstream_init(w->shared->metrics, &d->upstream_measure, STR("dispatch"));
        return d;
}

void dispatcher_free(struct dispatcher *d)
{
        const struct map_entry *entry;

        if (!d)
                return;
        loop_unpost(&d->turn);
        timer_clear(&d->pace);
        tally_free(d->callers);
        for (size_t at = 0; (entry = map_next(&d->ways, &at));)
                free(entry->value);
        map_fini(&d->ways);
        sources_free(d->sources);
        free(d);
}
