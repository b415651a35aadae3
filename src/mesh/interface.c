#include "mesh/interface.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/random.h"
#include "crypto/secret.h"
#include "crypto/text.h"
#include "io/netif.h"
#include "io/timer.h"
#include "io/tun.h"
#include "io/udp.h"
#include "mesh/probe.h"
#include "wg/coalesce.h"

/*
 * Theory of operation: a turn of the loop takes a bounded number of arrivals and of the host's packets, runs each
 * through the engine at once, and sends what has gathered before it waits. Nothing is queued here but one outbox. When a
 * socket is full the outbox stays, and packets of the host are left in the device's own queue until it can go.
 */
enum {
        ARRIVALS_MAX = 16,  /* taken by one call, when they are small, */
        ARRIVALS_LARGE = 4, /* or up to 64 KiB each: more would only push each other out of the cache */
        LARGE_BYTES = 8 * 1024,
        RECEIVES_A_TURN = 8,
        READS_A_TURN = 64,
        FLUSH_BYTES = 60 * 1024, /* about one large packet: send it while it is warm */
        SOCKET_BUFFER_BYTES = 4 << 20,
        DEFAULT_MTU = 1420,
        LISTEN_TRIES = 100,
        MTU_CHECK_MS = 10 * 1000,
};

struct mesh_interface {
        struct mesh_interface_conf conf;
        struct loop *loop;
        struct wg_device *device;
        struct tun tun;
        struct udp udp4, udp6; /* fd -1: not there */
        uint32_t index;        /* of the TUN device */
        uint32_t fwmark;
        uint16_t port, mtu;
        mono_ms mtu_checked;
        struct mesh_paths *paths;
        struct timer timer, paths_timer;
        struct task again; /* more to do at once */

        bool is_blocked;         /* a socket is full */
        unsigned sent_bursts;    /* of the outbox, gone already */
        bool has_large_arrivals; /* the last ones were */
        bool has_pending;        /* a packet of the host that found the outbox full */
        struct wg_frame pending;

        struct wg_outbox out;
        struct wg_inbox in;
        struct wg_coalescer coalescer;
        struct wg_run run;
        uint8_t *out_memory, *read_memory, *arrival_memory;
};

static void random_fill(void *context, void *out, size_t len)
{
        crypto_random(out, len);
}

struct wg_time mesh_interface_now(const struct mesh_interface *i)
{
        return (struct wg_time){ loop_now(i->loop), loop_wall(i->loop) };
}

/* ---- to the network ---- */

static struct udp *socket_for(struct mesh_interface *i, int family)
{
        struct udp *u = family == 4 ? &i->udp4 : &i->udp6;

        return u->fd >= 0 ? u : NULL;
}

static struct udp_burst burst_of(const struct wg_outbox *o, const struct wg_burst *b)
{
        return (struct udp_burst){ .bytes = wg_outbox_bytes(o, b),
                                   .len = b->len,
                                   .datagram_bytes = b->datagram_bytes,
                                   .to = b->to.ip,
                                   .port = b->to.port,
                                   .scope = b->to.scope,
                                   .source = b->to.source,
                                   .source_interface = b->to.source_interface,
                                   .tos = b->tos };
}

/* To a key: each datagram by itself. */
static void carry(struct mesh_interface *i, const struct wg_burst *b, const uint8_t *key)
{
        const uint8_t *bytes = wg_outbox_bytes(&i->out, b);

        if (!i->conf.carrier.send)
                return;
        for (size_t at = 0; at < b->len; at += b->datagram_bytes)
                i->conf.carrier.send(i->conf.carrier.context, key,
                                     (struct str){ (const char *)bytes + at,
                                                   MIN((size_t)b->datagram_bytes, b->len - at) });
}

static void carry_burst(struct mesh_interface *i, const struct wg_burst *b)
{
        uint8_t key[WG_KEY_BYTES];

        mesh_carried_key(&b->to, key);
        carry(i, b, key);
}

