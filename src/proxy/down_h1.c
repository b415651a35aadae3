#include "proxy/down_h1.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "http/status.h"
#include "proxy/down_h2.h"
#include "proxy/h1_in.h"
#include "proxy/h1_out.h"
#include "proxy/record.h"
#include "proxy/reply.h"
#include "proxy/route.h"

enum { RATE_WINDOW_MS = 5000, READS_PER_TURN = 8 };

#define TO(s) (1u << DOWN_##s)

enum down_state { DOWN_IDLE, DOWN_READING, DOWN_ACTIVE, DOWN_FLUSHING, DOWN_CLOSING, DOWN_STATES };

static const struct {
        const char *name;
        unsigned next;
} states[DOWN_STATES] = {
        [DOWN_IDLE] = { "idle", TO(READING) | TO(CLOSING) },
        [DOWN_READING] = { "reading", TO(ACTIVE) | TO(FLUSHING) | TO(CLOSING) | TO(IDLE) },
        [DOWN_ACTIVE] = { "active", TO(FLUSHING) | TO(CLOSING) },
        [DOWN_FLUSHING] = { "flushing", TO(IDLE) | TO(READING) | TO(CLOSING) },
        [DOWN_CLOSING] = { "closing", 0 },
};

struct down_h1 {
        struct down conn;
        struct side side;

        uint8_t state;
        bool keeps_alive;               /* after the present answer */
        bool pulls;                     /* the exchange wants the request's body */
        bool is_lent, is_gone;          /* an exchange reads its memory; its stream is closed */
        bool is_tunnel, answer_is_open; /* no length: the end of the answer is the end of the connection */
        uint32_t served_count;
        mono_ms rate_since; /* the window of a body's least rate; 0: none yet */
        uint64_t rate_bytes;

        struct h1_in in;
        struct h1_out out;
};

const size_t down_h1_bytes = sizeof(struct down_h1);

static const struct side_ops down_ops;
static const struct down_protocol protocol;
static void down_timeout(struct timer *t);
static void down_step(struct down_h1 *c);

static struct down_h1 *of(struct down *conn)
{
        return CONTAINER_OF(conn, struct down_h1, conn);
}

static struct down_h1 *of_side(struct side *s)
{
        return CONTAINER_OF(s, struct down_h1, side);
}

static void down_enter(struct down_h1 *c, enum down_state next)
{
        assert(states[c->state].next & 1u << next);
        c->state = (uint8_t)next;
}

/* ---- birth and death ---- */

static void conn_free(struct down_h1 *c)
{
        h1_in_fini(&c->in, c->conn.w);
        h1_out_fini(&c->out);
        down_free(&c->conn);
}

static void down_close(struct down_h1 *c, enum stream_close_how how)
{
        if (c->state == DOWN_CLOSING)
                return;
        down_enter(c, DOWN_CLOSING);
        h1_out_drop(&c->out);
        timer_clear(&c->conn.timer);
        stream_close(&c->conn.stream, how);
}

/* An exchange that has not ended yet still reads the head and where it came from. */
static void on_closed(struct down *conn)
{
        struct down_h1 *c = of(conn);

        c->is_gone = true;
        if (!c->is_lent)
                conn_free(c);
}

static void tunnel_rest(struct down_h1 *c);

static void op_let_go(struct side *s)
{
        struct down_h1 *c = of_side(s);

        c->is_lent = false;
        if (c->is_gone)
                conn_free(c);
        else
                tunnel_rest(c);
}

void down_h1_start(struct down *conn)
{
        struct down_h1 *c = of(conn);

        memset((char *)c + sizeof(*conn), 0, sizeof(*c) - sizeof(*conn));
        c->side.ops = &down_ops;
        c->side.has_room = true; /* else an answer that is over with its head never ends */
        c->keeps_alive = true;
        conn->protocol = &protocol;
        h1_in_init(&c->in);
        h1_out_init(&c->out);
        timer_init(&conn->timer, down_timeout);
        down_timer_start(conn, down_limits(conn)->header_ms);
}

