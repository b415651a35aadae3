#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/links_priv.h"

enum { OPENING_MAX = 1000 };

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
        if (link->wanted_len && !str_eq(node_id(&link->name), (struct str){ link->wanted, link->wanted_len }))
                return "link_other_agent";
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

static struct link *link_new(struct links *l, int fd)
{
        struct link *link =
                l->w->snap->links.tls && l->opening_count < OPENING_MAX ? calloc(1, sizeof(*link)) : NULL;

        if (!link) {
                measure_refused(l->w, "link_limit");
                close(fd);
                return NULL;
        }
        link->links = l;
        list_init(&link->agent_node);
        list_add_last(&l->all, &link->node);
        return link;
}

static void link_open(struct link *link, int fd)
{
        struct links *l = link->links;

        if (stream_open_tls_server(&link->stream, l->w->loop, fd, &opening_events, l->w->snap->links.tls) !=
            ERR_OK)
                link_free(link);
        else
                l->opening_count++;
}

void links_take(struct links *l, int fd)
{
        struct link *link = link_new(l, fd);

        if (link)
                link_open(link, fd);
}

void links_take_overlay(struct links *l, struct str agent, int fd)
{
        struct link *link = link_new(l, fd);

        if (!link)
                return;
        link->way = LINK_OVERLAY;
        link->wanted_len = (uint8_t)MIN(agent.len, sizeof(link->wanted));
        memcpy(link->wanted, agent.ptr, link->wanted_len);
        link_open(link, fd);
}
