#include "proxy/up_udp.h"

#include <stdlib.h>
#include <string.h>

#include "io/datagram.h"
#include "proxy/datagrams.h"
#include "proxy/exchange.h"
#include "proxy/up.h"
#include "proxy/worker.h"

enum { DATAGRAMS_PER_TURN = 32 };

struct up_udp {
        struct side side;
        struct worker *w;
        struct target *target;
        struct list node;      /* worker.udp_list */
        struct snapshot *snap; /* owns the target */
        struct datagram socket;
        struct datagrams datagrams;
        struct timer timer;             /* nothing came or went for long */
        struct task task;               /* tells what an operation may not tell; frees */
        char announce[PROXY_WRITE_MAX]; /* whose they are, before each datagram to the target */
        uint8_t announce_len;
        bool is_open, is_over, is_ending, is_broken, saw_answer;
};

static const struct side_ops ops;

static struct up_udp *of(struct side *s)
{
        return CONTAINER_OF(s, struct up_udp, side);
}

static void active(struct up_udp *u)
{
        timer_set(u->w->loop, &u->timer, loop_now(u->w->loop) + up_waits(u->side.x, u->target)->tunnel_ms);
}

/* Nothing more of it; the memory stays until the turn's end, since an event of it may be under way. */
static void end(struct up_udp *u)
{
        if (u->is_over)
                return;
        u->is_over = true;
        u->side.x = NULL;
        timer_clear(&u->timer);
        list_remove(&u->node);
        datagram_close(&u->socket);
        u->target->requests_active--;
        loop_post(u->w->loop, &u->task);
}

static void give_up(struct up_udp *u, enum err e)
{
        struct exchange *x = u->side.x;

        end(u);
        if (x)
                exchange_up_reset(x, e, false);
}

static void expired(struct timer *t)
{
        give_up(CONTAINER_OF(t, struct up_udp, timer), ERR_TIMED_OUT);
}

/* There is no head to come: a socket is as good as a 101. */
static void accept(struct up_udp *u)
{
        struct worker *w = u->w;
        struct http_head head = { .status = 101,
                                  .version_minor = 1,
                                  .asks_upgrade = true,
                                  .framing = HTTP_BODY_UNTIL_CLOSE,
                                  .fields = w->scratch_fields,
                                  .fields_max = ARRAY_SIZE(w->scratch_fields) };

        u->is_open = true;
        if (http_add(&head, STR("Upgrade"), STR("connect-udp")) != ERR_OK ||
            http_add(&head, STR("Connection"), STR("Upgrade")) != ERR_OK ||
            http_add(&head, STR("Capsule-Protocol"), STR("?1")) != ERR_OK)
                give_up(u, ERR_NO_MEMORY);
        else
                exchange_answer_head(u->side.x, &head);
        if (!u->is_over && u->side.x)
                exchange_answer_flush(u->side.x);
        if (!u->is_over && u->side.x)
                datagrams_pull(&u->datagrams);
}

static void on_task(struct task *t)
{
        struct up_udp *u = CONTAINER_OF(t, struct up_udp, task);
        struct side_data last = { NULL, 0, true, NULL, 0 };

        if (u->is_over) {
                datagrams_fini(&u->datagrams);
                snapshot_put(u->snap);
                free(u);
                return;
        }
        if (u->is_broken)
                give_up(u, ERR_MALFORMED);
        else if (!u->is_open)
                accept(u);
        else if (u->is_ending && u->side.x)
                exchange_answer_data(u->side.x, &last);
}

/* ---- the socket ---- */

static void answered(struct up_udp *u)
{
        if (u->saw_answer)
                return;
        u->saw_answer = true;
        measure_first_byte(u->w, &u->target->measure, loop_now_us(u->w->loop) - u->side.x->up_start_us);
        target_succeeded(u->target, loop_now(u->w->loop));
}

/* ICMP says that nobody is there. Of one that has answered already this may be passing. */
static void refused(struct up_udp *u)
{
        if (u->saw_answer)
                return;
        measure_add(u->w, u->target->measure.failures, 1);
        up_note_failure(u->w, u->target);
        give_up(u, ERR_REFUSED);
}

