#include "proxy/greeting.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/units.h"
#include "io/hello.h"
#include "io/peek.h"
#include "proxy/links.h"
#include "proxy/pass.h"

struct greeting {
        struct peek peek;
        struct worker *w;
        struct snapshot *snap;            /* owns `listen` */
        const struct listen_conf *listen; /* NULL: no visitor may be in it */
        struct down_peer peer;
        struct list node; /* worker.greeting_list */
        int fd;
        bool has_peer;
};

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
        g->w->greetings_count--;
        snapshot_put(g->snap);
        free(g);
}

/* By the snapshot in force, which is the one that a request of it begins with. */
static void visitor_open(struct greeting *g, struct str name)
{
        const struct listen_conf *passed = pass_find(g->w->snap, name);

        down_open(g->w, g->fd, passed ? passed : g->listen, g->has_peer ? &g->peer : NULL);
}

static void route_on(struct greeting *g, struct str name)
{
        struct worker *w = g->w;
        unsigned worker = w->index;
        bool takes_agents = w->snap->links.tls && !g->has_peer;
        enum greeting_is whose = takes_agents ? name_read(name, &worker) : OF_VISITOR;
        int fd = g->fd;

        if (whose == OF_VISITOR && !g->listen) {
                measure_refused(w, "link_name");
                close(fd);
        } else if (whose == OF_VISITOR) {
                visitor_open(g, name);
        } else if (worker == w->index) {
                links_take(w->links, fd);
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
                measure_refused(g->w, e == ERR_TIMED_OUT ? "tls_timeout" : "tls_handshake");
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

bool greeting_is_needed(const struct snapshot *s, const struct listen_conf *listen)
{
        return listen->tls && !listen->raw && (s->links.tls || s->passes.count);
}

void greeting_open(struct worker *w, int fd, const struct listen_conf *listen, const struct down_peer *peer)
{
        struct greeting *g =
                w->greetings_count < w->snap->limits.connections_max ? calloc(1, sizeof(*g)) : NULL;

        if (!g || peek_start(&g->peek, w->loop, fd, w->snap->limits.tls_ms, on_bytes) != ERR_OK) {
                measure_refused(w, "connections");
                free(g);
                close(fd);
                return;
        }
        g->w = w;
        g->snap = snapshot_get(w->snap);
        g->listen = listen;
        g->fd = fd;
        g->has_peer = peer != NULL;
        if (peer)
                g->peer = *peer;
        w->greetings_count++;
        list_add_last(&w->greeting_list, &g->node);
}

void greeting_open_link(struct worker *w, int fd)
{
        greeting_open(w, fd, NULL, NULL);
}

void greeting_close_all(struct worker *w)
{
        list_for_each_safe(node, &w->greeting_list) {
                struct greeting *g = CONTAINER_OF(node, struct greeting, node);

                peek_cancel(&g->peek);
                close(g->fd);
                greeting_free(g);
        }
}
