#include "mesh/interface_priv.h"

#include "io/netif.h"

enum {
        READS_A_TURN = 64,
        FLUSH_BYTES = 60 * 1024, /* about one large packet: send it while it is warm */
        MTU_CHECK_MS = 10 * 1000,
        /* As other devices have; the 500 of a TUN device run full while we wait for a CPU, and we idle when we have it. */
        HOST_QUEUE_PACKETS = 1000,
};

/* ---- to the host ---- */

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

void mesh_interface_to_host(struct mesh_interface *i)
{
        struct wg_coalescer_limits limits = { .joins_tcp = i->tun.has_offload,
                                              .joins_udp = i->tun.has_udp_offload };

        wg_coalescer_init(&i->coalescer, &i->in, limits);
        while (wg_coalescer_next(&i->coalescer, &i->run))
                write_run(i, &i->run);
        i->in.packets_count = 0;
}

/* ---- from the host ---- */

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
bool mesh_interface_from_host(struct mesh_interface *i, const struct wg_frame *frame)
{
        struct wg_time now = mesh_interface_now(i);

        if (wg_device_send(i->device, frame, now, &i->out) == ERR_AGAIN) {
                mesh_interface_flush(i);
                if (i->is_blocked || wg_device_send(i->device, frame, now, &i->out) == ERR_AGAIN) {
                        i->pending = *frame;
                        i->has_pending = true;
                        tun_pause(&i->tun, true);
                        return false;
                }
        }
        if (i->out.used >= FLUSH_BYTES)
                mesh_interface_flush(i);
        return true;
}

void mesh_interface_on_packets(struct tun *t)
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
                if (!mesh_interface_from_host(i, &frame))
                        return;
        }
        mesh_interface_tick(i);
}

void mesh_interface_on_tun_gone(struct tun *t)
{
        struct mesh_interface *i = CONTAINER_OF(t, struct mesh_interface, tun);

        tun_close(t);
        i->conf.on_gone(i->conf.context);
}

/* ---- the device ---- */

void mesh_interface_change_mtu(void *context, uint16_t mtu)
{
        struct mesh_interface *i = context;

        enum err e = i->conf.host.set_mtu ? i->conf.host.set_mtu(i->conf.host.context, mtu)
                                          : netif_set_mtu(i->index, mtu);
        if (e != ERR_OK)
                return;
        i->mtu = mtu;
        wg_device_set_mtu(i->device, mtu);
}

void mesh_interface_set_mtu(struct mesh_interface *i, uint16_t mtu)
{
        i->mtu = mtu;
        wg_device_set_mtu(i->device, mtu);
        mesh_paths_set_mtu(i->paths, mtu);
}

enum err mesh_interface_host_init(struct mesh_interface *i, const struct mesh_interface_conf *conf)
{
        enum err e;

        if (conf->host.set_mtu) {
                tun_take(&i->tun, conf->host.tun_fd, conf->name);
                return ERR_OK;
        }
        if ((e = tun_open(&i->tun, conf->name)) != ERR_OK)
                return e;
        i->index = netif_index(i->tun.name);
        if ((e = netif_set_mtu(i->index, INTERFACE_DEFAULT_MTU)) != ERR_OK)
                return e;
        /* So that what the host gives at once fits one burst of the network's side; it does no harm where it cannot be. */
        (void)!netif_set_gso_bytes(i->index, WG_HOST_PACKET_BYTES);
        (void)!netif_set_queue(i->index, HOST_QUEUE_PACKETS);
        return ERR_OK;
}
