#include "proxy/udp_flow.h"

#include <stdlib.h>

enum {
        REFUSED_MS = 1000, /* of one client's port: so long nothing new is begun for it */
        EVICT_IDLE_MS = 1000,
        ENDING_MS = 5000
};

enum flow_state { FLOW_ASKING, FLOW_OPEN, FLOW_ENDING, FLOW_REFUSED, FLOW_STATES };

static const struct side_ops ops;
static void send_back(struct side *s, struct str datagram);

static struct udp_flow *of(struct side *s)
{
        return CONTAINER_OF(s, struct udp_flow, side);
}

static mono_ms now_of(const struct udp_flow *f)
{
        return loop_now(f->all->w->loop);
}

static struct str key_str(const struct udp_flow_key *key)
{
        return (struct str){ (const char *)key, sizeof(*key) };
}

struct udp_flow *udp_flow_find(struct udp_doors *all, const struct udp_flow_key *key)
{
        return map_find(&all->flows, key_str(key));
}

/* ---- birth and death ---- */

static void flow_free(struct udp_flow *f)
{
        datagrams_fini(&f->datagrams);
        free(f);
}

static void unmap(struct udp_flow *f)
{
        if (f->is_mapped)
                (void)map_remove(&f->all->flows, key_str(&f->key));
        f->is_mapped = false;
}

/* Out of everything; the exchange may still read where it came from. */
static void flow_over(struct udp_flow *f)
{
        struct udp_doors *all = f->all;

        if (f->is_gone)
                return;
        f->is_gone = true;
        unmap(f);
        list_remove(&f->node);
        timer_clear(&f->timer);
        all->flows_count--;
        measure_udp_flows(all->w, all->flows_count);
        if (!f->is_lent)
                flow_free(f);
}

/* Whatever it has under way fails. */
void udp_flow_cut(struct udp_flow *f, enum err e)
{
        struct exchange *x = f->side.x;

        f->side.x = NULL;
        if (x)
                exchange_down_reset(x, e);
        flow_over(f);
}

static void enter(struct udp_flow *f, enum flow_state next)
{
        f->state = (uint8_t)next;
}

static void refused_enter(struct udp_flow *f)
{
        enter(f, FLOW_REFUSED);
        timer_set(f->all->w->loop, &f->timer, now_of(f) + REFUSED_MS);
}

/* Says the end; a later datagram of the same client begins anew. */
static void ending_enter(struct udp_flow *f)
{
        struct side_data last = { NULL, 0, true, NULL, 0 };

        if (f->state != FLOW_OPEN || !datagrams_is_empty(&f->datagrams) || !f->side.x) {
                udp_flow_cut(f, ERR_TIMED_OUT);
                return;
        }
        enter(f, FLOW_ENDING);
        unmap(f);
        timer_set(f->all->w->loop, &f->timer, now_of(f) + ENDING_MS);
        exchange_request_data(f->side.x, &last);
}

/* As the configuration in force has it, which may be younger than the flow. */
static int64_t idle_ms(const struct udp_flow *f)
{
        return f->door ? f->door->listen->flow_idle_ms : 0;
}

static void on_timer(struct timer *t)
{
        struct udp_flow *f = CONTAINER_OF(t, struct udp_flow, timer);

        switch ((enum flow_state)f->state) {
        case FLOW_ASKING:
        case FLOW_OPEN:
                if (now_of(f) - f->active_at < idle_ms(f))
                        timer_set(f->all->w->loop, &f->timer, f->active_at + idle_ms(f));
                else
                        ending_enter(f);
                break;
        case FLOW_ENDING:
        case FLOW_REFUSED: udp_flow_cut(f, (enum err)f->why); break;
        case FLOW_STATES: break;
        }
}

void udp_flow_move(struct udp_flow *f, struct udp_door *door)
{
        f->door = door;
        if (f->state == FLOW_ASKING || f->state == FLOW_OPEN)
                timer_set(f->all->w->loop, &f->timer, f->active_at + idle_ms(f));
}

static void active(struct udp_flow *f)
{
        f->active_at = now_of(f);
        if (f->is_gone || f->state == FLOW_REFUSED)
                return;
        list_remove(&f->node);
        list_add_last(f->is_answered ? &f->all->answered : &f->all->unanswered, &f->node);
}

static void begin_exchange(struct udp_flow *f)
{
        struct worker *w = f->all->w;
        struct http_head head = { .method = HTTP_OTHER,
                                  .method_text = STR("CONNECT-UDP"),
                                  .target = STR("/"),
                                  .version_minor = 1,
                                  .asks_upgrade = true,
                                  .is_raw = true,
                                  .is_datagram = true,
                                  .fields = w->scratch_fields,
                                  .fields_max = ARRAY_SIZE(w->scratch_fields) };
        struct exchange *x = NULL;

        if (http_add(&head, STR("Host"), STR("localhost")) == ERR_OK &&
            http_add(&head, STR("Upgrade"), STR("connect-udp")) == ERR_OK &&
            http_add(&head, STR("Connection"), STR("Upgrade")) == ERR_OK &&
            http_add(&head, STR("Capsule-Protocol"), STR("?1")) == ERR_OK)
                x = exchange_new(w, &f->side, &f->origin, &head);
        if (!x) {
                measure_udp(w, UDP_LOST_FLOWS, 1);
                refused_enter(f);
                return;
        }
        f->is_lent = true;
        exchange_run(x);
}

