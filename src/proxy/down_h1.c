#include "proxy/down_h1_priv.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "http/status.h"
#include "proxy/down_h2.h"
#include "proxy/record.h"
#include "proxy/reply.h"
#include "proxy/route.h"

#define TO(s) (1u << DOWN_##s)

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

const size_t down_h1_bytes = sizeof(struct down_h1);

static const struct down_protocol protocol;
static void down_timeout(struct timer *t);

static struct down_h1 *of(struct down *conn)
{
        return CONTAINER_OF(conn, struct down_h1, conn);
}

void down_h1_enter(struct down_h1 *c, enum down_state next)
{
        assert(states[c->state].next & 1u << next);
        c->state = (uint8_t)next;
}

/* ---- birth and death ---- */

void down_h1_free(struct down_h1 *c)
{
        h1_in_fini(&c->in, c->conn.w);
        h1_out_fini(&c->out);
        down_free(&c->conn);
}

void down_h1_close(struct down_h1 *c, enum stream_close_how how)
{
        if (c->state == DOWN_CLOSING)
                return;
        down_h1_enter(c, DOWN_CLOSING);
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
                down_h1_free(c);
}

void down_h1_start(struct down *conn)
{
        struct down_h1 *c = of(conn);

        memset((char *)c + sizeof(*conn), 0, sizeof(*c) - sizeof(*conn));
        c->side.ops = &down_h1_side_ops;
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
        down_h1_close(c, STREAM_CLOSE_LINGER);
}

/* The list of fields the head brought lives in the worker's scratch; exchange_new copies it. */
static void begin_exchange(struct down_h1 *c, const struct http_head *head)
{
        static const struct http_refusal no_room = { 503, "requests" };
        struct exchange *x;

        h1_in_body_begin(&c->in, head);
        down_h1_enter(c, DOWN_ACTIVE);
        timer_clear(&c->conn.timer);
        c->keeps_alive = head->keeps_alive && !c->conn.w->is_draining;
        c->pulls = c->is_tunnel = c->answer_is_open = false;
        c->rate_since = 0;
        c->served_count++;
        x = exchange_new(c->conn.w, &c->side, &c->conn.origin, head);
        if (!x) {
                if (c->is_raw)
                        down_h1_close(c, STREAM_CLOSE_RESET);
                else
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

void down_h1_start_raw(struct down *conn)
{
        struct worker *w = conn->w;
        struct down_h1 *c = of(conn);
        struct http_head head = { .method = HTTP_OTHER,
                                  .method_text = STR("CONNECT"),
                                  .target = STR("/"),
                                  .version_minor = 1,
                                  .asks_upgrade = true,
                                  .is_raw = true,
                                  .fields = w->scratch_fields,
                                  .fields_max = ARRAY_SIZE(w->scratch_fields) };

        down_h1_start(conn);
        c->is_raw = true;
        down_h1_enter(c, DOWN_READING);
        if (http_add(&head, STR("Host"), STR("localhost")) != ERR_OK ||
            http_add(&head, STR("Upgrade"), STR("tcp")) != ERR_OK ||
            http_add(&head, STR("Connection"), STR("Upgrade")) != ERR_OK)
                down_h1_close(c, STREAM_CLOSE_RESET);
        else
                begin_exchange(c, &head);
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
                down_h1_enter(c, DOWN_READING);
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
                        down_h1_close(c, STREAM_CLOSE_PLAIN);
                else if (c->state == DOWN_IDLE)
                        h1_in_next(&c->in, c->conn.w); /* nothing came: no buffer is kept */
                return;
        }
}

/* ---- the next request ---- */

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
void down_h1_step(struct down_h1 *c)
{
        bool request_is_read = body_skip(c);

        if (c->conn.w->is_draining && !c->conn.w->is_patient)
                c->keeps_alive = false;
        if (!c->keeps_alive || !request_is_read) {
                down_h1_close(c, request_is_read && !h1_in_bytes(&c->in).len &&
                                                 !stream_may_have_input(&c->conn.stream)
                                         ? STREAM_CLOSE_PLAIN
                                         : STREAM_CLOSE_LINGER);
                return;
        }
        h1_in_next(&c->in, c->conn.w);
        if (c->in.is_ended) {
                down_h1_close(c, STREAM_CLOSE_PLAIN);
                return;
        }
        down_h1_enter(c, DOWN_IDLE);
        down_timer_start(&c->conn, down_limits(&c->conn)->idle_ms);
        if (h1_in_bytes(&c->in).len || stream_may_have_input(&c->conn.stream))
                stream_poke(&c->conn.stream, STREAM_READABLE);
}

/* ---- events of the stream ---- */

static void out_write(struct down_h1 *c)
{
        if (h1_out_is_pending(&c->out))
                h1_out_flush(&c->out, &c->conn.stream, &c->conn.w->down_vector);
        if (c->out.is_broken || h1_out_is_pending(&c->out))
                return;
        if (c->state == DOWN_FLUSHING) {
                down_h1_step(c);
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
                down_h1_client_left(c, ERR_CLOSED);
                return;
        }
        if (!(ready & STREAM_READABLE))
                return;
        if (c->state == DOWN_IDLE || c->state == DOWN_READING)
                head_read(c);
        else if (c->state == DOWN_ACTIVE && c->pulls)
                down_h1_body_read(c);
        else if (c->state == DOWN_ACTIVE && down_h1_is_whole(c))
                down_h1_watch(c);
}

static void down_timeout(struct timer *t)
{
        static const struct http_refusal header_late = { 408, "header_timeout" };
        struct down_h1 *c = of(CONTAINER_OF(t, struct down, timer));

        switch ((enum down_state)c->state) {
        case DOWN_IDLE: down_h1_close(c, STREAM_CLOSE_PLAIN); break;
        case DOWN_READING: refuse(c, &header_late); break;
        case DOWN_ACTIVE:
                if (c->side.x && c->pulls)
                        down_h1_body_is_late(c);
                else
                        down_h1_client_left(c, ERR_TIMED_OUT); /* it does not read its answer */
                break;
        case DOWN_FLUSHING:
                measure_refused(c->conn.w, "write_timeout");
                down_h1_close(c, STREAM_CLOSE_RESET);
                break;
        case DOWN_CLOSING:
        case DOWN_STATES: break;
        }
}

/* Also in the middle of a head: whoever is honest sends it in one go. */
static bool shed(struct down *conn)
{
        struct down_h1 *c = of(conn);

        if (c->state != DOWN_IDLE && c->state != DOWN_READING)
                return false;
        down_h1_close(c, c->state == DOWN_IDLE ? STREAM_CLOSE_PLAIN : STREAM_CLOSE_RESET);
        return true;
}

static void drain(struct down *conn)
{
        struct down_h1 *c = of(conn);

        if (conn->w->is_patient)
                return; /* who was told that the connection stays may be asking just now */
        if (c->state == DOWN_IDLE && !h1_in_bytes(&c->in).len && !stream_may_have_input(&c->conn.stream))
                down_h1_close(c, STREAM_CLOSE_PLAIN);
}

static const struct down_protocol protocol = {
        .name = "h1",
        .on_ready = on_ready,
        .on_closed = on_closed,
        .drain = drain,
        .shed = shed,
};
