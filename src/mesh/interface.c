#include "mesh/interface_priv.h"

#include <stdlib.h>

#include "crypto/random.h"
#include "crypto/secret.h"
#include "crypto/text.h"
#include "io/netif.h"

/*
 * Theory of operation: a turn of the loop takes a bounded number of arrivals and of the host's packets, runs each
 * through the engine at once, and sends what has gathered before it waits. Nothing is queued here but one outbox. When a
 * socket is full the outbox stays, and packets of the host are left in the device's own queue until it can go.
 */

static void random_fill(void *context, void *out, size_t len)
{
        crypto_random(out, len);
}

struct wg_time mesh_interface_now(const struct mesh_interface *i)
{
        return (struct wg_time){ loop_now(i->loop), loop_wall(i->loop) };
}

/* ---- the ways to peers ---- */

static uint16_t paths_route_mtu(void *context, const struct wg_endpoint *to)
{
        const struct mesh_interface *i = context;
        uint32_t index, mtu;

        /* By a route that knows our mark not: what leads into the tunnel itself says nothing. */
        if (netif_route_to(to->ip, &index, &mtu) != ERR_OK || index == i->index)
                return 0;
        return (uint16_t)MIN(mtu, 65535u);
}

static void tick_paths(struct mesh_interface *i)
{
        mono_ms next = mesh_paths_tick(i->paths, loop_now(i->loop));

        timer_set(i->loop, &i->paths_timer, next);
}

static void on_paths_timer(struct timer *t)
{
        struct mesh_interface *i = CONTAINER_OF(t, struct mesh_interface, paths_timer);

        tick_paths(i);
        mesh_interface_tick(i); /* a way that changed may want a handshake */
}

void mesh_interface_set_carrier(struct mesh_interface *i, bool is_up)
{
        mesh_paths_set_carrier(i->paths, is_up, loop_now(i->loop));
        loop_post(i->loop, &i->again);
}

const char *mesh_interface_way(const struct mesh_interface *i, const uint8_t key[WG_KEY_BYTES])
{
        return mesh_paths_way(i->paths, key);
}

/* ---- the engine's time ---- */

void mesh_interface_tick(struct mesh_interface *i)
{
        mono_ms next = wg_device_tick(i->device, mesh_interface_now(i), &i->out);

        mesh_interface_flush(i);
        if (i->paths_timer.due == MONO_NEVER && wg_device_has_touched(i->device))
                timer_set(i->loop, &i->paths_timer, loop_now(i->loop));
        if (next > loop_now(i->loop))
                timer_set(i->loop, &i->timer, next);
        else if (!i->is_blocked)
                loop_post(i->loop, &i->again);
}

static void on_timer(struct timer *t)
{
        mesh_interface_tick(CONTAINER_OF(t, struct mesh_interface, timer));
}

static void on_again(struct task *t)
{
        mesh_interface_tick(CONTAINER_OF(t, struct mesh_interface, again));
}

void mesh_interface_take_in(struct mesh_interface *i, const struct wg_arrival *arrivals, size_t count)
{
        for (size_t at = 0; at < count;) {
                at += wg_device_receive(i->device, arrivals + at, count - at, mesh_interface_now(i), &i->in,
                                        &i->out);
                mesh_interface_to_host(i);
        }
}

void mesh_interface_carried(struct mesh_interface *i, const uint8_t key[WG_KEY_BYTES], uint8_t *packet,
                            size_t len)
{
        struct wg_arrival a = { .bytes = packet, .len = len, .from = mesh_carried_to(key) };

        mesh_interface_take_in(i, &a, 1);
        loop_post(i->loop, &i->again);
}

/* ---- life ---- */

static enum err memory_init(struct mesh_interface *i)
{
        i->out_memory = malloc(WG_OUTBOX_BYTES_MIN);
        i->read_memory = malloc(TUN_READ_BYTES);
        i->arrival_memory = malloc((size_t)INTERFACE_ARRIVALS_MAX * UDP_ARRIVAL_BYTES);
        if (!i->out_memory || !i->read_memory || !i->arrival_memory)
                return ERR_NO_MEMORY;
        wg_outbox_init(&i->out, i->out_memory, WG_OUTBOX_BYTES_MIN);
        return ERR_OK;
}

enum err mesh_interface_new(struct loop *l, const struct mesh_interface_conf *conf,
                            struct mesh_interface **out)
{
        struct mesh_interface *i = calloc(1, sizeof(*i));
        enum err e = ERR_NO_MEMORY;

