/*
 * io/linger_priv.h - a closed connection whose last bytes are still to be sent, or that is read and dropped until its peer
 * ends, so that our last answer is not lost in a reset (RFC 9112 9.6). Belongs to the loop; the stream's owner is rid of it.
 */
#pragma once

#include "io/loop.h"

enum {
        LINGER_MS = 2000,        /* reading to the peer's end */
        LINGER_STALL_MS = 30000, /* sending: the longest time without progress */
        LINGER_BYTES_MAX = 64 * 1024,
        LINGERS_MAX = 4096,
};

/*
 * Takes over the descriptor of `w`, and `rest` (from malloc, may be NULL): sends it, shuts the sending side down, and, when
 * `drains`, reads to the peer's end. Over LINGERS_MAX everything is closed at once.
 */
void linger_start(struct loop *l, struct watch *w, char *rest, size_t rest_len, bool drains);

/* Closes all, when the loop ends. */
void linger_close_all(struct loop *l);
