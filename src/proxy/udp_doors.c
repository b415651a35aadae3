#include "proxy/udp_doors.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/udp.h"
#include "proxy/datagrams.h"
#include "proxy/exchange.h"
#include "proxy/route.h"

enum {
        ROUNDS_PER_EVENT = 4,
        REFUSED_MS = 1000, /* of one client's port: so long nothing new is begun for it */
        EVICT_IDLE_MS = 1000,
        ENDING_MS = 5000
};

enum flow_state { FLOW_ASKING, FLOW_OPEN, FLOW_ENDING, FLOW_REFUSED, FLOW_STATES };

/* Whose datagrams: a key of the map, so no byte of it is left to chance. */
struct flow_key {
        uint8_t client[16], own[16]; /* own: as it was asked, so answers come from there */
        uint32_t scope;
        uint16_t client_port, own_port;
        uint8_t family, pad[3];
};

struct udp_door {
        struct udp udp;
        struct udp_doors *all;
        const struct listen_conf *listen;
        struct list node; /* udp_doors.doors */
        struct ip ip;     /* bound to */
        uint16_t port;
};

struct udp_doors {
        struct worker *w;
        struct list doors;
        struct list unanswered, answered; /* flow.node; the longest idle first */
        struct map flows;
        size_t flows_count;
        uint8_t *memory; /* for arrivals; from the first door on */
};

struct flow {
        struct side side;
        struct udp_doors *all;
        struct udp_door *door; /* NULL: between two configurations */
        struct flow_key key;
        struct exchange_origin origin;
        uint32_t scope, interface;
        uint8_t state;
        uint8_t why; /* enum err, of an end that the timer brings */
        bool is_lent, is_gone, is_mapped, is_answered;
        struct list node;
        struct datagrams datagrams;
        struct timer timer;
        int64_t idle_ms;
        mono_ms active_at;
};

static const struct side_ops ops;

static struct flow *of(struct side *s)
{
        return CONTAINER_OF(s, struct flow, side);
}

static mono_ms now_of(const struct flow *f)
{
        return loop_now(f->all->w->loop);
}

static struct str key_str(const struct flow_key *key)
{
        return (struct str){ (const char *)key, sizeof(*key) };
}

/* ---- birth and death ---- */

static void flow_free(struct flow *f)
{
        datagrams_fini(&f->datagrams);
        free(f);
}

static void unmap(struct flow *f)
{
        if (f->is_mapped)
                (void)map_remove(&f->all->flows, key_str(&f->key));
        f->is_mapped = false;
}

/* Out of everything; the exchange may still read where it came from. */
static void flow_over(struct flow *f)
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
static void flow_cut(struct flow *f, enum err e)
{
        struct exchange *x = f->side.x;

        f->side.x = NULL;
        if (x)
                exchange_down_reset(x, e);
        flow_over(f);
}

static void enter(struct flow *f, enum flow_state next)
{
        f->state = (uint8_t)next;
}

static void refused_enter(struct flow *f)
{
        enter(f, FLOW_REFUSED);
        timer_set(f->all->w->loop, &f->timer, now_of(f) + REFUSED_MS);
}

/* Says the end; a later datagram of the same client begins anew. */
static void ending_enter(struct flow *f)
{
        struct side_data last = { NULL, 0, true, NULL, 0 };

        if (f->state != FLOW_OPEN || !datagrams_is_empty(&f->datagrams) || !f->side.x) {
                flow_cut(f, ERR_TIMED_OUT);
                return;
        }
        enter(f, FLOW_ENDING);
        unmap(f);
        timer_set(f->all->w->loop, &f->timer, now_of(f) + ENDING_MS);
        exchange_request_data(f->side.x, &last);
}

static void on_timer(struct timer *t)
{
        struct flow *f = CONTAINER_OF(t, struct flow, timer);

        switch ((enum flow_state)f->state) {
        case FLOW_ASKING:
        case FLOW_OPEN:
                if (now_of(f) - f->active_at < f->idle_ms)
                        timer_set(f->all->w->loop, &f->timer, f->active_at + f->idle_ms);
                else
                        ending_enter(f);
                break;
        case FLOW_ENDING:
        case FLOW_REFUSED: flow_cut(f, (enum err)f->why); break;
        case FLOW_STATES: break;
        }
}

static void active(struct flow *f)
{
        f->active_at = now_of(f);
        if (f->is_gone || f->state == FLOW_REFUSED)
                return;
        list_remove(&f->node);
        list_add_last(f->is_answered ? &f->all->answered : &f->all->unanswered, &f->node);
}

static void send_back(struct side *s, struct str datagram);

