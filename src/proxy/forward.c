#include "proxy/forward.h"

#include "proxy/reply.h"
#include "proxy/up.h"
#include "proxy/worker.h"

/*
 * Theory of operation. An exchange enters a target when it is chosen and leaves it when the attempt is over; that is the
 * load the choice and the limits see. Where all targets are at their limits it joins the upstream's line; whoever leaves a
 * target calls the next of the line, and who was called and has picked calls one more, until one finds no room and goes
 * back to its place. So no room stays unused, and nobody passes those who wait.
 */

/* The target of the attempt before failed: not again, unless only its kept connection was stale. True: it is a retry. */
static bool remember_tried(struct exchange *x)
{
        bool is_retry = x->target_in_use && !x->is_stale_retry && x->tried_count < EXCHANGE_TRIED_MAX;

        if (is_retry && !x->tried)
                x->tried = ARENA_ARRAY(&x->arena, struct target *, EXCHANGE_TRIED_MAX);
        if (is_retry) {
                measure_add(x->w, x->target_in_use->measure.retries, 1);
                if (x->tried)
                        x->tried[x->tried_count++] = x->target_in_use;
        }
        x->target_in_use = NULL;
        x->is_stale_retry = false;
        return is_retry;
}

/* ---- the choice ---- */

/* The cookie's value; the first of several. Empty: none. */
static struct str cookie_find(const struct http_head *h, struct str name)
{
        for (size_t i = 0; i < h->fields_count; i++) {
                struct str rest = h->fields[i].value;

                if (h->fields[i].id != HTTP_FIELD_COOKIE)
                        continue;
                while (rest.len) {
                        struct str pair = str_trim(str_sub(rest, 0, MIN(str_find_char(rest, ';'), rest.len)));
                        size_t equals = str_find_char(pair, '=');

                        if (equals < pair.len && str_eq(str_sub(pair, 0, equals), name))
                                return str_from(pair, equals + 1);
                        rest = str_from(rest, MIN(MIN(str_find_char(rest, ';'), rest.len) + 1, rest.len));
                }
        }
        return STR_NULL;
}

/* What the request is told apart by. The key is no secret: gateways side by side must choose alike, and a target that
 * someone heaps requests on is passed over when it has its part. */
static void hash_find(const struct exchange *x, const struct upstream *u, struct upstream_ask *ask)
{
        const struct hash_key key = { 0x73656b6973686f31, 0x62616c616e636531 };
        const struct http_field *field;
        struct str text = STR_NULL;

        switch (u->hash_by) {
        case HASH_BY_SOURCE:
                text = (struct str){ (const char *)&x->client.ip, sizeof(x->client.ip) };
                if (!x->client.ip.family)
                        text = STR_NULL;
                break;
        case HASH_BY_HEADER:
                field = http_find_name(&x->request, u->hash_name);
                text = field ? field->value : STR_NULL;
                break;
        case HASH_BY_COOKIE: text = cookie_find(&x->request, u->hash_name); break;
        }
        ask->has_hash = text.len > 0;
        ask->hash = ask->has_hash ? hash_str(key, text) : 0;
}

static struct upstream_ask ask_of(struct exchange *x, const struct upstream *u)
{
        bool is_repeatable = exchange_is_safe_to_repeat(x) && x->tried_count + 1 < u->tries_max;

        return (struct upstream_ask){ .now = loop_now(x->w->loop),
                                      .links = x->w->links,
                                      .not_again = x->tried,
                                      .not_again_count = x->tried_count,
                                      .is_repeatable = is_repeatable };
}

static enum upstream_answer choose(struct exchange *x, struct upstream *u, struct target **t)
{
        struct upstream_ask ask = ask_of(x, u);
        enum upstream_answer answer;

        if (u->balance == BALANCE_HASH)
                hash_find(x, u, &ask);
        answer = upstream_pick(u, &ask, t, &x->is_probe);
        if (answer == UPSTREAM_FOUND) {
                target_enter(*t);
                x->entered = *t;
        }
        return answer;
}

/* ---- the line ---- */

static void line_call_next(struct worker *w, struct upstream *u)
{
        struct waiter *waiter = waitline_next(&u->line, loop_now(w->loop));

        if (!waiter)
                return;
        measure_move(w, u->measure.queue, -1);
        struct exchange *x = CONTAINER_OF(waiter, struct exchange, waiter);
        x->is_called = true;
        u->called_count++;
        timer_clear(&x->try_timer);
        exchange_run_later(x);
}

/* Out of the line, called or not. True when it was called. */
static bool line_leave(struct exchange *x)
{
        bool was_called = x->is_called;

        if (!x->upstream)
                return false;
        if (!list_is_empty(&x->waiter.node))
                measure_move(x->w, x->upstream->measure.queue, -1);
        waitline_leave(&x->upstream->line, &x->waiter);
        if (was_called)
                x->upstream->called_count--;
        x->is_called = false;
        return was_called;
}

static enum step_result full_refuse(struct exchange *x, const char *refused)
{
        reply_will_have(x, "Retry-After", STR("1"));
        return exchange_refuse(x, 503, refused, "All upstream servers are busy. Try again soon.");
}

static void on_wait_over(struct timer *t)
{
        struct exchange *x = CONTAINER_OF(t, struct exchange, try_timer);

        if (!x->is_ended)
                full_refuse(x, "queue_timeout");
}

