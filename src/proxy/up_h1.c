#include "proxy/up_h1.h"

#include <assert.h>
#include <unistd.h>

#include "proxy/h1_in.h"
#include "proxy/h1_out.h"
#include "proxy/route.h"
#include "proxy/up.h"
#include "proxy/up_dial.h"
#include "proxy/worker.h"

enum { READS_PER_TURN = 8, INTERIM_ANSWERS_MAX = 16 };

#define TO(s) (1u << UP_##s)

enum up_state { UP_ACTIVE, UP_IDLE, UP_CLOSING, UP_STATES };

static const struct {
        const char *name;
        unsigned next;
} states[UP_STATES] = {
        [UP_ACTIVE] = { "active", TO(ACTIVE) | TO(IDLE) | TO(CLOSING) },
        [UP_IDLE] = { "idle", TO(ACTIVE) | TO(CLOSING) },
        [UP_CLOSING] = { "closing", 0 },
};

struct up_h1 {
        struct side side;
        struct stream stream;
        struct worker *w;
        struct target *target;
        struct snapshot *snap; /* owns the target */
        struct list node;      /* worker.up_list */
        struct list idle_node; /* target.idle */

        uint8_t state;
        bool pulled;          /* the exchange wants the answer's body */
        bool request_is_sent; /* its last byte was taken */
        bool saw_answer;      /* at least one byte of it */
        bool head_is_done, keeps_alive, is_tunnel;
        bool is_raw; /* no HTTP is spoken: connected is accepted */
        uint8_t interim_count;
        uint32_t served_count;

        struct h1_in in;
        struct h1_out out;
        struct timer timer;
};

const size_t up_h1_bytes = sizeof(struct up_h1);

static const struct side_ops up_ops;
static const struct stream_events up_events;
static void up_timeout(struct timer *t);

static void up_enter(struct up_h1 *u, enum up_state next)
{
        assert(states[u->state].next & 1u << next);
        u->state = (uint8_t)next;
}

static const struct upstream_waits *waits(const struct up_h1 *u)
{
        return up_waits(u->side.x, u->target);
}

static void timer_start(struct up_h1 *u, int64_t ms)
{
        timer_set(u->w->loop, &u->timer, loop_now(u->w->loop) + ms);
}

/* ---- birth and death ---- */

static void up_free(struct up_h1 *u)
{
        struct worker *w = u->w;

        timer_clear(&u->timer);
        h1_in_fini(&u->in, w);
        h1_out_fini(&u->out);
        list_remove(&u->node);
        u->target->connections--;
        snapshot_put(u->snap);
        pool_put(w->ups, u);
        measure_set(w, w->measure.upstream_connections, (int64_t)pool_taken_count(w->ups));
}

static void on_closed(struct stream *s)
{
        up_free(CONTAINER_OF(s, struct up_h1, stream));
}

static void up_close(struct up_h1 *u, enum stream_close_how how)
{
        if (u->state == UP_CLOSING)
                return;
        if (u->state == UP_IDLE) {
                list_remove(&u->idle_node);
                u->target->idle_count--;
        }
        if (u->state == UP_ACTIVE)
                u->target->requests_active--;
        up_enter(u, UP_CLOSING);
        h1_out_drop(&u->out);
        timer_clear(&u->timer);
        stream_close(&u->stream, how);
}

static struct up_h1 *up_new(struct exchange *x, struct target *t)
{
        struct worker *w = x->w;
        struct up_h1 *u = pool_take(w->ups);

        if (!u)
                return NULL;
        *u = (struct up_h1){ .side = { .ops = &up_ops }, .w = w, .target = t, .snap = snapshot_get(x->snap) };
        h1_in_init(&u->in);
        h1_out_init(&u->out);
        timer_init(&u->timer, up_timeout);
        list_init(&u->idle_node);
        list_add_last(&w->up_list, &u->node);
        t->connections++;
        measure_set(w, w->measure.upstream_connections, (int64_t)pool_taken_count(w->ups));
        return u;
}

static void failure_note(struct up_h1 *u)
{
        up_note_failure(u->w, u->target);
}

static void activate(struct up_h1 *u, struct exchange *x)
{
        up_enter(u, UP_ACTIVE);
        u->target->requests_active++;
        u->request_is_sent = u->saw_answer = u->head_is_done = u->is_tunnel = false;
        u->interim_count = 0;
        u->pulled = true;
        u->keeps_alive = false;
        measure_add(u->w, u->target->measure.requests, 1);
        timer_start(u, up_waits(x, u->target)->first_byte_ms);
        exchange_start_up(x, &u->side);
}

