#include "proxy/exchange.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "http/websocket_handshake.h"
#include "io/loop.h"
#include "proxy/forward.h"
#include "proxy/pace.h"
#include "proxy/record.h"
#include "proxy/reply.h"
#include "proxy/route.h"
#include "proxy/settle.h"
#include "proxy/steps.h"
#include "proxy/worker.h"

/*
 * Theory of operation. The sides call the events below; the exchange calls the sides' operations. Both happen inside one
 * turn of the loop, so an exchange never ends inside an event: it is marked and a task ends it when the turn's events
 * are through. From then on events for it are ignored. `x->down` or `x->up` is NULL once that side is gone.
 */

enum { ARENA_BYTES_MAX = 512 * 1024, ATTEMPTS_MAX = 8 };

static void exchange_task(struct task *t);
static void exchange_timeout(struct timer *t);

static bool fields_copy(struct exchange *x, const struct http_head *head)
{
        size_t max = (size_t)head->fields_count + EXCHANGE_FIELDS_ADDED_MAX;

        x->request = *head;
        x->request.fields = ARENA_ARRAY(&x->arena, struct http_field, max);
        x->request.fields_max = (uint16_t)max;
        if (!x->request.fields)
                return false;
        if (head->fields_count)
                memcpy(x->request.fields, head->fields, head->fields_count * sizeof(*head->fields));
        return true;
}

/* 128 bits, unguessable enough to name a request: a keyed hash of worker and count. */
static void id_make(struct exchange *x)
{
        static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
        uint64_t number[3] = { x->w->shared->start_random, x->w->index, x->w->ids_count++ };
        struct str seed = { (const char *)number, sizeof(number) };
        uint64_t words[2] = { hash_str(x->w->shared->hash_key, seed), 0 };

        number[1] = ~number[1];
        words[1] = hash_str(x->w->shared->hash_key, seed);
        for (int i = 0; i < EXCHANGE_ID_LEN; i++) {
                x->id[i] = digits[words[i & 1] & 31];
                words[i & 1] >>= 5;
        }
        x->id[EXCHANGE_ID_LEN] = '\0';
}

struct exchange *exchange_new(struct worker *w, struct side *down, const struct exchange_origin *origin,
                              const struct http_head *head)
{
        struct exchange *x = pool_take(w->exchanges);
        void *first = pool_take(w->exchange_blocks);

        if (!x || !first) {
                pool_put(w->exchanges, x);
                pool_put(w->exchange_blocks, first);
                return NULL;
        }
        *x = (struct exchange){ .first = first };
        x->w = w;
        x->down = down;
        x->lender = down->ops->let_go ? down : NULL;
        x->origin = origin;
        x->tally_slot = x->token_slot = TALLY_NO_SLOT;
        x->snap = snapshot_get(w->snap);
        x->start_us = loop_now_us(w->loop);
        arena_init(&x->arena, first, EXCHANGE_ARENA_FIRST, ARENA_BYTES_MAX);
        bodystore_init(&x->body);
        timer_init(&x->timer, exchange_timeout);
        forward_init(x);
        task_init(&x->again, exchange_task);
        list_init(&x->connect_node);
        list_add_last(&w->exchange_list, &x->node);
        id_make(x);
        if (!fields_copy(
                    x, head)) { /* the arena's first block holds any head within the limits; memory ran out */
                list_remove(&x->node);
                arena_fini(&x->arena);
                snapshot_put(x->snap);
                pool_put(w->exchange_blocks, first);
                pool_put(w->exchanges, x);
                return NULL;
        }
        measure_set(w, w->measure.requests_active, (int64_t)pool_taken_count(w->exchanges));
        down->x = x;
        return x;
}

