/* The steps of an answer: when each token goes out, and what a fault does instead. */
#include "server.h"

#include <stdio.h>
#include <string.h>

enum { FLUSH_BYTES = 16 * 1024 };

static _Atomic unsigned slots_taken;

static bool slot_take(const struct options *o)
{
        if (!o->slots)
                return true;
        unsigned taken = atomic_load(&slots_taken);

        while (taken < o->slots)
                if (atomic_compare_exchange_weak(&slots_taken, &taken, taken + 1))
                        return true;
        return false;
}

static void on_step(struct timer *t)
{
        struct conn *c = CONTAINER_OF(t, struct conn, step_timer);

        pace_run(c);
        conn_process(c);
}

static void start(struct conn *c)
{
        struct worker *w = c->worker;
        struct answer *a = c->answer;
        int64_t wait_ms = a->delay_ms;

        COUNT(w, running, 1);
        COUNT(w, models[a->model_index].running, 1);
        COUNT(w, kv_tokens, a->prompt_tokens);
        if (!a->is_stream && a->tokens)
                wait_ms += a->interval_ms * (a->tokens - 1);
        a->began_ms = w->now_ms + a->delay_ms; /* of the first token */
        if (wait_ms)
                wheel_add(&w->wheel, &c->step_timer, w->now_ms + wait_ms);
        else
                pace_run(c);
}

void pace_begin(struct conn *c, struct answer *a)
{
        c->answer = a;
        a->conn = c;
        c->step_timer.fire = on_step;
        if (slot_take(c->worker->options)) {
                start(c);
                return;
        }
        COUNT(c->worker, waiting, 1);
        list_add_last(&c->worker->waiting, &a->link);
        a->began_ms = -1;
}

/* Takes the answer off the connection. */
static void release(struct conn *c)
{
        struct worker *w = c->worker;
        struct answer *a = c->answer;

        timer_stop(&c->step_timer);
        if (a->began_ms < 0) {
                list_remove(&a->link);
                COUNT(w, waiting, -1);
        } else {
                COUNT(w, running, -1);
                COUNT(w, models[a->model_index].running, -1);
                COUNT(w, kv_tokens, -(int64_t)(a->prompt_tokens + a->step));
                if (w->options->slots)
                        atomic_fetch_sub(&slots_taken, 1);
        }
        COUNT(w, models[a->model_index].endings[a->ending], 1);
        pool_put(w->answers, a);
        c->answer = NULL;
        c->is_blocked = false;
}

void pace_abort(struct conn *c)
{
        if (!c->answer)
                return;
        stats_abort(c->answer);
        c->answer->ending = ENDING_ABORT;
        release(c);
}

static void finish(struct conn *c)
{
        struct worker *w = c->worker;
        int64_t whole_ms = w->now_ms - c->answer->began_ms + c->answer->delay_ms;

        COUNT(w, models[c->answer->model_index].prompt_tokens, c->answer->prompt_tokens);
        COUNT(w, whole_ms_sum, whole_ms);
        COUNT(w, whole_counts[stats_bound((uint64_t)whole_ms)], 1);
        if (c->answer->fault.kind == FAULT_SURPLUS)
                ADD(conn_out(c), "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nsurplus");
        release(c);
        c->is_closing = !c->keeps_alive;
}

static void count_tokens(struct conn *c, unsigned tokens)
{
        struct worker *w = c->worker;
        struct answer *a = c->answer;

        if (a->step == 0) {
                int64_t first_ms = w->now_ms - a->began_ms + a->delay_ms;
                COUNT(w, first_ms_sum, first_ms);
                COUNT(w, first_counts[stats_bound((uint64_t)first_ms)], 1);
        }
        a->step += tokens;
        COUNT(w, kv_tokens, tokens);
        COUNT(w, models[a->model_index].generation_tokens, tokens);
}

static bool is_cut_here(const struct fault *f, unsigned step)
{
        return f->kind >= FAULT_CUT && f->number <= step;
}