enum err up_h1_start(struct exchange *x, struct up_dial *d)
{
        struct up_h1 *u = up_new(x, d->target);
        enum err e;

        if (!u)
                return ERR_NO_MEMORY;
        if ((e = up_dial_take(d, &u->stream, &up_events)) != ERR_OK) {
                up_free(u);
                return e;
        }
        activate(u, x);
        return ERR_OK;
}

bool up_h1_reuse(struct exchange *x, struct target *t)
{
        struct up_h1 *u = LIST_FIRST(&t->idle, struct up_h1, idle_node);

        if (!u)
                return false;
        list_remove(&u->idle_node);
        t->idle_count--;
        measure_add(u->w, t->measure.reuses, 1);
        activate(u, x);
        return true;
}

void up_h1_close_idle(struct target *t)
{
        list_for_each_safe(node, &t->idle)
                up_close(CONTAINER_OF(node, struct up_h1, idle_node), STREAM_CLOSE_PLAIN);
}

/* ---- the answer ---- */

/* The connection is of no more use to its exchange. */
static void broken(struct up_h1 *u, enum err e)
{
        struct exchange *x = u->side.x;
        /* A kept connection may have been closed by the other end just as we wrote: that says nothing of the target. */
        bool is_stale = u->served_count > 0 && !u->saw_answer && (e == ERR_CLOSED || e == ERR_IO);
        bool may_retry = x && !u->saw_answer && e != ERR_TIMED_OUT && exchange_is_safe_to_repeat(x);

        if (!is_stale) {
                measure_add(u->w, u->target->measure.failures, 1);
                failure_note(u);
        } else if (x) {
                x->is_stale_retry = true;
        }
        up_close(u, STREAM_CLOSE_RESET);
        if (x)
                exchange_up_reset(x, e, may_retry);
}

static void first_byte(struct up_h1 *u)
{
        if (u->saw_answer)
                return;
        u->saw_answer = true;
        measure_first_byte(u->w, &u->target->measure, loop_now_us(u->w->loop) - u->side.x->up_start_us);
}

/* A final head, or that of a tunnel. */
static void head_done(struct up_h1 *u, struct http_head *head)
{
        u->head_is_done = true;
        u->is_tunnel = head->status == 101;
        u->keeps_alive = head->keeps_alive && head->framing != HTTP_BODY_UNTIL_CLOSE && !u->is_tunnel;
        if (u->is_tunnel)
                head->framing = HTTP_BODY_UNTIL_CLOSE;
        if (u->is_tunnel)
                timer_start(u, waits(u)->tunnel_ms);
        h1_in_body_begin(&u->in, head);
        if (head->status < 500)
                target_succeeded(u->target, loop_now(u->w->loop));
        else
                failure_note(u);
        exchange_answer_head(u->side.x, head);
}

/* There is no head to come: connected is as good as a 101. */
static void raw_accept(struct up_h1 *u)
{
        struct worker *w = u->w;
        struct http_head head = { .status = 101,
                                  .version_minor = 1,
                                  .asks_upgrade = true,
                                  .fields = w->scratch_fields,
                                  .fields_max = ARRAY_SIZE(w->scratch_fields) };

        first_byte(u);
        if (http_add(&head, STR("Upgrade"), STR("tcp")) != ERR_OK ||
            http_add(&head, STR("Connection"), STR("Upgrade")) != ERR_OK)
                broken(u, ERR_NO_MEMORY);
        else
                head_done(u, &head);
}

/* True when a head, final or interim, was passed on; false when more must come or the connection is broken. */
static bool head_parse(struct up_h1 *u)
{
        struct worker *w = u->w;
        struct exchange *x = u->side.x;
        struct http_refusal refusal;
        struct http_head head = { .fields = w->scratch_fields, .fields_max = ARRAY_SIZE(w->scratch_fields) };
        struct str bytes = h1_in_bytes(&u->in);
        enum err e;

        if (bytes.len == 0)
                return false;
        first_byte(u);
        e = h1_response_parse(bytes, &x->snap->limits.answer, x->request.method, &u->in.scanned, &head,
                              &refusal);
        if (e == ERR_AGAIN)
                return false;
        if (e != ERR_OK ||
            (head.status < 200 && head.status != 101 && ++u->interim_count > INTERIM_ANSWERS_MAX)) {
                broken(u, ERR_MALFORMED);
                return false;
        }
        if (head.status < 200 && head.status != 101) {
                u->in.buffer->pos += (uint32_t)head.bytes;
                u->in.scanned = 0;
                exchange_answer_head(x, &head);
                return u->state == UP_ACTIVE;
        }
        head_done(u, &head);
        return true;
}

