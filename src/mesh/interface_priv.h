/*
 * mesh/interface_priv.h - what interface.c (life, time), interface_ports.c (the network's side) and interface_host.c share.
 */
#pragma once

#include "io/timer.h"
#include "io/tun.h"
#include "io/udp.h"
#include "mesh/interface.h"
#include "wg/coalesce.h"

enum {
        INTERFACE_ARRIVALS_MAX = 16, /* taken by one call */
        INTERFACE_DEFAULT_MTU = 1420,
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

/* The engine's time passes: sends what it wants sent, sets the next deadline. The last of what an event does. */
void mesh_interface_tick(struct mesh_interface *i);

/* Datagrams to the engine, what comes out to the host. */
void mesh_interface_take_in(struct mesh_interface *i, const struct wg_arrival *arrivals, size_t count);

/* ---- interface_ports.c ---- */
/* Sends the outbox, or as much as the sockets take: is_blocked says that some is left. */
void mesh_interface_flush(struct mesh_interface *i);
/* One datagram of the paths', past the outbox. */
void mesh_interface_send_probe(void *context, const struct wg_endpoint *to, const uint8_t *bytes, size_t len);

/* ---- interface_host.c ---- */
/* Makes the device, or takes the one that conf brings. */
MUST_USE enum err mesh_interface_host_init(struct mesh_interface *i, const struct mesh_interface_conf *conf);
/* Writes what the engine put into the inbox, and empties it. */
void mesh_interface_to_host(struct mesh_interface *i);
/* False: no room in the outbox; the host is paused and the frame's memory must stay as it is (`pending`). */
bool mesh_interface_from_host(struct mesh_interface *i, const struct wg_frame *frame);
void mesh_interface_change_mtu(void *context, uint16_t mtu);
void mesh_interface_on_packets(struct tun *t);
void mesh_interface_on_tun_gone(struct tun *t);
