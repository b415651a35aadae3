#include "proxy/exchange_priv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "io/loop.h"
#include "proxy/forward.h"
#include "proxy/link_in.h"
#include "proxy/pace.h"
#include "proxy/record.h"
#include "proxy/reply.h"
#include "proxy/route.h"
#include "proxy/steps.h"
#include "proxy/worker.h"

/*
 * Theory of operation. The sides call the events below; the exchange calls the sides' operations. Both happen inside one
 * turn of the loop, so an exchange never ends inside an event: it is marked and a task ends it when the turn's events
 * are through. From then on events for it are ignored. `x->down` or `x->up` is NULL once that side is gone.
 */

enum { ARENA_BYTES_MAX = 512 * 1024 };

static void exchange_task(struct task *t);
static void exchange_timeout(struct timer *t);

/* Into the arena, with room for `added` more. */
static bool fields_copy(struct exchange *x, const struct http_head *head, size_t added)
{
        size_t max = head->fields_count + added;

        x->request = *head;
        x->request.fields = ARENA_ARRAY_RAW(&x->arena, struct http_field, max);
        x->request.fields_max = (uint16_t)max;
        if (!x->request.fields)
                return false;
        if (head->fields_count)
                memcpy(x->request.fields, head->fields, head->fields_count * sizeof(*head->fields));
        return true;
}

bool exchange_fields_widen(struct exchange *x)
{
        struct http_head head = x->request;

        return fields_copy(x, &head, EXCHANGE_FIELDS_ADDED_MAX);
}

/* 128 bits, unguessable enough to name a request: a keyed hash of worker and count. */
static void id_make(struct exchange *x)
{
        static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
        uint64_t number[3] = { x->w->shared->start_random, x->w->index, x->w->ids_count++ };
        struct str seed = { (const char *)number, sizeof(number) };
        uint64_t words[2];

        hash_str_wide(x->w->shared->hash_key, seed, words);
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
        x->tally_slot = x->token_slot = x->route_slot = x->address_slot = TALLY_NO_SLOT;
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
        if (!fields_copy(x, head, EXCHANGE_FIELDS_OURS_MAX + EXCHANGE_RULES_FEW)) { /* memory ran out */
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

/* ---- how long the upstream takes ---- */

/* Read now and not when the turn began: what this turn does before it hands over is our time. */
void exchange_wait_begin(struct exchange *x)
{
        if (!x->waiting_since_us)
                x->waiting_since_us = loop_clock_us();
}

void exchange_wait_end(struct exchange *x)
{
        if (!x->waiting_since_us)
                return;
        x->up_end_us = loop_now_us(x->w->loop);
        x->waited_us += MAX(loop_now_us(x->w->loop) - x->waiting_since_us, (int64_t)0);
        x->waiting_since_us = 0;
}

/* ---- the end ---- */

void exchange_handler_cancel(struct exchange *x)
{
        if (x->route && x->route->handler && x->route->handler->cancel)
                x->route->handler->cancel(x);
}

void exchange_end_later(struct exchange *x, enum exchange_outcome outcome)
{
        if (x->is_ended)
                return;
        x->is_ended = true;
        x->outcome = outcome;
        timer_clear(&x->timer);
        loop_post(x->w->loop, &x->again);
}

/* Both sides have all they should: or one is gone and the other was told. */
void exchange_end_if_done(struct exchange *x)
{
        bool is_done = x->answer_done && (!x->is_tunnel || x->request_done);

        if (is_done)
                exchange_end_later(x, x->refused ? OUTCOME_REFUSED : OUTCOME_ANSWERED);
}

static void exchange_finish(struct exchange *x)
{
        struct side *up = x->up, *down = x->down;

        exchange_wait_end(x);
        exchange_handler_cancel(x);
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

void exchange_drop_up(struct exchange *x, enum err reason)
{
        struct side *up = x->up;

        if (up) {
                x->up = NULL;
                x->is_upstreams = false;
                up->x = NULL;
                up->ops->reset(up, reason);
        }
}

void exchange_release_up(struct exchange *x)
{
        struct side *up = x->up;

        x->up = NULL;
        up->x = NULL;
        up->ops->release(up);
}

void exchange_drop_down(struct exchange *x, enum err reason)
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
                                exchange_wait_begin(x);
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
        exchange_wait_end(x);
        exchange_handler_cancel(x);
        exchange_drop_up(x, ERR_CLOSED);
        forward_leave(x);
        x->is_collecting = false;
        x->step = (uint8_t)proxy_steps_count;
        bodystore_drop(&x->body);
        x->body_sent = 0;
        if (status >= 502 && x->route && x->route->handler->rescues && x->route->handler->rescues(x))
                return STEP_DONE;
        if (x->origin->is_link)
                link_in_refused(x, refused);
        reply_error(x, status, message);
        return STEP_DONE;
}

void exchange_abort(struct exchange *x)
{
        exchange_drop_up(x, ERR_NO_MEMORY);
        exchange_drop_down(x, ERR_NO_MEMORY);
        exchange_end_later(x, OUTCOME_UPSTREAM_BROKE);
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
