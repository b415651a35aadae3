#include "agent/tell.h"

#include "proxy/standing.h"
#include "proxy/upstream.h"

enum {
        EVERY_MS = 1000,
        LINKS_MAX = 64,
        TARGETS_MAX = 500,
        MODELS_BYTES_MAX = 16 * 1024,
        BYTES_MAX = 256 * 1024
};

static struct str detail_of(struct arena *arena, const struct keeper_standing *s)
{
        const char *own = s->problem ? s->problem : s->as_websocket ? "as WebSocket" : "";

        if (!s->overlay_links)
                return str_of(own);
        return arena_format(arena, "%s%s%u over the overlay", own, own[0] ? ", " : "", s->overlay_links);
}

static void links_look(struct tell *t, const struct conf_agent *c, struct arena *arena, struct buf *text,
                       struct wire_report *r)
{
        struct keeper_standing found[LINKS_MAX];
        size_t count = MIN(agent_links_look(t->links, found, LINKS_MAX), (size_t)LINKS_MAX);
        struct wire_link_report *links = ARENA_ARRAY(arena, struct wire_link_report, LINKS_MAX);

        for (size_t i = 0; links && i < count; i++) {
                const struct keeper_standing *s = &found[i];
                struct str peer = s->id.len ? s->id : s->wanted;

                if (peer.len == 0)
                        continue;
                struct wire_link_report *l = &links[r->links_count++];
                *l = (struct wire_link_report){ .peer = arena_copy(arena, peer),
                                                .up = s->links,
                                                .wanted = MAX(s->workers, 1u) * (uint32_t)c->links,
                                                .detail = detail_of(arena, s) };
                buf_addf(text, "%.*s %u %u %.*s\n", STR_FMT(l->peer), l->up, l->wanted, STR_FMT(l->detail));
        }
        r->links = links;
}

/* It is up while one of its addresses may be asked. */
static bool is_up(const struct upstream *u, mono_ms now)
{
        for (size_t i = 0; i < u->targets_count; i++)
                if (standing_is_usable(u->targets[i].standing, now))
                        return true;
        return false;
}

static void health_look(struct tell *t, const struct conf *conf, struct arena *arena, struct buf *text,
                        struct wire_report *r)
{
        size_t count = MIN(conf->agent.services_count, (size_t)TARGETS_MAX);
        struct wire_health *health = ARENA_ARRAY(arena, struct wire_health, count + 1);
        mono_ms now = loop_now(t->worker->loop);

        for (size_t i = 0; health && i < count; i++) {
                const struct conf_agent_service *s = &conf->agent.services[i];
                bool up = is_up(t->worker->snap->upstreams[s->upstream - conf->upstreams], now);

                health[r->health_count++] =
                        (struct wire_health){ .target = arena_copy(arena, s->target),
                                              .is_up = up,
                                              .detail =
                                                      up ? STR("") : STR("it does not answer as it should") };
                buf_addf(text, "%.*s %d\n", STR_FMT(s->target), up);
        }
        r->health = health;
}

static void addresses_look(struct tell *t, struct arena *arena, struct buf *text, struct wire_report *r)
{
        size_t count;
        const struct ip *all = sender_addresses(t->sender, &count);
        struct str *texts = ARENA_ARRAY(arena, struct str, count + 1);

        for (size_t i = 0; texts && i < count && i < WIRE_REPORT_ENTRIES_MAX; i++) {
                char formatted[IP_TEXT_MAX];

                texts[r->addresses_count++] = arena_copy(arena, ip_format(all[i], formatted));
                buf_addf(text, "%s\n", formatted);
        }
        r->addresses = texts;
}

