#include "cli/client.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "http/h1_read.h"
#include "io/loop.h"
#include "io/stream.h"

enum { HEAD_BYTES_MAX = 64 << 10, FIELDS_MAX = 200, READ_BYTES = 16 << 10, ARENA_BYTES_MAX = 1 << 20 };

struct client {
        struct loop *loop;
        struct dial dial;
        struct stream stream;
        int fd; /* connected and not yet a stream; else -1 */
        bool has_stream, was_closed, dial_done, tls_done;
        enum err dial_result, tls_result;
        struct buf in, body;
        struct arena arena; /* what the answer's texts stand in */
};

static const struct h1_limits limits = { HEAD_BYTES_MAX, 8 << 10, FIELDS_MAX };

/* ---- waiting ---- */

static int64_t now_ms(void)
{
        return loop_clock_us() / 1000;
}

/* One turn, until the deadline at the latest. False: it has passed. */
static bool turn(struct client *c, int64_t deadline)
{
        int64_t left = deadline - now_ms();

        if (left <= 0)
                return false;
        loop_turn(c->loop, left);
        return true;
}

/* ---- a stream's life ---- */

static void on_open(struct stream *s, enum err e)
{
        struct client *c = CONTAINER_OF(s, struct client, stream);

        c->tls_done = true;
        c->tls_result = e;
}

static void on_ready(struct stream *s, unsigned ready)
{
        /* The loop has turned; who waits looks by itself. */
}

static void on_closed(struct stream *s)
{
        CONTAINER_OF(s, struct client, stream)->was_closed = true;
}

static const struct stream_events events = { on_open, on_ready, on_closed };

struct client *client_new(void)
{
        struct client *c = calloc(1, sizeof(*c));

        if (!c)
                return NULL;
        c->fd = -1;
        if (loop_new(&c->loop) != ERR_OK) {
                free(c);
                return NULL;
        }
        buf_init(&c->in, HEAD_BYTES_MAX + READ_BYTES);
        buf_init(&c->body, CLIENT_BODY_BYTES_MAX);
        arena_init(&c->arena, NULL, 0, ARENA_BYTES_MAX);
        return c;
}

void client_close(struct client *c)
{
        if (c->has_stream) {
                c->was_closed = false;
                stream_close(&c->stream, STREAM_CLOSE_PLAIN);
                while (!c->was_closed)
                        loop_turn(c->loop, 1000);
                c->has_stream = false;
        }
        if (c->fd >= 0)
                close(c->fd);
        c->fd = -1;
        buf_clear(&c->in);
}

void client_free(struct client *c)
{
        if (!c)
                return;
        client_close(c);
        loop_free(c->loop);
        buf_fini(&c->in);
        buf_fini(&c->body);
        arena_fini(&c->arena);
        free(c);
}

bool client_is_open(const struct client *c)
{
        return c->has_stream || c->fd >= 0;
}

/* ---- name ---- */

enum err client_find(struct str host, struct ip out[CLIENT_ADDRESSES_MAX], size_t *count)
{
        struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG }, *list = NULL;
        char name[CLIENT_HOST_BYTES_MAX + 1];

        *count = 0;
        if (ip_parse(host, &out[0]) == ERR_OK) {
                *count = 1;
                return ERR_OK;
        }
        if (host.len == 0 || host.len >= sizeof(name))
                return ERR_NOT_FOUND;
        memcpy(name, host.ptr, host.len);
        name[host.len] = '\0';
        int problem = getaddrinfo(name, NULL, &hints, &list);

        if (problem != 0)
                return problem == EAI_NONAME || problem == EAI_NODATA ? ERR_NOT_FOUND
                       : problem == EAI_AGAIN                         ? ERR_TIMED_OUT
                                                                      : ERR_IO;
        for (const struct addrinfo *a = list; a && *count < CLIENT_ADDRESSES_MAX; a = a->ai_next) {
                if (a->ai_family == AF_INET)
                        out[(*count)++] = ip_from_bytes(
                                4, (const uint8_t *)&((struct sockaddr_in *)(void *)a->ai_addr)->sin_addr);
                else if (a->ai_family == AF_INET6)
                        out[(*count)++] = ip_from_bytes(
                                6, (const uint8_t *)&((struct sockaddr_in6 *)(void *)a->ai_addr)->sin6_addr);
        }
        freeaddrinfo(list);
        return *count ? ERR_OK : ERR_NOT_FOUND;
}

