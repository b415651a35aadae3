#include "gateway/linksocket.h"

#include <stdlib.h>
#include <unistd.h>

#include "http/websocket_handshake.h"
#include "link/wrap.h"
#include "proxy/greeting.h"
#include "proxy/reply.h"
#include "proxy/worker.h"

/*
 * Theory of operation. The up side of an exchange that became a tunnel: what comes as frames goes on to one half of a pair of sockets, whose
 * other half is greeted like a connection that was accepted, here or in another worker. It ends with either half.
 */

enum { CLOSE_MS = 2000, TURN_MAX = 16 };

struct linksocket {
        struct side side;
        struct link_wrap wrap;
        struct worker *w;
        struct task open_task;
        struct timer timer; /* the other side's half of the end */
        int fd;             /* for the greeting; -1: given */
        bool is_asked, is_open, is_over;
        bool is_carrier; /* counted as one */
};

static struct linksocket *of(struct side *s)
{
        return CONTAINER_OF(s, struct linksocket, side);
}

/* Freed once our half is closed, in a later turn. */
static void socket_end(struct linksocket *s)
{
        loop_unpost(&s->open_task);
        timer_clear(&s->timer);
        if (s->fd >= 0)
                close(s->fd);
        s->fd = -1;
        s->is_open = false;
        s->w->carriers_count -= s->is_carrier;
        s->is_carrier = false;
        link_wrap_close(&s->wrap);
}

static void on_late(struct timer *t)
{
        struct linksocket *s = CONTAINER_OF(t, struct linksocket, timer);

        exchange_up_reset(s->side.x, ERR_CLOSED, false);
        socket_end(s);
}

static void send_on(struct linksocket *s)
{
        for (unsigned i = 0; i < TURN_MAX; i++) {
                bool is_last;

                if (!s->is_open || s->is_over)
                        return;
                struct str bytes = link_wrap_pending(&s->wrap, &is_last);
                struct side_data d = { &bytes, bytes.len > 0, is_last, NULL, 0 };
                if (bytes.len == 0 && !is_last)
                        return;
                if (is_last)
                        timer_set(s->w->loop, &s->timer, loop_now(s->w->loop) + CLOSE_MS);
                size_t taken = exchange_answer_data(s->side.x, &d);
                if (!s->is_open)
                        return;
                link_wrap_sent(&s->wrap, taken);
                if (taken < bytes.len)
                        return; /* op_pull */
                s->is_over = is_last;
        }
        stream_poke(&s->wrap.inner, STREAM_READABLE);
}

static void on_pending(struct link_wrap *w)
{
        send_on(CONTAINER_OF(w, struct linksocket, wrap));
}

static void on_room(struct link_wrap *w)
{
        struct linksocket *s = CONTAINER_OF(w, struct linksocket, wrap);

        if (s->is_open)
                exchange_up_room(s->side.x);
}

static void on_closed(struct link_wrap *w)
{
        free(CONTAINER_OF(w, struct linksocket, wrap));
}

static const struct link_wrap_events wrap_events = { on_pending, on_room, on_closed };

/* ---- operations of the up side ---- */

static size_t op_data(struct side *side, const struct side_data *d)
{
        struct linksocket *s = of(side);
        size_t taken = 0;

        if (!s->is_open) {
                if (d->is_last && !s->is_asked) {
                        s->is_asked = true;
                        loop_post(s->w->loop, &s->open_task); /* the request is over after this call */
                }
                return side_data_len(d);
        }
        for (size_t i = 0; i < d->slices_count; i++) {
                size_t n = link_wrap_receive(&s->wrap, d->slices[i]);

                taken += n;
                if (n < d->slices[i].len)
                        return taken;
        }
        if (d->is_last)
                link_wrap_received_all(&s->wrap);
        return taken;
}

static void op_head(struct side *side, struct http_head *head) {}
static void op_flush(struct side *side) {}

static void op_pull(struct side *side)
{
        send_on(of(side));
}

static void op_release(struct side *side)
{
        socket_end(of(side));
}

static void op_reset(struct side *side, enum err reason)
{
        socket_end(of(side));
}

static const struct side_ops socket_ops = {
        .name = "linksocket",
        .head = op_head,
        .data = op_data,
        .flush = op_flush,
        .pull = op_pull,
        .reset = op_reset,
        .release = op_release,
};

/* ---- the beginning ---- */

static void on_open(struct task *t)
{
        struct linksocket *s = CONTAINER_OF(t, struct linksocket, open_task);
        struct exchange *x = s->side.x;
        struct http_head head;

        if (websocket_answer_make(&x->request, STR(LINK_WRAP_PROTOCOL), &x->arena, &head) != ERR_OK) {
                exchange_abort(x);
                return;
        }
        s->is_open = true;
        exchange_answer_head(x, &head);
        if (!s->is_open)
                return;
        exchange_answer_flush(x);
        if (!s->is_open)
                return;
        int fd = s->fd;
        s->fd = -1;
        s->is_carrier = true;
        s->w->carriers_count++;
        greeting_open_link(s->w, fd);
        worker_look_drained(s->w);
}

static enum step_result socket_pick(struct exchange *x)
{
        const struct http_field *wanted = http_find_name(&x->request, STR("Sec-WebSocket-Protocol"));

        if (!x->w->snap->links.tls)
                return exchange_refuse(x, 404, "no_route", "There is nothing at this path.");
        /* A connection of its own, HTTP/1.1: how many connections carry links is counted (worker.h). */
        if (!x->is_websocket || x->is_connect || !wanted ||
            !str_eq(str_trim(wanted->value), STR(LINK_WRAP_PROTOCOL))) {
                reply_will_have(x, "Upgrade", STR("websocket"));
                return exchange_refuse(x, 426, "upgrade", "Agents come here, with a WebSocket of theirs.");
        }
        struct linksocket *s = calloc(1, sizeof(*s));
        if (!s || link_wrap_open(&s->wrap, x->w->loop, false, &wrap_events, &s->fd) != ERR_OK) {
                free(s);
                return exchange_refuse(x, 503, "memory", "The gateway has no memory for this request.");
        }
        s->side.ops = &socket_ops;
        s->w = x->w;
        task_init(&s->open_task, on_open);
        timer_init(&s->timer, on_late);
        exchange_start_up(x, &s->side);
        return STEP_NEXT;
}

const struct handler linksocket_handler = { .name = "link", .takes_websocket = true, .pick = socket_pick };
