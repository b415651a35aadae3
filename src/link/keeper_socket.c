#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/random.h"
#include "http/h1_read.h"
#include "http/websocket_handshake.h"
#include "link/keeper_priv.h"
#include "link/wrap.h"

/*
 * Theory of operation. An attempt at a link opens one of these over its connection: TLS that proves nothing, a request to
 * upgrade, its answer. Then the attempt gets a descriptor, on which it goes on as if it were the connection, and this lives as long as either end.
 */

enum { HEAD_MAX = 8 * 1024, FIELDS_MAX = 64, REQUEST_MAX = 1024, TURN_MAX = 16 };

struct keeper_socket {
        struct list node;         /* keeper.sockets */
        struct keeper_link *link; /* whose attempt; NULL: it goes on by itself, or was given up */
        struct stream outer;
        struct link_wrap wrap;
        bool is_wrapped, is_ending;
        unsigned open; /* outer, wrap */
        char request[REQUEST_MAX], head[HEAD_MAX];
        size_t request_len, request_at, head_len, scanned;
        struct str rest; /* what came from outside and was not taken; in `in` */
        char in[LINK_WRAP_IN_BYTES];
};

static void socket_end(struct keeper_socket *s)
{
        if (s->is_ending)
                return;
        s->is_ending = true;
        s->link = NULL;
        stream_close(&s->outer, STREAM_CLOSE_PLAIN);
        if (s->is_wrapped)
                link_wrap_close(&s->wrap);
}

static void part_closed(struct keeper_socket *s)
{
        if (--s->open)
                return;
        list_remove(&s->node);
        free(s);
}

static void fail(struct keeper_socket *s, const char *problem)
{
        struct keeper_link *l = s->link;

        socket_end(s);
        if (l)
                keeper_dial_failed(l, problem);
}

/* ---- both ways ---- */

static void send_on(struct keeper_socket *s)
{
        for (unsigned i = 0; i < TURN_MAX; i++) {
                bool is_last;
                struct str bytes = link_wrap_pending(&s->wrap, &is_last);
                struct iovec part = { (void *)(uintptr_t)bytes.ptr, bytes.len };
                size_t written;
                enum err e;

                if (bytes.len == 0) {
                        if (is_last)
                                socket_end(s);
                        return;
                }
                if ((e = stream_write(&s->outer, &part, 1, &written)) == ERR_AGAIN)
                        return;
                if (e != ERR_OK) {
                        socket_end(s);
                        return;
                }
                link_wrap_sent(&s->wrap, written);
        }
        stream_poke(&s->outer, STREAM_WRITABLE);
}

static void receive_on(struct keeper_socket *s)
{
        for (unsigned i = 0; i < TURN_MAX && !s->is_ending; i++) {
                size_t got;

                s->rest = str_from(s->rest, link_wrap_receive(&s->wrap, s->rest));
                if (s->rest.len)
                        return; /* on_room */
                enum err e = stream_read(&s->outer, s->in, sizeof(s->in), &got);
                if (e == ERR_AGAIN)
                        return;
                if (e != ERR_OK) {
                        socket_end(s);
                        return;
                }
                s->rest = (struct str){ s->in, got };
        }
        if (!s->is_ending)
                stream_poke(&s->outer, STREAM_READABLE);
}

static void on_pending(struct link_wrap *w)
{
        struct keeper_socket *s = CONTAINER_OF(w, struct keeper_socket, wrap);

        if (!s->is_ending)
                send_on(s);
}

static void on_room(struct link_wrap *w)
{
        struct keeper_socket *s = CONTAINER_OF(w, struct keeper_socket, wrap);

        if (!s->is_ending)
                receive_on(s);
}

static void on_wrap_closed(struct link_wrap *w)
{
        part_closed(CONTAINER_OF(w, struct keeper_socket, wrap));
}

static const struct link_wrap_events wrap_events = { on_pending, on_room, on_wrap_closed };

/* ---- the upgrade ---- */

static void request_make(struct keeper_socket *s)
{
        const struct keeper_place *at = s->link->at;
        bool is_v6 = at->ip.family == 6;
        char key[CRYPTO_BASE64_SIZE(WEBSOCKET_KEY_BYTES)];
        uint8_t random[WEBSOCKET_KEY_BYTES];

        crypto_random(random, sizeof(random));
        crypto_base64_format((struct str){ (char *)random, sizeof(random) }, key);
        int n = snprintf(s->request, sizeof(s->request),
                         "GET " LINK_WRAP_PATH " HTTP/1.1\r\nHost: %s%s%s:%u\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
                         "Sec-WebSocket-Protocol: " LINK_WRAP_PROTOCOL "\r\n\r\n",
                         is_v6 ? "[" : "", at->host, is_v6 ? "]" : "", at->port, key);
        s->request_len = (size_t)n; /* a host has 255 bytes at most */
}