static void exchange_free(struct exchange *x)
{
        struct worker *w = x->w;

        loop_unpost(&x->again);
        timer_clear(&x->timer);
        list_remove(&x->node);
        bodystore_fini(&x->body);
        arena_fini(&x->arena);
        free(x->settled);
        snapshot_put(x->snap);
        pool_put(w->exchange_blocks, x->first);
        pool_put(w->exchanges, x);
        measure_set(w, w->measure.requests_active, (int64_t)pool_taken_count(w->exchanges));
}

/* ---- how long the upstream takes ---- */

/* Read now and not when the turn began: what this turn does before it hands over is our time. */
static void wait_begin(struct exchange *x)
{
        if (!x->waiting_since_us)
                x->waiting_since_us = loop_clock_us();
}

static void wait_end(struct exchange *x)
{
        if (!x->waiting_since_us)
                return;
        x->up_end_us = loop_now_us(x->w->loop);
        x->waited_us += MAX(loop_now_us(x->w->loop) - x->waiting_since_us, (int64_t)0);
        x->waiting_since_us = 0;
}

/* ---- the end ---- */

static void handler_cancel(struct exchange *x)
{
        if (x->route && x->route->handler && x->route->handler->cancel)
                x->route->handler->cancel(x);
}

static void end_later(struct exchange *x, enum exchange_outcome outcome)
{
        if (x->is_ended)
                return;
        x->is_ended = true;
        x->outcome = outcome;
        timer_clear(&x->timer);
        loop_post(x->w->loop, &x->again);
}

/* Both sides have all they should: or one is gone and the other was told. */
static void end_if_done(struct exchange *x)
{
        bool is_done = x->answer_done && (!x->is_tunnel || x->request_done);

        if (is_done)
                end_later(x, x->refused ? OUTCOME_REFUSED : OUTCOME_ANSWERED);
}

static void exchange_finish(struct exchange *x)
{
        struct side *up = x->up, *down = x->down;

        wait_end(x);
        handler_cancel(x);
        steps_end(x);
        forward_leave(x);
        pace_end(x);
        for (size_t i = 0; i < x->filters_count; i++)
                if (x->filters[i].filter->on_end)
                        x->filters[i].filter->on_end(x, x->filters[i].state);
        record_exchange(x);
        if (up) {
                up->ops->release(up);
                up->x = NULL;
        }
        if (x->lender)
                x->lender->ops->let_go(x->lender);
        if (down)
                down->ops->release(down);
        exchange_free(x);
}

static void exchange_task(struct task *t)
{
        struct exchange *x = CONTAINER_OF(t, struct exchange, again);

        if (x->is_ended)
                exchange_finish(x);
        else
                exchange_run(x);
}

static void up_drop(struct exchange *x, enum err reason)
{
        struct side *up = x->up;

        if (up) {
                x->up = NULL;
                up->x = NULL;
                up->ops->reset(up, reason);
        }
}

static void down_drop(struct exchange *x, enum err reason)
{
        struct side *down = x->down;

        if (down) {
                x->down = NULL;
                down->x = NULL;
                down->ops->reset(down, reason);
        }
}

/* ---- the steps ---- */

void exchange_run(struct exchange *x)
{
        if (x->is_running || x->is_ended)
                return;
        x->is_running = true;
        x->is_waiting = false;
        while (x->step < proxy_steps_count && !x->is_ended) {
                enum step_result result = proxy_steps[x->step].fn(x);

                if (result == STEP_WAIT) {
                        x->is_waiting = true;
                        if (x->connecting)
                                wait_begin(x);
                        break;
                }
                if (result == STEP_DONE) {
                        x->step = (uint8_t)proxy_steps_count;
                        break;
                }
                x->step++;
        }
        x->is_running = false;
}

void exchange_run_later(struct exchange *x)
{
        loop_post(x->w->loop, &x->again);
}

