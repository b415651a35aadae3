/*
 * io/udp.h - a UDP socket that moves runs of datagrams: UDP_SEGMENT out, UDP_GRO and recvmmsg in, each probed and done
 * without where the kernel has it not. Carries ECN and DSCP, and which of our addresses a datagram came to.
 *
 * One socket a family. Thread: owned by one worker. Source: udp(7), ip(7), ipv6(7).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "io/loop.h"

struct udp;
typedef void udp_fn(struct udp *u);

struct udp_stats {
        uint64_t datagrams_sent, datagrams_received, calls_sent, calls_received;
        uint64_t refused; /* datagrams the kernel would not send: no route, too large, not permitted */
};

/* Embedded in its owner. */
struct udp {
        udp_fn *on_readable; /* at the socket until udp_receive gives ERR_AGAIN; a bound may be kept: it is called again */
        udp_fn *on_writable; /* once, after udp_send gave ERR_AGAIN */
        void *context;       /* the owner's */
        struct udp_stats stats;
        /* private */
        struct loop *loop;
        struct watch watch;
        int fd, family;
        bool has_segment, has_gro, wants_write;
};

struct udp_conf {
        int family;          /* 4 or 6; a socket for 6 takes no IPv4 */
        struct ip bind;      /* family 0: every address */
        uint16_t port;       /* 0: the kernel chooses */
        uint32_t fwmark;     /* 0: none */
        size_t buffer_bytes; /* of the kernel's queues, each way, where it permits; 0: as it is */
};

/* Not yet watched. ERR_EXISTS: the port is taken; ERR_UNSUPPORTED: no such family here; ERR_DENIED: the mark or port. */
MUST_USE enum err udp_open(struct udp *u, const struct udp_conf *conf);
void udp_close(struct udp *u); /* may be closed already */

/* A bound socket that was opened by another (listener.h). Takes `fd`, also on an error. ERR_NOT_FOUND: it is none. Not yet watched. */
MUST_USE enum err udp_adopt(struct udp *u, int fd);

/* What it is bound to. */
MUST_USE enum err udp_address(const struct udp *u, struct ip *ip, uint16_t *port);

/* Begins to call on_readable and on_writable. */
MUST_USE enum err udp_start(struct udp *u, struct loop *l, udp_fn *on_readable, udp_fn *on_writable);

uint16_t udp_port(const struct udp *u);
MUST_USE enum err udp_set_fwmark(struct udp *u, uint32_t fwmark);

/* Datagrams of one size for one address, one behind the other; the last may be shorter. */
struct udp_burst {
        const uint8_t *bytes;
        size_t len, datagram_bytes; /* at most 64 datagrams, 65507 bytes */
        struct ip to;
        uint16_t port;
        uint32_t scope;            /* interface of a link-local address, else 0 */
        struct ip source;          /* family 0: the kernel chooses */
        uint32_t source_interface; /* 0: the kernel chooses */
        uint8_t tos;
};

/*
 * Sends bursts in order; *sent says how many are done with. ERR_AGAIN: the kernel's queue is full, on_writable will be
 * called; try the rest then. A burst the network cannot take is dropped and counted, as the network would.
 * ERR_NOT_FOUND: the burst after the last sent names a source address that is ours no more: send it without.
 */
MUST_USE enum err udp_send(struct udp *u, const struct udp_burst *bursts, size_t bursts_count, size_t *sent);

/* What one receive gave: one datagram, or several of one size from one address. */
struct udp_arrival {
        uint8_t *bytes;
        size_t len, datagram_bytes;
        struct ip from;
        uint16_t port;
        uint32_t scope;
        struct ip to; /* which of our addresses; family 0: unknown */
        uint32_t interface;
        uint8_t tos;
};

enum { UDP_ARRIVAL_BYTES = 65536, UDP_ARRIVALS_MAX = 16 };

/*
 * Receives up to arrivals_max (at most UDP_ARRIVALS_MAX), each into UDP_ARRIVAL_BYTES of `memory`, in one call.
 * ERR_AGAIN: nothing there. An error the kernel reports about an earlier datagram is passed over.
 */
MUST_USE enum err udp_receive(struct udp *u, uint8_t *memory, struct udp_arrival *arrivals,
                              size_t arrivals_max, size_t *count);
