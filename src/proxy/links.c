#include "proxy/links_priv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/up.h"

enum {
        AGENTS_MAX = 100 * 1000,
        AGENT_LINKS_MAX = 64,    /* of one agent to one worker */
        WAITING_MAX = 1000,      /* exchanges, in one worker */
        WAIT_MS = 3000,          /* for a link that is to be expected */
        EXPECTED_MS = 10 * 1000, /* after the last one went, or the worker began */
        TICK_MS = 100,
        FORGET_MS = 60 * 1000,
        ANNOUNCE_MS = 10 * 1000
};

#define TO(s) (1u << LINK_##s)

static const struct {
        const char *name;
        unsigned next;
} states[LINK_STATES] = {
        [LINK_OPENING] = { "opening", TO(SERVING) | TO(CLOSED) },
        [LINK_SERVING] = { "serving", TO(LEAVING) | TO(CLOSED) },
        [LINK_LEAVING] = { "leaving", TO(CLOSED) },
        [LINK_CLOSED] = { "closed", 0 },
};

const char *link_way_name(enum link_way way)
{
        static const char *const names[] = {
                [LINK_STRAIGHT] = "straight", [LINK_WEBSOCKET] = "websocket", [LINK_OVERLAY] = "overlay"
        };

        return names[way];
}

const char *link_reason_name(enum link_reason reason)
{
        static const char *const names[] = {
                [LINK_NO_OVERLAY] = "no_overlay",         [LINK_OVERLAY_DOWN] = "overlay_down",
                [LINK_NO_OWN_LINK] = "no_own_link",       [LINK_PREFERRED] = "preferred",
                [LINK_PREFERRED_FULL] = "preferred_full",
        };

        return names[reason];
}

void link_enter(struct link *link, enum link_state next)
{
        assert(states[link->state].next & 1u << next);
        link->state = (uint8_t)next;
}

static mono_ms now_of(const struct links *l)
{
        return loop_now(l->w->loop);
}

/* ---- agents ---- */

static struct str agent_id(const struct link_agent *a)
{
        return (struct str){ a->id, a->id_len };
}

static struct link_agent *agent_find(const struct links *l, struct str id)
{
        return l ? map_find(&l->by_id, id) : NULL;
}

static struct link_agent *agent_get(struct links *l, struct str id)
{
        struct link_agent *a = agent_find(l, id);

        if (a)
                return a;
        if (!(a = calloc(1, sizeof(*a))))
                return NULL;
        a->id_len = (uint8_t)MIN(id.len, sizeof(a->id));
        memcpy(a->id, id.ptr, a->id_len);
        list_init(&a->links);
        list_init(&a->waiting);
        a->left_at = l->born_at;
        if (map_add(&l->by_id, agent_id(a), a) != ERR_OK) {
                free(a);
                return NULL;
        }
        list_add_last(&l->agents, &a->node);
        return a;
}

static void agent_free(struct links *l, struct link_agent *a)
{
        map_remove(&l->by_id, agent_id(a));
        list_remove(&a->node);
        free(a);
}

bool links_has(const struct links *l, struct str agent)
{
        const struct link_agent *a = agent_find(l, agent);

        return a && !list_is_empty(&a->links);
}

bool links_expects(const struct links *l, struct str agent)
{
        const struct link_agent *a = agent_find(l, agent);

        if (!l)
                return false;
        if (a && !list_is_empty(&a->links))
                return true;
        return l->waiting_count < WAITING_MAX && now_of(l) - (a ? a->left_at : l->born_at) < EXPECTED_MS;
}

size_t links_count(const struct links *l)
{
        return l->links_count;
}

/* ---- waiting for a link ---- */

static void tick_plan(struct links *l)
{
        if (l->waiting_count)
                timer_set(l->w->loop, &l->timer, now_of(l) + TICK_MS);
        else if (!list_is_empty(&l->agents))
                timer_set(l->w->loop, &l->timer, now_of(l) + FORGET_MS);
}

