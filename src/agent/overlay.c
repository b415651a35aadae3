#include "agent/overlay.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

enum {
        LOOK_MS = 1000,
        CALL_MS = 6000, /* for one address; a handshake is tried after five seconds again */
        SOON_MS =
                1000, /* after a link was lost: the gateway's program may be a new one, which has no keys yet */
        SOON_COUNT = 6,
        UNLINKED_MS = 10 * 1000,
        ENDING_LOOK_MS = 50,
        LAST_WORDS_MS = 300 /* a closed connection's last bytes are still on their way */
};

struct agent_overlay_gateway {
        struct agent_overlay *overlay;
        const struct node_overlay_peer *peer;
        struct resolver_query query;
        size_t place;        /* called last, or first */
        mono_ms call_at;     /* again, not before; 0: not called yet */
        mono_ms linked_at;   /* when a link of it was seen last, or it was called */
        unsigned soon_count; /* calls that do not wait so long */
        bool is_up, is_asking, was_linked;
};

void agent_overlay_open(struct agent_overlay *o, struct loop *l)
{
        enum broker_lack lack;

        const char *reason = NULL;

        if (mesh_private_open(l, &o->private, &lack) != ERR_OK) {
                o->private = NULL;
                reason = broker_lack_text(lack);
        } else if (mesh_private_listen(o->private, AGENT_OVERLAY_PORT, &o->listen_fd) != ERR_OK) {
                mesh_private_free(o->private);
                o->private = NULL;
                reason = "nothing can be listened on in a private network";
        }
        if (reason)
                log_error("overlay_not_possible", LOG_C("reason", reason),
                          LOG_C("meaning", "gateways are reached by the links this agent makes"));
}

/* ---- gateways that dial ---- */

static const struct node_overlay_peer *peer_at(const struct agent_overlay *o, struct ip ip)
{
        for (size_t i = 0; i < o->stored.peers_count; i++)
                if (ip_eq(o->stored.peers[i].v4, ip) || ip_eq(o->stored.peers[i].v6, ip))
                        return &o->stored.peers[i];
        return NULL;
}

static void on_accept(struct listener *l, int fd)
{
        struct agent_overlay *o = CONTAINER_OF(l, struct agent_overlay, listener);
        const struct node_overlay_peer *peer = l->peer.family ? peer_at(o, l->peer) : NULL;

        if (peer)
                agent_links_take(o->links, peer->id, fd);
        else
                close(fd);
}

/* ---- gateways that are called ---- */

static struct mesh_private_peer inside_of(const struct node_overlay_peer *peer)
{
        struct mesh_private_peer p = { .v4 = peer->v4, .v6 = peer->v6 };

        memcpy(p.key, peer->key, sizeof(p.key));
        return p;
}

static void on_resolved(struct resolver_query *q, enum err e, const struct ip *addresses, size_t count)
{
        struct agent_overlay_gateway *g = CONTAINER_OF(q, struct agent_overlay_gateway, query);

        g->is_asking = false;
        if (e != ERR_OK || count == 0)
                return;
        struct mesh_private_peer peer = inside_of(g->peer);
        mesh_private_call(g->overlay->private, &peer, addresses[0],
                          g->peer->port ? g->peer->port : g->overlay->port);
}

/* "gw.example.com:443", "[2001:db8::1]:443": what is before the port. */
static struct str host_of(struct str place)
{
        size_t colon = place.len;

        while (colon > 0 && place.ptr[colon - 1] != ':')
                colon--;
        if (colon > 0)
                place = str_sub(place, 0, colon - 1);
        return place.len > 1 && place.ptr[0] == '[' ? str_sub(place, 1, place.len - 2) : place;
}

static void call(struct agent_overlay_gateway *g, mono_ms now)
{
        struct str host = host_of(g->peer->places[g->place % g->peer->places_count]);

        g->call_at = now + (g->soon_count ? SOON_MS : CALL_MS);
        g->soon_count -= g->soon_count > 0;
        g->is_asking = true;
        resolver_find(g->overlay->worker->resolver, &g->query, host, on_resolved);
}

/* A gateway dials whom it knows to be there: where it does not for so long, or no more, it began anew, and has lost the keys that we have. */
static void gateway_look(struct agent_overlay_gateway *g, mono_ms now)
{
        struct agent_overlay *o = g->overlay;
        bool is_up = mesh_private_has_session(o->private, g->peer->key),
             is_linked = agent_links_taken(o->links, g->peer->id) > 0;

        if (is_up != g->is_up)
                log_info(is_up ? "overlay_up" : "overlay_down", LOG_S("gateway", g->peer->id));
        g->is_up = is_up;
        if (!is_up || is_linked)
                g->linked_at = now;
        if (is_linked)
                g->soon_count = 0;
        else if (g->was_linked)
                g->soon_count = SOON_COUNT;
        g->was_linked = is_linked;
        if (g->is_asking || now < g->call_at || !g->peer->places_count)
                return;
        if (is_up && now - g->linked_at < (g->soon_count ? SOON_MS : UNLINKED_MS))
                return;
        if (!is_up && g->call_at)
                g->place++; /* nobody answered there */
        g->linked_at = now;
        call(g, now);
}

/* ---- what is stored ---- */