/* The answer ends here, or says nothing more. */
static void cut(struct conn *c)
{
        enum fault_kind kind = c->answer->fault.kind;

        if (kind == FAULT_RUBBISH)
                ADD(conn_out(c), "\r\nzz this is no chunk\r\n\r\n");
        conn_flush(c);
        if (kind == FAULT_HANG) {
                c->is_stalled = true;
                return;
        }
        c->answer->ending = ENDING_ABORT;
        release(c);
        conn_close(c, kind == FAULT_CUT_RESET);
}

static void run_whole(struct conn *c)
{
        struct answer *a = c->answer;
        struct buf *body = &c->worker->events;

        buf_clear(body);
        a->dialect->whole(a, body);
        serve_head(c, 200, STR("application/json"), a, (int64_t)body->len);
        if (is_cut_here(&a->fault, UINT32_MAX)) {
                buf_add(conn_out(c), str_sub(buf_str(body), 0, a->fault.number));
                cut(c);
                return;
        }
        buf_add(conn_out(c), buf_str(body));
        count_tokens(c, a->tokens);
        finish(c);
}

/* What stands in `events` goes out as one chunk. */
static void send_chunk(struct conn *c)
{
        struct buf *events = &c->worker->events, *out = conn_out(c);
        char size[24];

        if (!events->len)
                return;
        if (c->is_http10)
                buf_add(out, buf_str(events));
        else {
                int len = snprintf(size, sizeof(size), "%zx\r\n", events->len);
                buf_add(out, (struct str){ size, (size_t)len });
                buf_add(out, buf_str(events));
                ADD(out, "\r\n");
        }
        buf_clear(events);
}

/* One token, and what stands before the first and behind the last. True when it was the last. */
static bool run_step(struct conn *c)
{
        struct answer *a = c->answer;
        struct buf *events = &c->worker->events;

        if (a->step == 0)
                a->dialect->open(a, events);
        if (a->step < a->tokens) {
                a->dialect->token(a, a->step, events);
                count_tokens(c, 1);
        }
        if (a->step < a->tokens)
                return false;
        a->dialect->close(a, events);
        return true;
}

/* True when the stream goes on to its end in spite of it. */
static bool run_fault(struct conn *c)
{
        send_chunk(c);
        if (c->answer->fault.kind != FAULT_ERROR) {
                cut(c);
                return false;
        }
        c->answer->dialect->fail(c->answer, &c->worker->events);
        return true;
}

static void end_stream(struct conn *c)
{
        send_chunk(c);
        if (!c->is_http10)
                ADD(conn_out(c), "0\r\n\r\n");
        finish(c);
}

void pace_run(struct conn *c)
{
        struct answer *a = c->answer;

        if (!a->is_stream) {
                run_whole(c);
                conn_flush(c);
                return;
        }
        buf_clear(&c->worker->events);
        if (a->step == 0)
                serve_head(c, 200, a->dialect->stream_type, a, -1);
        for (;;) {
                if (is_cut_here(&a->fault, a->step)) {
                        if (!run_fault(c))
                                return;
                        break;
                }
                if (run_step(c))
                        break;
                if (a->interval_ms || c->worker->events.len > FLUSH_BYTES) {
                        send_chunk(c);
                        conn_flush(c);
                        if (conn_is_closed(c))
                                return;
                        c->is_blocked = c->pending.len > c->pending_at;
                        if (c->is_blocked)
                                return;
                        if (a->interval_ms) {
                                wheel_add(&c->worker->wheel, &c->step_timer,
                                          a->began_ms + a->interval_ms * a->step);
                                return;
                        }
                }
        }
        end_stream(c);
        conn_flush(c);
}

void pace_resume(struct conn *c)
{
        struct answer *a = c->answer;
        int64_t due_ms = a->began_ms + a->interval_ms * a->step;

        c->is_blocked = false;
        if (due_ms >= c->worker->now_ms)
                wheel_add(&c->worker->wheel, &c->step_timer, due_ms);
        else
                pace_run(c);
}

void pace_waiting(struct worker *w)
{
        while (!list_is_empty(&w->waiting) && slot_take(w->options)) {
                struct answer *a = LIST_FIRST(&w->waiting, struct answer, link);
                struct conn *c = a->conn;

                list_remove(&a->link);
                COUNT(w, waiting, -1);
                start(c);
                conn_process(c);
        }
}