enum step_result exchange_refuse(struct exchange *x, uint16_t status, const char *refused,
                                 const char *message)
{
        assert(!x->answer_started);
        x->refused = refused;
        measure_refused(x->w, refused);
        wait_end(x);
        handler_cancel(x);
        up_drop(x, ERR_CLOSED);
        forward_leave(x);
        x->is_collecting = false;
        x->step = (uint8_t)proxy_steps_count;
        bodystore_drop(&x->body);
        x->body_sent = 0;
        if (status >= 502 && x->route && x->route->handler->rescues && x->route->handler->rescues(x))
                return STEP_DONE;
        reply_error(x, status, message);
        return STEP_DONE;
}

void exchange_abort(struct exchange *x)
{
        up_drop(x, ERR_NO_MEMORY);
        down_drop(x, ERR_NO_MEMORY);
        end_later(x, OUTCOME_UPSTREAM_BROKE);
}

static void exchange_timeout(struct timer *t)
{
        struct exchange *x = CONTAINER_OF(t, struct exchange, timer);

        if (x->is_ended)
                return;
        if (!x->answer_started) {
                exchange_refuse(x, 504, "total_timeout", "The request took longer than its route allows.");
                return;
        }
        exchange_abort(x);
}

/* ---- the request's way up ---- */

/* Gives what is stored of the body and not yet sent; false while some is left. */
static bool store_push(struct exchange *x)
{
        struct str slices[H1_SLICES_MAX];

        while (x->body_sent < bodystore_read_len(&x->body)) {
                size_t count = bodystore_read(&x->body, x->body_sent, slices, ARRAY_SIZE(slices)),
                       offered = 0;

                for (size_t i = 0; i < count; i++)
                        offered += slices[i].len;
                bool is_last = x->body.is_whole && x->body_sent + offered == bodystore_read_len(&x->body);
                struct side_data d = { slices, count, is_last, NULL, 0 };
                size_t taken = x->up->ops->data(x->up, &d);
                x->body_sent += taken;
                if (taken == offered && is_last)
                        x->request_done = true;
                if (taken < offered)
                        return false;
        }
        if (x->body.is_whole && !x->request_done) { /* an empty body */
                struct side_data d = { NULL, 0, true, NULL, 0 };
                x->up->ops->data(x->up, &d);
                x->request_done = true;
        }
        return true;
}

void exchange_start_up(struct exchange *x, struct side *up)
{
        assert(!x->up);
        x->up = up;
        up->x = x;
        up->has_room = true;
        x->is_collecting = false;
        x->body_sent = 0;
        x->request_done = false;
        x->attempts++;
        x->up_start_us = loop_now_us(x->w->loop);
        up->ops->head(up, &x->request);
        if (store_push(x) && x->up == up && !x->body.is_whole && x->down)
                x->down->ops->pull(x->down);
        if (x->up == up)
                up->ops->flush(up);
        if (x->up == up)
                wait_begin(x);
}

void exchange_collect(struct exchange *x)
{
        x->is_collecting = true;
        x->down->ops->pull(x->down);
}

/* Copies the first `len` bytes of d into the store; drops it when that is too much to replay. */
static void store_add(struct exchange *x, const struct side_data *d, size_t len, size_t bytes_max)
{
        for (size_t i = 0; i < d->slices_count && len; i++) {
                size_t part = MIN(len, d->slices[i].len);

                if (bodystore_add(&x->body, str_sub(d->slices[i], 0, part), bytes_max) != ERR_OK) {
                        bodystore_drop(&x->body);
                        return;
                }
                len -= part;
        }
}

static size_t collect(struct exchange *x, const struct side_data *d, size_t len)
{
        store_add(x, d, len, x->snap->limits.model_lookahead_bytes);
        if (x->body.is_dropped) {
                exchange_refuse(x, 413, "lookahead", "The body is larger than this API takes.");
                return len;
        }
        if (d->is_last)
                x->body.is_whole = true;
        assert(x->route); /* only a route's handler collects */
        x->route->handler->on_body(x, d->is_last);
        return len;
}