static void on_readable(struct datagram *socket)
{
        static char room[DATAGRAM_BYTES_MAX]; /* of the turn */
        struct up_udp *u = CONTAINER_OF(socket, struct up_udp, socket);

        for (int i = 0; i < DATAGRAMS_PER_TURN && !u->is_over && u->side.x; i++) {
                size_t len;
                enum err e = datagram_receive(socket, room, &len);

                if (e == ERR_REFUSED)
                        refused(u);
                if (e != ERR_OK)
                        return;
                if (!u->is_open) /* nothing was asked yet: it is no answer */
                        continue;
                answered(u);
                active(u);
                measure_udp(u->w, UDP_FROM_TARGET, 1);
                if (!datagrams_put(&u->datagrams, (struct str){ room, len }))
                        measure_udp(u->w, UDP_LOST_QUEUE, 1);
        }
}

static void send_on(struct side *s, struct str datagram)
{
        struct up_udp *u = of(s);
        struct str announce = { u->announce, u->announce_len };
        enum err e = u->is_over ? ERR_OK : datagram_send(&u->socket, announce, datagram);

        measure_udp(u->w, e == ERR_OK ? UDP_TO_TARGET : UDP_LOST_SEND, 1);
}

enum err up_udp_start(struct exchange *x, struct up_dial *d)
{
        /* One that ends takes none more: of an agent, another may (link_in.h). */
        struct up_udp *u = x->w->is_draining ? NULL : calloc(1, sizeof(*u));
        enum err e;

        if (!u)
                return x->w->is_draining ? ERR_UNREACHABLE : ERR_NO_MEMORY;
        u->side = (struct side){ .ops = &ops };
        u->w = x->w;
        u->target = d->target;
        memcpy(u->announce, d->announce, d->announce_len);
        u->announce_len = d->announce_len;
        if ((e = datagram_open(&u->socket, x->w->loop, up_dial_take_fd(d), on_readable)) != ERR_OK) {
                free(u);
                return e;
        }
        u->snap = snapshot_get(x->snap);
        timer_init(&u->timer, expired);
        task_init(&u->task, on_task);
        datagrams_init(&u->datagrams, &u->side, &u->w->udp_queued_bytes, exchange_answer_data, send_on);
        u->target->requests_active++;
        list_add_last(&u->w->udp_list, &u->node);
        measure_add(u->w, u->target->measure.requests, 1);
        exchange_start_up(x, &u->side);
        if (u->is_over)
                return ERR_OK;
        active(u);
        loop_post(u->w->loop, &u->task);
        return ERR_OK;
}

void up_udp_drain(struct worker *w)
{
        list_for_each_safe(node, &w->udp_list) {
                struct up_udp *u = CONTAINER_OF(node, struct up_udp, node);

                u->is_broken = true;
                loop_post(w->loop, &u->task);
        }
}

/* ---- operations of the side ---- */

static void op_head(struct side *s, struct http_head *head)
{
        (void)s, (void)head;
}

static size_t op_data(struct side *s, const struct side_data *d)
{
        struct up_udp *u = of(s);

        if (!u->is_open) /* the end of the request that asked for the flow */
                return side_data_len(d);
        active(u);
        if (!u->is_broken && datagrams_take(&u->datagrams, d) != ERR_OK) {
                measure_udp(u->w, UDP_LOST_CAPSULE, 1);
                u->is_broken = true;
        }
        u->is_ending |= d->is_last;
        if (u->is_broken || u->is_ending)
                loop_post(u->w->loop, &u->task);
        return side_data_len(d);
}

static void op_flush(struct side *s)
{
        (void)s;
}

static void op_pull(struct side *s)
{
        struct up_udp *u = of(s);

        if (u->is_open)
                datagrams_pull(&u->datagrams);
}

static void op_reset(struct side *s, enum err reason)
{
        (void)reason;
        end(of(s));
}

static void op_release(struct side *s)
{
        end(of(s));
}

static const struct side_ops ops = { .name = "udp",
                                     .head = op_head,
                                     .data = op_data,
                                     .flush = op_flush,
                                     .pull = op_pull,
                                     .reset = op_reset,
                                     .release = op_release };