static size_t give(void *context, const struct side_data *d)
{
        struct up_h1 *u = context;

        return u->side.x ? exchange_answer_data(u->side.x, d) : 0;
}

/* The upstream's end of sending: a clean end of the body only where no length was promised. */
static void input_ended(struct up_h1 *u, enum err e)
{
        struct side_data d = { NULL, 0, true, NULL, 0 };

        if (!u->side.x || !u->head_is_done || e != ERR_CLOSED || h1_body_end(&u->in.body) != ERR_OK) {
                broken(u, e);
                return;
        }
        u->in.is_last = true;
        u->keeps_alive = false;
        exchange_answer_data(u->side.x, &d);
        if (u->out.is_broken)
                stream_poke(&u->stream, STREAM_READABLE);
}

/* Passes on what is there; true when more should be read. */
static bool body_give(struct up_h1 *u)
{
        struct http_refusal refusal;
        bool wants_more;
        enum err e = h1_in_offer(&u->in, u->w, give, u, &wants_more, &refusal);

        if (!u->side.x || u->state != UP_ACTIVE)
                return false;
        if (e == ERR_OK)
                timer_clear(&u->timer); /* the rest is between the exchange and its client */
        else if (e == ERR_AGAIN && !wants_more)
                u->pulled = false;
        else if (e != ERR_AGAIN)
                broken(u, e);
        return u->state == UP_ACTIVE && u->pulled && !u->in.is_last;
}

static void answer_read(struct up_h1 *u)
{
        bool filled = true;

        for (int reads = 0; u->state == UP_ACTIVE && u->side.x && u->pulled; reads++) {
                if (u->is_raw && !u->head_is_done)
                        raw_accept(u);
                while (u->state == UP_ACTIVE && !u->head_is_done && head_parse(u))
                        ;
                if (u->state != UP_ACTIVE || !u->side.x)
                        return;
                if (u->head_is_done && !body_give(u))
                        return;
                if (!filled && !stream_may_have_input(&u->stream))
                        return;
                if (reads == READS_PER_TURN) {
                        stream_poke(&u->stream, STREAM_READABLE);
                        return;
                }
                enum err e = h1_in_read(&u->in, u->w, &u->stream, &filled);
                if (e == ERR_AGAIN)
                        return;
                if (e != ERR_OK) {
                        input_ended(u, e == ERR_TOO_LARGE ? ERR_MALFORMED : e);
                        return;
                }
                timer_start(u, u->is_tunnel ? waits(u)->tunnel_ms : waits(u)->idle_ms);
        }
}

/* ---- events of the stream ---- */

static void out_write(struct up_h1 *u)
{
        if (h1_out_is_pending(&u->out))
                h1_out_flush(&u->out, &u->stream, &u->w->up_vector);
        if (u->out.is_broken || h1_out_is_pending(&u->out) || !u->side.x || u->side.has_room)
                return;
        u->side.has_room = true;
        exchange_up_room(u->side.x);
}

/* A quiet tunnel keeps no buffer, once the answer's head went out. */
static void tunnel_rest(struct up_h1 *u)
{
        if (u->is_tunnel && u->state == UP_ACTIVE && u->side.x && u->side.x->settled && u->pulled)
                h1_in_rest(&u->in, u->w);
}

static void on_ready(struct stream *s, unsigned ready)
{
        struct up_h1 *u = CONTAINER_OF(s, struct up_h1, stream);

        if (u->state == UP_IDLE) {
                if (ready & STREAM_READABLE)
                        up_close(u, STREAM_CLOSE_PLAIN); /* ended, or speaks out of turn */
                return;
        }
        if (u->state != UP_ACTIVE)
                return;
        if (ready & STREAM_WRITABLE)
                out_write(u);
        if (u->state == UP_ACTIVE && (ready & STREAM_READABLE)) {
                answer_read(u);
                if (u->state == UP_ACTIVE && u->side.x)
                        exchange_answer_flush(u->side.x);
                tunnel_rest(u);
        }
        /* An upstream that answered and closed while we still wrote is heard first; a tunnel's both halves are over then. */
        if (u->state == UP_ACTIVE && u->out.is_broken &&
            (!u->head_is_done || (u->is_tunnel && u->in.is_last)))
                broken(u, ERR_CLOSED);
}

/* Neither side said anything for long: nobody's fault. */
static void tunnel_is_quiet(struct up_h1 *u)
{
        struct exchange *x = u->side.x;

        up_close(u, STREAM_CLOSE_PLAIN);
        if (x)
                exchange_up_reset(x, ERR_TIMED_OUT, false);
}