static void begin_exchange(struct flow *f)
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
        struct flow *oldest = LIST_FIRST(&all->unanswered, struct flow, node);

        if (all->flows_count < FLOWS_MAX)
                return true;
        if (!oldest || now_of(oldest) - oldest->active_at < EVICT_IDLE_MS)
                return false;
        measure_udp(all->w, UDP_LOST_FLOWS, 1);
        flow_cut(oldest, ERR_TIMED_OUT);
        return true;
}

static struct flow *flow_new(struct udp_door *door, const struct flow_key *key, const struct udp_arrival *a)
{
        struct udp_doors *all = door->all;
        struct flow *f = room_make(all) ? calloc(1, sizeof(*f)) : NULL;

        if (!f)
                return NULL;
        f->side = (struct side){ .ops = &ops, .has_room = true };
        f->all = all;
        f->door = door;
        f->key = *key;
        f->scope = a->scope;
        f->interface = a->scope ? a->interface : 0;
        f->idle_ms = door->listen->flow_idle_ms;
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
        timer_set(all->w->loop, &f->timer, f->active_at + f->idle_ms);
        begin_exchange(f);
        return f;
}

/* ---- what comes ---- */

static void key_make(const struct udp_door *door, const struct udp_arrival *a, struct flow_key *key)
{
        memset(key, 0, sizeof(*key));
        memcpy(key->client, a->from.bytes, sizeof(key->client));
        memcpy(key->own, (a->to.family ? a->to : door->ip).bytes, sizeof(key->own));
        key->family = a->from.family;
        key->client_port = a->port;
        key->own_port = door->port;
        key->scope = a->scope;
}

/* Whether a flow of that address may be here at all. */
static bool is_admitted(const struct snapshot *s, const struct listen_conf *listen, struct ip from)
{
        const struct route_access *access = &listen->raw->access;

        return (!s->allowed_ips.count || ip_list_has(&s->allowed_ips, from)) &&
               (!access->allowed_ips.count || ip_list_has(&access->allowed_ips, from)) &&
               !ip_list_has(&access->denied_ips, from);
}

/* Before anything is made of a stranger's datagram. NULL: it may begin a flow; else why not. */
static const char *stranger_refusal(struct udp_door *door, const struct udp_arrival *a)
{
        struct worker *w = door->all->w;
        const struct listen_conf *l = door->listen;
        int64_t wait_ms;

        if (a->port == 0 || (a->port == door->port && ip_eq(a->from, a->to.family ? a->to : door->ip)))
                return "udp_source"; /* nobody can be answered there, or it would be us */
        if (!is_admitted(w->snap, l, a->from))
                return "route_address";
        if (l->flow_rate.count &&
            !gate_pass(
                    w->shared->rates,
                    hash_str(w->shared->hash_key, (struct str){ (const char *)&a->from, sizeof(a->from) }) ^
                            l->raw->key,
                    &l->flow_rate, loop_now(w->loop), &wait_ms))
                return "rate_route";
        return NULL;
}

static void datagram_take(struct flow *f, struct str datagram)
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

static void arrival_take(struct udp_door *door, const struct udp_arrival *a)
{
        struct udp_doors *all = door->all;
        size_t step = a->datagram_bytes ? a->datagram_bytes : 1;
        struct flow_key key;
        struct flow *f;

        key_make(door, a, &key);
        f = map_find(&all->flows, key_str(&key));
        measure_udp(all->w, UDP_FROM_CLIENT, a->len ? (a->len + step - 1) / step : 1);
        if (!f) {
                const char *why = stranger_refusal(door, a);

                if (why)
                        measure_refused(all->w, why);
                else if (!(f = flow_new(door, &key, a)))
                        measure_udp(all->w, UDP_LOST_FLOWS, 1);
                if (!f)
                        return;
        }
        size_t at = 0;
        do { /* an empty datagram is one, too */
                datagram_take(f, (struct str){ (const char *)a->bytes + at, MIN(step, a->len - at) });
                at += step;
        } while (at < a->len && map_find(&all->flows, key_str(&key)) == f);
}

static void on_readable(struct udp *u)
{
        struct udp_door *door = CONTAINER_OF(u, struct udp_door, udp);
        struct udp_arrival arrivals[UDP_ARRIVALS_MAX];

        for (int i = 0; i < ROUNDS_PER_EVENT; i++) {
                size_t count = 0;

                if (udp_receive(u, door->all->memory, arrivals, ARRAY_SIZE(arrivals), &count) != ERR_OK)
                        return;
                for (size_t n = 0; n < count; n++)
                        arrival_take(door, &arrivals[n]);
        }
}

static void on_writable(struct udp *u)
{
        (void)u; /* what did not fit was lost */
}

/* ---- what goes back ---- */

