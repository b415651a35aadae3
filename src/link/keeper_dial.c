#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "io/tls.h"
#include "link/keeper_priv.h"

enum { REQUEST_BYTES_MAX = 2048, SERVER_NAME_MAX = 64 };

static void free_task(struct task *t)
{
        free(CONTAINER_OF(t, struct keeper_link, task));
}

/* Lets go of what the present state holds. */
static void held_drop(struct keeper_link *l)
{
        timer_clear(&l->timer);
        switch (l->state) {
        case KEPT_RESOLVING: resolver_cancel(&l->query); break;
        case KEPT_DIALLING: dial_cancel(&l->dial); break;
        case KEPT_ASKING: peek_cancel(&l->peek); break;
        case KEPT_WRAPPING:
                if (l->socket)
                        keeper_socket_let_go(l->socket);
                break;
        default: break;
        }
        if (l->fd >= 0)
                close(l->fd);
        l->fd = -1;
}

static void fail(struct keeper_link *l, const char *problem)
{
        bool has_stream = l->state == KEPT_OPENING;

        if (l->way != KEEPER_OVER_OVERLAY)
                l->gateway->was_met |= l->state == KEPT_WRAPPING || l->state == KEPT_OPENING;

        held_drop(l);
        keeper_link_enter(l, KEPT_ENDED);
        keeper_link_failed(l, problem);
        if (has_stream)
                stream_close(&l->stream, STREAM_CLOSE_PLAIN); /* freed by on_closed */
        else
                loop_post(l->gateway->keeper->loop, &l->task);
        l->gateway = NULL;
}

void keeper_dial_cancel(struct keeper_link *l)
{
        fail(l, NULL);
}

static void on_late(struct timer *t)
{
        fail(CONTAINER_OF(t, struct keeper_link, timer), "timed out");
}

/* ---- TLS ---- */

static const char *name_refusal(struct keeper_link *l)
{
        const struct kept *g = l->gateway;
        struct tls_peer_identity who;
        enum err e = stream_tls_peer_identity(&l->stream, &who);

        if (e != ERR_OK)
                return "it showed no certificate";
        e = node_name_find(buf_str(&who.names), &l->name);
        tls_peer_identity_fini(&who);
        if (e != ERR_OK || l->name.kind != NODE_GATEWAY)
                return "its certificate is no gateway's";
        if (!str_eq(node_org(&l->name), node_org(&g->keeper->own)))
                return "it belongs to another organisation";
        if (g->id[0] && !str_eq(node_id(&l->name), str_of(g->id)))
                return "it is another gateway than was asked for";
        return NULL;
}

static void on_open(struct stream *s, enum err e)
{
        struct keeper_link *l = CONTAINER_OF(s, struct keeper_link, stream);
        const char *problem, *version = stream_tls_version(s);

        if (l->state != KEPT_OPENING)
                return;
        if (e != ERR_OK) {
                const char *reason = stream_tls_reason(s);

                fail(l, reason ? reason : "the TLS handshake failed");
                return;
        }
        if (!version || strcmp(version, "TLSv1.3") != 0 || !str_eq(stream_tls_alpn(s), STR("h2"))) {
                fail(l, "it speaks no HTTP/2 over TLS 1.3");
                return;
        }
        if ((problem = name_refusal(l))) {
                fail(l, problem);
                return;
        }
        struct keeper *k = l->gateway->keeper;

        timer_clear(&l->timer);
        l->gateway->found = l->name;
        l->gateway->is_found = true;
        if (l->way != KEEPER_OVER_OVERLAY) {
                l->gateway->problem = NULL;
                l->gateway->tried = 0;
                l->gateway->was_met = false;
        }
        l->since = loop_now(k->loop);
        if (!k->events->on_link(k, l, s))
                fail(l, "there is no memory for it");
        else
                keeper_link_enter(l, KEPT_OPEN);
}

static void on_ready(struct stream *s, unsigned ready) {}

static void on_closed(struct stream *s)
{
        free(CONTAINER_OF(s, struct keeper_link, stream));
}

static const struct stream_events opening_events = { on_open, on_ready, on_closed };

static void tls_open(struct keeper_link *l, int fd)
{
        struct keeper *k = l->gateway->keeper;
        char name[SERVER_NAME_MAX];

        if (l->worker == KEEPER_NO_WORKER)
                snprintf(name, sizeof(name), "link.sekisho.internal");
        else
                snprintf(name, sizeof(name), "w%d.link.sekisho.internal", l->worker);
        l->fd = -1;
        if (stream_open_tls_client(&l->stream, k->loop, fd, &opening_events, k->tls, str_of(name)) != ERR_OK)
                fail(l, "there is no memory for it");
        else
                keeper_link_enter(l, KEPT_OPENING);
}

/* ---- as a WebSocket ---- */

static void connected(struct keeper_link *l, int fd)
{
        if (l->way == KEEPER_STRAIGHT) {
                tls_open(l, fd);
                return;
        }
        l->fd = -1;
        if (!(l->socket = keeper_socket_open(l, fd)))
                fail(l, "there is no memory for it");
        else
                keeper_link_enter(l, KEPT_WRAPPING);
}

void keeper_dial_wrapped(struct keeper_link *l, int fd)
{
        l->socket = NULL;
        tls_open(l, fd);
}

void keeper_dial_failed(struct keeper_link *l, const char *problem)
{
        l->socket = NULL;
        fail(l, problem);
}

/* ---- through a proxy ---- */

