#include "proxy/down_h1_priv.h"

#include "proxy/route.h"

enum { RATE_WINDOW_MS = 5000, READS_PER_TURN = 8 };

static struct down_h1 *of_side(struct side *s)
{
        return CONTAINER_OF(s, struct down_h1, side);
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
void down_h1_client_left(struct down_h1 *c, enum err e)
{
        struct exchange *x = c->side.x;

        if (x)
                exchange_down_reset(x, e);
        down_h1_close(c, STREAM_CLOSE_RESET);
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

void down_h1_body_is_late(struct down_h1 *c)
{
        static const struct http_refusal late = { 408, "body_timeout" };

        c->keeps_alive = false;
        exchange_request_broken(c->side.x, &late);
}

void down_h1_body_read(struct down_h1 *c)
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
                                down_h1_body_is_late(c);
                        tunnel_rest(c);
                        return;
                }
                if (e == ERR_CLOSED && c->is_tunnel) {
                        tunnel_end(c);
                        return;
                }
                if (e != ERR_OK) {
                        down_h1_client_left(c, e);
                        return;
                }
        }
}

/* Its body was given; or it has none, and waits for its turn at an upstream. */
bool down_h1_is_whole(const struct down_h1 *c)
{
        const struct exchange *x = c->side.x;

        if (c->is_raw) /* its end may come at once and ends one way only */
                return false;
        return c->in.is_last || (x && x->is_waiting && !x->up && x->request.framing == HTTP_BODY_NONE);
}

/* The request is whole and its answer is awaited: look for the client's end, and let a next request wait. */
void down_h1_watch(struct down_h1 *c)
{
        bool filled = false;

        while (c->state == DOWN_ACTIVE && down_h1_is_whole(c) && !c->in.is_ended) {
                enum err e = h1_in_read(&c->in, c->conn.w, &c->conn.stream, &filled);

                if (e == ERR_OK)
                        continue;
                if (e == ERR_CLOSED || e == ERR_IO)
                        down_h1_client_left(c, e);
                return; /* ERR_AGAIN; or no more room: further requests wait in the socket */
        }
}

/* ---- the answer ---- */

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

        if (c->is_raw && head->status != 101) { /* there is no other way to say no */
                c->out.is_broken = true;
                stream_poke(&c->conn.stream, STREAM_READABLE);
                return;
        }
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
        if (e == ERR_OK && !c->is_raw)
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

/* ---- the rest of the side ---- */

static void op_pull(struct side *s)
{
        struct down_h1 *c = of_side(s);

        if (c->in.is_last)
                return;
        c->pulls = true;
        down_h1_body_read(c);
}

static void op_reset(struct side *s, enum err reason)
{
        struct down_h1 *c = of_side(s);

        /* A length or chunks show by themselves that the end is missing, and what was sent arrives; else only a reset does. */
        (void)reason;
        down_h1_close(c, c->answer_is_open || c->is_tunnel ? STREAM_CLOSE_RESET : STREAM_CLOSE_PLAIN);
}

static void op_release(struct side *s)
{
        struct down_h1 *c = of_side(s);

        s->x = NULL;
        c->pulls = false;
        if (c->state != DOWN_ACTIVE)
                return;
        if (c->is_tunnel) {
                down_h1_close(c, STREAM_CLOSE_PLAIN);
                return;
        }
        timer_clear(&c->conn.timer);
        down_h1_enter(c, DOWN_FLUSHING);
        if (h1_out_is_pending(&c->out))
                down_timer_start(&c->conn, down_limits(&c->conn)->body_idle_ms);
        else
                down_h1_step(c);
}

static void op_let_go(struct side *s)
{
        struct down_h1 *c = of_side(s);

        c->is_lent = false;
        if (c->is_gone)
                down_h1_free(c);
        else
                tunnel_rest(c);
}

const struct side_ops down_h1_side_ops = {
        .name = "h1",
        .head = op_head,
        .data = op_data,
        .flush = op_flush,
        .pull = op_pull,
        .reset = op_reset,
        .release = op_release,
        .let_go = op_let_go,
};