/* Whoever gave up meanwhile took itself out of the list: what is counted is what is there. */
static size_t waiting_sweep(struct links *l, struct link_agent *a)
{
        size_t count = 0;

        list_for_each_safe(node, &a->waiting) {
                struct exchange *x = CONTAINER_OF(node, struct exchange, connect_node);

                if (now_of(l) < x->link_wait_until) {
                        count++;
                        continue;
                }
                up_abandon(x);
                exchange_up_reset(x, ERR_UNREACHABLE, true);
        }
        return count;
}

static void on_tick(struct timer *t)
{
        struct links *l = CONTAINER_OF(t, struct links, timer);

        l->waiting_count = 0;
        list_for_each_safe(node, &l->agents) {
                struct link_agent *a = CONTAINER_OF(node, struct link_agent, node);

                l->waiting_count += waiting_sweep(l, a);
                if (list_is_empty(&a->links) && list_is_empty(&a->waiting) &&
                    now_of(l) - a->left_at > FORGET_MS)
                        agent_free(l, a);
        }
        tick_plan(l);
}

static void waiting_serve(struct link_agent *a)
{
        struct list turn;

        list_init(&turn);
        list_move_all(&turn, &a->waiting);
        for (struct exchange *x; (x = LIST_FIRST(&turn, struct exchange, connect_node)) != NULL;)
                up_again(x, x->target_in_use);
}

static enum err wait_for(struct links *l, struct exchange *x, struct str id)
{
        struct link_agent *a = l->waiting_count < WAITING_MAX ? agent_get(l, id) : NULL;

        if (!a)
                return ERR_NO_MEMORY;
        x->is_connecting = true;
        x->connecting = NULL;
        x->link_wait_until = now_of(l) + WAIT_MS;
        list_add_last(&a->waiting, &x->connect_node);
        l->waiting_count++;
        tick_plan(l);
        return ERR_OK;
}

bool links_has_overlay(const struct links *l, struct str agent)
{
        const struct link_agent *a = agent_find(l, agent);

        if (a)
                list_for_each(node, &a->links)
                        if (CONTAINER_OF(node, struct link, agent_node)->way == LINK_OVERLAY)
                                return true;
        return false;
}

/* The link with the fewest streams, of those that take one more. *has_any: there are some, which may be full. */
static struct link *link_find(const struct link_agent *a, bool of_overlay, bool needs_tunnel, bool *has_any)
{
        struct link *best = NULL;

        *has_any = false;
        list_for_each(node, &a->links) {
                struct link *link = CONTAINER_OF(node, struct link, agent_node);

                if ((link->way == LINK_OVERLAY) != of_overlay || link->state != LINK_SERVING)
                        continue;
                struct up_h2 *h = up_h2_find(&link->target, needs_tunnel);
                *has_any = true;
                if (h && (!best || up_h2_streams_count(h) < up_h2_streams_count(best->conn)))
                        best = link;
        }
        return best;
}

/* Over the overlay or over a link of the agent's own, and why. */
static struct link *link_choose(const struct link_agent *a, const struct links_conf *conf, bool needs_tunnel,
                                enum link_reason *reason)
{
        bool has_overlay, has_own;
        struct link *overlay = link_find(a, true, needs_tunnel, &has_overlay),
                    *own = link_find(a, false, needs_tunnel, &has_own),
                    *first = conf->prefers_overlay ? overlay : own;

        *reason = !has_own       ? LINK_NO_OWN_LINK
                  : !has_overlay ? conf->has_overlay ? LINK_OVERLAY_DOWN : LINK_NO_OVERLAY
                  : first        ? LINK_PREFERRED
                                 : LINK_PREFERRED_FULL;
        return first ? first : conf->prefers_overlay ? own : overlay;
}

enum err links_connect(struct exchange *x, struct target *t)
{
        struct links *l = x->w->links;
        struct link_agent *a = agent_find(l, t->agent);
        bool needs_tunnel = x->is_websocket || x->request.is_datagram;
        enum link_reason reason;
        struct link *link = a ? link_choose(a, &x->snap->links, needs_tunnel, &reason) : NULL;

        if (!link)
                return wait_for(l, x, t->agent);
        x->way_reason = link_reason_name(reason);
        enum err e = up_h2_begin(link->conn, x);
        if (e == ERR_OK && x->way) /* else it waits, and begins later */
                measure_link_stream(x->w, link->way, reason);
        return e;
}

