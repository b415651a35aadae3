#include "proxy/down_h2_priv.h"

#include <string.h>

#include "proxy/record.h"
#include "proxy/reply.h"
#include "proxy/route.h"

enum { READS_PER_TURN = 8, DRAIN_MS = 1000 };

const size_t down_h2_bytes = sizeof(struct down_h2);
const size_t down_h2_stream_bytes = sizeof(struct down_stream);

static const struct down_protocol protocol;
static void settle(struct task *t);
static void idle_timeout(struct timer *t);
static void drain_timeout(struct timer *t);
static void conn_close(struct down_h2 *c, enum stream_close_how how);
static void conn_fail(struct down_h2 *c, const char *reason);
static void drain(struct down *conn);

static struct down_h2 *of(struct down *conn)
{
        return CONTAINER_OF(conn, struct down_h2, conn);
}

void down_h2_settle_later(struct down_h2 *c)
{
        loop_post(c->conn.w->loop, &c->task);
}

/* ---- birth and death ---- */

void down_h2_free(struct down_h2 *c)
{
        loop_unpost(&c->task);
        timer_clear(&c->drain_timer);
        down_free(&c->conn);
}

void down_h2_start(struct down *conn, struct str first)
{
        struct down_h2 *c = of(conn);
        struct h2_session_conf conf = { .limits = down_limits(conn)->request,
                                        .offers_tunnels = true,
                                        .is_link = conn->link != NULL };

        memset((char *)c + sizeof(*conn), 0, sizeof(*c) - sizeof(*conn));
        conn->protocol = &protocol;
        list_init(&c->streams);
        list_init(&c->waiting);
        list_init(&c->marked);
        list_init(&c->finishing);
        list_init(&c->lane_node);
        timer_init(&conn->timer, idle_timeout);
        timer_init(&c->drain_timer, drain_timeout);
        task_init(&c->task, settle);
        if (h2_session_new(&conf, &down_h2_session_events, c, down_h2_now(c), &c->session) != ERR_OK) {
                measure_refused(conn->w, "memory");
                conn_close(c, STREAM_CLOSE_PLAIN);
                return;
        }
        down_timer_start(conn, down_limits(conn)->header_ms);
        down_h2_settle_later(c);
        if (first.len) {
                const char *reason;
                size_t taken;
                enum err e = down_h2_receive(c, first, &taken, &reason);

                if (e == ERR_OK && taken < first.len && !down_h2_hold(c, str_from(first, taken))) {
                        reason = "memory";
                        e = ERR_NO_MEMORY;
                }
                if (e != ERR_OK) {
                        conn_fail(c, reason);
                        return;
                }
                stream_poke(&conn->stream, STREAM_READABLE); /* there may be more than was read */
        }
        if (conn->w->is_draining)
                drain(conn);
}

/* The client is gone, or we are through with it: every exchange is told, in this turn. */
static void conn_close(struct down_h2 *c, enum stream_close_how how)
{
        struct h2_session *session = c->session;

        if (c->is_closing)
                return;
        c->is_closing = true;
        list_for_each_safe(node, &c->streams) {
                struct down_stream *st = CONTAINER_OF(node, struct down_stream, node);

                timer_clear(&st->timer);
                if (st->side.x)
                        exchange_down_reset(st->side.x, ERR_CLOSED);
                down_h2_stream_free_if_done(st); /* one that ended already, and whose exchange was about to */
        }
        c->session = NULL;
        h2_session_free(session);
        down_h2_lane_leave(c);
        worker_buffer_put(c->conn.w, c->out);
        c->out = NULL;
        timer_clear(&c->conn.timer);
        timer_clear(&c->drain_timer);
        stream_close(&c->conn.stream, how);
}

static void on_closed(struct down *conn)
{
        struct down_h2 *c = of(conn);

        c->is_gone = true;
        if (c->streams_count == 0)
                down_h2_free(c);
}

/* ---- sending ---- */

size_t down_h2_out_room(const struct down_h2 *c)
{
        return c->out ? c->out->cap - c->out->len : 0;
}

bool down_h2_out_take(struct down_h2 *c)
{
        if (!c->out)
                c->out = worker_buffer_take(c->conn.w, true);
        return c->out != NULL;
}

