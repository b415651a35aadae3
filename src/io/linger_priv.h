/*
 * io/linger_priv.h - a closed connection that is read and dropped until its peer ends, so that our last answer is not
 * lost in a reset (RFC 9112 9.6). Belongs to the loop; the stream's owner is rid of it.
 */
#pragma once

#include "io/loop.h"

enum { LINGER_MS = 2000, LINGER_BYTES_MAX = 64 * 1024, LINGERS_MAX = 4096 };

/* Takes over the descriptor of `w`, whose sending side is shut down already. Over LINGERS_MAX it is closed at once. */
void linger_start(struct loop *l, struct watch *w);

/* Closes all, when the loop ends. */
void linger_close_all(struct loop *l);
