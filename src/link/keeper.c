#include "link/keeper.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "io/tls.h"
#include "link/keeper_priv.h"

enum {
        RETRY_MS_LEAST = 500,
        RETRY_MS_MOST = 30 * 1000,
        AGAIN_MS = 200,     /* after a good link ended: a random part of it */
        GOOD_MS = 5 * 1000, /* a link that lived so long was one */
        DOUBLINGS_MAX = 6,
        OVERLAY_LINKS_MAX = KEEPER_WORKERS_MAX /* of one gateway: one from each worker, and what is ending */
};

#define TO(s) (1u << KEPT_##s)

static const struct {
        const char *name;
        unsigned next;
} states[KEPT_STATES] = {
        [KEPT_RESOLVING] = { "resolving", TO(DIALLING) | TO(ENDED) },
        [KEPT_DIALLING] = { "dialling", TO(ASKING) | TO(WRAPPING) | TO(OPENING) | TO(ENDED) },
        [KEPT_ASKING] = { "asking", TO(WRAPPING) | TO(OPENING) | TO(ENDED) },
        [KEPT_WRAPPING] = { "wrapping", TO(OPENING) | TO(ENDED) },
        [KEPT_TAKEN] = { "taken", TO(OPENING) | TO(ENDED) },
        [KEPT_OPENING] = { "opening", TO(OPEN) | TO(ENDED) },
        [KEPT_OPEN] = { "open", TO(LEAVING) | TO(ENDED) },
        [KEPT_LEAVING] = { "leaving", TO(ENDED) },
        [KEPT_ENDED] = { "ended", 0 },
};

void keeper_link_enter(struct keeper_link *l, enum keeper_link_state next)
{
        assert(states[l->state].next & 1u << next);
        l->state = (uint8_t)next;
}

/* ---- what is missing ---- */

static void look_later(struct kept *g)
{
        loop_post(g->keeper->loop, &g->task);
}

static bool is_own(const struct keeper_link *l)
{
        return l->way != KEEPER_OVER_OVERLAY;
}

static bool is_open(const struct keeper_link *l)
{
        return l->state == KEPT_OPEN;
}

static bool is_coming(const struct keeper_link *l)
{
        return l->state < KEPT_OPEN || (l->state == KEPT_OPEN && !l->is_told);
}

/* Links that are there or on their way to `worker`; KEEPER_NO_WORKER: to any. */
static unsigned links_to(const struct kept *g, int worker)
{
        unsigned count = 0;

        list_for_each(node, &g->links) {
                const struct keeper_link *l = CONTAINER_OF(node, struct keeper_link, node);

                count += is_own(l) && (is_open(l) || is_coming(l)) &&
                         (worker == KEEPER_NO_WORKER || l->worker == worker);
        }
        return count;
}

static unsigned links_open(const struct kept *g, bool are_own)
{
        unsigned count = 0;

        list_for_each(node, &g->links) {
                const struct keeper_link *l = CONTAINER_OF(node, struct keeper_link, node);

                count += is_open(l) && is_own(l) == are_own;
        }
        return count;
}

static void kept_free(struct kept *g)
{
        timer_clear(&g->timer);
        loop_unpost(&g->task);
        list_remove(&g->node);
        free(g->places);
        free(g);
}

static void look(struct task *t)
{
        struct kept *g = CONTAINER_OF(t, struct kept, task);
        struct keeper *k = g->keeper;

        if (g->is_gone || k->is_stopped) {
                if (g->is_gone && list_is_empty(&g->links))
                        kept_free(g);
                return;
        }
        if (g->is_waiting)
                return;
        if (links_open(g, true) == 0)
                g->workers = 0; /* it may have other ones when it comes back */
        if (g->workers == 0) {
                if (links_to(g, KEEPER_NO_WORKER) == 0)
                        (void)keeper_dial(g, KEEPER_NO_WORKER);
                return;
        }
        for (unsigned w = 0; w < g->workers; w++)
                for (unsigned n = links_to(g, (int)w); n < k->links; n++)
                        if (!keeper_dial(g, (int)w))
                                return;
}

static void on_again(struct timer *t)
{
        struct kept *g = CONTAINER_OF(t, struct kept, timer);

        g->is_waiting = false;
        look_later(g);
}

static void wait_before(struct kept *g, int64_t ms_max)
{
        g->is_waiting = true;
        timer_set(g->keeper->loop, &g->timer,
                  loop_now(g->keeper->loop) + 1 + crypto_random_below((uint32_t)ms_max));
}

