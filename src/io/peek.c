#include "io/peek.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

static void peek_end(struct peek *p)
{
        loop_remove(p->loop, &p->watch);
        timer_clear(&p->timer);
}

static void on_readable(struct watch *w, unsigned events)
{
        struct peek *p = CONTAINER_OF(w, struct peek, watch);
        char bytes[PEEK_BYTES_MAX];
        ssize_t got = recv(p->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
        enum err e = got < 0 ? err_from_errno(errno) : got == 0 ? ERR_CLOSED : ERR_OK;

        (void)events;
        if (e == ERR_AGAIN)
                return;
        /* Nothing new, and nothing more will come: the end does not show while unread bytes are before it. */
        if (e == ERR_OK && (size_t)got == p->seen)
                e = p->seen == sizeof(bytes)                ? ERR_TOO_LARGE
                    : (events & (LOOP_HANGUP | LOOP_ERROR)) ? ERR_CLOSED
                                                            : ERR_AGAIN;
        if (e == ERR_AGAIN)
                return;
        if (e != ERR_OK) {
                peek_end(p);
                p->fn(p, e, STR_NULL);
                return;
        }
        p->seen = (size_t)got;
        p->fn(p, ERR_OK, (struct str){ bytes, (size_t)got });
}

static void on_timeout(struct timer *t)
{
        struct peek *p = CONTAINER_OF(t, struct peek, timer);

        peek_end(p);
        p->fn(p, ERR_TIMED_OUT, STR_NULL);
}

enum err peek_start(struct peek *p, struct loop *l, int fd, int64_t timeout_ms, peek_fn *fn)
{
        enum err e;

        *p = (struct peek){ .fn = fn, .loop = l, .fd = fd, .watch = { .fd = -1 } };
        timer_init(&p->timer, on_timeout);
        if ((e = loop_add(l, &p->watch, fd, on_readable)) != ERR_OK)
                return e;
        timer_set(l, &p->timer, loop_now(l) + timeout_ms);
        return ERR_OK;
}

enum err peek_take(struct peek *p, size_t len)
{
        char bytes[PEEK_BYTES_MAX];

        assert(len <= sizeof(bytes));
        peek_end(p);
        ssize_t got = recv(p->fd, bytes, len, MSG_DONTWAIT);
        return got == (ssize_t)len ? ERR_OK : ERR_IO;
}

void peek_cancel(struct peek *p)
{
        if (p->watch.fd >= 0)
                peek_end(p);
}