/* What stands here, for control's owner to publish; so many names that a report is not too large. */
static void models_look(struct tell *t, struct arena *arena, struct buf *text, struct wire_report *r)
{
        struct wire_models *models = ARENA_ARRAY(arena, struct wire_models, SERVER_PLACES_MAX);
        const struct server *s;
        size_t at = 0, bytes = 0;

        while (models && (s = servers_next(t->servers, &at))) {
                struct str *names = ARENA_ARRAY(arena, struct str, s->models_count + 1);
                struct wire_models *m = &models[r->models_count];

                if (!names || s->wants_key)
                        continue;
                *m = (struct wire_models){ .url = arena_format(arena, "http://localhost:%u", s->port),
                                           .names = names };
                buf_addf(text, "%.*s:", STR_FMT(m->url));
                for (size_t i = 0; i < s->models_count && bytes < MODELS_BYTES_MAX; i++) {
                        bytes += s->models[i].len;
                        names[m->names_count++] = arena_copy(arena, s->models[i]);
                        buf_addf(text, " %.*s", STR_FMT(s->models[i]));
                }
                buf_add_char(text, '\n');
                r->models_count++;
        }
        r->models = models;
}

static void offers_look(struct tell *t, struct arena *arena, struct buf *text, struct wire_report *r)
{
        size_t count = t->docker->offers_count;
        struct wire_offer *offers = ARENA_ARRAY(arena, struct wire_offer, count + 1);

        for (size_t i = 0; offers && i < count; i++) {
                const struct label_offer *o = &t->docker->offers[i];
                struct str *hosts = ARENA_ARRAY(arena, struct str, LABEL_HOSTS_MAX);

                if (!hosts)
                        return;
                offers[i] = (struct wire_offer){ .name = arena_copy(arena, o->name),
                                                 .url = arena_copy(arena, o->url),
                                                 .hosts = hosts,
                                                 .hosts_count = o->hosts_count,
                                                 .path = arena_copy(arena, o->path),
                                                 .access = arena_copy(arena, o->access) };
                buf_addf(text, "%.*s %.*s %.*s %.*s", STR_FMT(o->name), STR_FMT(o->url), STR_FMT(o->path),
                         STR_FMT(o->access));
                for (size_t j = 0; j < o->hosts_count; j++) {
                        hosts[j] = arena_copy(arena, o->hosts[j]);
                        buf_addf(text, " %.*s", STR_FMT(hosts[j]));
                }
                buf_add_char(text, '\n');
        }
        r->offers = offers;
        r->offers_count = offers ? count : 0;
}

static void on_time(struct timer *timer)
{
        struct tell *t = CONTAINER_OF(timer, struct tell, timer);
        const struct conf *conf = t->worker->snap->conf;
        struct wire_report report = { 0 };
        struct arena arena;
        struct buf text;

        timer_set(t->worker->loop, timer, loop_now(t->worker->loop) + EVERY_MS);
        arena_init(&arena, NULL, 0, BYTES_MAX);
        buf_init(&text, BYTES_MAX);
        links_look(t, &conf->agent, &arena, &text, &report);
        health_look(t, conf, &arena, &text, &report);
        addresses_look(t, &arena, &text, &report);
        models_look(t, &arena, &text, &report);
        offers_look(t, &arena, &text, &report);
        if (arena.full || str_eq(buf_str(&text), buf_str(&t->last))) {
                arena_fini(&arena);
                buf_fini(&text);
                return;
        }
        node_member_report(&t->joined->member, &report);
        arena_fini(&t->arena);
        buf_fini(&t->last);
        t->arena = arena;
        t->last = text;
}

void tell_start(struct tell *t, struct joined *j, struct agent_links *links, const struct sender *sender,
                const struct servers *servers, const struct docker *docker, struct worker *w)
{
        t->sender = sender;
        t->joined = j;
        t->links = links;
        t->worker = w;
        t->servers = servers;
        t->docker = docker;
        arena_init(&t->arena, NULL, 0, BYTES_MAX);
        buf_init(&t->last, BYTES_MAX);
        timer_init(&t->timer, on_time);
        timer_set(w->loop, &t->timer, loop_now(w->loop) + EVERY_MS);
}

void tell_now(struct tell *t)
{
        timer_set(t->worker->loop, &t->timer, loop_now(t->worker->loop));
}

void tell_stop(struct tell *t)
{
        timer_clear(&t->timer);
}
