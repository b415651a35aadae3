#include "proxy/down_h2.h"

#include <stdio.h>
#include <string.h>

#include "crypto/random.h"
#include "crypto/text.h"
#include "http/h2_session.h"
#include "http/status.h"
#include "http/websocket_handshake.h"
#include "proxy/record.h"
#include "proxy/reply.h"
#include "proxy/route.h"

/*
 * Theory of operation. Bytes go into the session, which calls back per stream. Inside of such a call nothing may be sent,
 * so an answer that starts there is not taken until the call is over: its stream stands in `waiting`, with those whose
 * window or whose socket is full, and is told of room in `settle`. What an event asks for that must not happen inside it
 * (running the exchange, telling it that its client is gone) is marked on the stream, which then stands in `marked`.
 *
 * Everything written within a turn gathers in one buffer and goes out with the turn's end.
 */

enum {
        READS_PER_TURN = 8,
        RATE_WINDOW_MS = 5000,
        DRAIN_MS = 1000,
        REFUSALS_LOGGED_MAX = 10,
        KEY_TEXT_MAX = 29 /* 16 bytes in base64, and a NUL */
};

struct down_h2 {
        struct down conn;
        struct h2_session *session;
        struct rbuf *out; /* what the socket did not take yet; NULL: nothing */
        struct list streams, waiting, marked, finishing;
        size_t streams_count;
        bool is_receiving;        /* inside h2_session_receive */
        bool is_closing, is_gone; /* we closed it; the stream below is closed */
        bool is_broken;           /* a write failed */
        bool is_in_list;          /* a request's list has begun and not ended */
        bool is_draining, has_served;
        uint8_t refusals_logged;
        struct timer drain_timer;
        struct task task;
};

struct down_stream {
        struct side side;
        struct h2_stream h2;
        struct down_h2 *c;
        struct list node, waiting_node, marked_node, finishing_node;

        bool is_open; /* the session has it */
        bool is_lent; /* an exchange reads its list */
        bool must_run, must_leave, must_refuse;
        bool pulls;                  /* the exchange wants the request's body */
        bool has_no_body;            /* what comes belongs to a tunnel */
        bool input_done, last_given; /* the client ended; the exchange was told */
        bool is_tunnel, head_waits;
        bool answer_is_out; /* the whole of it was taken */
        struct http_refusal refusal;
        struct h2_list head; /* of the answer, in the exchange's arena */
        struct buf body;     /* received, not taken */
        const struct http_field *trailers;
        size_t trailers_count;
        mono_ms rate_since;
        uint64_t body_bytes, rate_bytes;
        struct timer timer;
        char websocket_key[KEY_TEXT_MAX];
};

const size_t down_h2_bytes = sizeof(struct down_h2);
const size_t down_h2_stream_bytes = sizeof(struct down_stream);

static const struct side_ops side_ops;
static const struct down_protocol protocol;
static const struct h2_session_events session_events;
static void settle(struct task *t);
static void stream_timeout(struct timer *t);
static void body_wait(struct down_stream *st);
static void idle_timeout(struct timer *t);
static void drain_timeout(struct timer *t);
static void conn_close(struct down_h2 *c, enum stream_close_how how);
static void conn_fail(struct down_h2 *c, const char *reason);
static void drain(struct down *conn);

static struct down_h2 *of(struct down *conn)
{
        return CONTAINER_OF(conn, struct down_h2, conn);
}

static struct down_stream *of_side(struct side *s)
{
        return CONTAINER_OF(s, struct down_stream, side);
}

static struct down_stream *of_h2(struct h2_stream *st)
{
        return CONTAINER_OF(st, struct down_stream, h2);
}

static mono_ms now_of(const struct down_h2 *c)
{
        return loop_now(c->conn.w->loop);
}

static void settle_later(struct down_h2 *c)
{
        loop_post(c->conn.w->loop, &c->task);
}

/* ---- birth and death ---- */