/* Writes what is gathered; what the socket does not take stays. */
static void out_write(struct down_h2 *c)
{
        struct rbuf *b = c->out;

        while (b && b->pos < b->len) {
                struct iovec part = { b->bytes + b->pos, b->len - b->pos };
                size_t written;
                enum err e = stream_write(&c->conn.stream, &part, 1, &written);

                if (e == ERR_AGAIN)
                        return;
                if (e != ERR_OK) {
                        c->is_broken = true;
                        return;
                }
                b->pos += (uint32_t)written;
        }
        if (b)
                b->pos = b->len = 0;
}

/* All the session wants out, as far as the socket takes it. */
void down_h2_out_flush(struct down_h2 *c)
{
        while (!c->is_broken && c->session) {
                if (!h2_session_wants_send(c->session) || down_h2_out_room(c) < H2_OUT_BYTES_LEAST)
                        out_write(c);
                if (!h2_session_wants_send(c->session) ||
                    (c->out && down_h2_out_room(c) < H2_OUT_BYTES_LEAST))
                        break;
                if (!down_h2_out_take(c)) {
                        c->is_broken = true;
                        break;
                }
                size_t n = h2_session_send(c->session, c->out->bytes + c->out->len, down_h2_out_room(c));
                c->out->len += (uint32_t)n;
                if (n == 0)
                        break;
        }
        if (!c->is_broken)
                out_write(c);
        if (c->out && c->out->len == 0) {
                worker_buffer_put(c->conn.w, c->out);
                c->out = NULL;
        }
}

static void room_give(struct down_h2 *c)
{
        struct list turn;

        list_init(&turn);
        list_move_all(&turn, &c->waiting);
        while (!list_is_empty(&turn)) {
                struct down_stream *st = CONTAINER_OF(turn.next, struct down_stream, waiting_node);
                bool has_room = st->is_open && st->side.x && !c->is_broken && c->session &&
                                h2_stream_has_room(c->session, &st->h2) &&
                                (!c->out || down_h2_out_room(c) >= H2_OUT_BYTES_LEAST);

                list_remove(&st->waiting_node);
                if (has_room) {
                        st->side.has_room = true;
                        timer_clear(&st->timer);
                        exchange_down_room(st->side.x);
                        if (st->side.x && st->side.has_room && st->pulls && !st->last_given)
                                down_h2_stream_body_wait(st);
                } else if (st->is_open && st->side.x) {
                        list_add_last(&c->waiting, &st->waiting_node);
                }
        }
}

static void timer_look(struct down_h2 *c)
{
        if (c->is_in_list || !c->has_served)
                return;                       /* the header's time runs */
        if (c->streams_count || c->conn.link) /* whoever dialled a link watches over it */
                timer_clear(&c->conn.timer);
        else
                down_timer_start(&c->conn, down_limits(&c->conn)->idle_ms);
}

/* ---- a turn's end ---- */

static void marked_do(struct down_h2 *c)
{
        while (!list_is_empty(&c->marked)) {
                struct down_stream *st = CONTAINER_OF(c->marked.next, struct down_stream, marked_node);
                bool must_run = st->must_run, must_refuse = st->must_refuse;

                list_remove(&st->marked_node);
                st->must_run = st->must_refuse = false;
                if (st->must_leave) {
                        st->must_leave = false;
                        if (st->side.x)
                                exchange_down_reset(st->side.x, ERR_CLOSED);
                        down_h2_stream_free_if_done(st);
                } else if (must_run && st->side.x) {
                        if (c->conn.is_redirecting)
                                reply_redirect_to_https(st->side.x, c->conn.https_port);
                        else
                                exchange_run(st->side.x);
                } else if (must_refuse && st->is_open) {
                        down_h2_stream_refuse(st);
                }
        }
}

/* Answered before all of the request was read: once the answer is out, the rest is not wanted (RFC 9113 8.1). */
static void finishing_do(struct down_h2 *c)
{
        list_for_each_safe(node, &c->finishing) {
                struct down_stream *st = CONTAINER_OF(node, struct down_stream, finishing_node);

                if (!h2_stream_output_is_out(c->session, &st->h2))
                        continue;
                list_remove(&st->finishing_node);
                if (!st->input_done)
                        h2_stream_reset(c->session, &st->h2, H2_NO_ERROR, true);
        }
}

static void settle(struct task *t)
{
        struct down_h2 *c = CONTAINER_OF(t, struct down_h2, task);
        const char *reason;

        if (c->is_closing)
                return;
        marked_do(c);
        down_h2_out_flush(c);
        room_give(c);
        finishing_do(c);
        down_h2_out_flush(c);
        if (c->is_broken) {
                conn_close(c, STREAM_CLOSE_RESET);
                return;
        }
        if (h2_session_judge(c->session, &reason) != ERR_OK) {
                conn_fail(c, reason);
                return;
        }
        timer_look(c);
        if (h2_session_is_over(c->session) && !c->out)
                conn_close(c, STREAM_CLOSE_LINGER);
        else if (!list_is_empty(&c->marked))
                down_h2_settle_later(c);
}