static void request_bytes_add(struct exchange *x, size_t len)
{
        x->request_bytes += len;
        if (!x->is_internal)
                measure_add(x->w, x->w->measure.bytes_in, len);
}

size_t exchange_request_data(struct exchange *x, const struct side_data *d)
{
        size_t len = side_data_len(d), taken;
        uint64_t max = x->route ? x->route->body_bytes_max : 0;

        if (x->is_ended || (x->answer_done && !x->is_tunnel)) /* a tunnel's halves end one by one */
                return 0;
        if (max && !x->is_tunnel && len > max - MIN(max, x->request_bytes)) {
                struct http_refusal refusal = { 413, "body_too_large" };
                exchange_request_broken(x, &refusal);
                return 0;
        }
        if (x->is_collecting) {
                request_bytes_add(x, len);
                return collect(x, d, len);
        }
        if (!x->up || x->body_sent < bodystore_read_len(&x->body))
                return 0;
        taken = x->up->ops->data(x->up, d);
        request_bytes_add(x, taken);
        if (x->keep_body && x->route && !x->body.is_dropped) {
                store_add(x, d, taken, x->route->replay_bytes_max);
                x->body_sent = x->body.is_dropped ? 0 : x->body_sent + taken;
        }
        if (d->is_last && taken == len) {
                x->body.is_whole = !x->body.is_dropped;
                x->request_done = true;
                end_if_done(x);
        }
        return taken;
}

void exchange_up_room(struct exchange *x)
{
        struct side *up = x->up;

        if (x->is_ended || !up || !store_push(x))
                return;
        if (x->up == up && !x->request_done && x->down)
                x->down->ops->pull(x->down);
}

void exchange_request_broken(struct exchange *x, const struct http_refusal *refusal)
{
        if (x->is_ended)
                return;
        if (!x->answer_started) {
                exchange_refuse(x, refusal->status, refusal->reason,
                                "The request's body could not be taken.");
                return;
        }
        measure_refused(x->w, refusal->reason);
        up_drop(x, ERR_MALFORMED);
        down_drop(x, ERR_MALFORMED);
        end_later(x, OUTCOME_CLIENT_LEFT);
}

void exchange_down_reset(struct exchange *x, enum err reason)
{
        x->down->x = NULL;
        x->down = NULL;
        wait_end(x);
        handler_cancel(x);
        up_drop(x, reason);
        end_later(x, OUTCOME_CLIENT_LEFT);
}

/* ---- the answer's way down ---- */

static void answer_fields(struct exchange *x, struct http_head *head)
{
        const struct route *r = x->route;

        http_remove(head, HTTP_FIELD_ALT_SVC); /* another way in would be a way past us */
        for (size_t i = 0; r && i < r->answer_rules_count; i++) {
                const struct header_rule *rule = &r->answer_rules[i];
                enum err e = ERR_OK;

                switch (rule->kind) {
                case HEADER_SET: e = http_replace(head, rule->name, rule->value); break;
                case HEADER_ADD: e = http_add(head, rule->name, rule->value); break;
                case HEADER_REMOVE: http_remove_name(head, rule->name); break;
                }
                if (e != ERR_OK) /* no room: the upstream sent as many fields as there may be */
                        break;
        }
        if (!x->is_internal && http_add(head, STR("X-Sekisho-Request-Id"), str_of(x->id)) != ERR_OK)
                return;
}

static void answer_broken(struct exchange *x, const char *refused, const char *message)
{
        up_drop(x, ERR_MALFORMED);
        exchange_refuse(x, 502, refused, message);
}

