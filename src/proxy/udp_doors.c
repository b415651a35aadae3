#include "proxy/udp_doors.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/route.h"
#include "proxy/udp_flow.h"

enum { ROUNDS_PER_EVENT = 4 };

/* ---- what comes ---- */

static void key_make(const struct udp_door *door, const struct udp_arrival *a, struct udp_flow_key *key)
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

static void arrival_take(struct udp_door *door, const struct udp_arrival *a)
{
        struct udp_doors *all = door->all;
        size_t step = a->datagram_bytes ? a->datagram_bytes : 1;
        struct udp_flow_key key;
        struct udp_flow *f;

        key_make(door, a, &key);
        f = udp_flow_find(all, &key);
        measure_udp(all->w, UDP_FROM_CLIENT, a->len ? (a->len + step - 1) / step : 1);
        if (!f) {
                const char *why = stranger_refusal(door, a);

                if (why)
                        measure_refused(all->w, why);
                else if (!(f = udp_flow_new(door, &key, a)))
                        measure_udp(all->w, UDP_LOST_FLOWS, 1);
                if (!f)
                        return;
        }
        size_t at = 0;
        do { /* an empty datagram is one, too */
                udp_flow_take(f, (struct str){ (const char *)a->bytes + at, MIN(step, a->len - at) });
                at += step;
        } while (at < a->len && udp_flow_find(all, &key) == f);
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

static struct udp_flow *flow_any(struct udp_doors *all)
{
        struct udp_flow *f = LIST_FIRST(&all->unanswered, struct udp_flow, node);

        return f ? f : LIST_FIRST(&all->answered, struct udp_flow, node);
}

void udp_doors_close(struct udp_doors *all)
{
        list_for_each(node, &all->unanswered)
                CONTAINER_OF(node, struct udp_flow, node)->door = NULL;
        list_for_each(node, &all->answered)
                CONTAINER_OF(node, struct udp_flow, node)->door = NULL;
        list_for_each_safe(node, &all->doors)
                door_free(CONTAINER_OF(node, struct udp_door, node));
}

static bool is_at(const struct udp_flow *f, const struct udp_door *door)
{
        return door->port == f->key.own_port && door->ip.family == f->key.family &&
               (ip_eq(door->ip, (struct ip){ .family = f->key.family }) ||
                memcmp(door->ip.bytes, f->key.own, sizeof(f->key.own)) == 0);
}

static void flow_settle(struct udp_flow *f)
{
        list_for_each(node, &f->all->doors) {
                struct udp_door *door = CONTAINER_OF(node, struct udp_door, node);

                if (is_at(f, door))
                        udp_flow_move(f, door);
        }
        if (!f->door || !is_admitted(f->all->w->snap, f->door->listen, f->origin.peer))
                udp_flow_cut(f, ERR_DENIED);
}

void udp_doors_settle(struct udp_doors *all)
{
        list_for_each_safe(node, &all->unanswered)
                flow_settle(CONTAINER_OF(node, struct udp_flow, node));
        list_for_each_safe(node, &all->answered)
                flow_settle(CONTAINER_OF(node, struct udp_flow, node));
}

void udp_doors_free(struct udp_doors *all)
{
        struct udp_flow *f;

        if (!all)
                return;
        udp_doors_close(all);
        while ((f = flow_any(all)))
                udp_flow_cut(f, ERR_CLOSED);
        map_fini(&all->flows);
        free(all->memory);
        free(all);
}