/* ---- events of the connection ---- */

/* A budget was passed, or the protocol broken: the client hears why, as far as it still listens. */
static void conn_fail(struct down_h2 *c, const char *reason)
{
        struct http_refusal refusal = { 400, reason };

        record_refused(c->conn.w, &c->conn.origin, &refusal);
        down_h2_out_flush(c);
        conn_close(c, STREAM_CLOSE_LINGER);
}

enum err down_h2_receive(struct down_h2 *c, struct str in, size_t *taken_out, const char **reason_out)
{
        if (c->conn.link)
                c->conn.link->heard_at = down_h2_now(c);
        c->is_receiving = true;
        enum err e = h2_session_receive(c->session, in, down_h2_now(c), taken_out, reason_out);
        c->is_receiving = false;
        return e;
}

void down_h2_input_over(struct down_h2 *c, enum err e, const char *reason)
{
        if (reason && (e == ERR_DENIED || e == ERR_MALFORMED))
                conn_fail(c, reason);
        else if (e != ERR_OK && e != ERR_AGAIN)
                conn_close(c, e == ERR_CLOSED && c->streams_count == 0 ? STREAM_CLOSE_PLAIN
                                                                       : STREAM_CLOSE_RESET);
        else
                settle(&c->task);
}

static void input_read(struct down_h2 *c)
{
        struct rbuf *b = worker_buffer_take(c->conn.w, true);
        const char *reason = NULL;
        enum err e = b ? ERR_OK : ERR_NO_MEMORY;
        size_t got, taken;

        for (int reads = 0; e == ERR_OK; reads++) {
                if (reads == READS_PER_TURN) { /* others wait too */
                        stream_poke(&c->conn.stream, STREAM_READABLE);
                        break;
                }
                if ((e = stream_read(&c->conn.stream, b->bytes, b->cap, &got)) != ERR_OK)
                        break;
                e = down_h2_receive(c, (struct str){ b->bytes, got }, &taken, &reason);
                if (e == ERR_OK && taken < got) {
                        b->len = (uint32_t)got;
                        b->pos = (uint32_t)taken;
                        c->held = b;
                        b = NULL;
                        down_h2_lane_join(c);
                        break;
                }
                if (e == ERR_OK && got < b->cap && !stream_may_have_input(&c->conn.stream))
                        break;
        }
        worker_buffer_put(c->conn.w, b);
        down_h2_input_over(c, e, reason);
}

static void on_ready(struct down *conn, unsigned ready)
{
        struct down_h2 *c = of(conn);

        if (c->is_closing)
                return;
        if (ready & STREAM_READABLE && !down_h2_lane_has(c) &&
            h2_session_is_doubtful(c->session, down_h2_now(c)))
                down_h2_lane_join(c);
        if (ready & STREAM_READABLE && !down_h2_lane_has(c))
                input_read(c);
        else
                settle(&c->task);
}

static void drain_timeout(struct timer *t)
{
        struct down_h2 *c = CONTAINER_OF(t, struct down_h2, drain_timer);

        h2_session_drain_now(c->session);
        down_h2_settle_later(c);
}

static void drain(struct down *conn)
{
        struct down_h2 *c = of(conn);

        if (c->is_closing || c->is_draining)
                return;
        c->is_draining = true;
        h2_session_drain(c->session);
        timer_set(conn->w->loop, &c->drain_timer, down_h2_now(c) + DRAIN_MS);
        down_h2_settle_later(c);
}

static void idle_timeout(struct timer *t)
{
        struct down_h2 *c = of(CONTAINER_OF(t, struct down, timer));

        if (c->is_in_list) {
                conn_fail(c, "header_timeout");
                return;
        }
        h2_session_drain_now(c->session);
        down_h2_out_flush(c);
        conn_close(c, STREAM_CLOSE_LINGER);
}

static void cut(struct down *conn)
{
        conn_close(of(conn), STREAM_CLOSE_RESET);
}

static const struct down_protocol protocol = {
        .name = "h2",
        .cut = cut,
        .on_ready = on_ready,
        .on_closed = on_closed,
        .drain = drain,
};
