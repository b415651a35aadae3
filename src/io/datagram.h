/*
 * io/datagram.h - a connected UDP socket: one far end, whole datagrams. (Many far ends on one socket: udp.h.)
 *
 * Thread: owned by one worker.
 */
#pragma once

#include "base/str.h"
#include "io/loop.h"

struct datagram;
/* There may be something to receive; called again while there is. */
typedef void datagram_fn(struct datagram *d);

/* Embedded in its owner. */
struct datagram {
        datagram_fn *on_readable;
        /* private */
        struct loop *loop;
        struct watch watch;
        int fd;
};

enum { DATAGRAM_BYTES_MAX = 65536 };

/* Takes `fd`, also on an error. */
MUST_USE enum err datagram_open(struct datagram *d, struct loop *l, int fd, datagram_fn *on_readable);
void datagram_close(struct datagram *d); /* may be closed already */

/* One datagram of both parts. ERR_AGAIN: no room, it is lost. ERR_TOO_LARGE: no network takes it. ERR_REFUSED: nobody is there (ICMP). */
MUST_USE enum err datagram_send(struct datagram *d, struct str before, struct str bytes);
/* One into `room`, which has DATAGRAM_BYTES_MAX. ERR_AGAIN: there is none. ERR_REFUSED: nobody is there (ICMP). */
MUST_USE enum err datagram_receive(struct datagram *d, char *room, size_t *len);