/* Half a second doubling to thirty, a random part of it: gateways that come back meet no crowd. */
static void wait_after_failure(struct kept *g)
{
        int64_t most = (int64_t)RETRY_MS_LEAST << MIN(g->failures, (unsigned)DOUBLINGS_MAX);

        g->failures++;
        wait_before(g, MIN(most, (int64_t)RETRY_MS_MOST));
}

/* All of its addresses were tried. A WebSocket is tried where somebody answered who is no gateway or lets nothing but HTTP through, and the straight way
 * where that failed: where nobody answers at all the other way meets nobody either. */
static void way_next(struct kept *g)
{
        if (g->keeper->websocket == KEEPER_WEBSOCKET_FALLBACK && g->was_met) {
                g->as_websocket = !g->as_websocket;
                log_info("gateway_way", LOG_S("gateway", str_of(g->places[0].host)),
                         LOG_C("way",
                               keeper_way_text(g->as_websocket ? KEEPER_AS_WEBSOCKET : KEEPER_STRAIGHT)),
                         LOG_C("reason", g->problem ? g->problem : ""));
        }
        g->was_met = false;
}

/* True: there is one that was not tried yet. Of several attempts at one address the first counts. */
static bool place_next(struct kept *g, const struct keeper_link *l)
{
        if (l->at == &g->places[g->place]) {
                g->place = (g->place + 1) % g->places_count;
                g->tried++;
        }
        if (g->tried < g->places_count)
                return true;
        g->tried = 0;
        way_next(g);
        return false;
}

void keeper_link_failed(struct keeper_link *l, const char *problem)
{
        struct kept *g = l->gateway;

        list_remove(&l->node);
        if (problem && !is_own(l)) {
                log_warning("overlay_link_not_opened", LOG_S("gateway", str_of(g->id)),
                            LOG_S("problem", str_of(problem)));
        } else if (problem) {
                bool is_news = !g->problem || strcmp(g->problem, problem) != 0;

                g->problem = problem;
                if (is_news || g->failures < 3)
                        log_warning("gateway_not_reached", LOG_S("gateway", str_of(l->at->host)),
                                    LOG_N("port", l->at->port), LOG_S("problem", str_of(problem)),
                                    LOG_N("attempt", g->failures + 1));
                if (!place_next(g, l) && !g->is_waiting)
                        wait_after_failure(g);
        }
        look_later(g);
}

/* ---- what the owner of links tells ---- */

void keeper_told(struct keeper_link *l, unsigned worker, unsigned workers, bool is_leaving)
{
        struct kept *g = l->gateway;
        struct keeper *k = g->keeper;

        if (l->state != KEPT_OPEN || worker >= workers || workers > KEEPER_WORKERS_MAX)
                return;
        bool was_told = l->is_told;

        l->is_told = true;
        l->worker = (int)worker;
        if (!is_own(l)) {
                if (is_leaving)
                        keeper_link_enter(l, KEPT_LEAVING);
                return;
        }
        if (is_leaving) {
                keeper_link_enter(l, KEPT_LEAVING); /* its streams go on; another takes its place */
        } else {
                g->workers = workers;
                g->failures = 0;
                if (!was_told && links_to(g, l->worker) > k->links) {
                        keeper_link_enter(l, KEPT_LEAVING);
                        k->events->on_unwanted(k, l);
                }
        }
        look_later(g);
}

void keeper_ended(struct keeper_link *l)
{
        struct kept *g = l->gateway;
        struct keeper *k = g->keeper;
        bool was_expected = l->state == KEPT_LEAVING, was_good = loop_now(k->loop) - l->since >= GOOD_MS;

        keeper_link_enter(l, KEPT_ENDED);
        list_remove(&l->node);
        if (is_own(l) && !was_expected && !k->is_stopped && !g->is_gone && !g->is_waiting) {
                if (was_good)
                        wait_before(g, AGAIN_MS);
                else
                        wait_after_failure(g);
        }
        look_later(g);
        l->gateway = NULL;
        loop_post(k->loop, &l->task);
}

const struct node_name *keeper_link_gateway(const struct keeper_link *l)
{
        return &l->name;
}

/* ---- the list ---- */

static bool place_copy(struct keeper_place *to, const struct keeper_address *from)
{
        if (from->host.len > KEEPER_HOST_MAX)
                return false;
        *to = (struct keeper_place){ .ip = from->ip, .port = from->port };
        if (from->host.len)
                memcpy(to->host, from->host.ptr, from->host.len);
        return true;
}

