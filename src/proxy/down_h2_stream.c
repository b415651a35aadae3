#include "proxy/down_h2_priv.h"

#include <stdio.h>
#include <string.h>

#include "crypto/random.h"
#include "crypto/text.h"
#include "http/status.h"
#include "http/websocket_handshake.h"
#include "proxy/record.h"
#include "proxy/reply.h"

enum { RATE_WINDOW_MS = 5000, REFUSALS_LOGGED_MAX = 10 };

static const struct side_ops side_ops;
static void stream_timeout(struct timer *t);

static struct down_stream *of_side(struct side *s)
{
        return CONTAINER_OF(s, struct down_stream, side);
}

static struct down_stream *of_h2(struct h2_stream *st)
{
        return CONTAINER_OF(st, struct down_stream, h2);
}

static void mark(struct down_stream *st)
{
        if (list_is_empty(&st->marked_node))
                list_add_last(&st->c->marked, &st->marked_node);
        down_h2_settle_later(st->c);
}

/* Once the session, the exchange's memory and the exchange itself have all let go. */
void down_h2_stream_free_if_done(struct down_stream *st)
{
        struct down_h2 *c = st->c;

        if (st->is_open || st->is_lent || st->side.x)
                return;
        timer_clear(&st->timer);
        h2_stream_request_drop(&st->h2);
        buf_fini(&st->body);
        list_remove(&st->node);
        list_remove(&st->waiting_node);
        list_remove(&st->marked_node);
        list_remove(&st->finishing_node);
        c->streams_count--;
        pool_put(c->conn.w->down_streams, st);
        measure_h2_streams(c->conn.w);
        if (c->streams_count)
                return;
        if (c->is_gone)
                down_h2_free(c);
        else
                down_h2_settle_later(c);
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
                          down_h2_now(st->c) + down_limits(&st->c->conn)->body_idle_ms);
        down_h2_settle_later(st->c);
}

/* An answer from before there is an exchange. */
void down_h2_stream_refuse(struct down_stream *st)
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

        if (!down_h2_out_take(c) || h2_stream_head(c->session, &st->h2, &list, true, false) != ERR_OK) {
                h2_stream_reset(c->session, &st->h2, H2_REFUSED_STREAM, true);
                return;
        }
        down_h2_out_flush(c);
        if (!down_h2_out_take(c) || down_h2_out_room(c) < H2_OUT_BYTES_LEAST) {
                h2_stream_reset(c->session, &st->h2, H2_REFUSED_STREAM, true);
                return;
        }
        list_add_last(&c->finishing, &st->finishing_node);
        written = h2_stream_data(c->session, &st->h2, &text, 1, true, NULL, c->out->bytes + c->out->len,
                                 down_h2_out_room(c), &taken);
        c->out->len += (uint32_t)written;
        if (taken < text.len) /* it opened no window for so little */
                h2_stream_reset(c->session, &st->h2, H2_CANCEL, false);
}

static struct str websocket_key(struct down_stream *st)
{
        uint8_t bytes[WEBSOCKET_KEY_BYTES];

        if (!h2_section_asks_tunnel(st->h2.request))
                return STR_NULL;
        crypto_random(bytes, sizeof(bytes));
        return crypto_base64_format((struct str){ (const char *)bytes, sizeof(bytes) }, st->websocket_key);
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

/* ---- events of the session ---- */

static struct h2_stream *event_open(void *context)
{
        struct down_h2 *c = context;
        struct down_stream *st;

        c->is_in_list = c->has_served = true;
        down_timer_start(&c->conn, down_limits(&c->conn)->header_ms);
        st = c->streams_count < (c->conn.link ? H2_LINK_STREAMS_MAX : H2_STREAMS_MAX)
                     ? pool_take(c->conn.w->down_streams)
                     : NULL;
        if (!st) {
                measure_refused(c->conn.w, "h2_streams");
                return NULL;
        }
        *st = (struct down_stream){ .side = { .ops = &side_ops, .has_room = true }, .c = c, .is_open = true };
        buf_init(&st->body, c->conn.link ? H2_WINDOW_MAX : 2 * (size_t)H2_STREAM_WINDOW);
        timer_init(&st->timer, stream_timeout);
        list_init(&st->waiting_node);
        list_init(&st->marked_node);
        list_init(&st->finishing_node);
        list_add_last(&c->streams, &st->node);
        c->streams_count++;
        measure_h2_streams(c->conn.w);
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
                h2_section_request(h2->request, h2->input_is_whole, websocket_key(st), &head, &st->refusal);

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
        if (e == ERR_OK)
                st->side.x->is_connect = h2_section_asks_tunnel(h2->request);
        st->must_refuse = e != ERR_OK;
        st->must_run = st->is_lent = e == ERR_OK;
        if (st->must_refuse)
                refusal_record(c, &st->refusal);
        mark(st);
}

/* ---- the request's body ---- */

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
        down_h2_settle_later(st->c);
}

