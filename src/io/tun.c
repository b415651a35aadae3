#include "io/tun.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "io/loop_priv.h"

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

static void probe(struct tun *t)
{
        unsigned tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;

        t->has_udp_offload = ioctl(t->fd, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) == 0;
        t->has_offload = t->has_udp_offload || ioctl(t->fd, TUNSETOFFLOAD, tcp) == 0;
}

enum err tun_open(struct tun *t, struct str name)
{
        struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };
        enum err e;

        memset(t, 0, sizeof(*t));
        t->watch.fd = t->fd = -1;
        if (name.len == 0 || name.len >= TUN_NAME_MAX || str_find_char(name, '/') != STR_NONE)
                return ERR_MALFORMED;
        memcpy(request.ifr_name, name.ptr, name.len);
        t->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (t->fd < 0)
                return errno == ENXIO || errno == ENODEV ? ERR_NOT_FOUND : err_from_errno(errno);
        if (ioctl(t->fd, TUNSETIFF, &request) < 0) {
                e = errno == EPERM                      ? ERR_DENIED
                    : errno == EBUSY || errno == EINVAL ? ERR_EXISTS
                                                        : err_from_errno(errno);
                close(t->fd);
                t->fd = -1;
                return e;
        }
        memcpy(t->name, request.ifr_name, sizeof(t->name));
        t->name[TUN_NAME_MAX - 1] = '\0';
        probe(t);
        return ERR_OK;
}

void tun_take(struct tun *t, int fd, struct str name)
{
        memset(t, 0, sizeof(*t));
        t->watch.fd = -1;
        t->fd = fd;
        memcpy(t->name, name.ptr, MIN(name.len, sizeof(t->name) - 1));
        probe(t);
}

void tun_close(struct tun *t)
{
        if (t->fd < 0)
                return;
        if (t->loop)
                loop_remove(t->loop, &t->watch);
        close(t->fd);
        t->fd = -1;
}

static void on_event(struct watch *w, unsigned events)
{
        struct tun *t = CONTAINER_OF(w, struct tun, watch);

        if (events & LOOP_GONE)
                t->on_gone(t);
        else if (events & LOOP_READ)
                t->on_readable(t);
}

enum err tun_start(struct tun *t, struct loop *l, tun_fn *on_readable, tun_fn *on_gone)
{
        t->loop = l;
        t->on_readable = on_readable;
        t->on_gone = on_gone;
        return loop_want_level(l, &t->watch, t->fd, on_event, true, false);
}

void tun_pause(struct tun *t, bool is_paused)
{
        if (t->is_paused == is_paused || !t->loop)
                return;
        if (loop_want_level(t->loop, &t->watch, t->fd, on_event, !is_paused, false) == ERR_OK)
                t->is_paused = is_paused;
}

static bool offload_of_header(const struct virtio_net_hdr *h, struct tun_offload *o)
{
        *o = (struct tun_offload){ .needs_checksum = h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                   .checksum_start = h->csum_start,
                                   .checksum_offset = h->csum_offset,
                                   .segment_bytes = h->gso_size,
                                   .header_bytes = h->hdr_len };
        switch (h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
        case VIRTIO_NET_HDR_GSO_NONE: o->gso = TUN_GSO_NONE; return true;
        case VIRTIO_NET_HDR_GSO_TCPV4: o->gso = TUN_GSO_TCP4; return o->needs_checksum;
        case VIRTIO_NET_HDR_GSO_TCPV6: o->gso = TUN_GSO_TCP6; return o->needs_checksum;
        case VIRTIO_NET_HDR_GSO_UDP_L4: o->gso = TUN_GSO_UDP; return o->needs_checksum;
        default: return false;
        }
}

enum err tun_read(struct tun *t, uint8_t *memory, struct tun_offload *offload, struct str *packet)
{
        struct virtio_net_hdr header;
        ssize_t n;

        do
                n = read(t->fd, memory, TUN_READ_BYTES);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EBADFD ? ERR_CLOSED : err_from_errno(errno);
        if ((size_t)n < sizeof(header))
                return ERR_MALFORMED;
        memcpy(&header, memory, sizeof(header));
        *packet = (struct str){ (char *)memory + sizeof(header), (size_t)n - sizeof(header) };
        return offload_of_header(&header, offload) ? ERR_OK : ERR_MALFORMED;
}

void tun_write(struct tun *t, const struct tun_offload *o, struct iovec *slices, size_t slices_count)
{
        static const uint8_t gso[] = {
                [TUN_GSO_NONE] = VIRTIO_NET_HDR_GSO_NONE,
                [TUN_GSO_TCP4] = VIRTIO_NET_HDR_GSO_TCPV4,
                [TUN_GSO_TCP6] = VIRTIO_NET_HDR_GSO_TCPV6,
                [TUN_GSO_UDP] = VIRTIO_NET_HDR_GSO_UDP_L4,
        };
        struct virtio_net_hdr header = { 0 };

        assert(slices_count >= 2 && slices_count <= 1024);
        if (o->needs_checksum) {
                header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
                header.csum_start = o->checksum_start;
                header.csum_offset = o->checksum_offset;
        }
        if (o->gso != TUN_GSO_NONE) {
                header.gso_type = gso[o->gso];
                header.gso_size = o->segment_bytes;
                header.hdr_len = o->header_bytes;
        }
        slices[0] = (struct iovec){ &header, sizeof(header) };
        if (writev(t->fd, slices, (int)slices_count) < 0)
                t->refused++;
}
