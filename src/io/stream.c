#include "io/stream.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/address_priv.h"
#include "io/linger_priv.h"
#include "io/loop_priv.h"
#include "io/stream_priv.h"
#include "io/tls_priv.h"

enum { SMALL_BYTES_MAX = 2048 };

static void run_posted(struct task *t)
{
        struct stream *s = CONTAINER_OF(t, struct stream, task);
        unsigned ready = s->posted;

        if (s->is_closing) {
                s->events->on_closed(s); /* may free it */
                return;
        }
        s->posted = 0;
        s->events->on_ready(s, ready);
}

unsigned stream_note_events(struct stream *s, unsigned events)
{
        unsigned ready = 0;

        if (events & (LOOP_HANGUP | LOOP_ERROR))
                s->peer_done = true;
        if (events & LOOP_GONE)
                s->peer_gone = true;
        if (events & (LOOP_READ | LOOP_HANGUP | LOOP_ERROR)) {
                s->may_read = true;
                ready |= STREAM_READABLE;
        }
        if (!s->may_write && events & (LOOP_WRITE | LOOP_GONE)) {
                s->may_write = true;
                ready |= STREAM_WRITABLE;
        }
        return ready;
}

static void plain_event(struct watch *w, unsigned events)
{
        struct stream *s = CONTAINER_OF(w, struct stream, watch);
        unsigned ready = stream_note_events(s, events);

        if (ready)
                s->events->on_ready(s, ready);
}

enum err stream_start(struct stream *s, struct loop *l, int fd, const struct stream_events *events,
                      loop_watch_fn *fn)
{
        enum err e = loop_add(l, &s->watch, fd, fn);

        if (e != ERR_OK) {
                close(fd);
                return e;
        }
        s->loop = l;
        s->events = events;
        s->tls = NULL;
        task_init(&s->task, run_posted);
        s->posted = 0;
        s->may_read = s->peer_done = s->peer_gone = s->is_closing = false;
        s->may_write = true;
        return ERR_OK;
}

enum err stream_open(struct stream *s, struct loop *l, int fd, const struct stream_events *events)
{
        return stream_start(s, l, fd, events, plain_event);
}

enum err stream_move(struct stream *to, struct stream *from, const struct stream_events *events)
{
        *to = *from;
        enum err e = loop_move(from->loop, &from->watch, &to->watch, from->watch.fn);

        if (e != ERR_OK)
                return e;
        to->events = events;
        task_init(&to->task, run_posted);
        loop_unpost(&from->task);
        if (to->tls)
                tls_stream_moved(to);
        from->tls = NULL;
        from->is_closing = true;
        stream_poke(to, STREAM_READABLE | from->posted); /* what came before the move was told to nobody */
        return ERR_OK;
}

enum err stream_raw_read(struct stream *s, void *bytes, size_t len, size_t *got)
{
        ssize_t n;

        if (!s->may_read)
                return ERR_AGAIN;
        n = recv(s->watch.fd, bytes, len, 0);
        if (n > 0) {
                /* A short read has emptied the socket, and more will be an event; but the end behind it may have been told
                 * already, and is then read here. */
                s->may_read = (size_t)n == len || s->peer_done;
                *got = (size_t)n;
                return ERR_OK;
        }
        if (n == 0)
                return ERR_CLOSED; /* and again at the next call */
        if (errno == EAGAIN || errno == EINTR) {
                s->may_read = errno == EINTR;
                return ERR_AGAIN;
        }
        s->peer_done = s->peer_gone = true;
        return ERR_IO;
}

/* A few small pieces cost less copied than as a vector that the kernel must read and check piece by piece. */
static ssize_t small_send(int fd, const struct iovec *parts, int parts_count)
{
        char bytes[SMALL_BYTES_MAX] UNINITIALIZED;
        size_t len = 0;

        for (int i = 0; i < parts_count; len += parts[i++].iov_len)
                if (parts[i].iov_len)
                        memcpy(bytes + len, parts[i].iov_base, parts[i].iov_len);
        return send(fd, bytes, len, MSG_NOSIGNAL);
}

