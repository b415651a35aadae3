#include "mesh/localapi.h"

#include <string.h>

enum { HEAD_BYTES_MAX = 64 << 10, READ_BYTES = 16 << 10, REQUEST_BYTES_MAX = 4 << 20 };

static const struct h1_limits limits = { HEAD_BYTES_MAX, 8 << 10, MESH_LOCALAPI_FIELDS_MAX };

/* ---- the end ---- */

static void over(struct mesh_localapi *c, enum err e)
{
        if (c->is_over)
                return;
        c->is_over = true;
        c->result = e;
        timer_clear(&c->timer);
        buf_fini(&c->out);
        if (c->has_stream) {
                stream_close(&c->stream, STREAM_CLOSE_PLAIN);
                return;
        }
        buf_fini(&c->in);
        c->fn(c, e);
}

static void on_closed(struct stream *s)
{
        struct mesh_localapi *c = CONTAINER_OF(s, struct mesh_localapi, stream);

        buf_fini(&c->in);
        c->fn(c, c->result);
}

static void on_late(struct timer *t)
{
        struct mesh_localapi *c = CONTAINER_OF(t, struct mesh_localapi, timer);

        if (!c->has_stream)
                dial_cancel(&c->dial);
        over(c, ERR_TIMED_OUT);
}

/* ---- the answer ---- */

static enum err head_take(struct mesh_localapi *c)
{
        struct http_field fields[MESH_LOCALAPI_FIELDS_MAX];
        struct http_head head = { .fields = fields, .fields_max = MESH_LOCALAPI_FIELDS_MAX };
        struct http_refusal refusal;
        enum err e = h1_response_parse(buf_str(&c->in), &limits, HTTP_GET, &c->scanned, &head, &refusal);

        if (e != ERR_OK)
                return e == ERR_AGAIN ? e : ERR_MALFORMED;
        if (head.status >= 200) {
                const struct http_field *etag = http_find_name(&head, STR("Etag"));

                c->has_head = true;
                c->status = head.status;
                if (etag && etag->value.len <= MESH_LOCALAPI_ETAG_MAX)
                        memcpy(c->etag, etag->value.ptr, etag->value.len);
                h1_body_init(&c->reader, &head);
        }
        buf_consume(&c->in, head.bytes);
        c->scanned = 0;
        return ERR_OK;
}

/* ERR_OK: the answer is whole. ERR_AGAIN: more is needed. */
static enum err answer_take(struct mesh_localapi *c)
{
        struct http_refusal refusal;
        struct h1_body_part part;
        enum err e;

        while (!c->has_head)
                if ((e = head_take(c)) != ERR_OK)
                        return e;
        do {
                if (h1_body_read(&c->reader, buf_str(&c->in), &part, &refusal) != ERR_OK)
                        return ERR_MALFORMED;
                for (size_t i = 0; i < part.slices_count; i++)
                        buf_add(&c->body, part.slices[i]);
                buf_consume(&c->in, part.consumed);
                if (c->body.full)
                        return ERR_TOO_LARGE;
        } while (!part.is_last && part.consumed);
        return part.is_last ? ERR_OK : ERR_AGAIN;
}

static enum err receive(struct mesh_localapi *c)
{
        for (;;) {
                char *room = buf_reserve(&c->in, READ_BYTES);
                size_t got = 0;

                if (!room)
                        return ERR_TOO_LARGE;
                enum err e = stream_read(&c->stream, room, READ_BYTES, &got);

                if (e == ERR_CLOSED)
                        return c->has_head && h1_body_end(&c->reader) == ERR_OK ? ERR_OK : ERR_MALFORMED;
                if (e != ERR_OK)
                        return e;
                buf_added(&c->in, got);
                if ((e = answer_take(c)) != ERR_AGAIN)
                        return e;
        }
}

static enum err send_rest(struct mesh_localapi *c)
{
        while (c->written < c->out.len) {
                struct iovec part = { c->out.ptr + c->written, c->out.len - c->written };
                size_t written = 0;
                enum err e = stream_write(&c->stream, &part, 1, &written);

                if (e != ERR_OK)
                        return e;
                c->written += written;
        }
        return ERR_OK;
}