/* Sends the run of bursts of one family that begins at sent_bursts. False: the socket is full. */
static bool send_some(struct mesh_interface *i)
{
        struct udp_burst bursts[WG_OUTBOX_BURSTS_MAX] UNINITIALIZED;
        unsigned from = i->sent_bursts, n = 0;
        int family = i->out.bursts[from].to.ip.family;
        struct udp *u = socket_for(i, family);
        size_t sent = 0;

        if (i->out.bursts[from].to.is_carried) {
                carry_burst(i, &i->out.bursts[i->sent_bursts++]);
                return true;
        }
        while (from + n < i->out.bursts_count && i->out.bursts[from + n].to.ip.family == family &&
               !i->out.bursts[from + n].to.is_carried) {
                bursts[n] = burst_of(&i->out, &i->out.bursts[from + n]);
                n++;
        }
        if (!u) {
                i->sent_bursts += n; /* no such family here: as if the network had lost them */
                return true;
        }
        enum err e = udp_send(u, bursts, n, &sent);
        for (size_t k = 0; k < sent && i->conf.carrier.send; k++) {
                const struct wg_burst *b = &i->out.bursts[from + k];
                const uint8_t *doubled = mesh_paths_doubled(i->paths, &b->to);
                if (doubled)
                        carry(i, b, doubled);
        }
        i->sent_bursts += (unsigned)sent;
        if (e == ERR_NOT_FOUND) { /* our address has gone: let the kernel choose another */
                struct wg_endpoint *to = &i->out.bursts[i->sent_bursts].to;
                wg_device_source_gone(i->device, to);
                wg_endpoint_forget_source(to);
        } else if (e != ERR_OK && e != ERR_AGAIN) {
                i->sent_bursts++;
        }
        return e != ERR_AGAIN;
}

static void flush(struct mesh_interface *i)
{
        wg_outbox_seal(&i->out);
        while (!i->is_blocked && i->sent_bursts < i->out.bursts_count)
                i->is_blocked = !send_some(i);
        if (i->is_blocked)
                return;
        wg_outbox_clear(&i->out);
        i->sent_bursts = 0;
}

/* ---- the ways to peers ---- */

static void paths_send(void *context, const struct wg_endpoint *to, const uint8_t *bytes, size_t len)
{
        struct mesh_interface *i = context;
        struct udp *u = socket_for(i, to->ip.family);
        struct udp_burst b = { .bytes = bytes,
                               .len = len,
                               .datagram_bytes = len,
                               .to = to->ip,
                               .port = to->port,
                               .scope = to->scope,
                               .source = to->source,
                               .source_interface = to->source_interface };
        size_t sent;

        if (u)
                (void)!udp_send(u, &b, 1, &sent); /* a question that is lost is one that was not answered */
}

static void paths_set_mtu(void *context, uint16_t mtu)
{
        struct mesh_interface *i = context;

        enum err e = i->conf.host.set_mtu ? i->conf.host.set_mtu(i->conf.host.context, mtu)
                                          : netif_set_mtu(i->index, mtu);
        if (e != ERR_OK)
                return;
        i->mtu = mtu;
        wg_device_set_mtu(i->device, mtu);
}

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

static void tick(struct mesh_interface *i);

static void on_paths_timer(struct timer *t)
{
        struct mesh_interface *i = CONTAINER_OF(t, struct mesh_interface, paths_timer);

        tick_paths(i);
        tick(i); /* a way that changed may want a handshake */
}

/* ---- the engine's time ---- */

static void tick(struct mesh_interface *i)
{
        mono_ms next = wg_device_tick(i->device, mesh_interface_now(i), &i->out);

        flush(i);
        if (i->paths_timer.due == MONO_NEVER && wg_device_has_touched(i->device))
                timer_set(i->loop, &i->paths_timer, loop_now(i->loop));
        if (next > loop_now(i->loop))
                timer_set(i->loop, &i->timer, next);
        else if (!i->is_blocked)
                loop_post(i->loop, &i->again);
}

static void on_timer(struct timer *t)
{
        tick(CONTAINER_OF(t, struct mesh_interface, timer));
}

static void on_again(struct task *t)
{
        tick(CONTAINER_OF(t, struct mesh_interface, again));
}

/* ---- from the network to the host ---- */

static enum tun_gso gso_of(enum wg_offload offload)
{
        switch (offload) {
        case WG_OFFLOAD_TCP4: return TUN_GSO_TCP4;
        case WG_OFFLOAD_TCP6: return TUN_GSO_TCP6;
        case WG_OFFLOAD_UDP4:
        case WG_OFFLOAD_UDP6: return TUN_GSO_UDP;
        case WG_OFFLOAD_NONE: break;
        }
        return TUN_GSO_NONE;
}

