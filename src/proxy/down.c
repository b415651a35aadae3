#include "proxy/down.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/text.h"
#include "proxy/down_h1.h"
#include "proxy/down_h2.h"

static void on_open(struct stream *s, enum err e);
static void on_ready(struct stream *s, unsigned ready);
static void on_closed(struct stream *s);

static const struct stream_events events = { .on_open = on_open,
                                             .on_ready = on_ready,
                                             .on_closed = on_closed };

static struct down *of(struct stream *s)
{
        return CONTAINER_OF(s, struct down, stream);
}

size_t down_bytes(void)
{
        return MAX(down_h1_bytes, down_h2_bytes);
}

void down_free(struct down *c)
{
        struct worker *w = c->w;
        struct down_link *link = c->link;

        timer_clear(&c->timer);
        free((struct client_certificate *)(uintptr_t)c->origin.client);
        list_remove(&c->node);
        tally_leave(w->shared->connections, w->index, c->tally_slot);
        pool_put(w->downs, c);
        measure_set(w, w->measure.connections, (int64_t)pool_taken_count(w->downs));
        if (link)
                link->on_closed(link);
        worker_look_drained(w);
}

/* Before there is a protocol. */
static void give_up(struct down *c, enum stream_close_how how)
{
        timer_clear(&c->timer);
        stream_close(&c->stream, how);
}

static void tls_is_late(struct timer *t)
{
        struct down *c = CONTAINER_OF(t, struct down, timer);

        measure_refused(c->w, "tls_timeout");
        give_up(c, STREAM_CLOSE_PLAIN);
}

static uint64_t address_key(const struct worker *w, struct ip ip)
{
        return hash_str(w->shared->hash_key, (struct str){ (const char *)&ip, sizeof(ip) });
}

static void origin_find(struct down *c, const struct listen_conf *listen, const struct down_peer *peer)
{
        if (peer) {
                c->origin.is_relayed = true;
                c->origin.peer = peer->ip;
                c->origin.peer_port = peer->port;
        } else {
                c->origin.peer = stream_peer_address(&c->stream, &c->origin.peer_port);
        }
        c->origin.local = stream_local_address(&c->stream, &c->origin.local_port);
        c->origin.is_tls = listen->tls != NULL;
        c->origin.is_admin = listen->is_admin;
        c->origin.raw = listen->raw;
}

/* False: its address has as many connections as it may have. */
static bool address_enter(struct down *c)
{
        uint32_t max = down_limits(c)->connections_per_address_max;

        if (!max || !c->origin.peer.family)
                return true;
        c->tally_slot =
                tally_enter(c->w->shared->connections, c->w->index, address_key(c->w, c->origin.peer), max);
        return c->tally_slot != TALLY_NO_SLOT;
}

void down_open(struct worker *w, int fd, const struct listen_conf *listen, const struct down_peer *peer)
{
        struct down *c = pool_take(w->downs);
        enum err e;

        if (!c) {
                measure_refused(w, "connections");
                close(fd);
                return;
        }
        *c = (struct down){ .w = w,
                            .tally_slot = TALLY_NO_SLOT,
                            .is_redirecting = listen->redirects_to_https,
                            .takes_h2 = listen->takes_h2,
                            .https_port = listen->https_port };
        timer_init(&c->timer, tls_is_late);
        list_add_last(&w->down_list, &c->node);
        e = listen->tls ? stream_open_tls_server(&c->stream, w->loop, fd, &events, listen->tls)
                        : stream_open(&c->stream, w->loop, fd, &events);
        if (e != ERR_OK) {
                down_free(c);
                return;
        }
        origin_find(c, listen, peer);
        measure_add(w, w->measure.accepted, 1);
        measure_set(w, w->measure.connections, (int64_t)pool_taken_count(w->downs));
        if (!address_enter(c)) {
                measure_refused(w, "connections_per_address");
                give_up(c, STREAM_CLOSE_RESET);
                return;
        }
        if (listen->tls)
                down_timer_start(c, down_limits(c)->tls_ms);
        else if (listen->raw)
                down_h1_start_raw(c);
        else
                down_h1_start(c);
}