/* ---- a request's head ---- */

/* An answer from before there is an exchange: the head could not be read. */
static void refuse(struct down_h1 *c, const struct http_refusal *refusal)
{
        char body[256], head[384];
        struct side_data d;

        record_refused(c->conn.w, &c->conn.origin, refusal);
        int body_len = snprintf(body, sizeof(body), "{\"error\":{\"type\":\"%s\",\"message\":\"%s (%s)\"}}\n",
                                reply_error_type(refusal->status), http_status_reason(refusal->status).ptr,
                                refusal->reason);
        int head_len = snprintf(head, sizeof(head),
                                "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                                "Connection: close\r\n\r\n",
                                refusal->status, http_status_reason(refusal->status).ptr, body_len);
        struct str parts[2] = { { head, (size_t)head_len }, { body, (size_t)body_len } };
        d = (struct side_data){ parts, 2, true, NULL, 0 };
        c->out.is_chunked = false;
        h1_out_data(&c->out, &c->conn.stream, &c->conn.w->down_vector, &d, NULL);
        down_close(c, STREAM_CLOSE_LINGER);
}

/* The list of fields the head brought lives in the worker's scratch; exchange_new copies it. */
static void begin_exchange(struct down_h1 *c, const struct http_head *head)
{
        static const struct http_refusal no_room = { 503, "requests" };
        struct exchange *x;

        h1_in_body_begin(&c->in, head);
        down_enter(c, DOWN_ACTIVE);
        timer_clear(&c->conn.timer);
        c->keeps_alive = head->keeps_alive && !c->conn.w->is_draining;
        c->pulls = c->is_tunnel = c->answer_is_open = false;
        c->rate_since = 0;
        c->served_count++;
        x = exchange_new(c->conn.w, &c->side, &c->conn.origin, head);
        if (!x) {
                refuse(c, &no_room);
                return;
        }
        c->is_lent = true;
        if (c->conn.is_redirecting) {
                reply_redirect_to_https(x, c->conn.https_port);
                return;
        }
        exchange_run(x);
}

/* A plain connection's first bytes may be those of HTTP/2 (RFC 9113 3.3). ERR_AGAIN: they may yet be; ERR_OK: they were. */
static enum err h2_look(struct down_h1 *c, struct str bytes)
{
        static const struct str magic = STR_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        size_t n = MIN(bytes.len, magic.len);

        if (!c->conn.takes_h2 || c->served_count || !str_eq(str_sub(bytes, 0, n), str_sub(magic, 0, n)))
                return ERR_NOT_FOUND;
        if (n < magic.len)
                return ERR_AGAIN;
        struct rbuf *b = c->in.buffer;
        struct worker *w = c->conn.w;
        c->in.buffer = NULL;
        timer_clear(&c->conn.timer);
        down_h2_start(&c->conn, bytes);
        worker_buffer_put(w, b);
        return ERR_OK;
}

/* Parses what is there. ERR_AGAIN: more must come. */
static enum err head_parse(struct down_h1 *c)
{
        struct worker *w = c->conn.w;
        struct http_refusal refusal = { 400, "malformed" };
        struct http_head head = { .fields = w->scratch_fields, .fields_max = ARRAY_SIZE(w->scratch_fields) };
        struct str bytes = h1_in_bytes(&c->in);
        enum err e;

        if (bytes.len == 0)
                return ERR_AGAIN;
        if (c->state == DOWN_IDLE) { /* the first byte starts the header's time */
                down_enter(c, DOWN_READING);
                down_timer_start(&c->conn, down_limits(&c->conn)->header_ms);
        }
        if ((e = h2_look(c, bytes)) != ERR_NOT_FOUND)
                return e;
        e = h1_request_parse(bytes, &down_limits(&c->conn)->request, &c->in.scanned, &head, &refusal);
        if (e == ERR_AGAIN)
                return ERR_AGAIN;
        if (e != ERR_OK)
                refuse(c, &refusal);
        else
                begin_exchange(c, &head);
        return e;
}