static void write_run(struct mesh_interface *i, const struct wg_run *run)
{
        struct iovec slices[WG_RUN_PACKETS_MAX + 1] UNINITIALIZED;
        struct tun_offload offload = { .gso = gso_of(run->offload) };

        if (offload.gso != TUN_GSO_NONE) {
                offload.segment_bytes = run->segment_bytes;
                offload.header_bytes = run->header_bytes;
                offload.needs_checksum = true;
                offload.checksum_start = run->checksum_start;
                offload.checksum_offset = run->checksum_offset;
        }
        for (unsigned n = 0; n < run->slices_count; n++)
                slices[n + 1] = (struct iovec){ run->slices[n].bytes, run->slices[n].len };
        tun_write(&i->tun, &offload, slices, run->slices_count + 1);
}

static void write_inbox(struct mesh_interface *i)
{
        struct wg_coalescer_limits limits = { .joins_tcp = i->tun.has_offload,
                                              .joins_udp = i->tun.has_udp_offload };

        wg_coalescer_init(&i->coalescer, &i->in, limits);
        while (wg_coalescer_next(&i->coalescer, &i->run))
                write_run(i, &i->run);
        i->in.packets_count = 0;
}

static void take_in(struct mesh_interface *i, const struct wg_arrival *arrivals, size_t count)
{
        for (size_t at = 0; at < count;) {
                at += wg_device_receive(i->device, arrivals + at, count - at, mesh_interface_now(i), &i->in,
                                        &i->out);
                write_inbox(i);
        }
}

/* Probes among datagrams, which the kernel may have joined with others: taken out. True when there were some. */
static bool take_probes(struct mesh_interface *i, const struct wg_arrival *a)
{
        size_t step = a->datagram_bytes ? a->datagram_bytes : a->len, begin = 0;
        bool is_found = false;

        for (size_t at = 0; at < a->len; at += step) {
                struct str datagram = { (char *)a->bytes + at, MIN(step, a->len - at) };
                if (!mesh_probe_is(datagram))
                        continue;
                struct wg_arrival before = *a;
                before.bytes += begin;
                before.len = at - begin;
                if (before.len)
                        take_in(i, &before, 1);
                mesh_paths_take(i->paths, datagram, &a->from, loop_now(i->loop));
                begin = at + datagram.len;
                is_found = true;
        }
        if (is_found && begin < a->len) {
                struct wg_arrival rest = *a;
                rest.bytes += begin;
                rest.len -= begin;
                take_in(i, &rest, 1);
        }
        return is_found;
}

static void take_arrivals(struct mesh_interface *i, const struct udp_arrival *from, size_t count)
{
        struct wg_arrival arrivals[ARRIVALS_MAX] UNINITIALIZED;
        size_t kept = 0;

        for (size_t n = 0; n < count; n++) {
                arrivals[kept] = (struct wg_arrival){
                        .bytes = from[n].bytes,
                        .len = from[n].len,
                        .datagram_bytes = from[n].datagram_bytes,
                        .from = { .ip = from[n].from,
                                  .port = from[n].port,
                                  .scope = from[n].scope,
                                  .source = from[n].to,
                                  .source_interface = from[n].interface },
                        .tos = from[n].tos,
                };
                kept += !take_probes(i, &arrivals[kept]);
        }
        take_in(i, arrivals, kept);
}

void mesh_interface_carried(struct mesh_interface *i, const uint8_t key[WG_KEY_BYTES], uint8_t *packet,
                            size_t len)
{
        struct wg_arrival a = { .bytes = packet, .len = len, .from = mesh_carried_to(key) };

        take_in(i, &a, 1);
        loop_post(i->loop, &i->again);
}

