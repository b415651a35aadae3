#include "mesh/interface_priv.h"

#include "mesh/probe.h"

enum {
        ARRIVALS_LARGE = 4, /* up to 64 KiB each: more would push each other out of the cache */
        LARGE_BYTES = 8 * 1024,
        RECEIVES_A_TURN = 8,
        SOCKET_BUFFER_BYTES = 4 << 20,
        LISTEN_TRIES = 100,
};

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

void mesh_interface_flush(struct mesh_interface *i)
{
        wg_outbox_seal(&i->out);
        while (!i->is_blocked && i->sent_bursts < i->out.bursts_count)
                i->is_blocked = !send_some(i);
        if (i->is_blocked)
                return;
        wg_outbox_clear(&i->out);
        i->sent_bursts = 0;
}

void mesh_interface_send_probe(void *context, const struct wg_endpoint *to, const uint8_t *bytes, size_t len)
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

/* ---- from the network ---- */

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
                        mesh_interface_take_in(i, &before, 1);
                mesh_paths_take(i->paths, datagram, &a->from, loop_now(i->loop));
                begin = at + datagram.len;
                is_found = true;
        }
        if (is_found && begin < a->len) {
                struct wg_arrival rest = *a;
                rest.bytes += begin;
                rest.len -= begin;
                mesh_interface_take_in(i, &rest, 1);
        }
        return is_found;
}

static void take_arrivals(struct mesh_interface *i, const struct udp_arrival *from, size_t count)
{
        struct wg_arrival arrivals[INTERFACE_ARRIVALS_MAX] UNINITIALIZED;
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
        mesh_interface_take_in(i, arrivals, kept);
}

static void on_datagrams(struct udp *u)
{
        struct mesh_interface *i = u->context;
        struct udp_arrival arrivals[INTERFACE_ARRIVALS_MAX] UNINITIALIZED;
        size_t count, bytes;

        for (int n = 0; n < RECEIVES_A_TURN; n++) {
                size_t most = i->has_large_arrivals ? ARRIVALS_LARGE : INTERFACE_ARRIVALS_MAX;
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
        mesh_interface_tick(i);
}

static void on_writable(struct udp *u)
{
        struct mesh_interface *i = u->context;

        i->is_blocked = false;
        mesh_interface_flush(i);
        if (i->is_blocked)
                return;
        if (i->has_pending) {
                i->has_pending = false;
                if (!mesh_interface_from_host(i, &i->pending))
                        return;
        }
        tun_pause(&i->tun, false);
        mesh_interface_tick(i);
}

/* ---- the sockets ---- */

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