static void head_read(struct down_h1 *c)
{
        static const struct http_refusal too_long = { 431, "head_bytes" };
        bool filled = false;

        while (c->state == DOWN_IDLE || c->state == DOWN_READING) {
                if (head_parse(c) != ERR_AGAIN)
                        return;
                enum err e = h1_in_read(&c->in, c->conn.w, &c->conn.stream, &filled);
                if (e == ERR_OK)
                        continue;
                if (e == ERR_TOO_LARGE)
                        refuse(c, &too_long);
                else if (e != ERR_AGAIN)
                        down_close(c, STREAM_CLOSE_PLAIN);
                else if (c->state == DOWN_IDLE)
                        h1_in_next(&c->in, c->conn.w); /* nothing came: no buffer is kept */
                return;
        }
}

/* ---- the request's body ---- */

static size_t give(void *context, const struct side_data *d)
{
        struct down_h1 *c = context;

        return c->side.x ? exchange_request_data(c->side.x, d) : 0;
}

static void continue_say(struct down_h1 *c)
{
        struct exchange *x = c->side.x;

        if (!x->request.expects_continue || x->continue_sent || x->answer_started)
                return;
        x->continue_sent = true;
        if (h1_in_bytes(&c->in).len == 0) { /* a client that did not wait needs no word */
                h1_vector_add(&c->conn.w->down_vector, STR("HTTP/1.1 100 Continue\r\n\r\n"));
                h1_out_flush(&c->out, &c->conn.stream, &c->conn.w->down_vector);
        }
}

/* Waits for more of the body. False when it has come too slowly: less than the least rate over a whole window. */
static bool body_wait(struct down_h1 *c)
{
        mono_ms now = loop_now(c->conn.w->loop);
        uint64_t came = c->in.body.bytes - c->rate_bytes, rate = down_limits(&c->conn)->minimum_rate;

        if (!c->rate_since) {
                c->rate_since = now;
                c->rate_bytes = c->in.body.bytes;
        } else if (now - c->rate_since >= RATE_WINDOW_MS) {
                if (came * 1000 < rate * (uint64_t)(now - c->rate_since))
                        return false;
                c->rate_since = now;
                c->rate_bytes = c->in.body.bytes;
        }
        down_timer_start(&c->conn, down_limits(&c->conn)->body_idle_ms);
        return true;
}

/* The client ended or failed before its request was whole, or while it waited. */
static void client_left(struct down_h1 *c, enum err e)
{
        struct exchange *x = c->side.x;

        if (x)
                exchange_down_reset(x, e);
        down_close(c, STREAM_CLOSE_RESET);
}

/* A quiet tunnel keeps no buffer, once the exchange reads nothing in it. */
static void tunnel_rest(struct down_h1 *c)
{
        if (c->is_tunnel && !c->is_lent && c->state == DOWN_ACTIVE && c->side.x)
                h1_in_rest(&c->in, c->conn.w);
}

/* In a tunnel the client's end is a half close that goes on upwards. */
static void tunnel_end(struct down_h1 *c)
{
        struct side_data d = { NULL, 0, true, NULL, 0 };

        c->in.is_last = true;
        exchange_request_data(c->side.x, &d);
}

static void body_is_late(struct down_h1 *c)
{
        static const struct http_refusal late = { 408, "body_timeout" };

        c->keeps_alive = false;
        exchange_request_broken(c->side.x, &late);
}