enum err down_adopt(struct worker *w, struct stream *from, struct down_link *link)
{
        struct down *c = pool_take(w->downs);
        enum err e;

        if (!c)
                return ERR_NO_MEMORY;
        *c = (struct down){ .w = w, .tally_slot = TALLY_NO_SLOT, .link = link };
        timer_init(&c->timer, tls_is_late);
        if ((e = stream_move(&c->stream, from, &events)) != ERR_OK) {
                pool_put(w->downs, c);
                return e;
        }
        list_add_last(&w->down_list, &c->node);
        c->origin.peer = stream_peer_address(&c->stream, &c->origin.peer_port);
        c->origin.local = stream_local_address(&c->stream, &c->origin.local_port);
        c->origin.is_tls = c->origin.is_link = true;
        c->origin.link = link;
        link->conn = c;
        link->heard_at = loop_now(w->loop);
        measure_set(w, w->measure.connections, (int64_t)pool_taken_count(w->downs));
        down_h2_start(c, STR_NULL);
        return ERR_OK;
}

void down_cut(struct down *c)
{
        if (c->protocol && c->protocol->cut)
                c->protocol->cut(c);
}

/* Who the client is by its certificate, kept with the connection. False: that is too much to say, or no memory. */
static bool client_find(struct down *c)
{
        struct tls_peer_identity who;
        struct client_certificate *client;
        enum err e = stream_tls_peer_identity(&c->stream, &who);

        if (e != ERR_OK)
                return e == ERR_NOT_FOUND;
        client = malloc(sizeof(*client) + who.subject.len + who.names.len);
        if (client) {
                crypto_hex_format((struct str){ (const char *)who.sha256, sizeof(who.sha256) },
                                  client->sha256);
                crypto_hex_format((struct str){ (const char *)who.key_sha256, sizeof(who.key_sha256) },
                                  client->spki_sha256);
                if (who.subject.len)
                        memcpy(client->text, who.subject.ptr, who.subject.len);
                if (who.names.len)
                        memcpy(client->text + who.subject.len, who.names.ptr, who.names.len);
                client->subject = (struct str){ client->text, who.subject.len };
                client->names = (struct str){ client->text + who.subject.len, who.names.len };
                c->origin.client = client;
        }
        tls_peer_identity_fini(&who);
        return client != NULL;
}

static void on_open(struct stream *s, enum err e)
{
        struct down *c = of(s);

        measure_tls(c->w, "client", s, e);
        if (e != ERR_OK) {
                measure_refused(c->w, e == ERR_TIMED_OUT ? "tls_timeout" : "tls_handshake");
                give_up(c, STREAM_CLOSE_PLAIN);
                return;
        }
        c->origin.server_name = stream_tls_server_name(s);
        if (!client_find(c)) {
                measure_refused(c->w, "client_certificate");
                give_up(c, STREAM_CLOSE_RESET);
                return;
        }
        timer_clear(&c->timer);
        if (c->origin.raw)
                down_h1_start_raw(c);
        else if (str_eq(stream_tls_alpn(s), STR("h2")))
                down_h2_start(c, STR_NULL);
        else
                down_h1_start(c);
}

static void on_ready(struct stream *s, unsigned ready)
{
        struct down *c = of(s);

        if (c->protocol)
                c->protocol->on_ready(c, ready);
}

static void on_closed(struct stream *s)
{
        struct down *c = of(s);

        if (c->protocol)
                c->protocol->on_closed(c);
        else
                down_free(c);
}

void down_drain(struct list *node)
{
        struct down *c = CONTAINER_OF(node, struct down, node);

        if (c->protocol)
                c->protocol->drain(c);
}

bool down_shed(struct list *node)
{
        struct down *c = CONTAINER_OF(node, struct down, node);

        if (!c->protocol) { /* a handshake */
                give_up(c, STREAM_CLOSE_RESET);
                return true;
        }
        if (c->protocol->shed)
                return c->protocol->shed(c);
        c->protocol->drain(c);
        return false;
}