static void send_back(struct side *s, struct str datagram)
{
        struct flow *f = of(s);
        struct worker *w = f->all->w;
        struct udp_burst burst = { .bytes = (const uint8_t *)datagram.ptr,
                                   .len = datagram.len,
                                   .datagram_bytes = MAX(datagram.len, (size_t)1),
                                   .to = f->origin.peer,
                                   .port = f->origin.peer_port,
                                   .scope = f->scope,
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
        struct flow *f = of(s);

        if (head->status == 101)
                enter(f, FLOW_OPEN);
}

static size_t op_data(struct side *s, const struct side_data *d)
{
        struct flow *f = of(s);

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
        struct flow *f = of(s);
        struct side_data last = { NULL, 0, true, NULL, 0 };

        if (f->state == FLOW_OPEN)
                datagrams_pull(&f->datagrams);
        else if (f->state == FLOW_ASKING)
                exchange_request_data(s->x, &last); /* of the request that asks for the flow */
}

static void op_reset(struct side *s, enum err reason)
{
        struct flow *f = of(s);

        (void)reason;
        s->x = NULL;
        if (!f->is_gone)
                refused_enter(f);
}

static void op_release(struct side *s)
{
        struct flow *f = of(s);

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
        struct flow *f = of(s);

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

/* ---- the doors ---- */

struct udp_doors *udp_doors_new(struct worker *w)
{
        struct udp_doors *all = calloc(1, sizeof(*all));

        if (!all)
                return NULL;
        all->w = w;
        list_init(&all->doors);
        list_init(&all->unanswered);
        list_init(&all->answered);
        map_init(&all->flows, w->shared->hash_key, 2 * FLOWS_MAX);
        return all;
}

static void door_free(struct udp_door *door)
{
        list_remove(&door->node);
        udp_close(&door->udp);
        free(door);
}

enum err udp_door_open(struct udp_doors *all, int fd, const struct listen_conf *listen)
{
        struct udp_door *door = calloc(1, sizeof(*door));
        enum err e;

        if (!door) {
                close(fd);
                return ERR_NO_MEMORY;
        }
        door->all = all;
        door->listen = listen;
        list_add_last(&all->doors, &door->node);
        if (!all->memory)
                all->memory = malloc((size_t)UDP_ARRIVAL_BYTES * UDP_ARRIVALS_MAX);
        if ((e = udp_adopt(&door->udp, fd)) == ERR_OK && !all->memory)
                e = ERR_NO_MEMORY;
        if (e == ERR_OK)
                e = udp_address(&door->udp, &door->ip, &door->port);
        if (e == ERR_OK)
                e = udp_start(&door->udp, all->w->loop, on_readable, on_writable);
        if (e != ERR_OK)
                door_free(door);
        return e;
}

static struct flow *flow_any(struct udp_doors *all)
{
        struct flow *f = LIST_FIRST(&all->unanswered, struct flow, node);

        return f ? f : LIST_FIRST(&all->answered, struct flow, node);
}

void udp_doors_close(struct udp_doors *all)
{
        list_for_each(node, &all->unanswered)
                CONTAINER_OF(node, struct flow, node)->door = NULL;
        list_for_each(node, &all->answered)
                CONTAINER_OF(node, struct flow, node)->door = NULL;
        list_for_each_safe(node, &all->doors)
                door_free(CONTAINER_OF(node, struct udp_door, node));
}

static bool is_at(const struct flow *f, const struct udp_door *door)
{
        return door->port == f->key.own_port && door->ip.family == f->key.family &&
               (ip_eq(door->ip, (struct ip){ .family = f->key.family }) ||
                memcmp(door->ip.bytes, f->key.own, sizeof(f->key.own)) == 0);
}

static void flow_settle(struct flow *f)
{
        list_for_each(node, &f->all->doors) {
                struct udp_door *door = CONTAINER_OF(node, struct udp_door, node);

                if (is_at(f, door))
                        f->door = door;
        }
        if (!f->door || !is_admitted(f->all->w->snap, f->door->listen, f->origin.peer))
                flow_cut(f, ERR_DENIED);
}

void udp_doors_settle(struct udp_doors *all)
{
        list_for_each_safe(node, &all->unanswered)
                flow_settle(CONTAINER_OF(node, struct flow, node));
        list_for_each_safe(node, &all->answered)
                flow_settle(CONTAINER_OF(node, struct flow, node));
}

void udp_doors_free(struct udp_doors *all)
{
        struct flow *f;

        if (!all)
                return;
        udp_doors_close(all);
        while ((f = flow_any(all)))
                flow_cut(f, ERR_CLOSED);
        map_fini(&all->flows);
        free(all->memory);
        free(all);
}
