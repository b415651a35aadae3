#include <assert.h>

#include "proxy/links.h"
#include "proxy/up.h"
#include "proxy/up_dial.h"
#include "proxy/up_h2_priv.h"

enum {
        READS_PER_TURN = 8,
        WRITES_PER_TURN = 16,
        PROBE_MS = 1000,
        QUIET_MS = 10 * 1000, /* streams are open and nothing comes: is anybody there? */
        PONG_MS = 5 * 1000,
        PINGS_MAX = 2,      /* in one silence; servers of long calls count pings as an attack */
        LINK_ASK_MS = 1000, /* our own agents: streams are open, and nothing came for so long */
        LINK_IDLE_ASK_MS = 10 * 1000,
        LINK_DEAD_MS = 2000 /* after the question */
};

const size_t up_h2_bytes = sizeof(struct up_h2);

static const struct stream_events conn_events;
static const struct h2_client_events client_events;
static void conn_task(struct task *t);
static void conn_timer(struct timer *t);

void up_h2_wake(struct up_h2 *c)
{
        loop_post(c->w->loop, &c->task);
}

void up_h2_flush(struct up_h2 *c, const struct up_h2_stream *but)
{
        struct up_h2_stream *s = c->unflushed;

        if (!s || s == but)
                return;
        c->unflushed = NULL;
        if (s->side.x)
                exchange_answer_flush(s->side.x);
}

/* ---- birth and death ---- */

/* Closed, and nobody reads an answer any more that had come whole. */
static void conn_free_if_done(struct up_h2 *c)
{
        struct worker *w = c->w;
        struct link *link = c->link;

        up_h2_streams_free(&c->dead);
        if (!c->is_closed || c->streams_count)
                return;
        loop_unpost(&c->task);
        h2_client_free(c->client);
        c->target->connections--;
        snapshot_put(c->snap);
        pool_put(w->h2s, c);
        if (link)
                link_closed(link);
}

static void on_closed(struct stream *st)
{
        struct up_h2 *c = CONTAINER_OF(st, struct up_h2, stream);

        c->is_closed = true;
        conn_free_if_done(c);
}

/* Those who waited for the settings go on, or fail with the connection; none was sent. */
static void waiting_serve(struct up_h2 *c, enum err e)
{
        while (!list_is_empty(&c->waiting)) {
                struct exchange *x = CONTAINER_OF(c->waiting.next, struct exchange, connect_node);

                if (e == ERR_OK) {
                        up_again(x, c->link ? x->target_in_use : c->target);
                } else {
                        up_abandon(x);
                        exchange_up_reset(x, e, true);
                }
        }
}

static void conn_close(struct up_h2 *c, enum err e)
{
        struct up_h2_stream *s;

        if (c->is_closing)
                return;
        bool is_clean = list_is_empty(&c->streams);
        bool is_blamed = !is_clean && !c->link && e != ERR_OK && c->served_count <= c->streams_count;
        /* Bytes that are no HTTP/2 from the first: whoever is there has not understood a request of ours. */
        bool is_stranger = !h2_client_saw_settings(c->client) && e == ERR_MALFORMED && c->heard_any;

        c->is_closing = true;
        list_remove(&c->node);
        timer_clear(&c->timer);
        if (c->link) /* before its streams look for another */
                link_lost(c->link, e);
        if (!c->link && (c->is_probe || is_stranger))
                up_learn_h1(c->target, c->w);
        if (is_blamed && !is_stranger) {
                measure_add(c->w, c->target->measure.failures, 1);
                up_note_failure(c->w, c->target);
        }
        while ((s = up_h2_stream_unfinished(c)))
                up_h2_stream_lost(s, e, is_stranger);
        waiting_serve(c, e);
        worker_buffer_put(c->w, c->out);
        c->out = NULL;
        stream_close(&c->stream, is_clean ? STREAM_CLOSE_PLAIN : STREAM_CLOSE_RESET);
}

static struct up_h2 *conn_new(struct worker *w, struct snapshot *snap, struct target *t, bool is_link)
{
        struct up_h2 *c = pool_take(w->h2s);

        if (!c)
                return NULL;
        *c = (struct up_h2){ .w = w, .target = t, .heard_at = loop_now(w->loop) };
        c->client = h2_client_new(&w->snap->limits.answer, is_link, &client_events, c);
        if (!c->client) {
                pool_put(w->h2s, c);
                return NULL;
        }
        c->snap = snap ? snapshot_get(snap) : NULL;
        list_init(&c->streams);
        list_init(&c->dead);
        list_init(&c->waiting);
        list_init(&c->node);
        timer_init(&c->timer, conn_timer);
        task_init(&c->task, conn_task);
        t->connections++;
        return c;
}