void exchange_answer_head(struct exchange *x, struct http_head *head)
{
        if (x->is_ended)
                return;
        if (head->status == 101) {
                struct http_refusal refusal;

                if (!x->wants_upgrade || !head->asks_upgrade || !x->request_done) {
                        answer_broken(x, "unasked_101",
                                      "The upstream switched protocols without being asked.");
                        return;
                }
                if (x->is_websocket && websocket_answer_check(&x->request, head, &refusal) != ERR_OK) {
                        answer_broken(x, refusal.reason, "The upstream's WebSocket handshake is not valid.");
                        return;
                }
                x->is_tunnel = true;
                x->wants_upgrade = false;
                x->request_done = false; /* the client's half of the tunnel begins */
        } else if (head->status < 200) {
                /* 100 is ours to say (the body was asked for already); others pass where the client knows them. */
                if (head->status != 100 && x->request.version_minor > 0 && x->down &&
                    http_remove_hop_by_hop(head, false) == ERR_OK) {
                        x->down->ops->head(x->down, head);
                        x->down->ops->flush(x->down);
                }
                return;
        }
        if (x->route && x->route->handler->declines && exchange_is_replayable(x) &&
            x->route->handler->declines(x, head)) {
                up_drop(x, ERR_DENIED);
                x->step = STEP_pick;
                exchange_run_later(x);
                return;
        }
        if (http_remove_hop_by_hop(head, x->is_tunnel) != ERR_OK) {
                answer_broken(x, "answer_fields", "The upstream's answer has too many fields.");
                return;
        }
        x->status = head->status;
        x->first_byte_us = loop_now_us(x->w->loop);
        x->answer_started = true;
        forward_answered(x);
        bodystore_drop(&x->body); /* no way back from here */
        for (size_t i = 0; i < x->filters_count; i++)
                if (x->filters[i].filter->on_answer)
                        x->filters[i].filter->on_answer(x, x->filters[i].state, head);
        answer_fields(x, head);
        if (x->down)
                x->down->ops->head(x->down, head);
        if (x->is_tunnel && x->down) /* the client may have spoken already */
                x->down->ops->pull(x->down);
}

/* Shows the filters what was taken, and no more. */
static void filters_data(struct exchange *x, const struct side_data *d, size_t taken, bool is_last)
{
        struct str slices[H1_SLICES_MAX];
        struct side_data shown = { slices, 0, is_last, d->trailers, d->trailers_count };

        for (size_t i = 0; i < d->slices_count && i < H1_SLICES_MAX && taken; i++) {
                slices[shown.slices_count] = str_sub(d->slices[i], 0, taken);
                taken -= slices[shown.slices_count++].len;
        }
        for (size_t i = 0; i < x->filters_count; i++)
                if (x->filters[i].filter->on_data)
                        x->filters[i].filter->on_data(x, x->filters[i].state, &shown);
}

bool exchange_change_answer(struct exchange *x, const void *state)
{
        for (size_t i = 0; !x->changer && i < x->filters_count; i++)
                if (x->filters[i].state == state) {
                        x->changer = &x->filters[i];
                        return true;
                }
        return false;
}

size_t exchange_answer_give(struct exchange *x, const struct side_data *d)
{
        size_t taken;

        if (x->is_ended || !x->down)
                return 0;
        taken = x->down->ops->data(x->down, d);
        x->answer_bytes += taken;
        if (!x->is_internal)
                measure_add(x->w, x->w->measure.bytes_out, taken);
        if (d->is_last && taken == side_data_len(d)) {
                x->answer_done = true;
                end_if_done(x);
        }
        return taken;
}

size_t exchange_answer_data(struct exchange *x, const struct side_data *d)
{
        size_t taken;

        if (x->is_ended || !x->down || !x->answer_started || x->answer_is_in)
                return 0;
        taken = x->changer ? x->changer->filter->on_change(x, x->changer->state, d)
                           : exchange_answer_give(x, d);
        bool is_last = d->is_last && taken == side_data_len(d);
        if (x->filters_count)
                filters_data(x, d, taken, is_last);
        if (is_last) {
                wait_end(x);
                x->answer_is_in = true;
        } else if (x->changer && x->down && !x->is_ended) { /* the head does not wait for what is worked on */
                x->down->ops->flush(x->down);
        }
        return taken;
}