static void request_write(struct keeper_socket *s)
{
        while (s->request_at < s->request_len) {
                struct iovec part = { s->request + s->request_at, s->request_len - s->request_at };
                size_t written;
                enum err e = stream_write(&s->outer, &part, 1, &written);

                if (e == ERR_AGAIN)
                        return;
                if (e != ERR_OK) {
                        fail(s, "the connection closed before the WebSocket was open");
                        return;
                }
                s->request_at += written;
        }
}

static bool is_upgraded(const struct keeper_socket *s, const struct http_head *answer)
{
        static const struct h1_limits limits = { HEAD_MAX, 1024, FIELDS_MAX };
        struct http_field fields[FIELDS_MAX];
        struct http_head request = { .fields = fields, .fields_max = FIELDS_MAX };
        struct http_refusal refusal;
        size_t scanned = 0;

        return h1_request_parse((struct str){ s->request, s->request_len }, &limits, &scanned, &request,
                                &refusal) == ERR_OK &&
               websocket_answer_check(&request, answer, &refusal) == ERR_OK;
}

static void wrap_begin(struct keeper_socket *s, struct str rest)
{
        struct keeper_link *l = s->link;
        int fd;

        if (link_wrap_open(&s->wrap, s->outer.loop, true, &wrap_events, &fd) != ERR_OK) {
                fail(s, "there is no memory for it");
                return;
        }
        s->is_wrapped = true;
        s->open++;
        memcpy(s->in, rest.ptr, rest.len);
        s->rest = (struct str){ s->in, rest.len };
        s->link = NULL;
        stream_poke(&s->outer, STREAM_READABLE);
        keeper_dial_wrapped(l, fd);
}

static void head_read(struct keeper_socket *s)
{
        static const struct h1_limits limits = { HEAD_MAX, 1024, FIELDS_MAX };
        struct http_field fields[FIELDS_MAX];
        struct http_head head = { .fields = fields, .fields_max = FIELDS_MAX };
        struct http_refusal refusal;
        size_t got;

        enum err e = stream_read(&s->outer, s->head + s->head_len, HEAD_MAX - s->head_len, &got);
        if (e == ERR_AGAIN)
                return;
        if (e != ERR_OK) {
                fail(s, "the connection closed before the WebSocket was open");
                return;
        }
        s->head_len += got;
        e = h1_response_parse((struct str){ s->head, s->head_len }, &limits, HTTP_GET, &s->scanned, &head,
                              &refusal);
        if (e == ERR_AGAIN && s->head_len < HEAD_MAX)
                stream_poke(&s->outer, STREAM_READABLE);
        else if (e != ERR_OK)
                fail(s, "what answers there is no HTTP");
        else if (head.status != 101 || !is_upgraded(s, &head))
                fail(s, "no WebSocket is opened there for links");
        else
                wrap_begin(s, (struct str){ s->head + head.bytes, s->head_len - head.bytes });
}

/* ---- the connection ---- */

static void on_open(struct stream *outer, enum err e)
{
        struct keeper_socket *s = CONTAINER_OF(outer, struct keeper_socket, outer);

        if (e != ERR_OK) {
                fail(s, "the WebSocket's TLS handshake failed");
                return;
        }
        if (!s->link)
                return;
        request_make(s);
        request_write(s);
}

static void on_ready(struct stream *outer, unsigned ready)
{
        struct keeper_socket *s = CONTAINER_OF(outer, struct keeper_socket, outer);

        if (s->is_ending)
                return;
        if (s->is_wrapped) {
                if (ready & STREAM_WRITABLE)
                        send_on(s);
                if (ready & STREAM_READABLE && !s->is_ending)
                        receive_on(s);
                return;
        }
        if (ready & STREAM_WRITABLE)
                request_write(s);
        if (ready & STREAM_READABLE && !s->is_ending && !s->is_wrapped)
                head_read(s);
}

static void on_closed(struct stream *outer)
{
        part_closed(CONTAINER_OF(outer, struct keeper_socket, outer));
}

static const struct stream_events outer_events = { on_open, on_ready, on_closed };

struct keeper_socket *keeper_socket_open(struct keeper_link *l, int fd)
{
        struct keeper *k = l->gateway->keeper;
        struct keeper_socket *s = calloc(1, sizeof(*s));

        if (!s) {
                close(fd);
                return NULL;
        }
        s->link = l;
        if (stream_open_tls_client(&s->outer, k->loop, fd, &outer_events, k->outer, str_of(l->at->host)) !=
            ERR_OK) {
                free(s);
                return NULL;
        }
        s->open = 1;
        list_add_last(&k->sockets, &s->node);
        return s;
}

void keeper_socket_let_go(struct keeper_socket *s)
{
        socket_end(s);
}

void keeper_sockets_forget(struct list *sockets)
{
        while (!list_is_empty(sockets)) {
                struct list *node = sockets->next;

                list_remove(node);
                list_init(node);
        }
}
