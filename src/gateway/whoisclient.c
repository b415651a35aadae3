#include "gateway/whoisclient.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "gateway/whois_message.h"

enum { LOOK_MS = 250 };

static void done(struct whoisclient *c, struct caller_question *q, enum err e, const struct caller *who)
{
        list_remove(&q->node);
        c->waiting_count--;
        caller_answered(q, e, who);
}

/* Who waits is refused: what they asked is not known to have been heard. */
static void channel_lost(struct whoisclient *c)
{
        struct caller_question *q;
        int fd = c->watch.fd;

        if (fd >= 0) {
                loop_remove(c->loop, &c->watch);
                close(fd);
        }
        while ((q = LIST_FIRST(&c->waiting, struct caller_question, node))) /* one may forget another */
                done(c, q, ERR_UNREACHABLE, NULL);
}

static enum err ask(struct caller_asker *a, struct caller_question *q, const struct exchange_origin *o)
{
        struct whoisclient *c = CONTAINER_OF(a, struct whoisclient, asker);
        struct whois_question w;

        if (c->watch.fd < 0)
                return ERR_UNREACHABLE;
        if (c->waiting_count >= WHOISCLIENT_WAITING_MAX)
                return ERR_TOO_LARGE;
        memset(&w, 0, sizeof(w));
        w.number = ++c->number;
        w.peer = o->peer;
        w.local = o->local;
        w.peer_port = o->peer_port;
        if (send(c->watch.fd, &w, sizeof(w), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                return errno == EAGAIN || errno == ENOBUFS ? ERR_TOO_LARGE : ERR_UNREACHABLE;
        q->number = w.number;
        q->deadline = loop_now(c->loop) + WHOIS_WAIT_MS;
        if (c->waiting_count++ == 0)
                timer_set(c->loop, &c->look, loop_now(c->loop) + LOOK_MS);
        list_add_last(&c->waiting, &q->node);
        return ERR_OK;
}

static void forget(struct caller_asker *a, struct caller_question *q)
{
        struct whoisclient *c = CONTAINER_OF(a, struct whoisclient, asker);

        list_remove(&q->node);
        c->waiting_count--;
}

/* In the order of asking, and with one patience for all: the first that is not late ends the look. */
static void on_look(struct timer *t)
{
        struct whoisclient *c = CONTAINER_OF(t, struct whoisclient, look);
        mono_ms now = loop_now(c->loop);
        struct caller_question *q;

        while ((q = LIST_FIRST(&c->waiting, struct caller_question, node)) && q->deadline <= now)
                done(c, q, ERR_TIMED_OUT, NULL);
        if (c->waiting_count)
                timer_set(c->loop, t, now + LOOK_MS);
}

static void take(struct whoisclient *c, const struct whois_answer *a)
{
        const struct caller who = { a->login, a->node, a->tags, a->tags_count };

        list_for_each_safe(node, &c->waiting) {
                struct caller_question *q = CONTAINER_OF(node, struct caller_question, node);

                if (q->number == a->number) {
                        done(c, q, a->result, a->result == ERR_OK ? &who : NULL);
                        return;
                }
        }
}

static void on_answer(struct watch *w, unsigned events)
{
        struct whoisclient *c = CONTAINER_OF(w, struct whoisclient, watch);
        UNINITIALIZED char bytes[WHOIS_ANSWER_BYTES_MAX];
        struct whois_answer a;

        (void)events;
        for (;;) {
                ssize_t n = recv(w->fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);

                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return;
                if (n <= 0 || n > (ssize_t)sizeof(bytes) ||
                    whois_answer_read((struct str){ bytes, (size_t)n }, &a) != ERR_OK) {
                        channel_lost(c); /* the supervisor brings another */
                        return;
                }
                take(c, &a);
        }
}

void whoisclient_channel_set(struct whoisclient *c, int fd)
{
        channel_lost(c);
        if (loop_add_level(c->loop, &c->watch, fd, on_answer) != ERR_OK) {
                log_error("tailnet_channel_not_opened", LOG_E(ERR_NO_MEMORY));
                close(fd);
                c->watch.fd = -1;
        }
}

void whoisclient_init(struct whoisclient *c, struct loop *l, int fd)
{
        *c = (struct whoisclient){ .asker = { ask, forget }, .loop = l, .watch = { .fd = -1 } };
        list_init(&c->waiting);
        timer_init(&c->look, on_look);
        if (fd >= 0)
                whoisclient_channel_set(c, fd);
}