void exchange_answer_flush(struct exchange *x)
{
        if (x->is_ended || !x->down || !x->answer_started)
                return;
        if (x->changer)
                x->changer->filter->on_flush(x, x->changer->state);
        if (x->down)
                x->down->ops->flush(x->down);
        if (x->is_tunnel && x->down && !x->settled)
                exchange_settle(x);
}

void exchange_memory_drop(struct exchange *x)
{
        arena_fini(&x->arena);
        arena_init(&x->arena, NULL, 0, ARENA_BYTES_MAX);
        pool_put(x->w->exchange_blocks, x->first);
        x->first = NULL;
        if (x->lender)
                x->lender->ops->let_go(x->lender);
        x->lender = NULL;
}

void exchange_down_room(struct exchange *x)
{
        if (x->is_ended || (x->changer && !x->changer->filter->on_room(x, x->changer->state)))
                return;
        if (x->up && !x->is_ended)
                x->up->ops->pull(x->up);
}

bool exchange_is_replayable(const struct exchange *x)
{
        if (x->answer_started || x->attempts >= ATTEMPTS_MAX)
                return false;
        /* Nothing of the body was taken yet, or all that was is kept. */
        return x->request_bytes == 0 || (!x->body.is_dropped && x->body.len == x->request_bytes);
}

bool exchange_is_safe_to_repeat(const struct exchange *x)
{
        switch (x->request.method) {
        case HTTP_GET:
        case HTTP_HEAD:
        case HTTP_PUT:
        case HTTP_DELETE:
        case HTTP_OPTIONS:
        case HTTP_TRACE: return true;
        case HTTP_POST: return x->route && x->route->retries_posts;
        default: return false;
        }
}

bool exchange_try_again(struct exchange *x, enum err why)
{
        if (x->is_ended || !exchange_is_replayable(x) || !exchange_is_safe_to_repeat(x))
                return false;
        handler_cancel(x);
        up_drop(x, why);
        wait_end(x);
        x->step = STEP_pick;
        x->up_error = why;
        exchange_run_later(x);
        return true;
}

static void up_lost_words(enum err reason, uint16_t *status, const char **refused, const char **message)
{
        *status = reason == ERR_TIMED_OUT ? 504 : 502;
        switch (reason) {
        case ERR_TIMED_OUT:
                *refused = "upstream_timeout";
                *message = "The upstream did not answer in time.";
                break;
        case ERR_REFUSED:
        case ERR_UNREACHABLE:
        case ERR_NOT_FOUND:
                *refused = "upstream_unreachable";
                *message = "The upstream could not be reached.";
                break;
        case ERR_TLS:
                *refused = "upstream_tls";
                *message = "TLS with the upstream failed.";
                break;
        case ERR_MALFORMED:
        case ERR_TOO_LARGE:
        case ERR_UNSUPPORTED:
                *refused = "upstream_malformed";
                *message = "The upstream's answer broke the protocol.";
                break;
        default:
                *refused = "upstream_closed";
                *message = "The upstream closed the connection before it answered.";
        }
}

void exchange_up_reset(struct exchange *x, enum err reason, bool may_retry)
{
        uint16_t status;
        const char *refused, *message;

        if (x->up) {
                x->up->x = NULL;
                x->up = NULL;
        }
        if (x->is_ended)
                return;
        wait_end(x);
        if (x->answer_is_in && !x->is_tunnel) /* it had said all: what a filter holds goes on to the client */
                return;
        if (x->answer_started) {
                down_drop(x, reason);
                end_later(x, OUTCOME_UPSTREAM_BROKE);
                return;
        }
        if (may_retry && exchange_is_replayable(x)) {
                x->step = STEP_pick;
                x->up_error = reason;
                exchange_run_later(x);
                return;
        }
        up_lost_words(reason, &status, &refused, &message);
        exchange_refuse(x, status, refused, message);
}
