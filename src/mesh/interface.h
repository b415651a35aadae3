/*
 * mesh/interface.h - a WireGuard interface of this host: the engine between a TUN device and two UDP sockets.
 *
 * Does:   moves packets in batches on the loop it was given, run to completion; follows the engine's deadlines; keeps the
 *         listening port, the mark and the MTU.
 * Not:    addresses and routes of the host (mesh/setup.h), configuration texts (quick.h, uapi.h).
 * Thread: the loop's. Every queue is bounded: what does not fit waits in, and is dropped by, the kernel's own queues.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "io/loop.h"
#include "mesh/paths.h"
#include "wg/device.h"

struct mesh_interface;

/* Who brings packets to a peer's key when UDP does not pass (link/carrier.h, by way of the role). */
struct mesh_carrier {
        void (*send)(void *context, const uint8_t key[WG_KEY_BYTES],
                     struct str packet); /* NULL: there is none */
        void *context;
};

/* A TUN device that is already there, in a network that is not ours to set up (io/broker.h). */
struct mesh_host {
        int tun_fd; /* taken */
        enum err (*set_mtu)(void *context,
                            uint32_t mtu); /* NULL: there is none, make a device of this host */
        void *context;
};

struct mesh_interface_conf {
        struct str name; /* of the TUN device; may hold "%d" */
        size_t peers_max;
        uint8_t worker;
        struct mesh_carrier carrier;
        struct mesh_host host;
        void (*on_gone)(
                void *context); /* the device was deleted from outside: free the interface in a later turn */
        void (*on_changed)(void *context); /* mesh_interface_changed was called; may be NULL */
        void *context;
};

/* Makes the TUN device; no port yet. ERR_DENIED, ERR_NOT_FOUND, ERR_EXISTS, ERR_MALFORMED as tun_open; ERR_NO_MEMORY. */
MUST_USE enum err mesh_interface_new(struct loop *l, const struct mesh_interface_conf *conf,
                                     struct mesh_interface **out);
void mesh_interface_free(struct mesh_interface *i); /* free(NULL) is fine; the device goes away */

const char *mesh_interface_name(const struct mesh_interface *i);

/* To read and change; call mesh_interface_changed after a change. */
struct wg_device *mesh_interface_device(struct mesh_interface *i);
void mesh_interface_changed(struct mesh_interface *i);

/*
 * (Re)opens the sockets. 0: any port, the same for both families. ERR_EXISTS: taken, the old ones stay. A host without IPv6
 * (or IPv4) goes on with the other.
 */
MUST_USE enum err mesh_interface_listen(struct mesh_interface *i, uint16_t port);
uint16_t mesh_interface_port(const struct mesh_interface *i); /* 0: not listening */

/* On all that goes out, 0 for none. ERR_DENIED. */
MUST_USE enum err mesh_interface_set_fwmark(struct mesh_interface *i, uint32_t fwmark);
uint32_t mesh_interface_fwmark(const struct mesh_interface *i);

/* Where the device is not ours to look at (mesh_host): what its MTU is, and so the most. */
void mesh_interface_set_mtu(struct mesh_interface *i, uint16_t mtu);

/* The carrier can bring packets now, or cannot. */
void mesh_interface_set_carrier(struct mesh_interface *i, bool is_up);

/* A packet the carrier brought, from whoever has that key, as it says. Opened in place. */
void mesh_interface_carried(struct mesh_interface *i, const uint8_t key[WG_KEY_BYTES], uint8_t *packet,
                            size_t len);

/* Which way a peer is reached: "straight", "relay", "both"; NULL: it has not been in use. */
const char *mesh_interface_way(const struct mesh_interface *i, const uint8_t key[WG_KEY_BYTES]);

struct mesh_interface_stats {
        uint64_t datagrams_sent, datagrams_received, send_calls, receive_calls;
        uint64_t network_refused; /* datagrams the kernel would not send */
        uint64_t host_refused;    /* packets the host would not take */
        struct mesh_paths_stats paths;
        bool has_segment, has_receive_offload, has_host_offload, has_host_udp_offload;
};
void mesh_interface_get_stats(const struct mesh_interface *i, struct mesh_interface_stats *out);

/* The same as lines of name=value, and the way of each peer that has been in use ("way_KEY straight", relay or both). */
void mesh_interface_add_counters(const struct mesh_interface *i, struct buf *out);

/* Both clocks as the engine wants them, at this turn. */
struct wg_time mesh_interface_now(const struct mesh_interface *i);
