#include "proxy/up_dial.h"

#include <assert.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/worker.h"

#define TO(s) (1u << DIAL_##s)

enum dial_state { DIAL_RESOLVING, DIAL_DIALLING, DIAL_OPENING, DIAL_DONE, DIAL_STATES };

static const struct {
        const char *name;
        unsigned next;
} states[DIAL_STATES] = {
        [DIAL_RESOLVING] = { "resolving", TO(DIALLING) | TO(DONE) },
        [DIAL_DIALLING] = { "dialling", TO(DIALLING) | TO(OPENING) | TO(DONE) },
        [DIAL_OPENING] = { "opening", TO(DONE) },
        [DIAL_DONE] = { "done", TO(DONE) },
};

static void dial_enter(struct up_dial *d, enum dial_state next)
{
        assert(states[d->state].next & 1u << next);
        d->state = (uint8_t)next;
}

static void finish(struct up_dial *d, enum err e)
{
        if (d->is_resolving)
                resolver_cancel(&d->query);
        d->is_resolving = false;
        if (d->state == DIAL_DIALLING)
                dial_cancel(&d->dial);
        loop_unpost(&d->task);
        dial_enter(d, DIAL_DONE);
        timer_clear(&d->timer);
        d->fn(d, e);
}

static void expired(struct timer *t)
{
        finish(CONTAINER_OF(t, struct up_dial, timer), ERR_TIMED_OUT);
}

/* ---- TLS ---- */

static void on_open(struct stream *s, enum err e)
{
        struct up_dial *d = CONTAINER_OF(s, struct up_dial, stream);

        if (d->state != DIAL_OPENING)
                return;
        measure_tls(d->w, "upstream", s, e);
        finish(d, e);
}

static void on_ready(struct stream *s, unsigned ready) {}

static void put(struct up_dial *d)
{
        struct worker *w = d->w;

        timer_clear(&d->timer);
        loop_unpost(&d->task);
        d->target->connections--;
        snapshot_put(d->snap);
        pool_put(w->dials, d);
}

static void on_closed(struct stream *s)
{
        put(CONTAINER_OF(s, struct up_dial, stream));
}

static const struct stream_events opening_events = { on_open, on_ready, on_closed };

static void open_tls(struct up_dial *d, int fd)
{
        const struct upstream *u = d->target->upstream;
        struct str name = u->tls_server_name.len ? u->tls_server_name : d->target->host;
        struct tls_context *context = d->offers_h2 && u->tls_h2 ? u->tls_h2 : u->tls;
        enum err e = stream_open_tls_client(&d->stream, d->w->loop, fd, &opening_events, context, name);

        if (e != ERR_OK) {
                finish(d, e);
                return;
        }
        d->has_stream = true;
        dial_enter(d, DIAL_OPENING); /* the timer runs on */
}

/* ---- addresses ---- */

static void dial_next(struct up_dial *d);

static void on_dialled(struct dial *dial, enum err e, int fd)
{
        struct up_dial *d = CONTAINER_OF(dial, struct up_dial, dial);

        if (e != ERR_OK) {
                if (d->addresses_tried < d->addresses_count && loop_now(d->w->loop) < d->until)
                        dial_next(d);
                else
                        finish(d, e);
                return;
        }
        measure_add(d->w, d->target->measure.connects, 1);
        /* A new connection's buffer is empty: what fits in a packet goes as a whole, or the connection is gone. */
        if (d->announce_len && !d->target->upstream->is_datagram &&
            send(fd, d->announce, d->announce_len, MSG_NOSIGNAL) != d->announce_len) {
                close(fd);
                finish(d, ERR_IO);
                return;
        }
        if (d->target->is_tls) {
                open_tls(d, fd);
                return;
        }
        d->fd = fd;
        finish(d, ERR_OK);
}

static void dial_next(struct up_dial *d)
{
        struct target *t = d->target;
        struct dial_target target = {
                .port = t->port, .path = t->path, .source = t->source, .is_datagram = t->upstream->is_datagram
        };
        int64_t left = d->until - loop_now(d->w->loop);

        if (t->path.len == 0) { /* a later connection begins with another address of the name */
                assert(d->addresses_count > 0);
                target.ip = d->addresses[(t->address_next + d->addresses_tried) % d->addresses_count];
        }
        d->addresses_tried++;
        bool is_reachable = t->source.family == 0 || t->source.family == target.ip.family;
        if (!is_reachable || (d->w->may_dial && !d->w->may_dial(d->w, t, &target))) {
                d->is_denied = true;
                loop_post(d->w->loop, &d->task);
                return;
        }
        dial_enter(d, DIAL_DIALLING);
        dial_start(&d->dial, d->w->loop, &target, MAX(left, (int64_t)1), on_dialled);
}

