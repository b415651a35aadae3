/*
 * io/listener.h - sockets that accept. The supervisor opens them (one a worker, SO_REUSEPORT), a worker accepts.
 */
#pragma once

#include "base/ip.h"
#include "io/timer.h"

struct listen_address {
        struct ip ip;     /* family 0: a Unix socket at `path` */
        uint16_t port;    /* 0: the kernel chooses */
        struct str path;  /* borrowed from the text that was parsed */
        bool is_datagram; /* UDP; nothing is accepted there (udp.h) */
        bool is_handed;   /* `path` is the name of a socket that the service manager opens (io/service.h) */
        bool is_later; /* `path` says whose address it will be, which is not known now: nothing can be bound to it */
};

enum { LISTEN_ADDRESS_TEXT_MAX = 128 };

/* "127.0.0.1:3000", "[::1]:3000", ":3000" (every address, IPv6 and IPv4), "unix:/run/sekisho.sock",
 * "systemd:NAME" (FileDescriptorName= of a socket unit), "udp:0.0.0.0:5353", "udp:[::]:5353" (IPv6 alone). */
MUST_USE
enum err listen_address_parse(struct str text, struct listen_address *out);
struct str listen_address_format(const struct listen_address *a, char out[LISTEN_ADDRESS_TEXT_MAX]);

/* Whether both could not be listened on at once by two who do not know of each other: the same, or one is every address of the port. */
bool listen_address_overlaps(const struct listen_address *a, const struct listen_address *b);

/*
 * A bound, listening, non-blocking, close-on-exec socket. ERR_EXISTS: in use. ERR_DENIED: a port below 1024. An IPv6
 * address other than :: is IPV6_V6ONLY; :: takes IPv4 too (and is 0.0.0.0 where the system has no IPv6). A stale Unix
 * socket file is replaced, a live one is not. With reuse_port, sockets of the same user that also ask for it share the
 * port: whether another program has it is seen by opening once without. ERR_NOT_FOUND: only a service manager opens it.
 * A socket of datagrams does not listen, and is IPV6_V6ONLY always.
 */
MUST_USE
enum err listen_socket_open(const struct listen_address *a, bool reuse_port, int *fd_out);

/* What a listening stream socket, or one of datagrams, is bound to; a path is put into `place`. ERR_NOT_FOUND: it is no such socket. */
MUST_USE
enum err listen_socket_address(int fd, struct listen_address *out, char place[108]);

struct listener;
/* Takes the connection's descriptor (non-blocking, close-on-exec). May stop the listener. */
typedef void listener_accept_fn(struct listener *l, int fd);

/* Embedded in its owner. Keeps a spare descriptor: when none are left, a connection is accepted and closed and accepting
 * pauses 100 ms (`paused_count` goes up), so that the loop does not spin. */
struct listener {
        listener_accept_fn *fn;
        uint64_t accepted_count, paused_count;
        struct ip peer; /* of the connection being given, during fn; family 0: a Unix socket */
        uint16_t peer_port;
        /* private */
        struct watch watch;
        struct loop *loop;
        bool is_held;
        int listen_fd, spare_fd;
        unsigned batch; /* how many to accept an event */
        struct timer timer;
};

MUST_USE
enum err listener_start(struct listener *l, struct loop *loop, int listen_fd, listener_accept_fn *fn);
void listener_hold(struct listener *l,
                   bool is_held);       /* connections wait in the kernel meanwhile; repeatable */
void listener_stop(struct listener *l); /* stops accepting; the listening descriptor stays the caller's */
