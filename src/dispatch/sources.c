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
};

struct sources *sources_new(struct hash_key hash_key, uint32_t in_flight_max)
{
        struct sources *s = calloc(1, sizeof(*s));

        if (!s)
                return NULL;
        map_init(&s->by_id, hash_key, SOURCES_AGENTS_MAX);
        list_init(&s->agents);
        list_init(&s->turns);
        s->in_flight_max = in_flight_max;
        return s;
}

/* ---- whose turn ---- */

bool sources_is_available(const struct source *a)
{
        return a->is_told && a->agent->is_linked;
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
        *to = (struct str){ copy, text.len };
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
        free(a);
}

static enum err agent_get(struct sources *s, struct str id, struct str name, struct source_agent **out)
{
        struct source_agent *a = map_find(&s->by_id, id);
        enum err e;

        *out = a;
        if (a)
                return text_keep(&a->name, name);
        if (s->agents_count >= SOURCES_AGENTS_MAX)
                return ERR_TOO_LARGE;
        if (!(a = calloc(1, sizeof(*a))))
                return ERR_NO_MEMORY;
        list_init(&a->addresses);
        list_init(&a->turns);
        list_init(&a->node);
        a->in_flight_max = s->in_flight_max;
        if ((e = text_keep(&a->id, id)) != ERR_OK || (e = text_keep(&a->name, name)) != ERR_OK ||
            (e = map_add(&s->by_id, a->id, a)) != ERR_OK) {
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

static enum err source_get(struct sources *s, struct source_agent *a, struct ip ip, struct source **out)
{
        if ((*out = source_find(a, ip)))
                return ERR_OK;
        if (a->addresses_count >= SOURCES_OF_AGENT_MAX || s->addresses_count >= SOURCES_ADDRESSES_MAX)
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

/* One that is not told any more and was never used says nothing to anybody. */
static void source_forget(struct sources *s, struct source *a)
{
        list_remove(&a->turn);
        list_remove(&a->agent_turn);
        list_remove(&a->of_agent);
        a->agent->addresses_count--;
        s->addresses_count--;
        free(a);
}

static bool is_among(struct ip ip, const struct ip *all, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (ip_eq(all[i], ip))
                        return true;
        return false;
}

enum err sources_tell(struct sources *s, struct str id, struct str name, const struct ip *addresses,
                      size_t count, unix_ms now)
{
        struct source_agent *a;
        enum err e = agent_get(s, id, name, &a);

        if (e != ERR_OK)
                return e;
        a->seen = now;
        list_for_each_safe(node, &a->addresses) {
                struct source *source = sources_of(node);

                if (is_among(source->ip, addresses, count))
                        continue;
                source->is_told = false;
                turn_update(s, source);
                if (source->requests == 0)
                        source_forget(s, source);
        }
        for (size_t i = 0; e == ERR_OK && i < count; i++) {
                struct source *source;

                if ((e = source_get(s, a, addresses[i], &source)) != ERR_OK)
                        break;
                source->is_told = true;
                turn_update(s, source);
        }
        return e;
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

void sources_remove(struct sources *s, struct str id)
{
        struct source_agent *a = map_find(&s->by_id, id);

        if (!a)
                return;
        assert(a->in_flight == 0);
        map_remove(&s->by_id, a->id);
        s->agents_count--;
        s->addresses_count -= a->addresses_count;
        agent_free(a);
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

static bool fits(const struct source *a, const struct sources_want *want)
{
        return (want->family == 0 || want->family == a->ip.family) &&
               (want->source.family == 0 || ip_eq(want->source, a->ip));
}

static bool was_tried(const struct source *a, const struct sources_want *want)
{
        for (size_t i = 0; i < want->tried_count; i++)
                if (want->tried[i] == a)
                        return true;
        return false;
}

/* True: `a` it is. Else *answer learns what was in the way. */
static bool consider(const struct source *a, const struct sources_want *want, enum sources_answer *answer)
{
        if (!fits(a, want) || was_tried(a, want))
                return false;
        if (a->agent->in_flight < a->agent->in_flight_max)
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
        if (want->agent.len)
                return only &&
                       (only->addresses_count == 0 || agent_has(only, want)); /* it has none for now */
        list_for_each(node, &s->agents)
                if (agent_has(sources_agent_of(node), want))
                        return true;
        return false;
}

enum sources_answer sources_take(struct sources *s, const struct sources_want *want, unix_ms now,
                                 struct source **out)
{
        enum sources_answer answer = SOURCES_AWAY;
        struct source_agent *only = want->agent.len ? sources_find(s, want->agent) : NULL;
        struct source *found = NULL;

        if (want->agent.len && !only)
                return SOURCES_UNKNOWN;
        list_for_each(node, only ? &only->turns : &s->turns) {
                struct source *a = only ? CONTAINER_OF(node, struct source, agent_turn)
                                        : CONTAINER_OF(node, struct source, turn);

                if (consider(a, want, &answer)) {
                        found = a;
                        break;
                }
        }
        *out = found;
        if (!found)
                return answer == SOURCES_AWAY && !is_known(s, want, only) ? SOURCES_UNKNOWN : answer;
        list_remove(&found->turn);
        list_add_last(&s->turns, &found->turn);
        list_remove(&found->agent_turn);
        list_add_last(&found->agent->turns, &found->agent_turn);
        found->requests++;
        found->used = now;
        found->agent->requests++;
        found->agent->in_flight++;
        return SOURCES_FOUND;
}

void sources_put(struct sources *s, struct source *taken, bool has_failed)
{
        assert(taken->agent->in_flight > 0);
        taken->agent->in_flight--;
        taken->failures += has_failed;
        taken->agent->failures += has_failed;
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

enum err sources_restore(struct sources *s, struct str id, struct str name, struct ip ip, uint64_t requests,
                         uint64_t failures, unix_ms used)
{
        struct source_agent *a;
        struct source *source;
        enum err e = agent_get(s, id, name, &a);

        if (e != ERR_OK || (e = source_get(s, a, ip, &source)) != ERR_OK)
                return e;
        source->requests += requests;
        source->failures += failures;
        source->used = MAX(source->used, used);
        a->requests += requests;
        a->failures += failures;
        return ERR_OK;
}