        if (!i)
                return ERR_NO_MEMORY;
        i->conf = *conf;
        i->loop = l;
        i->mtu = INTERFACE_DEFAULT_MTU;
        i->udp4.fd = i->udp6.fd = i->tun.fd = -1;
        timer_init(&i->timer, on_timer);
        timer_init(&i->paths_timer, on_paths_timer);
        task_init(&i->again, on_again);
        struct wg_device_conf device = { .peers_max = conf->peers_max,
                                         .worker = conf->worker,
                                         .mtu = INTERFACE_DEFAULT_MTU,
                                         .random = { random_fill, NULL } };
        if ((e = memory_init(i)) != ERR_OK)
                goto fail;
        struct mesh_paths_doors doors = { mesh_interface_send_probe, mesh_interface_change_mtu,
                                          paths_route_mtu, random_fill, i };
        if (!(i->device = wg_device_new(&device)) || !(i->paths = mesh_paths_new(i->device, &doors))) {
                e = ERR_NO_MEMORY;
                goto fail;
        }
        mesh_paths_set_mtu(i->paths, INTERFACE_DEFAULT_MTU);
        if ((e = mesh_interface_host_init(i, conf)) != ERR_OK)
                goto fail;
        if ((e = tun_start(&i->tun, l, mesh_interface_on_packets, mesh_interface_on_tun_gone)) != ERR_OK)
                goto fail;
        i->conf.name = str_of(i->tun.name);
        *out = i;
        return ERR_OK;

fail:
        mesh_interface_free(i);
        return e;
}

void mesh_interface_free(struct mesh_interface *i)
{
        if (!i)
                return;
        timer_clear(&i->timer);
        timer_clear(&i->paths_timer);
        loop_unpost(&i->again);
        tun_close(&i->tun);
        udp_close(&i->udp4);
        udp_close(&i->udp6);
        mesh_paths_free(i->paths);
        wg_device_free(i->device);
        if (i->out_memory)
                crypto_wipe(i->out_memory, WG_OUTBOX_BYTES_MIN);
        if (i->read_memory)
                crypto_wipe(i->read_memory, TUN_READ_BYTES);
        if (i->arrival_memory)
                crypto_wipe(i->arrival_memory, (size_t)INTERFACE_ARRIVALS_MAX * UDP_ARRIVAL_BYTES);
        free(i->out_memory);
        free(i->read_memory);
        free(i->arrival_memory);
        free(i);
}

const char *mesh_interface_name(const struct mesh_interface *i)
{
        return i->tun.name;
}

struct wg_device *mesh_interface_device(struct mesh_interface *i)
{
        return i->device;
}

void mesh_interface_changed(struct mesh_interface *i)
{
        if (i->conf.on_changed)
                i->conf.on_changed(i->conf.context);
        loop_post(i->loop, &i->again);
}

/* ---- counters ---- */

void mesh_interface_get_stats(const struct mesh_interface *i, struct mesh_interface_stats *out)
{
        const struct udp_stats *a = &i->udp4.stats, *b = &i->udp6.stats;

        *out = (struct mesh_interface_stats){
                .datagrams_sent = a->datagrams_sent + b->datagrams_sent,
                .datagrams_received = a->datagrams_received + b->datagrams_received,
                .send_calls = a->calls_sent + b->calls_sent,
                .receive_calls = a->calls_received + b->calls_received,
                .network_refused = a->refused + b->refused,
                .host_refused = i->tun.refused,
                .paths = *mesh_paths_get_stats(i->paths),
                .has_segment = i->udp4.has_segment || i->udp6.has_segment,
                .has_receive_offload = i->udp4.has_gro || i->udp6.has_gro,
                .has_host_offload = i->tun.has_offload,
                .has_host_udp_offload = i->tun.has_udp_offload,
        };
}

void mesh_interface_add_counters(const struct mesh_interface *i, struct buf *out)
{
        struct mesh_interface_stats s;
        char key[CRYPTO_BASE64_SIZE(WG_KEY_BYTES)];

        mesh_interface_get_stats(i, &s);
        const struct {
                const char *name;
                uint64_t value;
        } lines[] = {
                { "datagrams_sent", s.datagrams_sent },
                { "datagrams_received", s.datagrams_received },
                { "network_refused", s.network_refused },
                { "host_refused", s.host_refused },
                { "probes_sent", s.paths.asked },
                { "probes_answered", s.paths.answered },
                { "probes_refused", s.paths.refused },
                { "ways_to_relay", s.paths.to_relay },
                { "ways_to_straight", s.paths.to_straight },
                { "black_holes", s.paths.black_holes },
                { "mtu", s.paths.mtu },
        };
        for (size_t n = 0; n < ARRAY_SIZE(lines); n++)
                buf_addf(out, "%s=%llu\n", lines[n].name, (unsigned long long)lines[n].value);
        for (const struct wg_peer *p = wg_device_first_peer(i->device); p;
             p = wg_device_next_peer(i->device, p)) {
                const char *way = mesh_paths_way(i->paths, wg_peer_public_key(p));
                if (!way)
                        continue;
                crypto_base64_format((struct str){ (const char *)wg_peer_public_key(p), WG_KEY_BYTES }, key);
                buf_addf(out, "way_%s %s\n", key, way);
        }
}