void mesh_interface_set_mtu(struct mesh_interface *i, uint16_t mtu)
{
        i->mtu = mtu;
        wg_device_set_mtu(i->device, mtu);
        mesh_paths_set_mtu(i->paths, mtu);
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

static void on_datagrams(struct udp *u)
{
        struct mesh_interface *i = u->context;
        struct udp_arrival arrivals[ARRIVALS_MAX] UNINITIALIZED;
        size_t count, bytes;

        for (int n = 0; n < RECEIVES_A_TURN; n++) {
                size_t most = i->has_large_arrivals ? ARRIVALS_LARGE : ARRIVALS_MAX;
                if (udp_receive(u, i->arrival_memory, arrivals, most, &count) != ERR_OK)
                        break;
                take_arrivals(i, arrivals, count);
                bytes = 0;
                for (size_t a = 0; a < count; a++)
                        bytes += arrivals[a].len;
                i->has_large_arrivals = bytes > count * LARGE_BYTES;
                if (count < most)
                        break;
        }
        tick(i);
}

/* ---- from the host to the network ---- */

static enum wg_offload offload_of(const struct tun_offload *o, struct str packet)
{
        switch (o->gso) {
        case TUN_GSO_TCP4: return WG_OFFLOAD_TCP4;
        case TUN_GSO_TCP6: return WG_OFFLOAD_TCP6;
        case TUN_GSO_UDP:
                return packet.len > 0 && (uint8_t)packet.ptr[0] >> 4 == 6 ? WG_OFFLOAD_UDP6 : WG_OFFLOAD_UDP4;
        case TUN_GSO_NONE: break;
        }
        return WG_OFFLOAD_NONE;
}

static void check_mtu(struct mesh_interface *i)
{
        uint32_t mtu;

        i->mtu_checked = loop_now(i->loop);
        if (i->conf.host.set_mtu || netif_mtu(i->index, &mtu) != ERR_OK || mtu == i->mtu)
                return;
        i->mtu = (uint16_t)MIN(mtu, 65535u);
        wg_device_set_mtu(i->device, i->mtu);
        mesh_paths_set_mtu(i->paths, i->mtu); /* somebody else set it: it is the most from now on */
}

/* False: no room; the frame's memory must stay as it is. */
static bool give_frame(struct mesh_interface *i, const struct wg_frame *frame)
{
        struct wg_time now = mesh_interface_now(i);

        if (wg_device_send(i->device, frame, now, &i->out) == ERR_AGAIN) {
                flush(i);
                if (i->is_blocked || wg_device_send(i->device, frame, now, &i->out) == ERR_AGAIN) {
                        i->pending = *frame;
                        i->has_pending = true;
                        tun_pause(&i->tun, true);
                        return false;
                }
        }
        if (i->out.used >= FLUSH_BYTES)
                flush(i);
        return true;
}

static void on_packets(struct tun *t)
{
        struct mesh_interface *i = CONTAINER_OF(t, struct mesh_interface, tun);
        struct tun_offload offload;
        struct str packet;

        if (loop_now(i->loop) - i->mtu_checked >= MTU_CHECK_MS)
                check_mtu(i);
        for (int n = 0; n < READS_A_TURN; n++) {
                enum err e = tun_read(t, i->read_memory, &offload, &packet);
                if (e == ERR_MALFORMED)
                        continue;
                if (e != ERR_OK)
                        break;
                struct wg_frame frame = { .bytes = (const uint8_t *)packet.ptr,
                                          .len = packet.len,
                                          .offload = offload_of(&offload, packet),
                                          .segment_bytes = offload.segment_bytes,
                                          .needs_checksum = offload.needs_checksum,
                                          .checksum_start = offload.checksum_start,
                                          .checksum_offset = offload.checksum_offset };
                if (frame.offload == WG_OFFLOAD_NONE && frame.len > i->mtu)
                        check_mtu(i); /* it was raised */
                if (!give_frame(i, &frame))
                        return;
        }
        tick(i);
}

static void on_writable(struct udp *u)
{
        struct mesh_interface *i = u->context;

        i->is_blocked = false;
        flush(i);
        if (i->is_blocked)
                return;
        if (i->has_pending) {
                i->has_pending = false;
                if (!give_frame(i, &i->pending))
                        return;
        }
        tun_pause(&i->tun, false);
        tick(i);
}

static void on_tun_gone(struct tun *t)
{
        struct mesh_interface *i = CONTAINER_OF(t, struct mesh_interface, tun);

        tun_close(t);
        i->conf.on_gone(i->conf.context);
}

/* ---- life ---- */

static enum err memory_init(struct mesh_interface *i)
{
        i->out_memory = malloc(WG_OUTBOX_BYTES_MIN);
        i->read_memory = malloc(TUN_READ_BYTES);
        i->arrival_memory = malloc((size_t)ARRIVALS_MAX * UDP_ARRIVAL_BYTES);
        if (!i->out_memory || !i->read_memory || !i->arrival_memory)
                return ERR_NO_MEMORY;
        wg_outbox_init(&i->out, i->out_memory, WG_OUTBOX_BYTES_MIN);
        return ERR_OK;
}

static enum err device_init(struct mesh_interface *i, const struct mesh_interface_conf *conf)
{
        enum err e;

        if (conf->host.set_mtu) {
                tun_take(&i->tun, conf->host.tun_fd, conf->name);
                return ERR_OK;
        }
        if ((e = tun_open(&i->tun, conf->name)) != ERR_OK)
                return e;
        i->index = netif_index(i->tun.name);
        if ((e = netif_set_mtu(i->index, DEFAULT_MTU)) != ERR_OK)
                return e;
        /* So that what the host gives at once fits one burst of the network's side; it does no harm where it cannot be. */
        (void)!netif_set_gso_bytes(i->index, WG_HOST_PACKET_BYTES);
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
        i->mtu = DEFAULT_MTU;
        i->udp4.fd = i->udp6.fd = i->tun.fd = -1;
        timer_init(&i->timer, on_timer);
        timer_init(&i->paths_timer, on_paths_timer);
        task_init(&i->again, on_again);
        struct wg_device_conf device = { .peers_max = conf->peers_max,
                                         .worker = conf->worker,
                                         .mtu = DEFAULT_MTU,
                                         .random = { random_fill, NULL } };
        if ((e = memory_init(i)) != ERR_OK)
                goto fail;
        struct mesh_paths_doors doors = { paths_send, paths_set_mtu, paths_route_mtu, random_fill, i };
        if (!(i->device = wg_device_new(&device)) || !(i->paths = mesh_paths_new(i->device, &doors))) {
                e = ERR_NO_MEMORY;
                goto fail;
        }
        mesh_paths_set_mtu(i->paths, DEFAULT_MTU);
        if ((e = device_init(i, conf)) != ERR_OK)
                goto fail;
        if ((e = tun_start(&i->tun, l, on_packets, on_tun_gone)) != ERR_OK)
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
                crypto_wipe(i->arrival_memory, (size_t)ARRIVALS_MAX * UDP_ARRIVAL_BYTES);
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

static enum err open_one(struct mesh_interface *i, struct udp *u, int family, uint16_t port)
{
        struct udp_conf conf = {
                .family = family, .port = port, .fwmark = i->fwmark, .buffer_bytes = SOCKET_BUFFER_BYTES
        };
        enum err e = udp_open(u, &conf);

        u->context = i;
        return e;
}

/* Both families on one port, which may be 0: then a port that is free for both is looked for. */
static enum err open_both(struct mesh_interface *i, struct udp *u4, struct udp *u6, uint16_t port)
{
        enum err e4, e6;

        for (int tries = 0; tries < LISTEN_TRIES; tries++) {
                e4 = open_one(i, u4, 4, port);
                if (e4 != ERR_OK && e4 != ERR_UNSUPPORTED)
                        return e4;
                e6 = open_one(i, u6, 6, e4 == ERR_OK ? udp_port(u4) : port);
                if (e6 == ERR_OK || (e6 == ERR_UNSUPPORTED && e4 == ERR_OK))
                        return ERR_OK;
                udp_close(u4);
                if (port != 0 || e6 != ERR_EXISTS)
                        return e6;
        }
        return ERR_EXISTS;
}

static void put_in_place(struct mesh_interface *i, struct udp *place, struct udp *fresh)
{
        udp_close(place);
        *place = *fresh;
        if (place->fd >= 0 && udp_start(place, i->loop, on_datagrams, on_writable) != ERR_OK)
                udp_close(place);
}

enum err mesh_interface_listen(struct mesh_interface *i, uint16_t port)
{
        struct udp u4 = { .fd = -1 }, u6 = { .fd = -1 };

        if (port != 0 && port == i->port)
                return ERR_OK;
        enum err e = open_both(i, &u4, &u6, port);
        if (e != ERR_OK)
                return e;
        i->port = u4.fd >= 0 ? udp_port(&u4) : udp_port(&u6);
        put_in_place(i, &i->udp4, &u4);
        put_in_place(i, &i->udp6, &u6);
        i->is_blocked = false;
        loop_post(i->loop, &i->again);
        return ERR_OK;
}

uint16_t mesh_interface_port(const struct mesh_interface *i)
{
        return i->port;
}

enum err mesh_interface_set_fwmark(struct mesh_interface *i, uint32_t fwmark)
{
        enum err e;

        if (i->udp4.fd >= 0 && (e = udp_set_fwmark(&i->udp4, fwmark)) != ERR_OK)
                return e;
        if (i->udp6.fd >= 0 && (e = udp_set_fwmark(&i->udp6, fwmark)) != ERR_OK)
                return e;
        i->fwmark = fwmark;
        return ERR_OK;
}

uint32_t mesh_interface_fwmark(const struct mesh_interface *i)
{
        return i->fwmark;
}

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