static void on_ready(struct stream *s, unsigned ready)
{
        struct mesh_localapi *c = CONTAINER_OF(s, struct mesh_localapi, stream);
        enum err e;

        (void)ready;
        if (c->is_over)
                return;
        if ((e = send_rest(c)) == ERR_OK || e == ERR_AGAIN)
                e = receive(c);
        if (e != ERR_AGAIN)
                over(c, e);
}

/* ---- the beginning ---- */

static void on_open(struct stream *s, enum err e)
{
        if (e == ERR_OK)
                stream_poke(s, STREAM_WRITABLE);
        else
                over(CONTAINER_OF(s, struct mesh_localapi, stream), e);
}

static void on_dialled(struct dial *d, enum err e, int fd)
{
        static const struct stream_events events = { on_open, on_ready, on_closed };
        struct mesh_localapi *c = CONTAINER_OF(d, struct mesh_localapi, dial);

        if (e == ERR_OK)
                e = c->tls ? stream_open_tls_client(&c->stream, c->loop, fd, &events, c->tls, c->server_name)
                           : stream_open(&c->stream, c->loop, fd, &events);
        if (e == ERR_OK) {
                c->has_stream = true;
                if (!c->tls)
                        stream_poke(&c->stream, STREAM_WRITABLE);
                return;
        }
        over(c, e);
}

void mesh_localapi_start(struct mesh_localapi *c, struct loop *l, const struct mesh_localapi_request *r,
                         mesh_localapi_fn *fn)
{
        const struct dial_target target = { .path = r->socket, .ip = r->ip, .port = r->port };

        memset(c, 0, sizeof(*c));
        c->fn = fn;
        c->loop = l;
        c->tls = r->tls;
        c->server_name = r->server_name;
        buf_init(&c->body, r->bytes_max);
        buf_init(&c->in, HEAD_BYTES_MAX + READ_BYTES);
        buf_init(&c->out, REQUEST_BYTES_MAX);
        timer_init(&c->timer, on_late);
        /* tailscaled's guard against web pages: this Host, and neither Origin nor Referer. */
        buf_addf(&c->out, "%.*s %.*s HTTP/1.1\r\nHost: %.*s\r\nConnection: close\r\n", STR_FMT(r->method),
                 STR_FMT(r->path), STR_FMT(r->tls ? r->server_name : STR("local-tailscaled.sock")));
        if (r->if_match.len)
                buf_addf(&c->out, "If-Match: %.*s\r\n", STR_FMT(r->if_match));
        if (r->body.len)
                buf_addf(&c->out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", r->body.len);
        buf_add(&c->out, STR("\r\n"));
        buf_add(&c->out, r->body);
        timer_set(l, &c->timer, loop_now(l) + r->timeout_ms);
        dial_start(&c->dial, l, &target, r->timeout_ms, on_dialled);
}

void mesh_localapi_fini(struct mesh_localapi *c)
{
        buf_wipe(&c->body); /* it may be a private key */
}

/* ---- waited for ---- */

struct waiting {
        struct mesh_localapi *call;
        bool is_over;
        enum err result;
};

static struct waiting *waiting; /* of the one thread that blocks */

static void on_answer(struct mesh_localapi *c, enum err e)
{
        (void)c;
        waiting->is_over = true;
        waiting->result = e;
}

enum err mesh_localapi_ask(struct mesh_localapi *c, const struct mesh_localapi_request *r)
{
        struct waiting w = { .call = c };
        struct loop *loop;
        enum err e;

        memset(c, 0, sizeof(*c));
        if ((e = loop_new(&loop)) != ERR_OK)
                return e;
        waiting = &w;
        mesh_localapi_start(c, loop, r, on_answer);
        while (!w.is_over)
                loop_turn(loop, 1000);
        waiting = NULL;
        loop_free(loop);
        return w.result;
}

enum err mesh_localapi_err(uint16_t status)
{
        switch (status) {
        case 401:
        case 403: return ERR_DENIED;
        case 404: return ERR_NOT_FOUND;
        case 412: return ERR_STALE;
        default: return status / 100 == 2 ? ERR_OK : ERR_MALFORMED;
        }
}
