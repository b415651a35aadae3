#include "io/linger_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/loop_priv.h"
#include "io/timer.h"

struct linger_conn {
        struct list node;
        struct watch watch;
        struct timer timer;
        struct loop *loop;
        size_t dropped;
};

static void linger_end(struct linger_conn *c)
{
        int fd = c->watch.fd;

        loop_remove(c->loop, &c->watch);
        timer_clear(&c->timer);
        list_remove(&c->node);
        --*loop_lingers_count(c->loop);
        close(fd);
        free(c);
}

static void drop_input(struct watch *w, unsigned events)
{
        struct linger_conn *c = CONTAINER_OF(w, struct linger_conn, watch);
        ssize_t n;

        /* MSG_TRUNC on TCP drops the bytes without copying them (tcp(7)); other sockets fill the buffer. */
        do {
                char bytes[4096];
                n = recv(w->fd, bytes, sizeof(bytes), MSG_TRUNC);
                if (n > 0)
                        c->dropped += (size_t)n;
        } while (n > 0 && c->dropped < LINGER_BYTES_MAX);
        if (n < 0 && (errno == EAGAIN || errno == EINTR) && !(events & LOOP_ERROR))
                return;
        linger_end(c);
}

static void linger_expired(struct timer *t)
{
        linger_end(CONTAINER_OF(t, struct linger_conn, timer));
}

void linger_start(struct loop *l, struct watch *w)
{
        int fd = w->fd;
        struct linger_conn *c = *loop_lingers_count(l) < LINGERS_MAX ? calloc(1, sizeof(*c)) : NULL;

        /* Moving the registration reports at once what is there already. */
        if (!c || loop_move(l, w, &c->watch, drop_input) != ERR_OK) {
                free(c);
                loop_remove(l, w);
                close(fd);
                return;
        }
        c->loop = l;
        list_add_last(loop_lingers(l), &c->node);
        ++*loop_lingers_count(l);
        timer_init(&c->timer, linger_expired);
        timer_set(l, &c->timer, loop_now(l) + LINGER_MS);
}

void linger_close_all(struct loop *l)
{
        while (!list_is_empty(loop_lingers(l)))
                linger_end(CONTAINER_OF(loop_lingers(l)->next, struct linger_conn, node));
}
