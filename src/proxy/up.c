#include "proxy/up.h"

#include <assert.h>

#include "proxy/links.h"
#include "proxy/route.h"
#include "proxy/up_dial.h"
#include "proxy/up_h1.h"
#include "proxy/up_h2.h"
#include "proxy/up_udp.h"
#include "proxy/worker.h"

/*
 * Theory of operation. A target of unknown protocol (auto): over TLS the handshake decides (ALPN), and until the first one is
 * over all exchanges wait for that one connection. In plain text HTTP/1.1 is spoken, and where the target is on this
 * machine a probe of its own, which carries no request, asks meanwhile for HTTP/2; once it has answered, new
 * exchanges go there. What was learned of HTTP/1.1 is forgotten after a while, so that a changed server is noticed.
 */

enum {
        WAITING_MAX = 100, /* exchanges that wait for one connection: as many streams as a usual one has */
        SHARED_CONNECTIONS_MAX = 32, /* HTTP/2, of one target */
        LEARNED_MS = 5 * 60 * 1000,
        PROBE_AGAIN_MS = 10 * 1000 /* when nobody was there to be asked */
};

void up_target_init(struct target *t)
{
        list_init(&t->idle);
        list_init(&t->dials);
        list_init(&t->shared);
        t->learned = PROTOCOL_AUTO;
}

void up_learn_h1(struct target *t, struct worker *w)
{
        t->learned = PROTOCOL_H1;
        t->learned_until = loop_now(w->loop) + LEARNED_MS;
}

void up_learn_h2(struct target *t, struct worker *w)
{
        if (t->learned != PROTOCOL_H2)
                log_info("upstream_speaks_h2", LOG_S("upstream", t->upstream->name), LOG_S("target", t->url));
        t->learned = PROTOCOL_H2;
        t->upstream->may_speak_h2 = true;
        t->learned_until = MONO_NEVER;
}

static enum upstream_protocol spoken(const struct target *t, mono_ms now)
{
        if (t->upstream->protocol != PROTOCOL_AUTO)
                return t->upstream->protocol;
        return t->learned != PROTOCOL_AUTO && now < t->learned_until ? t->learned : PROTOCOL_AUTO;
}

void up_note_failure(struct worker *w, struct target *t)
{
        if (target_failed(t, loop_now(w->loop)))
                measure_add(w, t->measure.ejections, 1);
}

const struct upstream_waits *up_waits(const struct exchange *x, const struct target *t)
{
        return x && x->route && x->route->waits ? x->route->waits : &t->upstream->waits;
}

/* ---- waiting ---- */

static void wait_for(struct exchange *x, struct up_dial *d)
{
        x->is_connecting = true;
        x->connecting = d;
        list_add_last(&d->waiting, &x->connect_node);
        d->waiting_count++;
}

void up_wait_end(struct exchange *x)
{
        list_remove(&x->connect_node);
        if (x->connecting)
                x->connecting->waiting_count--;
        x->connecting = NULL;
        x->is_connecting = false;
}

void up_abandon(struct exchange *x)
{
        struct up_dial *d = x->connecting;

        if (!x->is_connecting)
                return;
        up_wait_end(x);
        if (d && d->waiting_count == 0 && !d->is_over)
                up_dial_free(d);
}

/* No connection came of it; nothing was sent, so those who wait may try elsewhere. */
static void dial_failed(struct up_dial *d, enum err e)
{
        struct worker *w = d->w;
        unsigned left_out;

        up_note_failure(w, d->target);
        measure_add(w, d->target->measure.failures, 1);
        if (!d->target->upstream->is_quiet &&
            log_limit_pass(&w->connect_failures, loop_now(w->loop), &left_out))
                log_info("upstream_connect_failed", LOG_S("upstream", d->target->upstream->name),
                         LOG_S("target", d->target->url), LOG_E(e), LOG_N("left_out", left_out));
        while (!list_is_empty(&d->waiting)) {
                struct exchange *x = CONTAINER_OF(d->waiting.next, struct exchange, connect_node);

                up_wait_end(x);
                x->is_address_denied = e == ERR_DENIED;
                exchange_up_reset(x, e, true);
        }
        up_dial_free(d);
}

void up_again(struct exchange *x, struct target *t)
{
        up_wait_end(x);
        enum err e = up_connect(x, t);

        if (e != ERR_OK)
                exchange_up_reset(x, e, true);
}

static void on_dialled(struct up_dial *d, enum err e)
{
        struct target *t = d->target;
        struct exchange *first = LIST_FIRST(&d->waiting, struct exchange, connect_node);
        bool is_h2 = d->offers_h2 && (!t->is_tls || up_dial_is_h2(d));

        list_remove(&d->node);
        d->is_over = true; /* freed here, whoever leaves meanwhile */
        if (e == ERR_OK && t->upstream->protocol == PROTOCOL_H2 && !is_h2)
                e = ERR_TLS;
        if (e == ERR_OK && is_h2)
                e = up_h2_start(d, false);
        if (e != ERR_OK) {
                dial_failed(d, e);
                return;
        }
        if (is_h2 && t->is_tls)
                up_learn_h2(t, d->w);
        else if (d->offers_h2 && !is_h2)
                up_learn_h1(t, d->w);
        if (!is_h2 && first) {
                up_wait_end(first);
                e = t->upstream->is_datagram ? up_udp_start(first, d) : up_h1_start(first, d);
                if (e != ERR_OK)
                        exchange_up_reset(first, e, true);
        }
        for (struct exchange *x; (x = LIST_FIRST(&d->waiting, struct exchange, connect_node)) != NULL;)
                up_again(x, t);
        up_dial_free(d);
}