static enum step_result line_join(struct exchange *x, struct upstream *u, bool was_called)
{
        mono_ms now = loop_now(x->w->loop);
        bool joined = was_called ? waitline_join_again(&u->line, &x->waiter)
                                 : waitline_join(&u->line, &x->waiter, now);

        if (!joined)
                return full_refuse(x, "queue_full");
        measure_move(x->w, u->measure.queue, 1);
        timer_clear(&x->try_timer);
        timer_init(&x->try_timer, on_wait_over);
        timer_set(x->w->loop, &x->try_timer, waitline_until(&u->line, &x->waiter));
        return STEP_WAIT;
}

/* ---- the hold ---- */

void forward_init(struct exchange *x)
{
        list_init(&x->waiter.node);
        timer_init(&x->try_timer, on_wait_over);
}

void forward_leave(struct exchange *x)
{
        struct target *t = x->entered;

        timer_clear(&x->try_timer);
        if (!t)
                return;
        x->entered = NULL;
        target_leave(t, x->is_probe);
        x->is_probe = false;
        line_call_next(x->w, t->upstream);
}

void forward_answered(struct exchange *x)
{
        timer_clear(&x->try_timer);
        if (x->entered && x->is_upstreams && x->status < 500)
                balance_answered(&x->entered->seat, x->first_byte_us - x->up_start_us, loop_now(x->w->loop));
}

/* The attempt has its time, as long as there is somewhere else to go. */
static void on_try_over(struct timer *timer)
{
        struct exchange *x = CONTAINER_OF(timer, struct exchange, try_timer);
        struct target *t = x->entered;
        mono_ms now = loop_now(x->w->loop);

        if (x->is_ended || !t)
                return;
        struct upstream_ask ask = ask_of(x, t->upstream);
        if (!ask.is_repeatable || !upstream_has_other(t->upstream, &ask, t) ||
            !retry_budget_has(&t->upstream->retries, now) || !exchange_try_again(x, ERR_TIMED_OUT))
                return;
        measure_add(x->w, t->measure.failures, 1);
        if (target_failed(t, now))
                measure_add(x->w, t->measure.ejections, 1);
}

static void try_begin(struct exchange *x, const struct upstream *u)
{
        if (!u->try_ms)
                return;
        timer_init(&x->try_timer, on_try_over);
        timer_set(x->w->loop, &x->try_timer, loop_now(x->w->loop) + u->try_ms);
}

static enum step_result refuse(struct exchange *x, bool is_short_of_budget)
{
        const char *reason = is_short_of_budget ? "retry_budget" : "upstream_unreachable";

        if (x->tried_count == 0) {
                reply_will_have(x, "Retry-After", STR("1"));
                return exchange_refuse(x, 503, "no_target", "No healthy upstream can take this request now.");
        }
        if (x->is_address_denied)
                return exchange_refuse(x, 403, "address_denied", "This agent may not dial that address.");
        return exchange_refuse(x, x->up_error == ERR_TIMED_OUT ? 504 : 502, reason,
                               "The upstream could not be reached.");
}

/* Counts the request, or asks for leave to send it again. */
static bool may_try(struct exchange *x, struct upstream *u, bool is_retry, bool *is_short_of_budget)
{
        mono_ms now = loop_now(x->w->loop);

        if (x->tried_count >= u->tries_max)
                return false;
        if (is_retry) {
                bool may = retry_budget_take(&u->retries, now);

                *is_short_of_budget = !may && u->retries.percent;
                return may;
        }
        if (x->attempts == 0 && !x->is_called)
                retry_budget_request(&u->retries, now);
        return true;
}

enum step_result forward_to(struct exchange *x, struct upstream *u, struct str host)
{
        bool is_retry = remember_tried(x), is_short_of_budget = false, may, was_called;
        struct target *t;
        enum upstream_answer answer;

        x->upstream = u;
        forward_leave(x);
        may = may_try(x, u, is_retry, &is_short_of_budget);
        was_called = line_leave(x);
        if (!may)
                return refuse(x, is_short_of_budget);
        if (!was_called && !is_retry && (u->line.count || u->called_count))
                return line_join(x, u, false);
        answer = choose(x, u, &t);
        if (answer == UPSTREAM_FULL)
                return line_join(x, u, was_called);
        if (was_called) /* there may be more room than the one that was left */
                line_call_next(x->w, u);
        if (answer == UPSTREAM_DOWN)
                return refuse(x, false);
        try_begin(x, u);
        if (host.len == 0 && t->authority.len)
                host = t->authority;
        if (host.len && http_replace(&x->request, STR("Host"), host) != ERR_OK)
                return exchange_refuse(x, 431, "fields", "The request has too many fields.");
        if (up_connect(x, t) != ERR_OK)
                return exchange_refuse(x, 503, "upstream_connections",
                                       "The gateway has no connection left for the upstream.");
        return x->is_connecting ? STEP_WAIT : STEP_NEXT;
}

static enum step_result pick(struct exchange *x)
{
        const struct http_field *host = http_find(&x->request, HTTP_FIELD_HOST);

        return forward_to(x, x->route->upstream, x->route->preserve_host && host ? host->value : STR_NULL);
}

static void cancel(struct exchange *x)
{
        if (line_leave(x)) /* its turn is another's */
                line_call_next(x->w, x->upstream);
        up_abandon(x);
}

const struct handler forward_handler = {
        .name = "forward", .forgets_tunnels = true, .pick = pick, .cancel = cancel
};
