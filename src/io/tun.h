/*
 * io/tun.h - a TUN device: IP packets to and from the host's own stack, large ones whole.
 *
 * With offloads the kernel hands over TCP and UDP runs of up to 64 KiB as one packet, and takes the same back (virtio's
 * fields). Which offloads it has is probed. Thread: owned by one worker. Source: Documentation/networking/tuntap.rst.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/uio.h>

#include "base/str.h"
#include "io/loop.h"

enum { TUN_NAME_MAX = 16, TUN_PACKET_MAX = 65535, TUN_READ_BYTES = TUN_PACKET_MAX + 64 };

struct tun;
typedef void tun_fn(struct tun *t);

/* Embedded in its owner. */
struct tun {
        tun_fn *on_readable; /* until tun_read gives ERR_AGAIN; a bound may be kept: it is called again */
        tun_fn *on_gone;     /* the device was deleted */
        char name[TUN_NAME_MAX];
        bool has_offload, has_udp_offload;
        uint64_t refused; /* packets the host would not take */
        /* private */
        struct loop *loop;
        struct watch watch;
        int fd;
        bool is_paused;
};

/*
 * Makes the device, or opens one made before (ip tuntap add). `name` may hold "%d". ERR_DENIED: needs CAP_NET_ADMIN;
 * ERR_NOT_FOUND: no /dev/net/tun; ERR_EXISTS: in use, or not a TUN device; ERR_MALFORMED: not a device name.
 */
MUST_USE enum err tun_open(struct tun *t, struct str name);
/* Takes the descriptor of a device that was made by tun_open elsewhere, in another network namespace perhaps. */
void tun_take(struct tun *t, int fd, struct str name);
void tun_close(struct tun *t); /* may be closed already; the device goes away unless it is persistent */

MUST_USE enum err tun_start(struct tun *t, struct loop *l, tun_fn *on_readable, tun_fn *on_gone);

/* Stops or goes on asking for packets: while the other side is full, they wait in the kernel's queue. */
void tun_pause(struct tun *t, bool is_paused);

/* What virtio says about a packet. Zero for an ordinary complete one. */
enum tun_gso { TUN_GSO_NONE, TUN_GSO_TCP4, TUN_GSO_TCP6, TUN_GSO_UDP };
struct tun_offload {
        enum tun_gso gso;
        uint16_t segment_bytes, header_bytes; /* with gso */
        bool needs_checksum;                  /* the field holds the pseudo header's sum only */
        uint16_t checksum_start, checksum_offset;
};

/*
 * Reads one packet into `memory` (TUN_READ_BYTES). ERR_AGAIN: none there; ERR_CLOSED: the device is gone; ERR_MALFORMED:
 * the kernel gave a form that was not asked for; read on.
 */
MUST_USE enum err tun_read(struct tun *t, uint8_t *memory, struct tun_offload *offload, struct str *packet);

/* slices[0] is left free by the caller for the header this function adds; `slices_count` counts it. Not sent is dropped. */
void tun_write(struct tun *t, const struct tun_offload *offload, struct iovec *slices, size_t slices_count);