/* ---- connection ---- */

static void on_dialled(struct dial *d, enum err e, int fd)
{
        struct client *c = CONTAINER_OF(d, struct client, dial);

        c->dial_done = true;
        c->dial_result = e;
        c->fd = fd;
}

enum err client_dial(struct client *c, const struct dial_target *target, int64_t timeout_ms)
{
        client_close(c);
        c->dial_done = false;
        dial_start(&c->dial, c->loop, target, timeout_ms, on_dialled);
        while (!c->dial_done)
                loop_turn(c->loop, 1000); /* the dial has its own end */
        return c->dial_result;
}

enum err client_secure(struct client *c, struct tls_context *context, struct str server_name,
                       int64_t timeout_ms)
{
        int64_t deadline = now_ms() + timeout_ms;
        int fd = c->fd;
        enum err e;

        c->fd = -1;
        c->tls_done = false;
        if ((e = stream_open_tls_client(&c->stream, c->loop, fd, &events, context, server_name)) != ERR_OK)
                return e;
        c->has_stream = true;
        while (!c->tls_done)
                if (!turn(c, deadline)) {
                        client_close(c);
                        return ERR_TIMED_OUT;
                }
        if (c->tls_result != ERR_OK)
                client_close(c);
        return c->tls_result;
}

const char *client_tls_version(const struct client *c)
{
        return c->has_stream ? stream_tls_version(&c->stream) : NULL;
}

/* ---- exchange ---- */

static enum err send_all(struct client *c, struct str bytes, int64_t deadline)
{
        while (bytes.len) {
                struct iovec part = { (void *)(uintptr_t)bytes.ptr, bytes.len };
                size_t written = 0;
                enum err e = stream_write(&c->stream, &part, 1, &written);

                if (e == ERR_AGAIN && !turn(c, deadline))
                        return ERR_TIMED_OUT;
                if (e == ERR_OK)
                        bytes = str_from(bytes, written);
                else if (e != ERR_AGAIN)
                        return e;
        }
        return ERR_OK;
}

static enum err request_send(struct client *c, const struct client_request *r, int64_t deadline)
{
        struct buf text;

        buf_init(&text, CLIENT_BODY_BYTES_MAX);
        buf_addf(&text, "%.*s %.*s HTTP/1.1\r\nHost: %.*s\r\n", STR_FMT(r->method), STR_FMT(r->path),
                 STR_FMT(r->host));
        for (size_t i = 0; i < r->fields_count; i++)
                buf_addf(&text, "%.*s: %.*s\r\n", STR_FMT(r->fields[i].name), STR_FMT(r->fields[i].value));
        if (r->body.len || str_eq(r->method, STR("POST")))
                buf_addf(&text, "Content-Length: %zu\r\n", r->body.len);
        buf_add(&text, STR("\r\n"));
        buf_add(&text, r->body);
        enum err e = text.full ? ERR_NO_MEMORY : send_all(c, buf_str(&text), deadline);

        buf_wipe(&text); /* it has the token in it */
        return e;
}

/* Some more bytes, or the end. */
static enum err receive(struct client *c, int64_t deadline)
{
        for (;;) {
                char *room = buf_reserve(&c->in, READ_BYTES);
                size_t got = 0;

                if (!room)
                        return ERR_TOO_LARGE;
                enum err e = stream_read(&c->stream, room, READ_BYTES, &got);

                if (e == ERR_OK)
                        buf_added(&c->in, got);
                if (e != ERR_AGAIN)
                        return e;
                if (!turn(c, deadline))
                        return ERR_TIMED_OUT;
        }
}