static void body_read(struct down_h1 *c)
{
        struct http_refusal refusal = { 400, "body" };
        bool wants_more = false, filled = false;

        for (int reads = 0; c->state == DOWN_ACTIVE && c->side.x && c->pulls; reads++) {
                enum err e = h1_in_offer(&c->in, c->conn.w, give, c, &wants_more, &refusal);

                if (c->state != DOWN_ACTIVE || !c->side.x)
                        return;
                if (e == ERR_OK) {
                        c->pulls = false;
                        timer_clear(&c->conn.timer);
                        return;
                }
                if (e != ERR_AGAIN) {
                        c->keeps_alive = false;
                        exchange_request_broken(c->side.x, &refusal);
                        return;
                }
                if (!wants_more) {
                        c->pulls = false; /* until the exchange has room again */
                        c->rate_since = 0;
                        timer_clear(&c->conn.timer);
                        return;
                }
                if (reads == READS_PER_TURN) { /* others wait too */
                        stream_poke(&c->conn.stream, STREAM_READABLE);
                        return;
                }
                continue_say(c);
                e = h1_in_read(&c->in, c->conn.w, &c->conn.stream, &filled);
                if (e == ERR_AGAIN) {
                        if (!c->is_tunnel && !body_wait(c))
                                body_is_late(c);
                        tunnel_rest(c);
                        return;
                }
                if (e == ERR_CLOSED && c->is_tunnel) {
                        tunnel_end(c);
                        return;
                }
                if (e != ERR_OK) {
                        client_left(c, e);
                        return;
                }
        }
}

/* Its body was given; or it has none, and waits for its turn at an upstream. */
static bool is_whole(const struct down_h1 *c)
{
        const struct exchange *x = c->side.x;

        return c->in.is_last || (x && x->is_waiting && !x->up && x->request.framing == HTTP_BODY_NONE);
}

/* The request is whole and its answer is awaited: look for the client's end, and let a next request wait. */
static void watch_read(struct down_h1 *c)
{
        bool filled = false;

        while (c->state == DOWN_ACTIVE && is_whole(c) && !c->in.is_ended) {
                enum err e = h1_in_read(&c->in, c->conn.w, &c->conn.stream, &filled);

                if (e == ERR_OK)
                        continue;
                if (e == ERR_CLOSED || e == ERR_IO)
                        client_left(c, e);
                return; /* ERR_AGAIN; or no more room: further requests wait in the socket */
        }
}

/* ---- events of the stream ---- */

static void out_write(struct down_h1 *c)
{
        if (h1_out_is_pending(&c->out))
                h1_out_flush(&c->out, &c->conn.stream, &c->conn.w->down_vector);
        if (c->out.is_broken || h1_out_is_pending(&c->out))
                return;
        if (c->state == DOWN_FLUSHING) {
                down_step(c);
        } else if (c->state == DOWN_ACTIVE && c->side.x && !c->side.has_room) {
                c->side.has_room = true;
                exchange_down_room(c->side.x);
        }
}

static void on_ready(struct down *conn, unsigned ready)
{
        struct down_h1 *c = of(conn);

        if (c->state == DOWN_CLOSING)
                return;
        if (ready & STREAM_WRITABLE)
                out_write(c);
        if (c->out.is_broken) {
                client_left(c, ERR_CLOSED);
                return;
        }
        if (!(ready & STREAM_READABLE))
                return;
        if (c->state == DOWN_IDLE || c->state == DOWN_READING)
                head_read(c);
        else if (c->state == DOWN_ACTIVE && c->pulls)
                body_read(c);
        else if (c->state == DOWN_ACTIVE && is_whole(c))
                watch_read(c);
}

static void down_timeout(struct timer *t)
{
        static const struct http_refusal header_late = { 408, "header_timeout" };
        struct down_h1 *c = of(CONTAINER_OF(t, struct down, timer));

        switch ((enum down_state)c->state) {
        case DOWN_IDLE: down_close(c, STREAM_CLOSE_PLAIN); break;
        case DOWN_READING: refuse(c, &header_late); break;
        case DOWN_ACTIVE:
                if (c->side.x && c->pulls)
                        body_is_late(c);
                else
                        client_left(c, ERR_TIMED_OUT); /* it does not read its answer */
                break;
        case DOWN_FLUSHING:
                measure_refused(c->conn.w, "write_timeout");
                down_close(c, STREAM_CLOSE_RESET);
                break;
        case DOWN_CLOSING:
        case DOWN_STATES: break;
        }
}