/* Waits for more of the body; what comes too slowly is seen by the timer. */
void down_h2_stream_body_wait(struct down_stream *st)
{
        const struct proxy_limits *l = down_limits(&st->c->conn);

        if (st->is_tunnel)
                return;
        if (!st->rate_since) {
                st->rate_since = down_h2_now(st->c);
                st->rate_bytes = st->body_bytes;
        }
        timer_set(st->c->conn.w->loop, &st->timer,
                  down_h2_now(st->c) + (l->minimum_rate ? MIN(l->body_idle_ms, (int64_t)RATE_WINDOW_MS)
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
                        down_h2_stream_body_wait(st);
                        return;
                }
                if (ends) {
                        d.trailers = st->has_no_body ? NULL : st->trailers;
                        d.trailers_count = st->has_no_body ? 0 : st->trailers_count;
                        st->last_given = true;
                }
                size_t taken = exchange_request_data(st->side.x, &d);
                if (!st->side.x || !st->is_open)
                        break; /* answered inside of the call, and over: what was kept was given back then */
                buf_consume(&st->body, taken);
                if (taken) {
                        h2_stream_took(c->session, &st->h2, taken);
                        down_h2_settle_later(c); /* a window update may go out */
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

static void event_data(void *context, struct h2_stream *h2, const struct str *slices, size_t slices_count)
{
        struct down_h2 *c = context;
        struct down_stream *st = of_h2(h2);
        struct side_data d = { .slices = slices, .slices_count = slices_count };
        size_t len = side_data_len(&d), taken = 0;

        st->body_bytes += len;
        if (!st->side.x) { /* answered already, or refused: passed over, and the window returned */
                h2_stream_took(c->session, h2, len);
                return;
        }
        if (st->pulls && st->body.len == 0 && !st->last_given && !st->has_no_body) {
                taken = exchange_request_data(st->side.x, &d);
                if (taken)
                        h2_stream_took(c->session, h2, taken);
                st->pulls = taken == len;
                if (st->pulls && st->side.x)
                        down_h2_stream_body_wait(st);
        }
        if (taken < len && st->side.x)
                buf_add_behind(&st->body, slices, slices_count, taken);
        else if (taken < len)
                h2_stream_took(c->session, h2, len - taken);
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
        down_h2_stream_free_if_done(st);
}

static void event_reset(void *context, bool by_client, uint32_t code)
{
        const struct down_h2 *c = context;

        measure_h2_reset(c->conn.w, "client", by_client, code);
}

/* ---- time ---- */

/* True when the body came at less than the least rate over a whole window, or not at all. */
static bool body_is_late(struct down_stream *st)
{
        const struct proxy_limits *l = down_limits(&st->c->conn);
        mono_ms now = down_h2_now(st->c), since = now - st->rate_since;
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
                down_h2_stream_body_wait(st);
        } else if (st->pulls) {
                exchange_request_broken(st->side.x, &late);
        }
        down_h2_settle_later(c);
}

/* ---- operations of the side ---- */

static void answer_broken(struct down_stream *st)
{
        h2_stream_reset(st->c->session, &st->h2, H2_INTERNAL_ERROR, true);
        down_h2_settle_later(st->c);
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
                down_h2_settle_later(st->c);
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
                down_h2_settle_later(st->c);
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
        down_h2_settle_later(st->c);
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
        if (c->is_receiving || c->is_broken || !down_h2_out_take(c)) {
                wait_for_room(st, false);
                return 0;
        }
        if (down_h2_out_room(c) < H2_OUT_BYTES_LEAST)
                down_h2_out_flush(c);
        if (!st->is_open)
                return 0;
        if (down_h2_out_take(c) && down_h2_out_room(c) >= H2_OUT_BYTES_LEAST) {
                size_t written =
                        h2_stream_data(c->session, &st->h2, d->slices, d->slices_count, d->is_last, &trailers,
                                       c->out->bytes + c->out->len, down_h2_out_room(c), &taken);

                c->out->len += (uint32_t)written;
        }
        if (taken < offered)
                wait_for_room(st, taken > 0);
        else
                st->answer_is_out = d->is_last;
        down_h2_settle_later(c);
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
        down_h2_stream_free_if_done(st);
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
                down_h2_settle_later(c);
        }
        down_h2_stream_free_if_done(st);
}

static void op_let_go(struct side *s)
{
        struct down_stream *st = of_side(s);

        st->is_lent = false;
        h2_stream_request_drop(&st->h2); /* a tunnel may stay for hours */
        down_h2_stream_free_if_done(st);
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

const struct h2_session_events down_h2_session_events = {
        .open = event_open,
        .on_request = event_request,
        .on_data = event_data,
        .on_end = event_end,
        .on_closed = event_closed,
        .on_reset = event_reset,
};