enum err stream_raw_write(struct stream *s, const struct iovec *parts, int parts_count, size_t *written)
{
        size_t offered = 0;
        ssize_t n;

        if (!s->may_write)
                return ERR_AGAIN;
        parts_count = MIN(parts_count, IOV_MAX);
        for (int i = 0; i < parts_count; i++)
                offered += parts[i].iov_len;
        if (offered == 0) {
                *written = 0;
                return ERR_OK;
        }
        if (parts_count == 1) {
                n = send(s->watch.fd, parts->iov_base, parts->iov_len, MSG_NOSIGNAL);
        } else if (offered <= SMALL_BYTES_MAX) {
                n = small_send(s->watch.fd, parts, parts_count);
        } else {
                struct msghdr message = { .msg_iov = (struct iovec *)parts,
                                          .msg_iovlen = (size_t)parts_count };
                n = sendmsg(s->watch.fd, &message, MSG_NOSIGNAL);
        }
        if (n >= 0) {
                s->may_write = (size_t)n == offered;
                *written = (size_t)n;
                return ERR_OK;
        }
        if (errno == EAGAIN || errno == EINTR) {
                s->may_write = errno == EINTR;
                return ERR_AGAIN;
        }
        return errno == EPIPE ? ERR_CLOSED : ERR_IO;
}

enum err stream_read(struct stream *s, void *bytes, size_t len, size_t *got)
{
        if (s->is_closing)
                return ERR_CLOSED;
        return s->tls ? tls_stream_read(s, bytes, len, got) : stream_raw_read(s, bytes, len, got);
}

enum err stream_write(struct stream *s, const struct iovec *parts, int parts_count, size_t *written)
{
        if (s->is_closing)
                return ERR_CLOSED;
        return s->tls ? tls_stream_write(s, parts, parts_count, written)
                      : stream_raw_write(s, parts, parts_count, written);
}

bool stream_may_have_input(const struct stream *s)
{
        if (s->is_closing)
                return false;
        return s->tls ? tls_stream_may_have_input(s) : s->may_read;
}

bool stream_peer_is_done(const struct stream *s)
{
        return s->peer_done;
}

bool stream_peer_is_gone(const struct stream *s)
{
        return s->peer_gone;
}

void stream_poke(struct stream *s, unsigned ready)
{
        if (s->is_closing)
                return;
        s->posted |= (uint8_t)ready;
        loop_post(s->loop, &s->task);
}

void stream_shutdown(struct stream *s)
{
        if (s->is_closing)
                return;
        if (s->tls)
                tls_stream_shutdown(s);
        else
                shutdown(s->watch.fd,
                         SHUT_WR); /* fails only when the peer is gone, and reading will tell that */
}

void stream_close(struct stream *s, enum stream_close_how how)
{
        int fd = s->watch.fd;
        char *rest = NULL;
        size_t rest_len = 0;

        if (s->is_closing)
                return;
        s->is_closing = true;
        loop_post(s->loop, &s->task);
        if (s->tls)
                rest = tls_stream_end(s, &how, &rest_len);
        if (rest || (how == STREAM_CLOSE_LINGER && !s->peer_gone)) {
                linger_start(s->loop, &s->watch, rest, rest_len, how == STREAM_CLOSE_LINGER);
                return;
        }
        if (how == STREAM_CLOSE_RESET) {
                struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
                setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        }
        loop_remove(s->loop, &s->watch);
        close(fd);
}

struct ip stream_peer_address(const struct stream *s, uint16_t *port)
{
        union address a = { 0 };
        socklen_t len = sizeof(a);

        if (s->watch.fd < 0 || getpeername(s->watch.fd, &a.any, &len) != 0)
                a.any.sa_family = AF_UNSPEC;
        return address_ip(&a, port);
}

struct ip stream_local_address(const struct stream *s, uint16_t *port)
{
        union address a = { 0 };
        socklen_t len = sizeof(a);

        if (s->watch.fd < 0 || getsockname(s->watch.fd, &a.any, &len) != 0)
                a.any.sa_family = AF_UNSPEC;
        return address_ip(&a, port);
}