static void gateways_end(struct agent_overlay *o)
{
        for (size_t i = 0; o->gateways && i < o->stored.peers_count; i++)
                if (o->gateways[i].is_asking)
                        resolver_cancel(&o->gateways[i].query);
        free(o->gateways);
        o->gateways = NULL;
        node_overlay_fini(&o->stored);
        o->stored = (struct node_overlay){ 0 };
}

static enum err private_set(struct agent_overlay *o)
{
        const struct node_overlay *s = &o->stored;
        struct mesh_private_peer *peers = calloc(s->peers_count + 1, sizeof(*peers));
        const struct mesh_private_conf conf = { s->key, s->v4, s->v6, peers, s->peers_count };

        if (!peers)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < s->peers_count; i++)
                peers[i] = inside_of(&s->peers[i]);
        enum err e = mesh_private_set(o->private, &conf);
        free(peers);
        return e;
}

/* Which of them answer is still known by their keys: those are not called anew. */
static void gateways_begin(struct agent_overlay *o)
{
        const struct node_overlay *s = &o->stored;
        enum err e = private_set(o);

        if (!(o->gateways = calloc(s->peers_count + 1, sizeof(*o->gateways))))
                e = ERR_NO_MEMORY;
        for (size_t i = 0; o->gateways && i < s->peers_count; i++)
                o->gateways[i] = (struct agent_overlay_gateway){
                        .overlay = o,
                        .peer = &s->peers[i],
                        .is_up = mesh_private_has_session(o->private, s->peers[i].key),
                        .was_linked = mesh_private_has_session(o->private, s->peers[i].key),
                        .linked_at = loop_now(o->worker->loop),
                };
        if (e != ERR_OK)
                log_error("overlay_not_set", LOG_E(e),
                          LOG_C("meaning", "some gateways cannot dial this agent"));
}

void agent_overlay_read(struct agent_overlay *o)
{
        struct node_overlay fresh;
        const char *why = "";

        if (!o->is_started)
                return;
        enum err e = node_overlay_load(o->folder, WIRE_AGENT, &fresh, &why);
        if (e == ERR_NOT_FOUND) { /* not joined yet, or wanted no more */
                gateways_end(o);
                return;
        }
        if (e != ERR_OK) {
                log_error("overlay_not_read", LOG_C("reason", why), LOG_E(e));
                return;
        }
        gateways_end(o);
        o->stored = fresh;
        gateways_begin(o);
}

/* ---- life ---- */

static void begin(struct agent_overlay *o)
{
        struct loop *l = o->worker->loop;
        enum err e = mesh_private_bind(o->private, 0);

        if (e == ERR_OK)
                e = listener_start(&o->listener, l, o->listen_fd, on_accept);
        if (e != ERR_OK) {
                log_error("overlay_not_started", LOG_E(e));
                o->is_stopped = true;
                return;
        }
        o->is_started = true;
        log_info("overlay_open", LOG_N("port", o->port));
        agent_overlay_read(o);
}

static void release(struct agent_overlay *o)
{
        agent_overlay_free(o);
        o->on_released(o->context);
}

static void ending_look(struct agent_overlay *o, mono_ms now)
{
        if (agent_links_use_overlay(o->links))
                o->idle_at = now;
        if (now - o->idle_at >= LAST_WORDS_MS)
                release(o);
        else
                timer_set(o->worker->loop, &o->look, now + ENDING_LOOK_MS);
}

static void on_look(struct timer *t)
{
        struct agent_overlay *o = CONTAINER_OF(t, struct agent_overlay, look);
        mono_ms now = loop_now(o->worker->loop);

        if (o->on_released) {
                ending_look(o, now);
                return;
        }
        if (!o->is_started && !o->is_stopped)
                begin(o);
        if (!o->is_started)
                return;
        for (size_t i = 0; o->gateways && i < o->stored.peers_count; i++)
                gateway_look(&o->gateways[i], now);
        timer_set(o->worker->loop, t, now + LOOK_MS);
}

void agent_overlay_start(struct agent_overlay *o, struct worker *w, struct agent_links *links,
                         const char *folder, uint16_t port, int64_t after_ms)
{
        if (!o->private)
                return;
        o->worker = w;
        o->links = links;
        o->folder = folder;
        o->port = port;
        timer_init(&o->look, on_look);
        timer_set(w->loop, &o->look, loop_now(w->loop) + after_ms);
}

void agent_overlay_begin(struct agent_overlay *o)
{
        if (o->worker && !o->is_started && !o->is_stopped)
                timer_set(o->worker->loop, &o->look, loop_now(o->worker->loop));
}

void agent_overlay_stop(struct agent_overlay *o, void (*on_released)(void *context), void *context)
{
        bool is_used = o->private && o->is_started && !o->is_stopped && agent_links_use_overlay(o->links);

        if (o->is_started && !o->is_stopped)
                listener_stop(&o->listener);
        o->is_stopped = true;
        o->on_released = on_released;
        o->context = context;
        if (!is_used) {
                release(o);
                return;
        }
        o->idle_at = loop_now(o->worker->loop);
        timer_set(o->worker->loop, &o->look, o->idle_at);
}

void agent_overlay_free(struct agent_overlay *o)
{
        if (!o->private)
                return;
        if (o->worker)
                timer_clear(&o->look);
        if (o->is_started)
                gateways_end(o);
        o->is_started = false;
        close(o->listen_fd);
        mesh_private_free(o->private);
        o->private = NULL;
}