static bool is_same(const struct kept *g, const struct keeper_gateway *wanted)
{
        if (g->places_count != wanted->at_count || !str_eq(str_of(g->id), wanted->id))
                return false;
        for (size_t i = 0; i < g->places_count; i++)
                if (g->places[i].port != wanted->at[i].port ||
                    !str_eq(str_of(g->places[i].host), wanted->at[i].host))
                        return false;
        return true;
}

static struct kept *kept_find(struct keeper *k, const struct keeper_gateway *wanted)
{
        list_for_each(node, &k->gateways) {
                struct kept *g = CONTAINER_OF(node, struct kept, node);

                if (!g->is_gone && is_same(g, wanted))
                        return g;
        }
        return NULL;
}

static bool places_copy(struct kept *g, const struct keeper_gateway *wanted)
{
        if (!(g->places = calloc(wanted->at_count, sizeof(*g->places))))
                return false;
        while (g->places_count < wanted->at_count &&
               place_copy(&g->places[g->places_count], &wanted->at[g->places_count]))
                g->places_count++;
        if (g->places_count == wanted->at_count)
                return true;
        free(g->places);
        return false;
}

static struct kept *kept_new(struct keeper *k, const struct keeper_gateway *wanted)
{
        struct kept *g = wanted->id.len <= NODE_ID_BYTES_MAX ? calloc(1, sizeof(*g)) : NULL;

        assert(wanted->at_count);
        if (!g || !places_copy(g, wanted)) {
                free(g);
                return NULL;
        }
        g->keeper = k;
        if (wanted->id.len)
                memcpy(g->id, wanted->id.ptr, wanted->id.len);
        list_init(&g->links);
        timer_init(&g->timer, on_again);
        task_init(&g->task, look);
        g->as_websocket = k->websocket == KEEPER_WEBSOCKET_ALWAYS;
        return g;
}

static void kept_end(struct kept *g)
{
        struct keeper *k = g->keeper;

        g->is_gone = true;
        timer_clear(&g->timer);
        list_for_each_safe(node, &g->links) {
                struct keeper_link *l = CONTAINER_OF(node, struct keeper_link, node);

                if (l->state < KEPT_OPEN) {
                        keeper_dial_cancel(l);
                } else if (l->state == KEPT_OPEN) {
                        keeper_link_enter(l, KEPT_LEAVING);
                        k->events->on_unwanted(k, l);
                }
        }
        look_later(g);
}

/* The new ones are made first: with one of them missing nothing changes. */
static enum err fresh_make(struct keeper *k, const struct keeper_conf *conf, struct list *fresh)
{
        list_init(fresh);
        for (size_t i = 0; i < conf->gateways_count; i++) {
                struct kept *g = kept_find(k, &conf->gateways[i]);

                if (g)
                        continue;
                if (!(g = kept_new(k, &conf->gateways[i]))) {
                        while (!list_is_empty(fresh))
                                kept_free(CONTAINER_OF(fresh->next, struct kept, node));
                        return ERR_NO_MEMORY;
                }
                list_add_last(fresh, &g->node);
        }
        return ERR_OK;
}

static bool is_wanted(const struct kept *g, const struct keeper_conf *conf)
{
        for (size_t i = 0; i < conf->gateways_count; i++)
                if (is_same(g, &conf->gateways[i]))
                        return true;
        return false;
}

enum err keeper_set(struct keeper *k, const struct keeper_conf *conf)
{
        struct keeper_place proxy;
        struct node_name own = { 0 };
        struct list fresh;
        enum err e;

        assert((conf->tls && conf->outer) || conf->gateways_count == 0);
        if (conf->tls && (node_name_own(conf->tls, &own) != ERR_OK || own.kind != NODE_AGENT))
                return ERR_CONFIG;
        if (!place_copy(&proxy, &conf->proxy) || conf->proxy_credentials.len > KEEPER_CREDENTIALS_MAX)
                return ERR_NO_MEMORY;
        bool is_other_way = k->websocket != conf->websocket;
        enum keeper_websocket websocket = k->websocket;

        k->websocket = conf->websocket; /* of those that are made now */
        if ((e = fresh_make(k, conf, &fresh)) != ERR_OK) {
                k->websocket = websocket;
                return e;
        }
        tls_context_put(k->tls);
        tls_context_put(k->outer);
        k->tls = conf->tls ? tls_context_get(conf->tls) : NULL;
        k->outer = conf->outer ? tls_context_get(conf->outer) : NULL;
        k->own = own;
        k->proxy = proxy;
        crypto_base64_format(conf->proxy_credentials, k->proxy_credentials);
        k->links = MAX(conf->links, 1u);
        list_for_each_safe(node, &k->gateways) {
                struct kept *g = CONTAINER_OF(node, struct kept, node);

                if (!g->is_gone && !is_wanted(g, conf))
                        kept_end(g);
                if (is_other_way) /* the next one; what is open stays */
                        g->as_websocket = conf->websocket == KEEPER_WEBSOCKET_ALWAYS;
        }
        while (!list_is_empty(&fresh)) {
                struct kept *g = CONTAINER_OF(fresh.next, struct kept, node);

                list_remove(&g->node);
                list_add_last(&k->gateways, &g->node);
        }
        list_for_each(node, &k->gateways)
                look_later(CONTAINER_OF(node, struct kept, node));
        return ERR_OK;
}

