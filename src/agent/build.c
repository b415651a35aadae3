#include "agent/build.h"

#include <stdlib.h>

#include "assembly/limits.h"
#include "assembly/upstream.h"
#include "dispatch/outward.h"
#include "proxy/link_in.h"

enum { SNAPSHOT_BYTES_MAX = 256 << 20 };

static void snapshot_free(struct snapshot *s)
{
        assembly_upstreams_put(s);
        map_fini(&s->link_in.targets);
        conf_free((struct conf *)s->conf);
        arena_fini(&s->arena);
        free(s);
}

static enum err upstreams_build(const struct agent_build *in, struct report *r, struct snapshot *s)
{
        const struct assembly a = { s, in->shared, r };
        struct upstream *array = ARENA_ARRAY(&s->arena, struct upstream, in->conf->upstreams_count + 1);

        s->upstreams = ARENA_ARRAY(&s->arena, struct upstream *, in->conf->upstreams_count + 1);
        if (!array || !s->upstreams)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < in->conf->upstreams_count; i++) {
                enum err e = assembly_upstream(&a, &in->conf->upstreams[i], &array[i]);
                if (e != ERR_OK)
                        return e;
        }
        return ERR_OK;
}

static struct route *route_build(struct snapshot *s, struct shared *shared, struct str name,
                                 const struct handler *handler, struct upstream *u)
{
        struct route *route = ARENA_NEW(&s->arena, struct route);

        if (!route)
                return NULL;
        *route = (struct route){ .name = name,
                                 .handler = handler,
                                 .upstream = u,
                                 .access = { .is_public = true },
                                 .body_bytes_max = 0,
                                 .replay_bytes_max = s->limits.replay_bytes,
                                 .is_quiet = u == NULL,
                                 .key = hash_str(shared->hash_key, name) };
        measure_route_init(shared->metrics, &route->measure, name, u ? u->name : STR(""));
        return route;
}

static enum err services_build(const struct agent_build *in, struct snapshot *s)
{
        const struct conf_agent *a = &in->conf->agent;

        map_init(&s->link_in.targets, in->shared->hash_key, a->services_count + 2);
        s->link_in.announce = route_build(s, in->shared, STR("link"), in->announce, NULL);
        if (!s->link_in.announce)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < a->services_count; i++) {
                struct upstream *u = s->upstreams[a->services[i].upstream - in->conf->upstreams];
                struct route *route = route_build(s, in->shared, a->services[i].target, &link_in_handler, u);

                if (!route || map_add(&s->link_in.targets, route->name, route) != ERR_OK)
                        return ERR_NO_MEMORY;
        }
        return ERR_OK;
}

/* Requests sent out for callers, where the agent's owner allows any. */
static enum err outward_build(const struct agent_build *in, struct snapshot *s)
{
        const struct conf_dispatch *c = &in->conf->agent.dispatch;
        struct outward_conf *conf = ARENA_NEW(&s->arena, struct outward_conf);
        struct route *route;

        if (c->allow_count == 0)
                return ERR_OK;
        if (!conf || !(route = route_build(s, in->shared, OUTWARD_TARGET, &outward_handler, NULL)))
                return ERR_NO_MEMORY;
        *conf = (struct outward_conf){ { c->allow, c->allow_count }, in->ways };
        route->handler_conf = conf;
        route->is_quiet = false;
        route->is_outward = true;
        return map_add(&s->link_in.targets, route->name, route);
}

enum err agent_build_snapshot(const struct agent_build *in, struct report *r, struct snapshot **out)
{
        struct snapshot *s = calloc(1, sizeof(*s));
        enum err e;

        *out = NULL;
        if (!s)
                return ERR_NO_MEMORY;
        arena_init(&s->arena, NULL, 0, SNAPSHOT_BYTES_MAX);
        s->uses = 1;
        s->number = in->number;
        s->version = in->conf->version;
        s->on_free = snapshot_free;
        assembly_limits(&in->conf->gateway, s);
        if ((e = upstreams_build(in, r, s)) == ERR_OK)
                e = services_build(in, s);
        if (e == ERR_OK)
                e = outward_build(in, s);
        if (e == ERR_OK && s->arena.full)
                e = ERR_NO_MEMORY;
        if (e != ERR_OK) {
                snapshot_free(s); /* conf is not in it yet */
                return e;
        }
        s->conf = in->conf;
        *out = s;
        return ERR_OK;
}