/* ---- operations of the side ---- */

static enum err framing_set(struct down_h1 *c, struct exchange *x, struct http_head *head)
{
        bool has_body = x->request.method != HTTP_HEAD && head->status != 204 && head->status != 304;

        c->out.is_chunked = false;
        if (!has_body || head->framing == HTTP_BODY_LENGTH || head->framing == HTTP_BODY_NONE)
                return ERR_OK;
        if (x->request.version_minor == 0) {
                c->keeps_alive = false; /* the end of the connection is the only end it knows */
                c->answer_is_open = true;
                return ERR_OK;
        }
        c->out.is_chunked = true;
        return http_add(head, STR("Transfer-Encoding"), STR("chunked"));
}

static void op_head(struct side *s, struct http_head *head)
{
        struct down_h1 *c = of_side(s);
        struct exchange *x = s->x;
        enum err e = ERR_OK;

        if (head->status == 101) {
                c->is_tunnel = true;
                c->keeps_alive = false;
                c->out.is_chunked = false;
                c->in.body = (struct h1_body){ .framing = HTTP_BODY_UNTIL_CLOSE };
                c->in.is_last = false;
        } else if (head->status >= 200) {
                e = framing_set(c, x, head);
                if (x->refused && head->status == 400 &&
                    !x->route) /* target or Host not clear: no more of this */
                        c->keeps_alive = false;
                if (!x->request_done && !c->in.is_last && c->in.body.framing != HTTP_BODY_NONE)
                        c->keeps_alive &= h1_in_bytes(&c->in).len >= c->in.body.left &&
                                          c->in.body.framing == HTTP_BODY_LENGTH;
                if (e == ERR_OK && !c->keeps_alive)
                        e = http_add(head, STR("Connection"), STR("close"));
                else if (e == ERR_OK && x->request.version_minor == 0)
                        e = http_add(head, STR("Connection"), STR("keep-alive"));
        }
        if (e == ERR_OK)
                e = h1_response_write(head, &x->arena, h1_out_gather(&c->out, &c->conn.w->down_vector));
        if (e != ERR_OK) {
                c->out.is_broken = true;
                stream_poke(&c->conn.stream, STREAM_READABLE);
        }
}

static void room_see(struct down_h1 *c, bool took_all)
{
        if (c->out.is_broken) {
                stream_poke(&c->conn.stream, STREAM_READABLE);
                return;
        }
        c->side.has_room = took_all && !h1_out_is_pending(&c->out);
        if (!c->side.has_room)
                down_timer_start(&c->conn,
                                 down_limits(&c->conn)->body_idle_ms); /* someone who does not read */
        else if (!c->pulls)
                timer_clear(&c->conn.timer);
}

static size_t op_data(struct side *s, const struct side_data *d)
{
        struct down_h1 *c = of_side(s);
        size_t offered = side_data_len(d), taken;

        if (s->x->request.method == HTTP_HEAD) { /* our own answers have one; it is not sent */
                h1_out_flush(&c->out, &c->conn.stream, &c->conn.w->down_vector);
                room_see(c, true);
                return offered;
        }
        taken = h1_out_data(&c->out, &c->conn.stream, &c->conn.w->down_vector, d, &s->x->arena);
        room_see(c, taken == offered);
        if (d->is_last && taken == offered && c->is_tunnel && !h1_out_is_pending(&c->out))
                stream_shutdown(&c->conn.stream);
        return taken;
}

static void op_flush(struct side *s)
{
        struct down_h1 *c = of_side(s);

        if (c->conn.w->down_vector.bytes == 0)
                return;
        h1_out_flush(&c->out, &c->conn.stream, &c->conn.w->down_vector);
        room_see(c, true);
}