/* ---- birth and death ---- */

struct keeper *keeper_new(struct loop *l, struct resolver *resolver, const struct keeper_events *events,
                          void *context)
{
        struct keeper *k = calloc(1, sizeof(*k));

        if (!k)
                return NULL;
        k->loop = l;
        k->resolver = resolver;
        k->events = events;
        k->context = context;
        k->links = 1;
        list_init(&k->gateways);
        list_init(&k->sockets);
        return k;
}

void *keeper_context(const struct keeper *k)
{
        return k->context;
}

void keeper_stop(struct keeper *k)
{
        k->is_stopped = true;
        list_for_each_safe(node, &k->gateways) {
                struct kept *g = CONTAINER_OF(node, struct kept, node);

                timer_clear(&g->timer);
                list_for_each_safe(link, &g->links) {
                        struct keeper_link *l = CONTAINER_OF(link, struct keeper_link, node);

                        if (l->state < KEPT_OPEN)
                                keeper_dial_cancel(l);
                }
        }
}

void keeper_free(struct keeper *k)
{
        if (!k)
                return;
        list_for_each_safe(node, &k->gateways)
                kept_free(CONTAINER_OF(node, struct kept, node));
        keeper_sockets_forget(&k->sockets);
        tls_context_put(k->tls);
        tls_context_put(k->outer);
        crypto_wipe(k->proxy_credentials, sizeof(k->proxy_credentials));
        free(k);
}

size_t keeper_look(const struct keeper *k, struct keeper_standing *out, size_t max)
{
        size_t count = 0;

        list_for_each(node, &k->gateways) {
                const struct kept *g = CONTAINER_OF(node, struct kept, node);

                if (g->is_gone)
                        continue;
                const struct keeper_place *at = &g->places[g->place];

                if (count++ < max)
                        out[count - 1] = (struct keeper_standing){
                                .at = { str_of(at->host), at->ip, at->port },
                                .wanted = str_of(g->id),
                                .id = g->is_found ? node_id(&g->found) : STR_NULL,
                                .workers = g->workers,
                                .links = links_open(g, true),
                                .overlay_links = links_open(g, false),
                                .problem = g->problem,
                                .as_websocket = g->as_websocket,
                        };
        }
        return count;
}

enum keeper_way keeper_link_way(const struct keeper_link *l)
{
        return l->way;
}

const char *keeper_way_text(enum keeper_way way)
{
        static const char *const texts[] = { [KEEPER_STRAIGHT] = "straight",
                                             [KEEPER_AS_WEBSOCKET] = "websocket",
                                             [KEEPER_OVER_OVERLAY] = "overlay" };

        return texts[way];
}

/* ---- links that gateways make ---- */

static struct kept *kept_of_id(struct keeper *k, struct str id)
{
        list_for_each(node, &k->gateways) {
                struct kept *g = CONTAINER_OF(node, struct kept, node);

                if (!g->is_gone && id.len && str_eq(str_of(g->id), id))
                        return g;
        }
        return NULL;
}

bool keeper_has_overlay(const struct keeper *k)
{
        list_for_each(node, &k->gateways)
                list_for_each(link, &CONTAINER_OF(node, struct kept, node)->links)
                        if (!is_own(CONTAINER_OF(link, struct keeper_link, node)))
                                return true;
        return false;
}

enum err keeper_take(struct keeper *k, struct str gateway, int fd)
{
        struct kept *g = k->is_stopped ? NULL : kept_of_id(k, gateway);
        unsigned count = 0;

        if (g)
                list_for_each(node, &g->links)
                        count += !is_own(CONTAINER_OF(node, struct keeper_link, node));
        if (!g || count >= OVERLAY_LINKS_MAX) {
                close(fd);
                return g ? ERR_TOO_LARGE : ERR_NOT_FOUND;
        }
        if (keeper_dial_taken(g, fd))
                return ERR_OK;
        close(fd);
        return ERR_NO_MEMORY;
}
