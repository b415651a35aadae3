#include "dispatch/sources.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct sources {
        struct map by_id;
        struct list agents;
        struct list turns; /* of source.turn */
        size_t agents_count, addresses_count;
        uint32_t in_flight_max;
        struct units_rate rate;
};

struct sources *sources_new(struct hash_key hash_key, uint32_t in_flight_max, struct units_rate rate)
{
        struct sources *s = calloc(1, sizeof(*s));

        if (!s)
                return NULL;
        map_init(&s->by_id, hash_key, SOURCES_AGENTS_MAX);
        list_init(&s->agents);
        list_init(&s->turns);
        s->in_flight_max = in_flight_max;
        s->rate = rate;
        return s;
}

/* ---- whose turn ---- */

bool sources_is_available(const struct source *a)
{
        return a->is_told && a->agent->is_linked && !a->agent->is_leaving;
}

/* Those who come (back) wait behind all others. */
static void turn_update(struct sources *s, struct source *a)
{
        bool is_waiting = !list_is_empty(&a->turn);

        if (sources_is_available(a) == is_waiting)
                return;
        list_remove(&a->turn);
        list_remove(&a->agent_turn);
        if (is_waiting)
                return;
        list_add_last(&s->turns, &a->turn);
        list_add_last(&a->agent->turns, &a->agent_turn);
}

/* ---- agents and addresses ---- */

struct source_agent *sources_agent_of(struct list *node)
{
        return CONTAINER_OF(node, struct source_agent, node);
}

struct source *sources_of(struct list *node)
{
        return CONTAINER_OF(node, struct source, of_agent);
}

const struct list *sources_agents(const struct sources *s)
{
        return &s->agents;
}

struct source_agent *sources_find(const struct sources *s, struct str text)
{
        struct source_agent *a = map_find(&s->by_id, text);

        if (a)
                return a;
        list_for_each(node, &s->agents) {
                a = sources_agent_of(node);
                if (a->name.len && str_eq(a->name, text))
                        return a;
        }
        return NULL;
}

static enum err text_keep(struct str *to, struct str text)
{
        if (str_eq(*to, text))
                return ERR_OK;
        char *copy = malloc(text.len + 1);
        if (!copy)
                return ERR_NO_MEMORY;
        if (text.len)
                memcpy(copy, text.ptr, text.len);
        free((char *)(uintptr_t)to->ptr);
        to->ptr = copy;
        to->len = text.len;
        return ERR_OK;
}

static void agent_free(struct source_agent *a)
{
        list_for_each_safe(node, &a->addresses) {
                struct source *source = sources_of(node);

                list_remove(&source->turn);
                list_remove(&source->agent_turn);
                free(source);
        }
        list_remove(&a->node);
        free((char *)(uintptr_t)a->id.ptr);
        free((char *)(uintptr_t)a->name.ptr);
        free((char *)(uintptr_t)a->tags.ptr);
        free(a);
}

static enum err agent_get(struct sources *s, struct str id, struct source_agent **out)
{
        struct source_agent *a = map_find(&s->by_id, id);
        enum err e;

        *out = a;
        if (a)
                return ERR_OK;
        if (s->agents_count >= SOURCES_AGENTS_MAX)
                return ERR_TOO_LARGE;
        if (!(a = calloc(1, sizeof(*a))))
                return ERR_NO_MEMORY;
        list_init(&a->addresses);
        list_init(&a->turns);
        list_init(&a->node);
        a->in_flight_max = s->in_flight_max;
        if ((e = text_keep(&a->id, id)) != ERR_OK || (e = map_add(&s->by_id, a->id, a)) != ERR_OK) {
                agent_free(a);
                return e;
        }
        list_add_last(&s->agents, &a->node);
        s->agents_count++;
        *out = a;
        return ERR_OK;
}

static struct source *source_find(const struct source_agent *a, struct ip ip)
{
        list_for_each(node, &a->addresses)
                if (ip_eq(sources_of(node)->ip, ip))
                        return sources_of(node);
        return NULL;
}

static bool is_full(const struct sources *s, const struct source_agent *a)
{
        return a->addresses_count >= SOURCES_OF_AGENT_MAX || s->addresses_count >= SOURCES_ADDRESSES_MAX;
}

