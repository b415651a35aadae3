#include "proxy/health.h"

#include <stdlib.h>

#include "proxy/call.h"
#include "proxy/links.h"
#include "proxy/up.h"

/* One target under watch. */
struct probe {
        struct health *health;
        struct target *target;
        struct timer timer;
        struct call call;
        bool is_calling;
        uint16_t status;
        uint32_t successes, failures; /* in a row */
};

struct health {
        struct worker *w;
        struct snapshot *snap;
        size_t probes_count;
        struct probe probes[];
};

/* A handler that goes to one target, whatever its standing. */
static enum step_result pick(struct exchange *x)
{
        struct target *t = (struct target *)x->route->handler_conf;

        if (x->attempts > 0)
                return exchange_refuse(x, 502, "health", "The target did not answer.");
        if (http_replace(&x->request, STR("Host"), t->authority) != ERR_OK || up_connect(x, t) != ERR_OK)
                return exchange_refuse(x, 503, "health", "No connection for the check.");
        return x->is_connecting ? STEP_WAIT : STEP_NEXT;
}

static void cancel(struct exchange *x)
{
        up_abandon(x);
}

static const struct handler probe_handler = { .name = "health", .pick = pick, .cancel = cancel };

static void stand(struct probe *p, bool is_down)
{
        struct standing *s = p->target->standing;

        if (!standing_set_down(s, is_down, loop_now(p->health->w->loop)))
                return;
        log_warning(is_down ? "target_down" : "target_up", LOG_S("upstream", p->target->upstream->name),
                    LOG_S("target", p->target->url), LOG_N("status", p->status));
}

static void judge(struct probe *p, bool is_well)
{
        const struct upstream *u = p->target->upstream;

        if (is_well) {
                p->failures = 0;
                if (++p->successes >= u->health_rise)
                        stand(p, false);
        } else {
                p->successes = 0;
                if (++p->failures >= u->health_fall)
                        stand(p, true);
        }
}

static void on_head(struct call *c, const struct http_head *head)
{
        struct probe *p = CONTAINER_OF(c, struct probe, call);

        p->status = call_is_refused(c) ? 0 : head->status;
}

static void on_end(struct call *c, enum err e)
{
        struct probe *p = CONTAINER_OF(c, struct probe, call);
        const struct upstream *u = p->target->upstream;

        p->is_calling = false;
        judge(p, e == ERR_OK && p->status >= u->health_status_min && p->status <= u->health_status_max);
        timer_set(p->health->w->loop, &p->timer, loop_now(p->health->w->loop) + u->health_interval_ms);
}

static const struct call_events probe_events = { .on_head = on_head, .on_end = on_end };

static void on_timer(struct timer *t)
{
        struct probe *p = CONTAINER_OF(t, struct probe, timer);
        const struct upstream *u = p->target->upstream;
        const struct http_field agent = { .name = STR_INIT("User-Agent"),
                                          .value = STR_INIT("sekisho-health") };
        struct call_request request = { .method = STR("GET"),
                                        .target = u->health_path,
                                        .fields = &agent,
                                        .fields_count = 1,
                                        .handler = &probe_handler,
                                        .handler_conf = p->target,
                                        .total_ms = u->health_timeout_ms };

        if (p->target->agent.len && !links_has(p->health->w->links, p->target->agent)) {
                timer_set(p->health->w->loop, &p->timer,
                          loop_now(p->health->w->loop) + u->health_interval_ms);
                return; /* says nothing of what is behind it */
        }
        p->status = 0;
        p->is_calling = call_start(&p->call, p->health->w, &request, &probe_events) == ERR_OK;
        if (!p->is_calling) /* no memory says nothing of the target */
                timer_set(p->health->w->loop, &p->timer,
                          loop_now(p->health->w->loop) + u->health_interval_ms);
}

static size_t probes_needed(const struct snapshot *s)
{
        size_t count = 0;

        for (size_t i = 0; i < s->upstreams_count; i++)
                if (s->upstreams[i]->health_path.len)
                        count += s->upstreams[i]->targets_count;
        return count;
}

struct health *health_start(struct worker *w, struct snapshot *snap)
{
        size_t count = probes_needed(snap);
        struct health *h = count ? calloc(1, sizeof(*h) + count * sizeof(struct probe)) : NULL;

        if (!h)
                return NULL;
        h->w = w;
        h->snap = snapshot_get(snap);
        for (size_t i = 0; i < snap->upstreams_count; i++) {
                struct upstream *u = snap->upstreams[i];

                for (size_t j = 0; u->health_path.len && j < u->targets_count; j++) {
                        struct probe *p = &h->probes[h->probes_count];

                        if (!u->targets[j].standing)
                                continue;
                        *p = (struct probe){ .health = h, .target = &u->targets[j] };
                        timer_init(&p->timer, on_timer);
                        /* The first at once, the others spread over a second. */
                        timer_set(w->loop, &p->timer,
                                  loop_now(w->loop) + (mono_ms)(h->probes_count * 37 % 1000));
                        h->probes_count++;
                }
        }
        return h;
}

void health_stop(struct health *h)
{
        if (!h)
                return;
        for (size_t i = 0; i < h->probes_count; i++) {
                timer_clear(&h->probes[i].timer);
                if (h->probes[i].is_calling)
                        call_cancel(&h->probes[i].call);
        }
        snapshot_put(h->snap);
        free(h);
}