/* ---- the probe ---- */

static void on_probed(struct up_dial *d, enum err e)
{
        d->is_over = true;
        if (e == ERR_OK)
                e = up_h2_start(d, true); /* learns by itself what comes of it */
        if (e != ERR_OK)
                d->target->probe_after = loop_now(d->w->loop) + PROBE_AGAIN_MS;
        up_dial_free(d);
}

static bool is_local(const struct target *t)
{
        return t->path.len || ip_is_loopback(t->ip) || str_eq_nocase(t->host, STR("localhost"));
}

static void probe(struct exchange *x, struct target *t)
{
        mono_ms now = loop_now(x->w->loop);

        if (!is_local(t) || now < t->probe_after)
                return;
        t->probe_after = now + LEARNED_MS;
        if (!up_dial_start(x->w, x->snap, t, true, up_waits(NULL, t)->connect_ms, on_probed))
                t->probe_after = now + PROBE_AGAIN_MS;
}

/* ---- the choice ---- */

/* Whose connection this is, as far as it is known; our own requests are nobody's. */
static void announce(struct up_dial *d, const struct exchange *x, uint8_t version)
{
        const struct exchange_origin *o = x->origin;
        struct proxy_header h = { .has_addresses = !x->is_internal && x->client.ip.family && o->local.family,
                                  .is_udp = x->request.is_datagram,
                                  .source = x->client.ip,
                                  .destination = o->local,
                                  .destination_port = o->local_port };

        if (ip_eq(x->client.ip, o->peer))
                h.source_port = o->peer_port;
        if (x->client_to.family) { /* both ends as the gateway saw them */
                h.source_port = x->client_port;
                h.destination = x->client_to;
                h.destination_port = x->client_to_port;
        }
        up_dial_announce(d, &h, version);
}

static enum err connect_h1(struct exchange *x, struct target *t)
{
        struct up_dial *d;

        if (!x->request.is_raw && up_h1_reuse(x, t))
                return ERR_OK;
        if (!(d = up_dial_start(x->w, x->snap, t, false, up_waits(x, t)->connect_ms, on_dialled)))
                return ERR_NO_MEMORY;
        if (t->upstream->proxy_version)
                announce(d, x, t->upstream->proxy_version);
        wait_for(x, d);
        return ERR_OK;
}

/* A connection that several may wait for. */
static enum err connect_shared(struct exchange *x, struct target *t)
{
        size_t dials_count = 0;
        struct up_dial *d;

        list_for_each(node, &t->dials) {
                d = CONTAINER_OF(node, struct up_dial, node);
                dials_count++;
                if (d->waiting_count < WAITING_MAX) {
                        wait_for(x, d);
                        return ERR_OK;
                }
        }
        if (dials_count + up_h2_count(t) >= SHARED_CONNECTIONS_MAX)
                return ERR_NO_MEMORY;
        if (!(d = up_dial_start(x->w, x->snap, t, true, up_waits(x, t)->connect_ms, on_dialled)))
                return ERR_NO_MEMORY;
        list_add_last(&t->dials, &d->node);
        wait_for(x, d);
        return ERR_OK;
}

enum err up_connect(struct exchange *x, struct target *t)
{
        enum upstream_protocol protocol = spoken(t, loop_now(x->w->loop));
        bool is_auto = t->upstream->protocol == PROTOCOL_AUTO;
        struct up_h2 *h;

        x->target_in_use = t;
        x->way = x->way_reason = NULL;
        if (t->agent.len)
                return links_connect(x, t);
        if (x->request.is_raw)
                return connect_h1(x, t);
        if (protocol == PROTOCOL_AUTO && !t->is_tls) {
                probe(x, t);
                protocol = PROTOCOL_H1;
        }
        /* Upgrades are HTTP/1.1's, but for WebSocket where the target takes tunnels (RFC 8441). */
        if (is_auto && x->wants_upgrade && (!x->is_websocket || up_h2_refuses_tunnels(t)))
                protocol = PROTOCOL_H1;
        if (protocol == PROTOCOL_H1)
                return connect_h1(x, t);
        if ((h = up_h2_find(t, x->is_websocket)))
                return up_h2_begin(h, x);
        if (x->is_websocket && up_h2_refuses_tunnels(t))
                return ERR_UNSUPPORTED;
        return connect_shared(x, t);
}

void up_close_idle(struct target *t)
{
        up_h1_close_idle(t);
        up_h2_drain(t);
}