static enum err source_get(struct sources *s, struct source_agent *a, struct ip ip, struct source **out)
{
        if ((*out = source_find(a, ip)))
                return ERR_OK;
        if (is_full(s, a))
                return ERR_TOO_LARGE;
        if (!(*out = calloc(1, sizeof(**out))))
                return ERR_NO_MEMORY;
        **out = (struct source){ .agent = a, .ip = ip };
        list_init(&(*out)->turn);
        list_init(&(*out)->agent_turn);
        list_add_last(&a->addresses, &(*out)->of_agent);
        a->addresses_count++;
        s->addresses_count++;
        return ERR_OK;
}

static void source_forget(struct sources *s, struct source *a)
{
        list_remove(&a->turn);
        list_remove(&a->agent_turn);
        list_remove(&a->of_agent);
        a->agent->addresses_count--;
        s->addresses_count--;
        free(a);
}

/* A prefix of IPv6 that changes each day brings new addresses each day: room for them is where the oldest were. */
static void room_make(struct sources *s, struct source_agent *a)
{
        struct source *oldest = NULL;

        list_for_each(node, &a->addresses) {
                struct source *source = sources_of(node);

                if (!source->is_told && source->in_flight == 0 && (!oldest || source->used < oldest->used))
                        oldest = source;
        }
        if (oldest)
                source_forget(s, oldest);
}

static bool is_among(struct ip ip, const struct ip *all, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (ip_eq(all[i], ip))
                        return true;
        return false;
}

enum err sources_tell(struct sources *s, struct str id, const struct ip *addresses, size_t count, unix_ms now)
{
        struct source_agent *a;
        enum err e = agent_get(s, id, &a);

        if (e != ERR_OK)
                return e;
        a->seen = now;
        list_for_each_safe(node, &a->addresses) {
                struct source *source = sources_of(node);

                source->is_told = is_among(source->ip, addresses, count);
                turn_update(s, source);
                if (!source->is_told && source->requests == 0) /* that says nothing to anybody */
                        source_forget(s, source);
        }
        for (size_t i = 0; e == ERR_OK && i < count; i++) {
                struct source *source;

                if (is_full(s, a) && !source_find(a, addresses[i]))
                        room_make(s, a);
                if ((e = source_get(s, a, addresses[i], &source)) != ERR_OK)
                        break;
                source->is_told = true;
                turn_update(s, source);
        }
        return e;
}

enum err sources_name(struct sources *s, struct str id, struct str name, struct str tags)
{
        struct source_agent *a = map_find(&s->by_id, id);
        enum err e;

        if (!a)
                return ERR_OK;
        return (e = text_keep(&a->name, name)) == ERR_OK ? text_keep(&a->tags, tags) : e;
}

void sources_link(struct sources *s, struct str id, bool is_linked, unix_ms now)
{
        struct source_agent *a = map_find(&s->by_id, id);

        if (!a || a->is_linked == is_linked)
                return;
        a->is_linked = is_linked;
        a->seen = now;
        list_for_each(node, &a->addresses)
                turn_update(s, sources_of(node));
}

static void agent_forget(struct sources *s, struct source_agent *a)
{
        map_remove(&s->by_id, a->id);
        s->agents_count--;
        s->addresses_count -= a->addresses_count;
        agent_free(a);
}

void sources_remove(struct sources *s, struct str id)
{
        struct source_agent *a = map_find(&s->by_id, id);

        if (!a)
                return;
        a->is_leaving = true;
        list_for_each(node, &a->addresses)
                turn_update(s, sources_of(node));
        if (a->in_flight == 0)
                agent_forget(s, a);
}

void sources_free(struct sources *s)
{
        if (!s)
                return;
        list_for_each_safe(node, &s->agents)
                agent_free(sources_agent_of(node));
        map_fini(&s->by_id);
        free(s);
}

/* ---- taking turns ---- */

static bool has_tag(const struct source_agent *a, struct str tag)
{
        struct str rest = a->tags, one;

        while (a->tags.len && str_split(&rest, ',', &one))
                if (str_eq(one, tag))
                        return true;
        return false;
}

static bool fits(const struct source *a, const struct sources_want *want)
{
        return (want->family == 0 || want->family == a->ip.family) &&
               (want->source.family == 0 || ip_eq(want->source, a->ip)) &&
               (want->tag.len == 0 || has_tag(a->agent, want->tag));
}

/* ---- an agent's rate: GCRA (ITU-T I.371), all of a period's count at once at most ---- */

static int64_t interval_us(const struct sources *s)
{
        return MAX(s->rate.period_ms * 1000 / (int64_t)s->rate.count, (int64_t)1);
}

