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
        char *rest;
        size_t rest_len, rest_at;
        size_t dropped;
        bool drains;
};

static void linger_end(struct linger_conn *c)
{
        int fd = c->watch.fd;

        loop_remove(c->loop, &c->watch);
        timer_clear(&c->timer);
        list_remove(&c->node);
        --*loop_lingers_count(c->loop);
        close(fd);
        free(c->rest);
        free(c);
}

static void linger_expired(struct timer *t)
{
        linger_end(CONTAINER_OF(t, struct linger_conn, timer));
}

/* False when it is to end. */
static bool drop_input(struct linger_conn *c)
{
        char bytes[4096];
        ssize_t n;

        /* MSG_TRUNC: TCP drops the bytes without copying them (tcp(7)). */
        while ((n = recv(c->watch.fd, bytes, sizeof(bytes), MSG_TRUNC)) > 0) {
                c->dropped += (size_t)n;
                if (c->dropped >= LINGER_BYTES_MAX)
                        return false;
        }
        return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static bool all_sent(struct linger_conn *c)
{
        c->rest_at = c->rest_len;
        shutdown(c->watch.fd, SHUT_WR);
        timer_set(c->loop, &c->timer, loop_now(c->loop) + LINGER_MS);
        return c->drains;
}

static bool send_rest(struct linger_conn *c)
{
        ssize_t n = send(c->watch.fd, c->rest + c->rest_at, c->rest_len - c->rest_at, MSG_NOSIGNAL);

        if (n < 0)
                return errno == EAGAIN || errno == EINTR;
        c->rest_at += (size_t)n;
        if (c->rest_at == c->rest_len)
                return all_sent(c);
        timer_set(c->loop, &c->timer, loop_now(c->loop) + LINGER_STALL_MS);
        return true;
}

static void linger_event(struct watch *w, unsigned events)
{
        struct linger_conn *c = CONTAINER_OF(w, struct linger_conn, watch);
        bool goes_on = !(events & LOOP_GONE) || !(events & LOOP_ERROR);

        if (goes_on && c->rest_at < c->rest_len && events & LOOP_WRITE)
                goes_on = send_rest(c);
        if (goes_on && events & (LOOP_READ | LOOP_HANGUP) && (c->drains || c->rest_at < c->rest_len))
                /* Input is dropped while sending too: a peer that sends may not read before we take it. Its end matters
                 * only once ours is out. */
                goes_on = drop_input(c) || c->rest_at < c->rest_len;
        if (!goes_on)
                linger_end(c);
}

void linger_start(struct loop *l, struct watch *w, char *rest, size_t rest_len, bool drains)
{
        int fd = w->fd;
        struct linger_conn *c = *loop_lingers_count(l) < LINGERS_MAX ? calloc(1, sizeof(*c)) : NULL;

        /* Moving the registration reports at once what is there already. */
        if (!c || loop_move(l, w, &c->watch, linger_event) != ERR_OK) {
                free(c);
                free(rest);
                loop_remove(l, w);
                close(fd);
                return;
        }
        c->loop = l;
        c->rest = rest;
        c->rest_len = rest_len;
        c->drains = drains;
        list_add_last(loop_lingers(l), &c->node);
        ++*loop_lingers_count(l);
        timer_init(&c->timer, linger_expired);
        if (rest_len)
                timer_set(l, &c->timer, loop_now(l) + LINGER_STALL_MS);
        else
                all_sent(c);
}

void linger_close_all(struct loop *l)
{
        while (!list_is_empty(loop_lingers(l)))
                linger_end(CONTAINER_OF(loop_lingers(l)->next, struct linger_conn, node));
}
