#include "proxy/forward.h"

#include "proxy/reply.h"
#include "proxy/up_h1.h"
#include "proxy/worker.h"

/* The target of the attempt before failed: not again, unless only its kept connection was stale. */
static void remember_tried(struct exchange *x)
{
        if (x->target_in_use && !x->is_stale_retry && x->tried_count < EXCHANGE_TRIED_MAX) {
                measure_add(x->w, x->target_in_use->measure.retries, 1);
                x->tried[x->tried_count++] = x->target_in_use;
        }
        x->target_in_use = NULL;
        x->is_stale_retry = false;
}

static enum step_result refuse(struct exchange *x, const struct upstream *u)
{
        if (x->tried_count == 0) {
                reply_will_have(x, "Retry-After", STR("1"));
                return exchange_refuse(x, 503, "no_target", "No healthy upstream can take this request now.");
        }
        (void)u;
        return exchange_refuse(x, x->up_error == ERR_TIMED_OUT ? 504 : 502, "upstream_unreachable",
                               "The upstream could not be reached.");
}

enum step_result forward_to(struct exchange *x, struct upstream *u, struct str host)
{
        struct target *t;

        x->upstream = u;
        remember_tried(x);
        if (x->tried_count >= u->tries_max)
                return refuse(x, u);
        t = upstream_pick(u, loop_now(x->w->loop), x->tried, x->tried_count);
        if (!t)
                return refuse(x, u);
        if (host.len == 0 && t->authority.len)
                host = t->authority;
        if (host.len && http_replace(&x->request, STR("Host"), host) != ERR_OK)
                return exchange_refuse(x, 431, "fields", "The request has too many fields.");
        if (up_h1_connect(x, t) != ERR_OK)
                return exchange_refuse(x, 503, "upstream_connections",
                                       "The gateway has no connection left for the upstream.");
        return x->connecting ? STEP_WAIT : STEP_NEXT;
}

static enum step_result pick(struct exchange *x)
{
        const struct http_field *host = http_find(&x->request, HTTP_FIELD_HOST);

        return forward_to(x, x->route->upstream, x->route->preserve_host && host ? host->value : STR_NULL);
}

static void cancel(struct exchange *x)
{
        up_h1_abandon(x);
}

const struct handler forward_handler = { .name = "forward", .pick = pick, .cancel = cancel };