static bool is_in_pace(const struct sources *s, const struct source_agent *a, mono_ms at)
{
        return s->rate.count == 0 || a->paced_us - interval_us(s) * ((int64_t)s->rate.count - 1) <= at * 1000;
}

static void pace_count(const struct sources *s, struct source_agent *a, mono_ms at)
{
        if (s->rate.count)
                a->paced_us = MAX(a->paced_us, at * 1000) + interval_us(s);
}

static bool was_tried(const struct source *a, const struct sources_want *want)
{
        for (size_t i = 0; i < want->tried_count; i++)
                if (want->tried[i] == a)
                        return true;
        return false;
}

/* True: `a` it is. Else *answer learns what was in the way. */
static bool consider(const struct sources *s, const struct source *a, const struct sources_want *want,
                     mono_ms at, enum sources_answer *answer)
{
        if (!fits(a, want) || was_tried(a, want))
                return false;
        if (a->agent->in_flight < a->agent->in_flight_max && is_in_pace(s, a->agent, at))
                return true;
        *answer = SOURCES_BUSY;
        return false;
}

static bool agent_has(const struct source_agent *a, const struct sources_want *want)
{
        list_for_each(node, &a->addresses)
                if (fits(sources_of(node), want))
                        return true;
        return false;
}

static bool is_known(const struct sources *s, const struct sources_want *want,
                     const struct source_agent *only)
{
        if (want->agent.len && want->tag.len == 0)
                return only->addresses_count == 0 || agent_has(only, want); /* it has none for now */
        if (want->agent.len)
                return agent_has(only, want);
        list_for_each(node, &s->agents)
                if (agent_has(sources_agent_of(node), want))
                        return true;
        return false;
}

enum sources_answer sources_take(struct sources *s, const struct sources_want *want, mono_ms at, unix_ms now,
                                 struct source **out)
{
        enum sources_answer answer = SOURCES_AWAY;
        struct source_agent *only = want->agent.len ? sources_find(s, want->agent) : NULL;
        struct source *found = NULL;

        *out = NULL;
        if (want->agent.len && !only)
                return SOURCES_UNKNOWN;
        list_for_each(node, only ? &only->turns : &s->turns) {
                struct source *a = only ? CONTAINER_OF(node, struct source, agent_turn)
                                        : CONTAINER_OF(node, struct source, turn);

                if (consider(s, a, want, at, &answer)) {
                        found = a;
                        break;
                }
        }
        if (!found)
                return answer == SOURCES_AWAY && !is_known(s, want, only) ? SOURCES_UNKNOWN : answer;
        *out = found;
        list_remove(&found->turn);
        list_add_last(&s->turns, &found->turn);
        list_remove(&found->agent_turn);
        list_add_last(&found->agent->turns, &found->agent_turn);
        found->requests++;
        found->used = now;
        found->agent->requests++;
        found->agent->in_flight++;
        found->in_flight++;
        pace_count(s, found->agent, at);
        return SOURCES_FOUND;
}

void sources_put(struct sources *s, struct source *taken, bool has_failed)
{
        struct source_agent *a = taken->agent;

        assert(a->in_flight > 0 && taken->in_flight > 0);
        a->in_flight--;
        taken->in_flight--;
        taken->failures += has_failed;
        a->failures += has_failed;
        if (a->is_leaving && a->in_flight == 0)
                agent_forget(s, a);
}

/* ---- looking ---- */

struct sources_counts sources_count(const struct sources *s)
{
        struct sources_counts c = { .agents = s->agents_count };

        list_for_each(node, &s->agents) {
                const struct source_agent *a = sources_agent_of(node);

                c.linked += a->is_linked;
                c.requests += a->requests;
                c.failures += a->failures;
                c.in_flight += a->in_flight;
                list_for_each(inner, &a->addresses) {
                        c.addresses += sources_of(inner)->is_told;
                        c.available += sources_is_available(sources_of(inner));
                }
        }
        return c;
}

enum err sources_restore(struct sources *s, struct str id, struct ip ip, uint64_t requests, uint64_t failures,
                         unix_ms used)
{
        struct source_agent *a;
        struct source *source;
        enum err e = agent_get(s, id, &a);

        if (e != ERR_OK || (e = source_get(s, a, ip, &source)) != ERR_OK)
                return e;
        source->requests += requests;
        source->failures += failures;
        source->used = MAX(source->used, used);
        a->requests += requests;
        a->failures += failures;
        return ERR_OK;
}