static void conn_free(struct down_h2 *c)
{
        loop_unpost(&c->task);
        timer_clear(&c->drain_timer);
        down_free(&c->conn);
}

static void mark(struct down_stream *st)
{
        if (list_is_empty(&st->marked_node))
                list_add_last(&st->c->marked, &st->marked_node);
        settle_later(st->c);
}

/* Once the session, the exchange's memory and the exchange itself have all let go. */
static void stream_free_if_done(struct down_stream *st)
{
        struct down_h2 *c = st->c;

        if (st->is_open || st->is_lent || st->side.x)
                return;
        timer_clear(&st->timer);
        h2_section_fini(&st->h2.request);
        buf_fini(&st->body);
        list_remove(&st->node);
        list_remove(&st->waiting_node);
        list_remove(&st->marked_node);
        list_remove(&st->finishing_node);
        c->streams_count--;
        pool_put(c->conn.w->down_streams, st);
        if (c->streams_count)
                return;
        if (c->is_gone)
                conn_free(c);
        else
                settle_later(c);
}

void down_h2_start(struct down *conn, struct str first)
{
        struct down_h2 *c = of(conn);
        struct h2_session_conf conf = { .limits = down_limits(conn)->request, .offers_tunnels = true };

        memset((char *)c + sizeof(*conn), 0, sizeof(*c) - sizeof(*conn));
        conn->protocol = &protocol;
        list_init(&c->streams);
        list_init(&c->waiting);
        list_init(&c->marked);
        list_init(&c->finishing);
        timer_init(&conn->timer, idle_timeout);
        timer_init(&c->drain_timer, drain_timeout);
        task_init(&c->task, settle);
        if (h2_session_new(&conf, &session_events, c, now_of(c), &c->session) != ERR_OK) {
                measure_refused(conn->w, "memory");
                conn_close(c, STREAM_CLOSE_PLAIN);
                return;
        }
        down_timer_start(conn, down_limits(conn)->header_ms);
        settle_later(c);
        if (first.len) {
                const char *reason;

                c->is_receiving = true;
                enum err e = h2_session_receive(c->session, first, now_of(c), &reason);
                c->is_receiving = false;
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
        }
        c->session = NULL;
        h2_session_free(session);
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
                conn_free(c);
}

/* ---- sending ---- */

static size_t out_room(const struct down_h2 *c)
{
        return c->out ? c->out->cap - c->out->len : 0;
}