/* Room for one more: of flows that nobody ever answered the longest idle one gives way. */
static bool room_make(struct udp_doors *all)
{
        struct udp_flow *oldest = LIST_FIRST(&all->unanswered, struct udp_flow, node);

        if (all->flows_count < FLOWS_MAX)
                return true;
        if (!oldest || now_of(oldest) - oldest->active_at < EVICT_IDLE_MS)
                return false;
        measure_udp(all->w, UDP_LOST_FLOWS, 1);
        udp_flow_cut(oldest, ERR_TIMED_OUT);
        return true;
}

struct udp_flow *udp_flow_new(struct udp_door *door, const struct udp_flow_key *key,
                              const struct udp_arrival *a)
{
        struct udp_doors *all = door->all;
        struct udp_flow *f = room_make(all) ? calloc(1, sizeof(*f)) : NULL;

        if (!f)
                return NULL;
        f->side = (struct side){ .ops = &ops, .has_room = true };
        f->all = all;
        f->door = door;
        f->key = *key;
        f->interface = a->scope ? a->interface : 0;
        f->why = ERR_TIMED_OUT;
        f->origin = (struct exchange_origin){ .peer = a->from,
                                              .peer_port = a->port,
                                              .local = a->to.family ? a->to : door->ip,
                                              .local_port = door->port,
                                              .raw = door->listen->raw };
        if (map_add(&all->flows, key_str(&f->key), f) != ERR_OK) {
                free(f);
                return NULL;
        }
        f->is_mapped = true;
        list_add_last(&all->unanswered, &f->node);
        all->flows_count++;
        measure_udp_flows(all->w, all->flows_count);
        datagrams_init(&f->datagrams, &f->side, &all->w->udp_queued_bytes, exchange_request_data, send_back);
        timer_init(&f->timer, on_timer);
        f->active_at = now_of(f);
        timer_set(all->w->loop, &f->timer, f->active_at + idle_ms(f));
        begin_exchange(f);
        return f;
}

/* ---- what comes ---- */

void udp_flow_take(struct udp_flow *f, struct str datagram)
{
        struct worker *w = f->all->w;

        if (f->state == FLOW_REFUSED) {
                measure_udp(w, UDP_LOST_REFUSED, 1);
                return;
        }
        active(f);
        if (!datagrams_put(&f->datagrams, datagram))
                measure_udp(w, UDP_LOST_QUEUE, 1);
}

/* ---- what goes back ---- */

static void send_back(struct side *s, struct str datagram)
{
        struct udp_flow *f = of(s);
        struct worker *w = f->all->w;
        struct udp_burst burst = { .bytes = (const uint8_t *)datagram.ptr,
                                   .len = datagram.len,
                                   .datagram_bytes = MAX(datagram.len, (size_t)1),
                                   .to = f->origin.peer,
                                   .port = f->origin.peer_port,
                                   .scope = f->key.scope,
                                   .source = f->origin.local,
                                   .source_interface = f->interface };
        size_t sent = 0;

        if (!f->door || f->is_gone) {
                measure_udp(w, UDP_LOST_SEND, 1);
                return;
        }
        uint64_t refused = f->door->udp.stats.refused;
        enum err e = udp_send(&f->door->udp, &burst, 1, &sent);

        measure_udp(w, e == ERR_OK && refused == f->door->udp.stats.refused ? UDP_TO_CLIENT : UDP_LOST_SEND,
                    1);
        f->is_answered = true;
        active(f);
}

/* ---- operations of the side ---- */

static void op_head(struct side *s, struct http_head *head)
{
        struct udp_flow *f = of(s);

        if (head->status == 101)
                enter(f, FLOW_OPEN);
}

static size_t op_data(struct side *s, const struct side_data *d)
{
        struct udp_flow *f = of(s);

        /* A refusal's words: there is nobody to read them. What is no capsules is broken off by the timer: not from inside. */
        if (f->state == FLOW_OPEN && datagrams_take(&f->datagrams, d) != ERR_OK) {
                measure_udp(f->all->w, UDP_LOST_CAPSULE, 1);
                enter(f, FLOW_ENDING);
                f->why = ERR_MALFORMED;
                unmap(f);
                timer_set(f->all->w->loop, &f->timer, now_of(f));
        }
        return side_data_len(d);
}

static void op_flush(struct side *s)
{
        (void)s;
}

static void op_pull(struct side *s)
{
        struct udp_flow *f = of(s);
        struct side_data last = { NULL, 0, true, NULL, 0 };

        if (f->state == FLOW_OPEN)
                datagrams_pull(&f->datagrams);
        else if (f->state == FLOW_ASKING)
                exchange_request_data(s->x, &last); /* of the request that asks for the flow */
}

static void op_reset(struct side *s, enum err reason)
{
        struct udp_flow *f = of(s);

        (void)reason;
        s->x = NULL;
        if (!f->is_gone)
                refused_enter(f);
}

static void op_release(struct side *s)
{
        struct udp_flow *f = of(s);

        s->x = NULL;
        if (f->is_gone)
                return;
        if (f->state == FLOW_ASKING)
                refused_enter(f); /* it was answered otherwise */
        else
                flow_over(f);
}

static void op_let_go(struct side *s)
{
        struct udp_flow *f = of(s);

        f->is_lent = false;
        if (f->is_gone)
                flow_free(f);
}

static const struct side_ops ops = { .name = "udp",
                                     .head = op_head,
                                     .data = op_data,
                                     .flush = op_flush,
                                     .pull = op_pull,
                                     .reset = op_reset,
                                     .release = op_release,
                                     .let_go = op_let_go };
