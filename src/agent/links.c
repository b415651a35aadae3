#include "agent/links.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"
#include "io/tls.h"
#include "proxy/down.h"
#include "proxy/reply.h"
#include "proxy/route.h"

enum {
        STANDINGS_MAX = 256,
        WATCH_MS = 1000,
        SILENT_MS = 15 * 1000 /* a gateway asks an idle link every ten seconds */,
        GATEWAYS_BYTES_MAX = 8 << 20
};

struct agent_links {
        struct worker *w;
        struct keeper *keeper;
        struct list all;       /* open_link.node */
        unsigned links_wanted; /* to each worker */
        struct timer timer;
};

struct open_link {
        struct down_link down;
        struct keeper_link *kept;
        struct agent_links *links;
        struct list node;
};

static struct open_link *of(struct down_link *l)
{
        return CONTAINER_OF(l, struct open_link, down);
}

static void on_closed(struct down_link *l)
{
        struct open_link *o = of(l);

        log_info("link_closed", LOG_S("gateway", node_id(keeper_link_gateway(o->kept))));
        list_remove(&o->node);
        keeper_ended(o->kept);
        free(o);
}

static bool on_link(struct keeper *k, struct keeper_link *kept, struct stream *s)
{
        struct agent_links *a = keeper_context(k);
        struct open_link *o = calloc(1, sizeof(*o));

        if (!o)
                return false;
        *o = (struct open_link){ .down = { .on_closed = on_closed }, .kept = kept, .links = a };
        if (down_adopt(a->w, s, &o->down) != ERR_OK) {
                free(o);
                return false;
        }
        list_add_last(&a->all, &o->node);
        log_info("link_open", LOG_S("gateway", node_id(keeper_link_gateway(kept))),
                 LOG_C("way", keeper_way_text(keeper_link_way(kept))));
        return true;
}

static void on_unwanted(struct keeper *k, struct keeper_link *kept)
{
        struct agent_links *a = keeper_context(k);

        list_for_each_safe(node, &a->all) {
                struct open_link *o = CONTAINER_OF(node, struct open_link, node);

                if (o->kept == kept)
                        down_drain(&o->down.conn->node);
        }
}

static const struct keeper_events keeper_events = { on_link, on_unwanted };

/* ---- the gateway's word ---- */

/* "3/8" */
static bool number_parse(struct str text, unsigned *worker, unsigned *workers)
{
        struct str first;
        uint64_t i, n;

        if (!str_split(&text, '/', &first) || units_parse_u64(first, 1 << 16, &i) != ERR_OK ||
            units_parse_u64(text, 1 << 16, &n) != ERR_OK || i >= n)
                return false;
        *worker = (unsigned)i;
        *workers = (unsigned)n;
        return true;
}

static enum step_result announce_pick(struct exchange *x)
{
        const struct http_field *number = http_find_name(&x->request, STR("sekisho-worker")),
                                *state = http_find_name(&x->request, STR("sekisho-state"));
        struct open_link *o = x->origin->link ? of(x->origin->link) : NULL;
        unsigned worker, workers;

        if (!o || !number || !number_parse(number->value, &worker, &workers))
                return exchange_refuse(x, 400, "link_fields",
                                       "sekisho-worker says which worker, of how many: \"0/4\".");
        keeper_told(o->kept, worker, workers, state && str_eq(state->value, STR("leaving")));
        reply_start(x, 204, NULL, 0, STR_NULL);
        return STEP_DONE;
}

const struct handler agent_announce_handler = { .name = "announce", .pick = announce_pick };

/* ---- all of them ---- */

static void on_watch(struct timer *t)
{
        struct agent_links *a = CONTAINER_OF(t, struct agent_links, timer);
        mono_ms now = loop_now(a->w->loop);

        timer_set(a->w->loop, &a->timer, now + WATCH_MS);
        list_for_each_safe(node, &a->all) {
                struct open_link *o = CONTAINER_OF(node, struct open_link, node);

                if (now - o->down.heard_at < SILENT_MS)
                        continue;
                log_warning("link_silent", LOG_S("gateway", node_id(keeper_link_gateway(o->kept))));
                o->down.heard_at = now;
                down_cut(o->down.conn);
        }
}

struct agent_links *agent_links_new(struct worker *w)
{
        struct agent_links *a = calloc(1, sizeof(*a));

        if (!a)
                return NULL;
        a->w = w;
        list_init(&a->all);
        timer_init(&a->timer, on_watch);
        if (!(a->keeper = keeper_new(w->loop, w->resolver, &keeper_events, a))) {
                free(a);
                return NULL;
        }
        timer_set(w->loop, &a->timer, loop_now(w->loop) + WATCH_MS);
        return a;
}

/* A gateway is known by its URI name: one of our own organisation, whatever else its certificate is good for. */
static enum err tls_make(struct tls_client_conf *conf, struct report *r, struct tls_context **out)
{
        char pattern[NODE_ORG_BYTES_MAX + 32];
        struct tls_context *own = NULL;
        struct node_name name;
        enum err e = tls_client_new(conf, r, &own);