static void conn_unmake(struct up_h2 *c)
{
        h2_client_free(c->client);
        c->target->connections--;
        snapshot_put(c->snap);
        pool_put(c->w->h2s, c);
}

static void conn_enlist(struct up_h2 *c)
{
        if (!c->is_probe)
                list_add(&c->target->shared, &c->node);
        timer_set(c->w->loop, &c->timer,
                  loop_now(c->w->loop) + (c->is_probe ? PROBE_MS : c->target->upstream->keep_alive_ms));
        up_h2_wake(c); /* the preface, and with it the first requests */
}

enum err up_h2_start(struct up_dial *d, bool is_probe)
{
        struct up_h2 *c = conn_new(d->w, d->snap, d->target, false);
        enum err e;

        if (!c)
                return ERR_NO_MEMORY;
        c->is_probe = is_probe;
        if ((e = up_dial_take(d, &c->stream, &conn_events)) != ERR_OK) {
                conn_unmake(c);
                return e;
        }
        conn_enlist(c);
        return ERR_OK;
}

enum err up_h2_adopt(struct worker *w, struct snapshot *snap, struct target *t, struct stream *from)
{
        struct up_h2 *c = conn_new(w, snap, t, false);
        enum err e;

        if (!c)
                return ERR_NO_MEMORY;
        if ((e = stream_move(&c->stream, from, &conn_events)) != ERR_OK) {
                conn_unmake(c);
                return e;
        }
        conn_enlist(c);
        return ERR_OK;
}

enum err up_h2_adopt_link(struct worker *w, struct target *stand_in, struct link *link, struct stream *from,
                          struct up_h2 **out)
{
        struct up_h2 *c = conn_new(w, NULL, stand_in, true);
        enum err e;

        if (!c)
                return ERR_NO_MEMORY;
        if ((e = stream_move(&c->stream, from, &conn_events)) != ERR_OK) {
                conn_unmake(c);
                return e;
        }
        c->link = link;
        list_add(&stand_in->shared, &c->node);
        timer_set(w->loop, &c->timer, loop_now(w->loop) + LINK_ASK_MS);
        up_h2_wake(c);
        *out = c;
        return ERR_OK;
}

/* ---- the choice ---- */

struct up_h2 *up_h2_find(const struct target *t, bool needs_tunnel)
{
        list_for_each(node, &t->shared) {
                struct up_h2 *c = CONTAINER_OF(node, struct up_h2, node);

                if (c->is_draining || c->over != ERR_OK || h2_client_room(c->client) == 0)
                        continue;
                if (!needs_tunnel || !h2_client_saw_settings(c->client) || h2_client_takes_tunnels(c->client))
                        return c;
        }
        return NULL;
}

bool up_h2_refuses_tunnels(const struct target *t)
{
        list_for_each(node, &t->shared) {
                struct up_h2 *c = CONTAINER_OF(node, struct up_h2, node);

                if (h2_client_saw_settings(c->client) && !h2_client_takes_tunnels(c->client))
                        return true;
        }
        return false;
}

size_t up_h2_count(const struct target *t)
{
        size_t count = 0;

        list_for_each(node, &t->shared)
                count++;
        return count;
}

/* A first stream on a connection that was quiet: whoever is there answers soon. */
static void link_ask(struct up_h2 *c, mono_ms now)
{
        if (!c->pings && now - c->heard_at >= LINK_ASK_MS) {
                h2_client_ping(c->client);
                c->ping_at = c->asked_at = now;
                c->pings = 1;
        }
        timer_set(c->w->loop, &c->timer, c->pings ? c->asked_at + LINK_DEAD_MS : now + LINK_ASK_MS);
}

enum err up_h2_begin(struct up_h2 *c, struct exchange *x)
{
        mono_ms now = loop_now(c->w->loop);

        if ((x->is_websocket || x->request.is_datagram) && !h2_client_saw_settings(c->client)) {
                x->is_connecting = true;
                x->connecting = NULL;
                list_add_last(&c->waiting, &x->connect_node);
                if (c->streams_count == 0)
                        timer_set(c->w->loop, &c->timer, now + up_waits(x, c->target)->connect_ms);
                return ERR_OK;
        }
        if (c->link) {
                x->way = link_way(c->link);
                if (c->streams_count == 0)
                        link_ask(c, now);
                return up_h2_stream_start(c, x);
        }
        if (c->streams_count == 0)
                timer_set(c->w->loop, &c->timer, now + QUIET_MS);
        if (now - c->heard_at > QUIET_MS && c->streams_count == 0 && c->served_count) {
                h2_client_ping(c->client); /* unused for long: a path that died meanwhile shows soon */
                c->ping_at = now;
                c->pings = 1;
                timer_set(c->w->loop, &c->timer, now + PONG_MS);
        }
        return up_h2_stream_start(c, x);
}