/* ---- the announcement ---- */

static enum step_result announce_pick(struct exchange *x)
{
        struct link *link = (struct link *)(uintptr_t)x->route->handler_conf;

        if (x->attempts > 0 || !link->conn)
                return exchange_refuse(x, 502, "link", "The link is gone.");
        x->target_in_use = &link->target;
        if (up_h2_begin(link->conn, x) != ERR_OK)
                return exchange_refuse(x, 503, "link", "The link takes no stream.");
        return x->is_connecting ? STEP_WAIT : STEP_NEXT;
}

static void announce_cancel(struct exchange *x)
{
        up_abandon(x);
}

static const struct handler announce_handler = { .name = "link",
                                                 .pick = announce_pick,
                                                 .cancel = announce_cancel };

static void announce_end(struct call *c, enum err e)
{
        struct link *link = CONTAINER_OF(c, struct link, call);

        link->is_calling = false;
        if ((e == ERR_OK && c->status < 300) || !link->conn)
                return;
        log_warning("link_not_understood", LOG_S("agent", node_id(&link->name)), LOG_N("status", c->status),
                    LOG_E(e));
        up_h2_cut(link->conn);
}

static const struct call_events announce_events = { .on_end = announce_end };

/* Tells the agent which of our workers this is, and whether it should look for another. */
static void announce(struct link *link)
{
        struct worker *w = link->links->w;
        char number[32];

        snprintf(number, sizeof(number), "%u/%u", w->index, w->shared->workers_count);
        const struct http_field fields[] = {
                { .name = STR_INIT("sekisho-worker"), .value = str_of(number) },
                { .name = STR_INIT("sekisho-state"),
                  .value = w->is_draining ? STR("leaving") : STR("serving") },
        };
        struct call_request request = { .method = STR("POST"),
                                        .target = STR("/.sekisho/link"),
                                        .fields = fields,
                                        .fields_count = ARRAY_SIZE(fields),
                                        .handler = &announce_handler,
                                        .handler_conf = link,
                                        .total_ms = ANNOUNCE_MS };

        if (link->is_calling) {
                call_cancel(&link->call);
                link->is_calling = false;
        }
        if (call_start(&link->call, w, &request, &announce_events) == ERR_OK)
                link->is_calling = true;
        else
                up_h2_cut(link->conn);
}

/* ---- birth and death ---- */

static void stand_in_make(struct link *link)
{
        struct worker *w = link->links->w;

        link->upstream = (struct upstream){ .name = STR("links"),
                                            .targets = &link->target,
                                            .targets_count = 1,
                                            .protocol = PROTOCOL_H2,
                                            .waits = { ANNOUNCE_MS, ANNOUNCE_MS, ANNOUNCE_MS, ANNOUNCE_MS } };
        link->target = (struct target){ .upstream = &link->upstream, .url = STR("link") };
        up_target_init(&link->target);
        measure_target_init(w->shared->metrics, &link->target.measure, link->upstream.name, link->target.url);
}

enum err link_serve(struct link *link)
{
        struct links *l = link->links;
        struct link_agent *a = agent_get(l, node_id(&link->name));
        size_t count = 0;
        uint16_t port;
        enum err e;

        if (!a)
                return ERR_NO_MEMORY;
        list_for_each(node, &a->links)
                count++;
        if (count >= AGENT_LINKS_MAX)
                return ERR_TOO_LARGE;
        if (stream_peer_address(&link->stream, &port).family == 0) /* a half of a pair */
                link->way = LINK_WEBSOCKET;
        stand_in_make(link);
        if ((e = up_h2_adopt_link(l->w, &link->target, link, &link->stream, &link->conn)) != ERR_OK)
                return e;
        link_enter(link, LINK_SERVING);
        link->agent = a;
        link->since = now_of(l);
        list_add_last(&a->links, &link->agent_node);
        if (count == 0 && l->w->on_agent)
                l->w->on_agent(l->w, agent_id(a), true);
        l->links_count++;
        measure_set(l->w, l->w->measure.links, (int64_t)l->links_count);
        log_info("link_open", LOG_S("agent", node_id(&link->name)), LOG_N("worker", l->w->index),
                 LOG_N("links", count + 1), LOG_C("way", link_way(link)));
        announce(link);
        waiting_serve(a);
        tick_plan(l);
        return ERR_OK;
}