/* The final answer's head; interim ones are passed over. Its bytes are taken off the buffer. */
static enum err head_receive(struct client *c, const struct client_request *request, int64_t deadline,
                             struct http_head *head, struct client_answer *out)
{
        struct http_field *fields = ARENA_ARRAY(&c->arena, struct http_field, FIELDS_MAX);
        enum http_method method = http_method_of(request->method);
        const struct http_field *wanted;
        struct http_refusal refusal;
        size_t scanned = 0;
        enum err e;

        if (!fields)
                return ERR_NO_MEMORY;
        for (;;) {
                *head = (struct http_head){ .fields = fields, .fields_max = FIELDS_MAX };
                e = h1_response_parse(buf_str(&c->in), &limits, method, &scanned, head, &refusal);
                if (e == ERR_OK && head->status >= 200)
                        break;
                if (e == ERR_OK) {
                        buf_consume(&c->in, head->bytes);
                        scanned = 0;
                } else if (e != ERR_AGAIN) {
                        return ERR_MALFORMED;
                } else if ((e = receive(c, deadline)) != ERR_OK) {
                        return e;
                }
        }
        out->status = head->status;
        out->content_type = arena_copy(&c->arena, http_value(head, HTTP_FIELD_CONTENT_TYPE));
        out->server = arena_copy(&c->arena, http_value(head, HTTP_FIELD_SERVER));
        if (request->wants.len && (wanted = http_find_name(head, request->wants)))
                out->wanted = arena_copy(&c->arena, wanted->value);
        buf_consume(&c->in, head->bytes);
        return ERR_OK;
}

static enum err body_receive(struct client *c, const struct client_request *request,
                             const struct http_head *head, int64_t deadline)
{
        struct http_refusal refusal;
        struct h1_body_part part;
        struct h1_body body;
        bool is_passed_on = request->on_body && head->status == 200;
        enum err e = ERR_OK;

        h1_body_init(&body, head);
        for (;;) {
                if (h1_body_read(&body, buf_str(&c->in), &part, &refusal) != ERR_OK)
                        return ERR_MALFORMED;
                for (size_t i = 0; i < part.slices_count && e == ERR_OK; i++) {
                        if (is_passed_on)
                                e = request->on_body(request->context, part.slices[i]);
                        else
                                buf_add(&c->body, part.slices[i]);
                }
                if (e != ERR_OK)
                        return e;
                buf_consume(&c->in, part.consumed);
                if (c->body.full)
                        return ERR_TOO_LARGE;
                if (part.is_last)
                        return ERR_OK;
                if (part.consumed == 0 && (e = receive(c, deadline)) != ERR_OK)
                        return e == ERR_CLOSED && h1_body_end(&body) == ERR_OK ? ERR_OK : e;
        }
}

static enum err stream_begin(struct client *c)
{
        int fd = c->fd;

        if (c->has_stream)
                return ERR_OK;
        if (fd < 0)
                return ERR_CLOSED;
        c->fd = -1;
        enum err e = stream_open(&c->stream, c->loop, fd, &events);

        c->has_stream = e == ERR_OK;
        return e;
}

enum err client_ask(struct client *c, const struct client_request *request, int64_t timeout_ms,
                    struct client_answer *out)
{
        int64_t deadline = now_ms() + timeout_ms;
        struct http_head head;
        enum err e;

        *out = (struct client_answer){ 0 };
        arena_reset(&c->arena);
        buf_clear(&c->in);
        buf_clear(&c->body);
        if ((e = stream_begin(c)) == ERR_OK && (e = request_send(c, request, deadline)) == ERR_OK &&
            (e = head_receive(c, request, deadline, &head, out)) == ERR_OK)
                e = body_receive(c, request, &head, deadline);
        out->body = buf_str(&c->body);
        if (e != ERR_OK || !head.keeps_alive || head.framing == HTTP_BODY_UNTIL_CLOSE)
                client_close(c);
        return e;
}