static bool out_take(struct down_h2 *c)
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
static void out_flush(struct down_h2 *c)
{
        while (!c->is_broken && c->session) {
                if (!h2_session_wants_send(c->session) || out_room(c) < H2_OUT_BYTES_LEAST)
                        out_write(c);
                if (!h2_session_wants_send(c->session) || (c->out && out_room(c) < H2_OUT_BYTES_LEAST))
                        break;
                if (!out_take(c)) {
                        c->is_broken = true;
                        break;
                }
                size_t n = h2_session_send(c->session, c->out->bytes + c->out->len, out_room(c));
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

/* A stream that could not give all stands here until there is room; someone who does not read is not waited for long. */
static void wait_for_room(struct down_stream *st, bool has_moved)
{
        bool is_new = list_is_empty(&st->waiting_node);

        st->side.has_room = false;
        list_remove(&st->waiting_node);
        list_add_last(&st->c->waiting, &st->waiting_node);
        if (is_new || has_moved)
                timer_set(st->c->conn.w->loop, &st->timer,
                          now_of(st->c) + down_limits(&st->c->conn)->body_idle_ms);
        settle_later(st->c);
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
                                (!c->out || out_room(c) >= H2_OUT_BYTES_LEAST);

                list_remove(&st->waiting_node);
                if (has_room) {
                        st->side.has_room = true;
                        timer_clear(&st->timer);
                        exchange_down_room(st->side.x);
                        if (st->side.x && st->side.has_room && st->pulls && !st->last_given)
                                body_wait(st);
                } else if (st->is_open && st->side.x) {
                        list_add_last(&c->waiting, &st->waiting_node);
                }
        }
}

/* ---- a stream's request ---- */

/* An answer from before there is an exchange. */
static void refuse(struct down_stream *st)
{
        struct down_h2 *c = st->c;
        const struct http_refusal *r = &st->refusal;
        char status[8], body[256], length[16];
        size_t taken = 0, written;

        int len = snprintf(body, sizeof(body), "{\"error\":{\"type\":\"%s\",\"message\":\"%s (%s)\"}}\n",
                           reply_error_type(r->status), http_status_reason(r->status).ptr, r->reason);
        snprintf(status, sizeof(status), "%u", r->status);
        snprintf(length, sizeof(length), "%d", len);
        struct h2_pair pairs[] = { { STR(":status"), str_of(status), false },
                                   { STR("content-type"), STR("application/json"), false },
                                   { STR("content-length"), str_of(length), false } };
        struct h2_list list = { pairs, ARRAY_SIZE(pairs) };
        struct str text = { body, (size_t)len };

        if (!out_take(c) || h2_stream_head(c->session, &st->h2, &list, true, false) != ERR_OK) {
                h2_stream_reset(c->session, &st->h2, H2_REFUSED_STREAM, true);
                return;
        }
        out_flush(c);
        if (!out_take(c) || out_room(c) < H2_OUT_BYTES_LEAST) {
                h2_stream_reset(c->session, &st->h2, H2_REFUSED_STREAM, true);
                return;
        }
        list_add_last(&c->finishing, &st->finishing_node);
        written = h2_stream_data(c->session, &st->h2, &text, 1, true, NULL, c->out->bytes + c->out->len,
                                 out_room(c), &taken);
        c->out->len += (uint32_t)written;
        if (taken < text.len) /* it opened no window for so little */
                h2_stream_reset(c->session, &st->h2, H2_CANCEL, false);
}

static struct str websocket_key(struct down_stream *st)
{
        uint8_t bytes[WEBSOCKET_KEY_BYTES];

        if (!h2_section_asks_tunnel(&st->h2.request))
                return STR_NULL;
        crypto_random(bytes, sizeof(bytes));
        return crypto_base64_format((struct str){ (const char *)bytes, sizeof(bytes) }, st->websocket_key);
}

static void timer_look(struct down_h2 *c)
{
        if (c->is_in_list || !c->has_served)
                return; /* the header's time runs */
        if (c->streams_count)
                timer_clear(&c->conn.timer);
        else
                down_timer_start(&c->conn, down_limits(&c->conn)->idle_ms);
}

/* A stranger may send a thousand such streams: all are counted, a few are written down. */
static void refusal_record(struct down_h2 *c, const struct http_refusal *refusal)
{
        if (c->refusals_logged == REFUSALS_LOGGED_MAX) {
                measure_refused(c->conn.w, refusal->reason);
                return;
        }
        c->refusals_logged++;
        record_refused(c->conn.w, &c->conn.origin, refusal);
}

static struct h2_stream *event_open(void *context)
{
        struct down_h2 *c = context;
        struct down_stream *st;

        c->is_in_list = c->has_served = true;
        down_timer_start(&c->conn, down_limits(&c->conn)->header_ms);
        st = c->streams_count < H2_STREAMS_MAX ? pool_take(c->conn.w->down_streams) : NULL;
        if (!st) {
                measure_refused(c->conn.w, "h2_streams");
                return NULL;
        }
        *st = (struct down_stream){ .side = { .ops = &side_ops, .has_room = true }, .c = c, .is_open = true };
        buf_init(&st->body, 2 * (size_t)H2_STREAM_WINDOW);
        timer_init(&st->timer, stream_timeout);
        list_init(&st->waiting_node);
        list_init(&st->marked_node);
        list_init(&st->finishing_node);
        list_add_last(&c->streams, &st->node);
        c->streams_count++;
        return &st->h2;
}

/* The list of fields lives in the worker's scratch; exchange_new copies it. */
static void event_request(void *context, struct h2_stream *h2)
{
        static const struct http_refusal no_room = { 503, "requests" };
        struct down_h2 *c = context;
        struct down_stream *st = of_h2(h2);
        struct worker *w = c->conn.w;
        struct http_head head = { .fields = w->scratch_fields, .fields_max = ARRAY_SIZE(w->scratch_fields) };
        enum err e =
                h2_section_request(&h2->request, h2->input_is_whole, websocket_key(st), &head, &st->refusal);

        c->is_in_list = false;
        timer_clear(&c->conn.timer);
        st->input_done = h2->input_is_whole;
        if (e == ERR_MALFORMED) {
                refusal_record(c, &st->refusal);
                h2_stream_reset(c->session, h2, H2_PROTOCOL_ERROR, false);
                return;
        }
        if (e == ERR_OK && head.framing == HTTP_BODY_LENGTH)
                h2_stream_length(h2, head.content_length);
        st->has_no_body = head.framing == HTTP_BODY_NONE;
        if (e == ERR_OK && !exchange_new(w, &st->side, &c->conn.origin, &head)) {
                st->refusal = no_room;
                e = ERR_NO_MEMORY;
        }
        st->must_refuse = e != ERR_OK;
        st->must_run = st->is_lent = e == ERR_OK;
        if (st->must_refuse)
                refusal_record(c, &st->refusal);
        mark(st);
}

/* The exchange may have ended, or the stream closed, whenever one of these returns. */
static void continue_say(struct down_stream *st)
{
        struct exchange *x = st->side.x;
        struct h2_pair status = { STR(":status"), STR("100"), false };
        struct h2_list list = { &status, 1 };

        if (!x->request.expects_continue || x->continue_sent || x->answer_started || st->body_bytes)
                return;
        x->continue_sent = true;
        if (h2_stream_head(st->c->session, &st->h2, &list, false, false) != ERR_OK)
                h2_stream_reset(st->c->session, &st->h2, H2_INTERNAL_ERROR, true);
        settle_later(st->c);
}

/* Waits for more of the body; what comes too slowly is seen by the timer. */
static void body_wait(struct down_stream *st)
{
        const struct proxy_limits *l = down_limits(&st->c->conn);

        if (st->is_tunnel)
                return;
        if (!st->rate_since) {
                st->rate_since = now_of(st->c);
                st->rate_bytes = st->body_bytes;
        }
        timer_set(st->c->conn.w->loop, &st->timer,
                  now_of(st->c) + (l->minimum_rate ? MIN(l->body_idle_ms, (int64_t)RATE_WINDOW_MS)
                                                   : l->body_idle_ms));
}

/* Gives what is kept and what is new, in this order; keeps what is not taken. */
static void body_give(struct down_stream *st)
{
        struct down_h2 *c = st->c;

        while (st->side.x && st->pulls && !st->last_given) {
                bool ends = st->has_no_body || st->input_done;
                struct str bytes = st->has_no_body ? STR_NULL : buf_str(&st->body);
                struct side_data d = { &bytes, bytes.len ? 1 : 0, ends, NULL, 0 };

                if (!ends && bytes.len == 0) {
                        continue_say(st);
                        body_wait(st);
                        return;
                }
                if (ends) {
                        d.trailers = st->has_no_body ? NULL : st->trailers;
                        d.trailers_count = st->has_no_body ? 0 : st->trailers_count;
                        st->last_given = true;
                }
                size_t taken = exchange_request_data(st->side.x, &d);
                buf_consume(&st->body, taken);
                if (taken && st->is_open) {
                        h2_stream_took(c->session, &st->h2, taken);
                        settle_later(c); /* a window update may go out */
                }
                if (taken < bytes.len) {
                        st->last_given = false;
                        st->pulls = false; /* until the exchange has room again */
                        st->rate_since = 0;
                }
        }
        if (st->side.has_room)
                timer_clear(&st->timer);
}

static void event_data(void *context, struct h2_stream *h2, struct str bytes)
{
        struct down_h2 *c = context;
        struct down_stream *st = of_h2(h2);
        size_t taken = 0;

        st->body_bytes += bytes.len;
        if (!st->side.x) { /* answered already, or refused: passed over, and the window returned */
                h2_stream_took(c->session, h2, bytes.len);
                return;
        }
        if (st->pulls && st->body.len == 0 && !st->last_given && !st->has_no_body) {
                struct side_data d = { &bytes, 1, false, NULL, 0 };

                taken = exchange_request_data(st->side.x, &d);
                if (taken)
                        h2_stream_took(c->session, h2, taken);
                st->pulls = taken == bytes.len;
                if (st->pulls && st->side.x)
                        body_wait(st);
        }
        if (taken < bytes.len && st->side.x)
                buf_add(&st->body, str_from(bytes, taken));
        else if (taken < bytes.len)
                h2_stream_took(c->session, h2, bytes.len - taken);
        if (st->body.full) /* more than a window: it cannot be, and must not pass for less */
                h2_stream_reset(c->session, h2, H2_INTERNAL_ERROR, true);
}

static void event_end(void *context, struct h2_stream *h2, const struct http_field *trailers, size_t count)
{
        struct down_stream *st = of_h2(h2);

        st->input_done = true;
        st->trailers = trailers;
        st->trailers_count = count;
        if (!st->must_run)
                body_give(st);
}

static void event_closed(void *context, struct h2_stream *h2, uint32_t code)
{
        struct down_stream *st = of_h2(h2);
        struct down_h2 *c = st->c;

        st->is_open = false;
        st->trailers = NULL;
        st->trailers_count = 0;
        if (st->body.len && c->session)
                h2_stream_took(c->session, h2, st->body.len);
        buf_clear(&st->body);
        list_remove(&st->waiting_node);
        list_remove(&st->finishing_node);
        if (st->side.x && !(code == H2_NO_ERROR && h2->output_is_whole && h2->input_is_whole)) {
                st->must_leave = true;
                mark(st);
        }
        stream_free_if_done(st);
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
                        stream_free_if_done(st);
                } else if (must_run && st->side.x) {
                        if (c->conn.is_redirecting)
                                reply_redirect_to_https(st->side.x, c->conn.https_port);
                        else
                                exchange_run(st->side.x);
                } else if (must_refuse && st->is_open) {
                        refuse(st);
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
        out_flush(c);
        room_give(c);
        finishing_do(c);
        out_flush(c);
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
                settle_later(c);
}

/* ---- events of the connection ---- */

/* A budget was passed, or the protocol broken: the client hears why, as far as it still listens. */
static void conn_fail(struct down_h2 *c, const char *reason)
{
        struct http_refusal refusal = { 400, reason };

        record_refused(c->conn.w, &c->conn.origin, &refusal);
        out_flush(c);
        conn_close(c, STREAM_CLOSE_LINGER);
}

static void input_read(struct down_h2 *c)
{
        struct rbuf *b = worker_buffer_take(c->conn.w, true);
        const char *reason = NULL;
        enum err e = b ? ERR_OK : ERR_NO_MEMORY;
        size_t got;

        for (int reads = 0; e == ERR_OK; reads++) {
                if (reads == READS_PER_TURN) { /* others wait too */
                        stream_poke(&c->conn.stream, STREAM_READABLE);
                        break;
                }
                if ((e = stream_read(&c->conn.stream, b->bytes, b->cap, &got)) != ERR_OK)
                        break;
                c->is_receiving = true;
                e = h2_session_receive(c->session, (struct str){ b->bytes, got }, now_of(c), &reason);
                c->is_receiving = false;
                if (e == ERR_OK && got < b->cap && !stream_may_have_input(&c->conn.stream))
                        break;
        }
        worker_buffer_put(c->conn.w, b);
        if (reason && (e == ERR_DENIED || e == ERR_MALFORMED))
                conn_fail(c, reason);
        else if (e != ERR_OK && e != ERR_AGAIN)
                conn_close(c, e == ERR_CLOSED && c->streams_count == 0 ? STREAM_CLOSE_PLAIN
                                                                       : STREAM_CLOSE_RESET);
        else
                settle(&c->task);
}

static void on_ready(struct down *conn, unsigned ready)
{
        struct down_h2 *c = of(conn);

        if (c->is_closing)
                return;
        if (ready & STREAM_READABLE)
                input_read(c);
        else
                settle(&c->task);
}

static void drain_timeout(struct timer *t)
{
        struct down_h2 *c = CONTAINER_OF(t, struct down_h2, drain_timer);

        h2_session_drain_now(c->session);
        settle_later(c);
}

static void drain(struct down *conn)
{
        struct down_h2 *c = of(conn);

        if (c->is_closing || c->is_draining)
                return;
        c->is_draining = true;
        h2_session_drain(c->session);
        timer_set(conn->w->loop, &c->drain_timer, now_of(c) + DRAIN_MS);
        settle_later(c);
}

static void idle_timeout(struct timer *t)
{
        struct down_h2 *c = of(CONTAINER_OF(t, struct down, timer));

        if (c->is_in_list) {
                conn_fail(c, "header_timeout");
                return;
        }
        h2_session_drain_now(c->session);
        out_flush(c);
        conn_close(c, STREAM_CLOSE_LINGER);
}

/* True when the body came at less than the least rate over a whole window, or not at all. */
static bool body_is_late(struct down_stream *st)
{
        const struct proxy_limits *l = down_limits(&st->c->conn);
        mono_ms now = now_of(st->c), since = now - st->rate_since;
        uint64_t came = st->body_bytes - st->rate_bytes;

        if (came == 0 && since >= l->body_idle_ms)
                return true;
        if (since < RATE_WINDOW_MS)
                return !l->minimum_rate;
        if (l->minimum_rate && came < l->minimum_rate * (uint64_t)since / 1000)
                return true;
        st->rate_since = now;
        st->rate_bytes = st->body_bytes;
        return false;
}

static void stream_timeout(struct timer *t)
{
        static const struct http_refusal late = { 408, "body_timeout" };
        struct down_stream *st = CONTAINER_OF(t, struct down_stream, timer);
        struct down_h2 *c = st->c;

        if (!st->is_open || !st->side.x)
                return;
        if (!st->side.has_room) { /* it does not read its answer: reliability 3.2, "window 0 for ever" */
                measure_refused(c->conn.w, "write_timeout");
                h2_stream_reset(c->session, &st->h2, H2_CANCEL, false);
                exchange_down_reset(st->side.x, ERR_TIMED_OUT);
        } else if (st->pulls && !body_is_late(st)) {
                body_wait(st);
        } else if (st->pulls) {
                exchange_request_broken(st->side.x, &late);
        }
        settle_later(c);
}

/* ---- operations of the side ---- */

static void answer_broken(struct down_stream *st)
{
        h2_stream_reset(st->c->session, &st->h2, H2_INTERNAL_ERROR, true);
        settle_later(st->c);
}

static void op_head(struct side *s, struct http_head *head)
{
        struct down_stream *st = of_side(s);
        struct h2_list list;

        if (!st->is_open)
                return;
        if (h2_list_answer(head, &s->x->arena, &list) != ERR_OK) {
                answer_broken(st);
                return;
        }
        if (head->status < 200 && head->status != 101) {
                if (h2_stream_head(st->c->session, &st->h2, &list, false, false) != ERR_OK)
                        answer_broken(st);
                settle_later(st->c);
                return;
        }
        st->head = list;
        st->head_waits = true;
        if (head->status == 101) {
                st->is_tunnel = true;
                st->has_no_body = st->last_given = false;
                timer_clear(&st->timer);
        }
}

/* The head goes with what is known of the body by now. False: the stream is no more. */
static bool head_send(struct down_stream *st, bool is_end)
{
        if (!st->is_open)
                return false;
        if (st->head_waits) {
                st->head_waits = false;
                if (h2_stream_head(st->c->session, &st->h2, &st->head, true, is_end) != ERR_OK) {
                        answer_broken(st);
                        return false;
                }
                settle_later(st->c);
        }
        return true;
}

/* The end, when no bytes go with it: needs neither window nor buffer. */
static void end_send(struct down_stream *st, const struct h2_list *trailers)
{
        st->answer_is_out = true;
        if (st->head_waits && !trailers) {
                head_send(st, true);
                return;
        }
        if (head_send(st, false) && h2_stream_end(st->c->session, &st->h2, trailers) != ERR_OK)
                answer_broken(st);
        settle_later(st->c);
}

static size_t op_data(struct side *s, const struct side_data *d)
{
        struct down_stream *st = of_side(s);
        struct down_h2 *c = st->c;
        size_t offered = side_data_len(d), taken = 0;
        struct h2_list trailers = { NULL, 0 };
        bool is_head_only = s->x->request.method == HTTP_HEAD;

        if (!st->is_open || st->answer_is_out)
                return is_head_only ? offered : 0;
        if (d->is_last && d->trailers_count &&
            h2_list_trailers(d->trailers, d->trailers_count, &s->x->arena, &trailers) != ERR_OK) {
                answer_broken(st);
                return 0;
        }
        if (is_head_only || (d->is_last && offered == 0)) {
                end_send(st, trailers.count && !is_head_only ? &trailers : NULL);
                return offered;
        }
        if (!head_send(st, false))
                return 0;
        if (c->is_receiving || c->is_broken || !out_take(c)) {
                wait_for_room(st, false);
                return 0;
        }
        if (out_room(c) < H2_OUT_BYTES_LEAST)
                out_flush(c);
        if (!st->is_open)
                return 0;
        if (out_take(c) && out_room(c) >= H2_OUT_BYTES_LEAST) {
                size_t written = h2_stream_data(c->session, &st->h2, d->slices, d->slices_count, d->is_last,
                                                &trailers, c->out->bytes + c->out->len, out_room(c), &taken);

                c->out->len += (uint32_t)written;
        }
        if (taken < offered)
                wait_for_room(st, taken > 0);
        else
                st->answer_is_out = d->is_last;
        settle_later(c);
        return taken;
}

static void op_flush(struct side *s)
{
        head_send(of_side(s), false);
}

static void op_pull(struct side *s)
{
        struct down_stream *st = of_side(s);

        if (!st->is_open || st->last_given)
                return;
        st->pulls = true;
        body_give(st);
}

static void op_reset(struct side *s, enum err reason)
{
        struct down_stream *st = of_side(s);

        timer_clear(&st->timer);
        if (st->is_open && st->c->session)
                answer_broken(st);
        stream_free_if_done(st);
}

static void op_release(struct side *s)
{
        struct down_stream *st = of_side(s);
        struct down_h2 *c = st->c;

        s->x = NULL;
        timer_clear(&st->timer);
        if (st->is_open && c->session) {
                if (st->body.len)
                        h2_stream_took(c->session, &st->h2, st->body.len);
                buf_fini(&st->body);
                if (!st->input_done)
                        list_add_last(&c->finishing, &st->finishing_node);
                settle_later(c);
        }
        stream_free_if_done(st);
}

static void op_let_go(struct side *s)
{
        struct down_stream *st = of_side(s);

        st->is_lent = false;
        stream_free_if_done(st);
}

static const struct side_ops side_ops = {
        .name = "h2",
        .head = op_head,
        .data = op_data,
        .flush = op_flush,
        .pull = op_pull,
        .reset = op_reset,
        .release = op_release,
        .let_go = op_let_go,
};

static const struct h2_session_events session_events = {
        .open = event_open,
        .on_request = event_request,
        .on_data = event_data,
        .on_end = event_end,
        .on_closed = event_closed,
};

static const struct down_protocol protocol = {
        .name = "h2",
        .on_ready = on_ready,
        .on_closed = on_closed,
        .drain = drain,
};