static void dial_first(struct up_dial *d, const struct ip *addresses, size_t count)
{
        d->addresses_count = (uint8_t)MIN(count, (size_t)RESOLVER_ADDRESSES_MAX);
        for (size_t i = 0; i < d->addresses_count; i++)
                d->addresses[i] = addresses[i];
        d->target->address_next++;
        dial_next(d);
}

static void on_resolved(struct resolver_query *q, enum err e, const struct ip *addresses, size_t count)
{
        struct up_dial *d = CONTAINER_OF(q, struct up_dial, query);

        d->is_resolving = false;
        if (e != ERR_OK || count == 0)
                finish(d, e == ERR_OK ? ERR_NOT_FOUND : e);
        else
                dial_first(d, addresses, count);
}

static void free_task(struct task *t)
{
        struct up_dial *d = CONTAINER_OF(t, struct up_dial, task);

        if (d->state != DIAL_DONE && d->is_denied) { /* that address; another of the name may do */
                d->is_denied = false;
                on_dialled(&d->dial, ERR_DENIED, -1);
                return;
        }
        put(d);
}

struct up_dial *up_dial_start(struct worker *w, struct snapshot *snap, struct target *t, bool offers_h2,
                              int64_t timeout_ms, up_dial_fn *fn)
{
        struct ip known[RESOLVER_ADDRESSES_MAX];
        struct up_dial *d = pool_take(w->dials);
        size_t count;

        if (!d)
                return NULL;
        *d = (struct up_dial){ .w = w, .target = t, .snap = snapshot_get(snap), .fn = fn, .fd = -1 };
        d->offers_h2 = offers_h2;
        d->until = loop_now(w->loop) + timeout_ms;
        list_init(&d->waiting);
        list_init(&d->node);
        timer_init(&d->timer, expired);
        task_init(&d->task, free_task);
        timer_set(w->loop, &d->timer, d->until);
        t->connections++;
        if (t->path.len)
                dial_first(d, NULL, 0);
        else if (t->ip.family)
                dial_first(d, &t->ip, 1);
        else if ((count = resolver_peek(w->resolver, t->host, known)) > 0)
                dial_first(d, known, count);
        else {
                d->is_resolving = true;
                resolver_find(w->resolver, &d->query, t->host, on_resolved);
        }
        return d;
}

void up_dial_announce(struct up_dial *d, const struct proxy_header *h, uint8_t version)
{
        d->announce_len = (uint8_t)proxy_header_format(h, version, d->announce).len;
}

enum err up_dial_take(struct up_dial *d, struct stream *out, const struct stream_events *events)
{
        enum err e;
        int fd = d->fd;

        assert(d->state == DIAL_DONE);
        if (!d->has_stream) {
                d->fd = -1;
                return stream_open(out, d->w->loop, fd, events);
        }
        e = stream_move(out, &d->stream, events);
        if (e == ERR_OK)
                d->has_stream = false;
        return e;
}

int up_dial_take_fd(struct up_dial *d)
{
        int fd = d->fd;

        assert(d->state == DIAL_DONE && !d->has_stream);
        d->fd = -1;
        return fd;
}

bool up_dial_is_h2(const struct up_dial *d)
{
        return d->has_stream && str_eq(stream_tls_alpn(&d->stream), STR("h2"));
}

void up_dial_free(struct up_dial *d)
{
        assert(list_is_empty(&d->waiting));
        if (d->is_resolving)
                resolver_cancel(&d->query);
        d->is_resolving = false;
        if (d->state == DIAL_DIALLING)
                dial_cancel(&d->dial);
        dial_enter(d, DIAL_DONE);
        timer_clear(&d->timer);
        list_remove(&d->node);
        if (d->fd >= 0)
                close(d->fd);
        d->fd = -1;
        if (d->has_stream)
                stream_close(&d->stream, STREAM_CLOSE_RESET); /* put by on_closed */
        else
                loop_post(d->w->loop, &d->task); /* a moved stream stays in memory until the turn's end */
}
