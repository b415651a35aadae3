/*
 * io/dial.h - one connection attempt to an address, non-blocking.
 *
 * Gives a connected descriptor to be opened as a stream. Tries one address; trying the next is the caller's decision
 * (it knows which addresses it may use).
 */
#pragma once

#include "base/ip.h"
#include "io/timer.h"

struct dial;
/* ERR_OK: fd is connected (TCP_NODELAY set) and the callee's. Else fd is -1: ERR_REFUSED, ERR_TIMED_OUT, ERR_UNREACHABLE, ERR_NO_MEMORY. */
typedef void dial_fn(struct dial *d, enum err e, int fd);

/* Embedded in the asker; lives until fn was called (and may be freed in it) or dial_cancel. */
struct dial {
        dial_fn *fn;
        /* private */
        struct loop *loop;
        struct watch watch;
        struct timer timer;
        struct task task;
        int fd; /* -1: ended */
        bool check_echo;
        enum err result;
};

struct dial_target {
        struct ip ip; /* family 0: Unix socket at `path` */
        uint16_t port;
        struct str path;
        bool is_datagram; /* UDP: "connected" says only who is meant */
        struct ip source; /* family 0: the kernel chooses */
        uint32_t fwmark;  /* SO_MARK, 0: none. Without CAP_NET_ADMIN the attempt goes on without it */
};

/* fn is called in a later turn, never inside this call. */
void dial_start(struct dial *d, struct loop *l, const struct dial_target *target, int64_t timeout_ms,
                dial_fn *fn);
/* The same over a socket that somebody else made, in another network perhaps (io/broker.h): non-blocking; takes fd. Of `target`
 * address and port count. */
void dial_start_on(struct dial *d, struct loop *l, int fd, const struct dial_target *target,
                   int64_t timeout_ms, dial_fn *fn);
void dial_cancel(struct dial *d); /* no call will come; may have ended already */