static void up_timeout(struct timer *t)
{
        struct up_h1 *u = CONTAINER_OF(t, struct up_h1, timer);

        switch ((enum up_state)u->state) {
        case UP_ACTIVE:
                /* Not its fault while the client does not take what is there, or has not sent all of the request. */
                if (u->is_tunnel && u->pulled)
                        tunnel_is_quiet(u);
                else if (!u->pulled || (!u->request_is_sent && u->side.has_room))
                        timer_start(u, waits(u)->idle_ms);
                else
                        broken(u, ERR_TIMED_OUT);
                break;
        case UP_IDLE: up_close(u, STREAM_CLOSE_PLAIN); break;
        case UP_CLOSING:
        case UP_STATES: break;
        }
}

/* ---- operations of the side ---- */

static void op_head(struct side *s, struct http_head *head)
{
        struct up_h1 *u = (struct up_h1 *)s;
        struct exchange *x = s->x;
        struct h1_vector *v = h1_out_gather(&u->out, &u->w->up_vector);

        u->out.is_chunked = head->framing == HTTP_BODY_CHUNKED;
        u->is_raw = head->is_raw;
        if (u->is_raw) { /* that it is connected is told in the next turn */
                stream_poke(&u->stream, STREAM_READABLE);
                return;
        }
        if (h1_request_write(head, x->forward_target, &x->arena, v) != ERR_OK) {
                u->out.is_broken = true;
                stream_poke(&u->stream, STREAM_READABLE);
        }
}

static size_t op_data(struct side *s, const struct side_data *d)
{
        struct up_h1 *u = (struct up_h1 *)s;
        size_t offered = side_data_len(d), taken;

        taken = h1_out_data(&u->out, &u->stream, &u->w->up_vector, d, &s->x->arena);
        u->side.has_room = taken == offered && !h1_out_is_pending(&u->out);
        if (u->is_tunnel)
                timer_start(u, waits(u)->tunnel_ms);
        if (u->out.is_broken)
                stream_poke(&u->stream, STREAM_READABLE);
        if (d->is_last && taken == offered) {
                u->request_is_sent = true;
                if (u->is_tunnel && !h1_out_is_pending(&u->out))
                        stream_shutdown(&u->stream);
        }
        return taken;
}

static void op_flush(struct side *s)
{
        struct up_h1 *u = (struct up_h1 *)s;

        if (u->w->up_vector.bytes)
                h1_out_flush(&u->out, &u->stream, &u->w->up_vector);
        if (u->out.is_broken)
                stream_poke(&u->stream, STREAM_READABLE);
}

static void op_pull(struct side *s)
{
        struct up_h1 *u = (struct up_h1 *)s;

        if (u->in.is_last)
                return;
        u->pulled = true;
        if (u->head_is_done)
                answer_read(u);
        tunnel_rest(u);
}

static void op_reset(struct side *s, enum err reason)
{
        up_close((struct up_h1 *)s, STREAM_CLOSE_RESET);
}

static void op_release(struct side *s)
{
        struct up_h1 *u = (struct up_h1 *)s;
        struct target *t = u->target;

        s->x = NULL;
        if (u->state != UP_ACTIVE)
                return;
        bool is_whole = u->in.is_last || (u->head_is_done && u->in.body.framing == HTTP_BODY_NONE);
        bool is_clean = u->keeps_alive && is_whole && u->request_is_sent && !u->out.is_broken &&
                        !h1_out_is_pending(&u->out) && h1_in_bytes(&u->in).len == 0 && !u->in.is_ended &&
                        !stream_may_have_input(&u->stream);
        if (!is_clean || u->w->is_draining || u->snap != u->w->snap ||
            t->idle_count >= t->upstream->idle_connections_max) {
                up_close(u, is_whole ? STREAM_CLOSE_PLAIN : STREAM_CLOSE_RESET);
                return;
        }
        t->requests_active--;
        up_enter(u, UP_IDLE);
        u->served_count++;
        h1_in_next(&u->in, u->w);
        list_add(&t->idle, &u->idle_node);
        t->idle_count++;
        timer_start(u, t->upstream->keep_alive_ms);
}

static const struct side_ops up_ops = {
        .name = "h1",
        .head = op_head,
        .data = op_data,
        .flush = op_flush,
        .pull = op_pull,
        .reset = op_reset,
        .release = op_release,
};

static const struct stream_events up_events = { .on_ready = on_ready, .on_closed = on_closed };