void up_h2_drain(struct target *t)
{
        list_for_each(node, &t->shared) {
                struct up_h2 *c = CONTAINER_OF(node, struct up_h2, node);

                c->is_draining = true;
                h2_client_say_goaway(c->client);
                up_h2_wake(c);
        }
}

void up_h2_leave(struct up_h2 *c)
{
        c->is_draining = true;
        h2_client_say_goaway(c->client);
        up_h2_wake(c);
}

void up_h2_cut(struct up_h2 *c)
{
        conn_close(c, ERR_DENIED);
}

uint32_t up_h2_streams_count(const struct up_h2 *c)
{
        return c->streams_count;
}

bool up_h2_is_leaving(const struct up_h2 *c)
{
        return c->is_draining || c->is_closing || c->over != ERR_OK;
}

/* ---- liveness ---- */

/* An agent answers at once or is not there: asked after a second of silence while streams are open, dead after three. */
static void link_timer(struct up_h2 *c, mono_ms now)
{
        int64_t quiet_ms = c->streams_count ? LINK_ASK_MS : LINK_IDLE_ASK_MS;

        if (c->pings && now >= c->asked_at + LINK_DEAD_MS) {
                conn_close(
                        c,
                        ERR_UNREACHABLE); /* not that a service was slow: what is safe is asked elsewhere */
                return;
        }
        if (!c->pings && now - c->heard_at >= quiet_ms) {
                h2_client_ping(c->client);
                c->ping_at = c->asked_at = now;
                c->pings = 1;
                up_h2_wake(c);
        }
        timer_set(c->w->loop, &c->timer, c->pings ? c->asked_at + LINK_DEAD_MS : c->heard_at + quiet_ms);
}

static void conn_timer(struct timer *t)
{
        struct up_h2 *c = CONTAINER_OF(t, struct up_h2, timer);
        mono_ms now = loop_now(c->w->loop);

        if (c->link && list_is_empty(&c->waiting)) {
                link_timer(c, now);
                return;
        }
        if (!list_is_empty(&c->waiting)) { /* it never said its settings: no HTTP/2 begins so */
                c->over = ERR_TIMED_OUT;
                up_h2_wake(c);
                return;
        }
        if (c->streams_count == 0) { /* unused, or a probe without an answer */
                c->is_draining = true;
                if (!c->is_probe)
                        h2_client_say_goaway(c->client);
                up_h2_wake(c);
                return;
        }
        if (c->pings && c->heard_at < c->ping_at && now >= c->ping_at + PONG_MS) {
                log_info("upstream_connection_dead", LOG_S("upstream", c->target->upstream->name),
                         LOG_S("target", c->target->url), LOG_N("streams", c->streams_count));
                conn_close(c, ERR_TIMED_OUT);
                return;
        }
        if (now - c->heard_at >= QUIET_MS && c->pings < PINGS_MAX) {
                h2_client_ping(c->client);
                c->ping_at = now;
                c->pings++;
                up_h2_wake(c);
                timer_set(c->w->loop, &c->timer, now + PONG_MS);
                return;
        }
        timer_set(c->w->loop, &c->timer, MAX(c->heard_at + QUIET_MS, now + (c->pings ? PONG_MS : 1)));
}

/* ---- bytes ---- */

/* False: the socket takes no more for now, or is gone. */
static bool out_send(struct up_h2 *c)
{
        struct rbuf *b = c->out;

        while (b->pos < b->len) {
                struct iovec part = { b->bytes + b->pos, b->len - b->pos };
                size_t written;
                enum err e = stream_write(&c->stream, &part, 1, &written);

                if (e == ERR_AGAIN)
                        return false;
                if (e != ERR_OK) {
                        c->over = c->over == ERR_OK ? e : c->over;
                        b->pos = b->len = 0;
                        return false;
                }
                b->pos += (uint32_t)written;
        }
        b->pos = b->len = 0;
        return true;
}