static void op_pull(struct side *s)
{
        struct down_h1 *c = of_side(s);

        if (c->in.is_last)
                return;
        c->pulls = true;
        body_read(c);
}

static void op_reset(struct side *s, enum err reason)
{
        struct down_h1 *c = of_side(s);

        /* A length or chunks show by themselves that the end is missing, and what was sent arrives; else only a reset does. */
        (void)reason;
        down_close(c, c->answer_is_open || c->is_tunnel ? STREAM_CLOSE_RESET : STREAM_CLOSE_PLAIN);
}

/* A request refused before its body was read: what is here already is passed over, so that the connection can stay. */
static bool body_skip(struct down_h1 *c)
{
        struct str bytes = h1_in_bytes(&c->in);

        if (c->in.is_last || c->in.body.framing == HTTP_BODY_NONE)
                return true;
        if (c->in.body.framing != HTTP_BODY_LENGTH || c->in.body.left > bytes.len)
                return false;
        struct rbuf *b = c->in.body_buffer ? c->in.body_buffer : c->in.buffer;
        b->pos += (uint32_t)c->in.body.left;
        return true;
}

/* The answer is out: on to the next request, or the end. */
static void down_step(struct down_h1 *c)
{
        bool request_is_read = body_skip(c);

        if (c->conn.w->is_draining && !c->conn.w->is_patient)
                c->keeps_alive = false;
        if (!c->keeps_alive || !request_is_read) {
                down_close(c, request_is_read && !h1_in_bytes(&c->in).len &&
                                              !stream_may_have_input(&c->conn.stream)
                                      ? STREAM_CLOSE_PLAIN
                                      : STREAM_CLOSE_LINGER);
                return;
        }
        h1_in_next(&c->in, c->conn.w);
        if (c->in.is_ended) {
                down_close(c, STREAM_CLOSE_PLAIN);
                return;
        }
        down_enter(c, DOWN_IDLE);
        down_timer_start(&c->conn, down_limits(&c->conn)->idle_ms);
        if (h1_in_bytes(&c->in).len || stream_may_have_input(&c->conn.stream))
                stream_poke(&c->conn.stream, STREAM_READABLE);
}

static void op_release(struct side *s)
{
        struct down_h1 *c = of_side(s);

        s->x = NULL;
        c->pulls = false;
        if (c->state != DOWN_ACTIVE)
                return;
        if (c->is_tunnel) {
                down_close(c, STREAM_CLOSE_PLAIN);
                return;
        }
        timer_clear(&c->conn.timer);
        down_enter(c, DOWN_FLUSHING);
        if (h1_out_is_pending(&c->out))
                down_timer_start(&c->conn, down_limits(&c->conn)->body_idle_ms);
        else
                down_step(c);
}

/* Also in the middle of a head: whoever is honest sends it in one go. */
static bool shed(struct down *conn)
{
        struct down_h1 *c = of(conn);

        if (c->state != DOWN_IDLE && c->state != DOWN_READING)
                return false;
        down_close(c, c->state == DOWN_IDLE ? STREAM_CLOSE_PLAIN : STREAM_CLOSE_RESET);
        return true;
}

static void drain(struct down *conn)
{
        struct down_h1 *c = of(conn);

        if (conn->w->is_patient)
                return; /* who was told that the connection stays may be asking just now */
        if (c->state == DOWN_IDLE && !h1_in_bytes(&c->in).len && !stream_may_have_input(&c->conn.stream))
                down_close(c, STREAM_CLOSE_PLAIN);
}

static const struct side_ops down_ops = {
        .name = "h1",
        .head = op_head,
        .data = op_data,
        .flush = op_flush,
        .pull = op_pull,
        .reset = op_reset,
        .release = op_release,
        .let_go = op_let_go,
};

static const struct down_protocol protocol = {
        .name = "h1",
        .on_ready = on_ready,
        .on_closed = on_closed,
        .drain = drain,
        .shed = shed,
};