        if (e != ERR_OK)
                return e;
        e = node_name_own(own, &name);
        tls_context_put(own);
        if (e != ERR_OK)
                return e;
        snprintf(pattern, sizeof(pattern), "sekisho://%.*s/gateway/*", STR_FMT(node_org(&name)));
        conf->uri_name = str_of(pattern);
        return tls_client_new(conf, r, out);
}

/* The keeper copies; what is borrowed here lives in the configuration and in `arena`. */
static struct keeper_gateway *gateways_make(struct arena *arena, const struct conf_agent *c)
{
        struct keeper_gateway *gateways = ARENA_ARRAY(arena, struct keeper_gateway, c->gateways_count + 1);

        for (size_t i = 0; gateways && i < c->gateways_count; i++) {
                const struct conf_agent_gateway *g = &c->gateways[i];
                struct keeper_address *at = ARENA_ARRAY(arena, struct keeper_address, g->addresses_count);

                if (!at)
                        return NULL;
                for (size_t k = 0; k < g->addresses_count; k++)
                        at[k] = (struct keeper_address){ g->addresses[k].host, g->addresses[k].ip,
                                                         g->addresses[k].port };
                gateways[i] = (struct keeper_gateway){ at, g->addresses_count, g->id };
        }
        return gateways;
}

/* It carries what proves itself: whoever ends it reads nothing, and says nothing that is believed (docs/decisions/0077). */
static enum err outer_make(struct report *r, struct tls_context **out)
{
        static const struct tls_client_conf conf = { .skip_verify = true };

        return tls_client_new(&conf, r, out);
}

static enum err gateways_set(struct agent_links *a, const struct conf *conf, struct arena *arena)
{
        const struct conf_agent *c = &conf->agent;
        struct tls_client_conf tls = { .ca_pem = c->authority_pem,
                                       .cert_pem = c->certificate.cert_pem,
                                       .key_pem = c->certificate.key_pem,
                                       .offer_h2 = true,
                                       .light_records = true };
        struct keeper_conf wanted = { .proxy = { c->proxy.host, c->proxy.ip, c->proxy.port },
                                      .proxy_credentials = c->proxy_credentials,
                                      .links = (unsigned)c->links,
                                      .websocket = (enum keeper_websocket)c->websocket,
                                      .gateways = gateways_make(arena, c),
                                      .gateways_count = c->gateways_count };
        struct report report;

        if (!wanted.gateways)
                return ERR_NO_MEMORY;
        report_init(&report, conf->file);
        enum err e = tls_make(&tls, &report, &wanted.tls);
        if (e == ERR_OK)
                e = outer_make(&report, &wanted.outer);
        if (e == ERR_OK)
                e = keeper_set(a->keeper, &wanted);
        if (e == ERR_OK)
                a->links_wanted = MAX(wanted.links, 1u);
        report_fini(&report);
        tls_context_put(wanted.tls);
        tls_context_put(wanted.outer);
        return e;
}

enum err agent_links_set(struct agent_links *a, const struct conf *conf)
{
        struct arena arena;

        if (conf->agent.authority_pem.len == 0) /* not joined yet, or gone: no gateways either */
                return keeper_set(a->keeper, &(struct keeper_conf){ .links = 1 });
        arena_init(&arena, NULL, 0, GATEWAYS_BYTES_MAX);
        enum err e = gateways_set(a, conf, &arena);
        arena_fini(&arena);
        return e;
}

void agent_links_take(struct agent_links *a, struct str gateway, int fd)
{
        enum err e = keeper_take(a->keeper, gateway, fd);

        if (e != ERR_OK)
                log_warning("overlay_link_not_taken", LOG_S("gateway", gateway), LOG_E(e));
}

size_t agent_links_look(const struct agent_links *a, struct keeper_standing *out, size_t max)
{
        return keeper_look(a->keeper, out, max);
}

unsigned agent_links_taken(const struct agent_links *a, struct str gateway)
{
        struct keeper_standing found[STANDINGS_MAX];
        size_t count = agent_links_look(a, found, STANDINGS_MAX);

        for (size_t i = 0; i < MIN(count, (size_t)STANDINGS_MAX); i++)
                if (str_eq(found[i].wanted, gateway))
                        return found[i].overlay_links;
        return 0;
}

bool agent_links_use_overlay(const struct agent_links *a)
{
        return keeper_has_overlay(a->keeper);
}

bool agent_links_are_settled(const struct agent_links *a, bool needs_none)
{
        struct keeper_standing found[STANDINGS_MAX];
        size_t count = agent_links_look(a, found, STANDINGS_MAX), reached = 0;

        for (size_t i = 0; i < MIN(count, (size_t)STANDINGS_MAX); i++) {
                const struct keeper_standing *s = &found[i];
                bool is_full = s->workers && s->links >= s->workers * a->links_wanted;

                if (!is_full && !s->problem)
                        return false;
                reached += is_full;
        }
        return reached || count == 0 || needs_none;
}

bool agent_links_has_own(const struct agent_links *a)
{
        struct keeper_standing found[STANDINGS_MAX];
        size_t count = agent_links_look(a, found, STANDINGS_MAX);

        for (size_t i = 0; i < MIN(count, (size_t)STANDINGS_MAX); i++)
                if (found[i].links)
                        return true;
        return false;
}

void agent_links_stop(struct agent_links *a)
{
        keeper_stop(a->keeper);
}