static const char *proxy_problem(const struct keeper_link *l, struct str answer)
{
        struct str status = str_sub(answer, sizeof("HTTP/1.1"), 3);
        bool has_credentials = l->gateway->keeper->proxy_credentials[0] != 0;

        /* tinyproxy refuses wrong ones with 401. */
        if (has_credentials && (str_eq(status, STR("407")) || str_eq(status, STR("401"))))
                return "the proxy does not take our credentials";
        return str_eq(status, STR("407")) ? "the proxy asks for credentials" : "the proxy refused";
}

/* "HTTP/1.1 200 …": all of it up to the empty line, and not a byte more is taken: what follows is the gateway's. */
static void on_answer(struct peek *p, enum err e, struct str bytes)
{
        struct keeper_link *l = CONTAINER_OF(p, struct keeper_link, peek);
        const char *end;

        if (e != ERR_OK) {
                fail(l, e == ERR_TIMED_OUT ? "the proxy did not answer" : "the proxy closed the connection");
                return;
        }
        if (!(end = memmem(bytes.ptr, bytes.len, "\r\n\r\n", 4)))
                return;
        bool is_well = bytes.len > 12 && str_has_prefix(bytes, STR("HTTP/1.")) && bytes.ptr[8] == ' ' &&
                       bytes.ptr[9] == '2' && ascii_is_digit(bytes.ptr[10]) && ascii_is_digit(bytes.ptr[11]);
        int fd = l->fd;

        if (!is_well)
                fail(l, proxy_problem(l, bytes));
        else if (peek_take(p, (size_t)(end + 4 - bytes.ptr)) != ERR_OK)
                fail(l, "the proxy closed the connection");
        else
                connected(l, fd);
}

static void proxy_ask(struct keeper_link *l, int fd)
{
        const struct keeper_place *at = l->at;
        const char *credentials = l->gateway->keeper->proxy_credentials;
        bool is_v6 = at->ip.family == 6;
        char request[REQUEST_BYTES_MAX];
        int len = snprintf(request, sizeof(request),
                           "CONNECT %s%s%s:%u HTTP/1.1\r\nHost: %s%s%s:%u\r\n%s%s%s\r\n", is_v6 ? "[" : "",
                           at->host, is_v6 ? "]" : "", at->port, is_v6 ? "[" : "", at->host, is_v6 ? "]" : "",
                           at->port, credentials[0] ? "Proxy-Authorization: Basic " : "", credentials,
                           credentials[0] ? "\r\n" : "");

        l->fd = fd;
        /* A new connection's buffer is empty: it goes as a whole. */
        if (len < 0 || (size_t)len >= sizeof(request) ||
            send(fd, request, (size_t)len, MSG_NOSIGNAL) != len ||
            peek_start(&l->peek, l->gateway->keeper->loop, fd, KEEPER_OPENING_MS, on_answer) != ERR_OK)
                fail(l, "the proxy closed the connection");
        else
                keeper_link_enter(l, KEPT_ASKING);
}

/* ---- TCP ---- */

static void on_dialled(struct dial *d, enum err e, int fd)
{
        struct keeper_link *l = CONTAINER_OF(d, struct keeper_link, dial);

        if (e != ERR_OK)
                fail(l, err_text(e));
        else if (l->gateway->keeper->proxy.host[0])
                proxy_ask(l, fd);
        else
                connected(l, fd);
}

static void dial_begin(struct keeper_link *l, struct ip ip, uint16_t port)
{
        struct dial_target target = { .ip = ip, .port = port };
        bool has_others = l->gateway->places_count > 1 && !l->gateway->keeper->proxy.host[0];

        keeper_link_enter(l, KEPT_DIALLING);
        dial_start(&l->dial, l->gateway->keeper->loop, &target,
                   has_others ? KEEPER_DIALLING_MS : KEEPER_OPENING_MS, on_dialled);
}

static const struct keeper_place *first_hop(const struct keeper_link *l)
{
        const struct keeper *k = l->gateway->keeper;

        return k->proxy.host[0] ? &k->proxy : l->at;
}

static void on_resolved(struct resolver_query *q, enum err e, const struct ip *addresses, size_t count)
{
        struct keeper_link *l = CONTAINER_OF(q, struct keeper_link, query);

        if (e != ERR_OK || count == 0)
                fail(l, "its name is not known");
        else /* each attempt begins with another address */
                dial_begin(l, addresses[l->gateway->address_next++ % count], first_hop(l)->port);
}

static struct keeper_link *link_new(struct kept *g, int worker, enum keeper_way way)
{
        struct keeper *k = g->keeper;
        struct keeper_link *l = calloc(1, sizeof(*l));

        if (!l)
                return NULL;
        l->gateway = g;
        l->at = &g->places[g->place];
        l->worker = worker;
        l->way = way;
        l->fd = -1;
        timer_init(&l->timer, on_late);
        timer_set(k->loop, &l->timer, loop_now(k->loop) + KEEPER_OPENING_MS);
        task_init(&l->task, free_task);
        list_add_last(&g->links, &l->node);
        return l;
}

struct keeper_link *keeper_dial_taken(struct kept *g, int fd)
{
        struct keeper_link *l = link_new(g, KEEPER_NO_WORKER, KEEPER_OVER_OVERLAY);

        if (!l)
                return NULL;
        l->state = KEPT_TAKEN;
        tls_open(l, fd);
        return l;
}

struct keeper_link *keeper_dial(struct kept *g, int worker)
{
        struct keeper *k = g->keeper;
        struct keeper_link *l = link_new(g, worker, g->as_websocket ? KEEPER_AS_WEBSOCKET : KEEPER_STRAIGHT);

        if (!l)
                return NULL;
        const struct keeper_place *to = first_hop(l);
        if (to->ip.family)
                dial_begin(l, to->ip, to->port);
        else
                resolver_find(k->resolver, &l->query, str_of(to->host), on_resolved);
        return l;
}
