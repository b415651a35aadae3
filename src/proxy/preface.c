#include "proxy/preface.h"

#include <stdlib.h>
#include <unistd.h>

#include "http/proxy_protocol.h"
#include "io/peek.h"
#include "proxy/greeting.h"
#include "proxy/worker.h"

struct preface {
        struct peek peek;
        struct worker *w;
        struct snapshot *snap; /* owns `listen` */
        const struct listen_conf *listen;
        struct list node; /* worker.preface_list */
        int fd;
};

static void preface_free(struct preface *p)
{
        list_remove(&p->node);
        p->w->prefaces_count--;
        snapshot_put(p->snap);
        free(p);
}

static void refuse(struct preface *p, const char *reason)
{
        measure_refused(p->w, reason);
        close(p->fd);
        preface_free(p);
}

/* The header's word of who is connected; without addresses (a health check of the balancer's) it is the real peer. */
static void open_behind(struct preface *p, const struct proxy_header *h)
{
        struct down_peer peer = { .ip = h->source, .port = h->source_port };

        if (peek_take(&p->peek, h->bytes) != ERR_OK) {
                refuse(p, "proxy_cut");
                return;
        }
        if (greeting_is_needed(p->w->snap, p->listen))
                greeting_open(p->w, p->fd, p->listen, h->has_addresses ? &peer : NULL);
        else
                down_open(p->w, p->fd, p->listen, h->has_addresses ? &peer : NULL);
        preface_free(p);
}

static void on_bytes(struct peek *peek, enum err e, struct str bytes)
{
        struct preface *p = CONTAINER_OF(peek, struct preface, peek);
        struct proxy_header header;
        const char *reason = "proxy_malformed";

        if (e != ERR_OK) {
                refuse(p, e == ERR_TIMED_OUT ? "proxy_timeout" : "proxy_closed");
                return;
        }
        e = proxy_header_parse(bytes, &header, &reason);
        if (e == ERR_OK) {
                open_behind(p, &header);
        } else if (e != ERR_AGAIN) {
                peek_cancel(peek);
                refuse(p, reason);
        }
}

void preface_open(struct worker *w, int fd, const struct listen_conf *listen)
{
        struct preface *p =
                w->prefaces_count < w->snap->limits.connections_max ? calloc(1, sizeof(*p)) : NULL;

        if (!p || peek_start(&p->peek, w->loop, fd, w->snap->limits.header_ms, on_bytes) != ERR_OK) {
                measure_refused(w, "connections");
                free(p);
                close(fd);
                return;
        }
        p->w = w;
        p->snap = snapshot_get(w->snap);
        p->listen = listen;
        p->fd = fd;
        w->prefaces_count++;
        list_add_last(&w->preface_list, &p->node);
}

void preface_close_all(struct worker *w)
{
        list_for_each_safe(node, &w->preface_list) {
                struct preface *p = CONTAINER_OF(node, struct preface, node);

                peek_cancel(&p->peek);
                close(p->fd);
                preface_free(p);
        }
}
