/*
 * io/peek.h - the first bytes of a connection, looked at before anybody owns it.
 *
 * What is looked at stays in the socket until it is taken by peek_take, so that a stream opened afterwards begins exactly
 * behind it. Thread: the loop's.
 */
#pragma once

#include "base/str.h"
#include "io/timer.h"

enum { PEEK_BYTES_MAX = 16 * 1024 };

struct peek;

/*
 * More bytes are there than at the call before (`bytes` are all of them, borrowed), or `e` is not ERR_OK: ERR_CLOSED,
 * ERR_IO, ERR_TIMED_OUT, ERR_TOO_LARGE (PEEK_BYTES_MAX are there and more was wanted). After an error, and after peek_take,
 * nothing follows and the memory is the owner's.
 */
typedef void peek_fn(struct peek *p, enum err e, struct str bytes);

/* Embedded in its owner. */
struct peek {
        peek_fn *fn;
        /* private */
        struct loop *loop;
        struct watch watch;
        struct timer timer;
        size_t seen;
        int fd;
};

/* `fd` stays the caller's. ERR_NO_MEMORY: no call follows. */
MUST_USE
enum err peek_start(struct peek *p, struct loop *l, int fd, int64_t timeout_ms, peek_fn *fn);

/* Takes the first `len` bytes out of the socket and ends the looking. ERR_IO when they are not there any more. */
MUST_USE
enum err peek_take(struct peek *p, size_t len);
void peek_cancel(struct peek *p);