static void conn_send(struct up_h2 *c)
{
        for (int i = 0; i < WRITES_PER_TURN; i++) {
                if (!c->out && !h2_client_has_output(c->client))
                        return;
                if (!c->out && !(c->out = worker_buffer_take(c->w, true))) {
                        c->over = ERR_NO_MEMORY;
                        return;
                }
                if (c->out->pos == 0)
                        c->out->len += (uint32_t)h2_client_fill(c->client, c->out->bytes + c->out->len,
                                                                c->out->cap - c->out->len);
                bool was_full = c->out->len == c->out->cap;
                if (c->out->len && !out_send(c))
                        return; /* what is left goes when it is writable */
                if (!was_full)
                        break;
        }
        worker_buffer_put(c->w, c->out);
        c->out = NULL;
        if (h2_client_has_output(c->client))
                up_h2_wake(c);
}

/* Once a turn: what the turn's events gathered goes out together. */
static void conn_task(struct task *t)
{
        struct up_h2 *c = CONTAINER_OF(t, struct up_h2, task);

        if (c->is_closing) {
                conn_free_if_done(c);
                return;
        }
        conn_send(c);
        up_h2_streams_free(&c->dead);
        /* Our GOAWAY is out, for what the other end broke: it is not asked to close, nor waited for. */
        if (c->over == ERR_OK && (c->streams_count || !c->is_draining) && h2_client_is_over(c->client))
                c->over = ERR_MALFORMED;
        if (c->over != ERR_OK) {
                conn_close(c, c->over);
                return;
        }
        if (c->streams_count)
                return;
        if (c->link && !c->is_draining)
                return;
        if (c->is_draining || c->w->is_draining || (c->snap != c->w->snap && !c->is_probe)) {
                if (list_is_empty(&c->waiting))
                        conn_close(c, ERR_OK);
        } else if (c->served_count && !c->is_probe) {
                timer_set(c->w->loop, &c->timer, loop_now(c->w->loop) + c->target->upstream->keep_alive_ms);
        }
}

static void conn_read(struct up_h2 *c)
{
        struct rbuf *b = worker_buffer_take(c->w, true);
        size_t got;

        if (!b) {
                c->over = ERR_NO_MEMORY;
                up_h2_wake(c);
                return;
        }
        for (int reads = 0; !c->is_closing && c->over == ERR_OK; reads++) {
                if (reads == READS_PER_TURN) {
                        stream_poke(&c->stream, STREAM_READABLE);
                        break;
                }
                enum err e = stream_read(&c->stream, b->bytes, b->cap, &got);
                if (e == ERR_AGAIN)
                        break;
                if (e != ERR_OK) {
                        c->over = e;
                        break;
                }
                c->heard_at = loop_now(c->w->loop);
                c->pings = c->link ? 0 : c->pings;
                c->heard_any = true;
                e = h2_client_receive(c->client, (struct str){ b->bytes, got }, c->heard_at);
                if (e != ERR_OK)
                        c->over = e;
                if (!stream_may_have_input(&c->stream))
                        break;
        }
        worker_buffer_put(c->w, b);
        up_h2_wake(c);
}

static void on_ready(struct stream *st, unsigned ready)
{
        struct up_h2 *c = CONTAINER_OF(st, struct up_h2, stream);

        if (c->is_closing)
                return;
        if (ready & STREAM_WRITABLE && c->out && out_send(c)) {
                worker_buffer_put(c->w, c->out);
                c->out = NULL;
        }
        up_h2_wake(c);
        if (ready & STREAM_READABLE)
                conn_read(c);
}

/* ---- events of the engine ---- */

static void on_settings(void *context)
{
        struct up_h2 *c = context;

        if (c->is_probe) {
                c->is_probe = false;
                up_learn_h2(c->target, c->w);
                list_add(&c->target->shared, &c->node);
                timer_set(c->w->loop, &c->timer, loop_now(c->w->loop) + c->target->upstream->keep_alive_ms);
        }
        waiting_serve(c, ERR_OK);
}

static void on_flush(void *context)
{
        up_h2_flush(context, NULL);
}

static void on_goaway(void *context)
{
        struct up_h2 *c = context;

        c->is_draining = true;
}

static void on_reset_frame(void *context, bool by_peer, uint32_t code)
{
        const struct up_h2 *c = context;

        measure_h2_reset(c->w, "upstream", by_peer, code);
}

static const struct h2_client_events client_events = {
        .on_settings = on_settings,
        .on_flush = on_flush,
        .on_head = up_h2_stream_on_head,
        .on_data = up_h2_stream_on_data,
        .on_end = up_h2_stream_on_end,
        .on_room = up_h2_stream_on_room,
        .on_reset = up_h2_stream_on_reset,
        .on_goaway = on_goaway,
        .on_reset_frame = on_reset_frame,
};

static const struct stream_events conn_events = { .on_ready = on_ready, .on_closed = on_closed };