const char *link_way(const struct link *link)
{
        return link_way_name(link->way);
}

void link_lost(struct link *link, enum err e)
{
        struct links *l = link->links;
        struct link_agent *a = link->agent;

        link_enter(link, LINK_CLOSED);
        list_remove(&link->agent_node);
        link->conn = NULL;
        l->links_count--;
        measure_set(l->w, l->w->measure.links, (int64_t)l->links_count);
        if (list_is_empty(&a->links)) {
                a->left_at = now_of(l);
                if (l->w->on_agent)
                        l->w->on_agent(l->w, agent_id(a), false);
        }
        log_info("link_closed", LOG_S("agent", node_id(&link->name)), LOG_N("worker", l->w->index), LOG_E(e),
                 LOG_N("lived_ms", now_of(l) - link->since), LOG_N("left", l->links_count));
        if (link->is_calling)
                call_cancel(&link->call);
        link->is_calling = false;
}

void link_free(struct link *link)
{
        list_remove(&link->node);
        free(link);
}

void link_closed(struct link *link)
{
        link_free(link);
}

/* ---- all of them ---- */

const char *link_refusal(const struct links_conf *conf, const struct node_name *name,
                         const uint8_t identity[32])
{
        size_t low = 0, high = conf->agents_count;

        if (name->kind != NODE_AGENT)
                return "not_an_agent";
        if (!str_eq(node_org(name), node_org(&conf->own)))
                return "organisation";
        if (!conf->is_listed)
                return NULL;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = str_cmp(node_id(name), conf->agents[middle].id);

                if (order == 0)
                        return conf->agents[middle].is_pinned &&
                                               memcmp(conf->agents[middle].identity, identity, 32) != 0
                                       ? "identity"
                                       : NULL;
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return "unknown_agent";
}

void links_judge(struct links *l)
{
        const struct links_conf *conf = &l->w->snap->links;

        list_for_each_safe(node, &l->all) {
                struct link *link = CONTAINER_OF(node, struct link, node);
                const char *reason =
                        conf->tls ? link_refusal(conf, &link->name, link->identity) : "links_off";

                if (link->state != LINK_SERVING && link->state != LINK_LEAVING)
                        continue;
                if (reason) {
                        log_info("link_revoked", LOG_S("agent", node_id(&link->name)),
                                 LOG_C("reason", reason));
                        up_h2_cut(link->conn);
                } else if (link->authority_key != conf->authority_key && link->state == LINK_SERVING) {
                        link_enter(link, LINK_LEAVING);
                        up_h2_leave(link->conn);
                }
        }
}

void links_leave(struct links *l)
{
        list_for_each_safe(node, &l->all) {
                struct link *link = CONTAINER_OF(node, struct link, node);

                if (link->state == LINK_SERVING && link->conn)
                        announce(link);
        }
}

void links_end(struct links *l)
{
        list_for_each_safe(node, &l->all) {
                struct link *link = CONTAINER_OF(node, struct link, node);

                if (link->state != LINK_SERVING || !link->conn)
                        continue;
                link_enter(link, LINK_LEAVING);
                up_h2_leave(link->conn);
        }
}

struct links *links_new(struct worker *w)
{
        struct links *l = calloc(1, sizeof(*l));

        if (!l)
                return NULL;
        l->w = w;
        l->born_at = loop_now(w->loop);
        l->refusals = (struct log_limit){ 10, 10000 };
        map_init(&l->by_id, w->shared->hash_key, AGENTS_MAX);
        list_init(&l->agents);
        list_init(&l->all);
        timer_init(&l->timer, on_tick);
        return l;
}

void links_free(struct links *l)
{
        if (!l)
                return;
        timer_clear(&l->timer);
        list_for_each_safe(node, &l->agents)
                agent_free(l, CONTAINER_OF(node, struct link_agent, node));
        map_fini(&l->by_id);
        free(l);
}
