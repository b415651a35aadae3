/* One connection: bytes in, requests out; answers in, bytes out. */
#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATTERN_BYTES = 26 * 4096, BULK_INLINE_MAX = 32 * 1024 };

/* GET /bytes: byte n is 'a' + n % 26, from a block that is sent as it stands. */
static char pattern[PATTERN_BYTES + 26];

void conn_prepare(void)
{
        for (size_t i = 0; i < sizeof(pattern); i++)
                pattern[i] = (char)('a' + i % 26);
}

void conn_bulk(struct conn *c, uint64_t length)
{
        if (length <= BULK_INLINE_MAX) { /* one send with the head */
                buf_add(conn_out(c), (struct str){ pattern, (size_t)length });
                return;
        }
        c->bulk_at = 0;
        c->bulk_left = length;
}

bool conn_is_busy(const struct conn *c)
{
        return c->answer || c->is_stalled || c->bulk_left || c->pending.len > c->pending_at;
}

void conn_close(struct conn *c, bool is_reset)
{
        if (conn_is_closed(c))
                return;
        pace_abort(c);
        timer_stop(&c->step_timer);
        timer_stop(&c->trickle_timer);
        if (is_reset) {
                struct linger linger = { .l_onoff = 1, .l_linger = 0 };
                (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
        }
        close(c->fd);
        c->fd = -1;
        COUNT(c->worker, connections_open, -1);
        list_remove(&c->link);
        list_add_last(&c->worker->dead, &c->link);
}

/* Sends from the front; what the socket does not take stays. False when the connection is lost. */
static bool send_some(struct conn *c, const char *bytes, size_t len, size_t *sent)
{
        ssize_t n = send(c->fd, bytes, len, MSG_NOSIGNAL);

        *sent = n > 0 ? (size_t)n : 0;
        if (n >= 0 || errno == EAGAIN)
                return true;
        conn_close(c, false);
        return false;
}

static void send_bulk(struct conn *c)
{
        while (c->bulk_left && c->pending.len == c->pending_at) {
                size_t sent, len = (size_t)MIN(c->bulk_left, (uint64_t)PATTERN_BYTES);

                if (!send_some(c, pattern + c->bulk_at % 26, len, &sent))
                        return;
                c->bulk_at += sent;
                c->bulk_left -= sent;
                if (sent < len)
                        return;
        }
}

static void on_trickle(struct timer *t)
{
        struct conn *c = CONTAINER_OF(t, struct conn, trickle_timer);
        struct str rest = str_from(buf_str(&c->pending), c->pending_at);
        size_t sent;

        if (!rest.len || str_has_prefix(rest, STR("\r\n\r\n"))) {
                c->trickle_ms = 0;
                conn_process(c);
                return;
        }
        if (!send_some(c, rest.ptr, 1, &sent))
                return;
        c->pending_at += sent;
        wheel_add(&c->worker->wheel, t, c->worker->now_ms + c->trickle_ms);
}

/* Pending bytes, then bulk bytes. */
static void pump(struct conn *c)
{
        if (c->trickle_ms)
                return;
        if (c->pending.len > c->pending_at) {
                size_t sent;

                if (!send_some(c, c->pending.ptr + c->pending_at, c->pending.len - c->pending_at, &sent))
                        return;
                c->pending_at += sent;
                if (c->pending_at < c->pending.len)
                        return;
                buf_fini(&c->pending);
                c->pending_at = 0;
        }
        send_bulk(c);
}

void conn_flush(struct conn *c)
{
        struct buf *out = conn_out(c);
        size_t sent = 0;

        if (!conn_is_closed(c) && out->len) {
                bool is_first = c->pending.len == c->pending_at && !c->trickle_ms;

                if (is_first && !send_some(c, out->ptr, out->len, &sent))
                        sent = out->len;
                buf_add(&c->pending, str_from(buf_str(out), sent));
                if (c->trickle_ms && list_is_empty(&c->trickle_timer.link)) {
                        c->trickle_timer.fire = on_trickle;
                        wheel_add(&c->worker->wheel, &c->trickle_timer, c->worker->now_ms + c->trickle_ms);
                }
        }
        buf_clear(out);
        if (!conn_is_closed(c))
                send_bulk(c);
}

static void drop_parts(struct conn *c)
{
        buf_fini(&c->head);
        buf_fini(&c->body);
        buf_fini(&c->trailers);
        c->is_in_body = c->is_sink = false;
}

/* FNV-1a, so that a test can check what arrived without keeping it. */
static void take_sink(struct conn *c, struct str data)
{
        c->sink_bytes += data.len;
        for (size_t i = 0; i < data.len; i++)
                c->sink_hash = (c->sink_hash ^ (unsigned char)data.ptr[i]) * 0x100000001b3ull;
}

static void begin_body(struct conn *c, const struct http_request *r)
{
        http_body_init(&c->reader, r);
        c->is_in_body = true;
        c->is_sink = str_eq(r->path, STR("/sink"));
        c->sink_bytes = 0;
        c->sink_hash = 0xcbf29ce484222325ull;
        buf_add(&c->head, r->head);
        if (r->expects_continue)
                ADD(conn_out(c), "HTTP/1.1 100 Continue\r\n\r\n");
}

/* Takes body bytes off *in; serves the request when it is whole. */
static void feed_body(struct conn *c, struct str *in)
{
        for (;;) {
                struct str data, trailers = STR_NULL;
                enum http_result result = http_body_take(&c->reader, in, &data, &trailers);

                if (c->is_sink)
                        take_sink(c, data);
                else
                        buf_add(&c->body, data);
                if (result == HTTP_BAD || c->body.full) {
                        *in = str_from(*in, in->len);
                        serve_refusal(c, c->body.full ? 413 : 400);
                        return;
                }
                if (result == HTTP_DONE) {
                        struct http_request r;

                        buf_add(&c->trailers, trailers);
                        if (http_head_parse(buf_str(&c->head), &r) != HTTP_DONE)
                                return;
                        r.body = buf_str(&c->body);
                        r.trailers = buf_str(&c->trailers);
                        serve(c, &r);
                        drop_parts(c);
                        return;
                }
                if (!data.len)
                        return;
        }
}

/* False when the head is not whole yet. */
static bool feed_head(struct conn *c, struct str *in)
{
        struct http_request r;
        enum http_result result = http_head_parse(*in, &r);

        if (result == HTTP_MORE)
                return false;
        if (result == HTTP_BAD) {
                *in = str_from(*in, in->len);
                serve_refusal(c, 400);
                return true;
        }
        *in = str_from(*in, r.head.len);
        if (!r.is_chunked && r.length <= in->len && !str_eq(r.path, STR("/sink"))) {
                r.body = str_sub(*in, 0, (size_t)r.length);
                *in = str_from(*in, r.body.len);
                serve(c, &r);
        } else
                begin_body(c, &r);
        return true;
}

/* Serves what is whole in `in`; what is left over stays for later. Gives the number of bytes used. */
static size_t feed(struct conn *c, struct str in)
{
        size_t all = in.len;

        while (in.len && !conn_is_busy(c) && !c->is_closing && !conn_is_closed(c)) {
                if (c->is_in_body) {
                        size_t had = in.len;

                        feed_body(c, &in);
                        if (in.len == had && c->is_in_body)
                                break;
                } else if (!feed_head(c, &in))
                        break;
        }
        return all - in.len;
}

/* What the last read left behind comes first. False when nothing more can be done now. */
static bool read_once(struct conn *c)
{
        char *bytes = c->worker->read_bytes;
        size_t room = READ_BYTES;

        if (c->in.len && !(bytes = buf_reserve(&c->in, room))) {
                serve_refusal(c, 413);
                return true;
        }
        ssize_t n = recv(c->fd, bytes, room, 0);
        if (n <= 0) {
                c->may_have_more = false;
                if (n == 0 || errno != EAGAIN)
                        conn_close(c, false);
                return false;
        }
        c->may_have_more = (size_t)n == room || c->is_peer_gone;
        if (c->in.len) {
                buf_added(&c->in, (size_t)n);
                buf_consume(&c->in, feed(c, buf_str(&c->in)));
        } else {
                struct str got = { bytes, (size_t)n };
                buf_add(&c->in, str_from(got, feed(c, got)));
        }
        if (!c->in.len && c->in.ptr)
                buf_fini(&c->in);
        return true;
}

void conn_process(struct conn *c)
{
        bool is_first = true;

        while (!conn_is_closed(c)) {
                conn_flush(c);
                if (conn_is_closed(c))
                        return;
                pump(c);
                if (conn_is_closed(c))
                        return;
                if (c->is_blocked && c->pending.len == c->pending_at) {
                        pace_resume(c);
                        continue;
                }
                if (conn_is_busy(c)) {
                        if (c->is_peer_gone)
                                conn_close(c, false);
                        return;
                }
                if (c->is_closing) {
                        conn_close(c, false);
                        return;
                }
                if (is_first && c->in.len)
                        buf_consume(&c->in, feed(c, buf_str(&c->in)));
                else if (!c->may_have_more || !read_once(c))
                        return;
                is_first = false;
        }
}
