#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "io/hello.h"
#include "proxy/down.h"
#include "proxy/links_priv.h"

enum { OPENING_MAX = 1000 };

/* A connection whose first message is awaited. */
struct greeting {
        struct peek peek;
        struct links *links;
        struct snapshot *snap; /* owns `listen` */
        const struct listen_conf *listen;
        struct list node; /* links.greetings */
        int fd;
};

/* ---- TLS ---- */

static void refuse(struct link *link, const char *reason)
{
        struct links *l = link->links;
        unsigned left_out;

        measure_refused(l->w, reason);
        if (log_limit_pass(&l->refusals, loop_now(l->w->loop), &left_out)) {
                char text[IP_TEXT_MAX];
                uint16_t port;

                log_warning("link_not_taken", LOG_C("reason", reason), LOG_S("agent", node_id(&link->name)),
                            LOG_S("peer", ip_format(stream_peer_address(&link->stream, &port), text)),
                            LOG_N("left_out", left_out));
        }
        stream_close(&link->stream, STREAM_CLOSE_PLAIN);
}

/* NULL: whose the link is stands in it. */
static const char *name_find(struct link *link)
{
        const struct links_conf *conf = &link->links->w->snap->links;
        struct tls_peer_identity who;
        enum err e = stream_tls_peer_identity(&link->stream, &who);

        if (e != ERR_OK)
                return "link_certificate";
        e = node_name_find(buf_str(&who.names), &link->name);
        memcpy(link->identity, who.key_sha256, sizeof(link->identity));
        tls_peer_identity_fini(&who);
        if (e != ERR_OK)
                return "link_name";
        if (!conf->tls)
                return "link_off";
        link->authority_key = conf->authority_key;
        return link_refusal(conf, &link->name, link->identity) ? "link_agent" : NULL;
}

static void on_open(struct stream *s, enum err e)
{
        struct link *link = CONTAINER_OF(s, struct link, stream);
        struct worker *w = link->links->w;
        const char *reason, *version = stream_tls_version(s);

        measure_tls(w, "agent", s, e);
        if (e != ERR_OK) {
                refuse(link, "link_handshake");
                return;
        }
        if (!version || strcmp(version, "TLSv1.3") != 0 || !str_eq(stream_tls_alpn(s), STR("h2"))) {
                refuse(link, "link_protocol");
                return;
        }
        if ((reason = name_find(link))) {
                refuse(link, reason);
                return;
        }
        if (link_serve(link) != ERR_OK)
                refuse(link, "link_limit");
        else
                link->links->opening_count--;
}

static void on_ready(struct stream *s, unsigned ready) {}

static void on_closed(struct stream *s)
{
        struct link *link = CONTAINER_OF(s, struct link, stream);

        link->links->opening_count--;
        link_free(link);
}

static const struct stream_events opening_events = { on_open, on_ready, on_closed };

void links_take(struct links *l, int fd)
{
        struct link *link =
                l->w->snap->links.tls && l->opening_count < OPENING_MAX ? calloc(1, sizeof(*link)) : NULL;

        if (!link) {
                measure_refused(l->w, "link_limit");
                close(fd);
                return;
        }
        link->links = l;
        list_init(&link->agent_node);
        list_add_last(&l->all, &link->node);
        if (stream_open_tls_server(&link->stream, l->w->loop, fd, &opening_events, l->w->snap->links.tls) !=
            ERR_OK)
                link_free(link);
        else
                l->opening_count++;
}

/* ---- the first message ---- */

enum greeting_is { OF_VISITOR, OF_AGENT, OF_OTHER_WORKER };

/* "link.sekisho.internal", "w12.link.sekisho.internal" */
static enum greeting_is name_read(struct str name, unsigned *worker)
{
        const struct str link = STR("link.sekisho.internal");
        size_t dot = str_find_char(name, '.');
        uint64_t number;

        if (name.len == 0)
                return OF_VISITOR;
        if (str_eq(name, link))
                return OF_AGENT;
        if (dot == STR_NONE || dot < 2 || name.ptr[0] != 'w' || !str_eq(str_from(name, dot + 1), link) ||
            units_parse_u64(str_sub(name, 1, dot - 1), 1 << 16, &number) != ERR_OK)
                return OF_VISITOR;
        *worker = (unsigned)number;
        return OF_OTHER_WORKER;
}

static void greeting_free(struct greeting *g)
{
        list_remove(&g->node);
        g->links->greetings_count--;
        snapshot_put(g->snap);
        free(g);
}

static void route_on(struct greeting *g, struct str name)
{
        struct links *l = g->links;
        struct worker *w = l->w;
        unsigned worker = w->index;
        enum greeting_is whose = name_read(name, &worker);
        int fd = g->fd;

        if (whose == OF_VISITOR) {
                down_open(w, fd, g->listen, NULL);
        } else if (worker == w->index) {
                links_take(l, fd);
        } else if (worker < w->shared->workers_count && w->on_handover) {
                w->on_handover(w, worker, fd);
        } else {
                measure_refused(w, "link_worker");
                close(fd);
        }
        greeting_free(g);
}

static void on_bytes(struct peek *peek, enum err e, struct str bytes)
{
        struct greeting *g = CONTAINER_OF(peek, struct greeting, peek);
        struct hello hello = { .name_len = 0 };

        if (e == ERR_CLOSED || e == ERR_IO || e == ERR_TIMED_OUT) {
                measure_refused(g->links->w, e == ERR_TIMED_OUT ? "tls_timeout" : "tls_handshake");
                close(g->fd);
                greeting_free(g);
                return;
        }
        if (e == ERR_OK) {
                e = hello_read(bytes, &hello);
                if (e == ERR_AGAIN)
                        return;
                peek_cancel(peek);
        }
        /* What is no hello, or too long a one, is the TLS library's to refuse. */
        route_on(g, e == ERR_OK ? hello_name(&hello) : STR_NULL);
}

void links_greet(struct links *l, int fd, const struct listen_conf *listen)
{
        struct worker *w = l->w;
        struct greeting *g =
                l->greetings_count < w->snap->limits.connections_max ? calloc(1, sizeof(*g)) : NULL;

        if (!g || peek_start(&g->peek, w->loop, fd, w->snap->limits.tls_ms, on_bytes) != ERR_OK) {
                measure_refused(w, "connections");
                free(g);
                close(fd);
                return;
        }
        g->links = l;
        g->snap = snapshot_get(w->snap);
        g->listen = listen;
        g->fd = fd;
        l->greetings_count++;
        list_add_last(&l->greetings, &g->node);
}

void links_greetings_close(struct links *l)
{
        if (l->w->is_patient) /* what was accepted is served */
                return;
        list_for_each_safe(node, &l->greetings) {
                struct greeting *g = CONTAINER_OF(node, struct greeting, node);

                peek_cancel(&g->peek);
                close(g->fd);
                greeting_free(g);
        }
}
