#include "io/dial.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "io/address_priv.h"

enum { EPHEMERAL_PORT_LEAST = 32768 };

static enum err result_of(int error)
{
        switch (error) {
        case ECONNREFUSED:
        case ECONNRESET:
        case EAGAIN: /* a Unix socket whose backlog is full */ return ERR_REFUSED;
        case ETIMEDOUT: return ERR_TIMED_OUT;
        case ENOMEM:
        case ENOBUFS:
        case EMFILE:
        case ENFILE: return ERR_NO_MEMORY;
        default: return ERR_UNREACHABLE; /* no route, no local port, filtered, no such socket file */
        }
}

/*
 * A port of the ephemeral range that nobody listens on may be chosen for our own end, and TCP then connects the socket
 * to itself (simultaneous open, RFC 9293 3.5). An answer to ourselves is no upstream.
 */
static bool is_own_echo(int fd)
{
        union address here = { 0 }, there = { 0 };
        socklen_t here_len = sizeof(here), there_len = sizeof(there);
        uint16_t here_port, there_port;

        if (getsockname(fd, &here.any, &here_len) != 0 || getpeername(fd, &there.any, &there_len) != 0)
                return false;
        struct ip here_ip = address_ip(&here, &here_port), there_ip = address_ip(&there, &there_port);
        return here_ip.family != 0 && here_port == there_port && ip_eq(here_ip, there_ip);
}

/* Tells the outcome. Last act on `d`. */
static void finish(struct dial *d, enum err e)
{
        int fd = d->fd;

        loop_remove(d->loop, &d->watch);
        timer_clear(&d->timer);
        d->fd = -1;
        if (e == ERR_OK && d->check_echo && is_own_echo(fd))
                e = ERR_REFUSED;
        if (e != ERR_OK && fd >= 0) {
                close(fd);
                fd = -1;
        }
        d->fn(d, e, fd);
}

static void connected(struct watch *w, unsigned events)
{
        struct dial *d = CONTAINER_OF(w, struct dial, watch);
        int error = 0;
        socklen_t len = sizeof(error);

        if (!(events & (LOOP_WRITE | LOOP_ERROR | LOOP_HANGUP)))
                return;
        if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
                error = errno;
        finish(d, error ? result_of(error) : ERR_OK);
}

static void expired(struct timer *t)
{
        finish(CONTAINER_OF(t, struct dial, timer), ERR_TIMED_OUT);
}

static void known_at_once(struct task *t)
{
        struct dial *d = CONTAINER_OF(t, struct dial, task);

        finish(d, d->result);
}

static int open_socket(const struct dial_target *target)
{
        int yes = 1;
        int family = target->ip.family == 0 ? AF_UNIX : target->ip.family == 4 ? AF_INET : AF_INET6;
        int kind = target->is_datagram && family != AF_UNIX ? SOCK_DGRAM : SOCK_STREAM;
        int fd = socket(family, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0 || family == AF_UNIX)
                return fd;
        if (kind == SOCK_STREAM)
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
        if (target->fwmark)
                (void)setsockopt(fd, SOL_SOCKET, SO_MARK, &target->fwmark, sizeof(target->fwmark));
        if (target->source.family != 0) {
                union address source;
                socklen_t len = address_of_ip(&source, target->source, 0);
                /* The port is chosen at connect, so that one port serves many destinations. */
                setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
                if (bind(fd, &source.any, len) != 0) {
                        int error = errno;
                        close(fd);
                        errno = error;
                        return -1;
                }
        }
        return fd;
}

/* ERR_AGAIN: under way. `fd`: -1, make one. */
static enum err start(struct dial *d, const struct dial_target *target, int fd)
{
        union address address;
        socklen_t len;
        enum err e;

        d->fd = fd;
        if (target->ip.family != 0)
                len = address_of_ip(&address, target->ip, target->port);
        else if (address_of_path(&address, target->path, &len) != ERR_OK)
                return ERR_UNREACHABLE;
        if (d->fd < 0 && (d->fd = open_socket(target)) < 0)
                return result_of(errno);
        if (connect(d->fd, &address.any, len) == 0)
                return ERR_OK;
        if (errno != EINPROGRESS)
                return result_of(errno);
        e = loop_add(d->loop, &d->watch, d->fd, connected);
        return e == ERR_OK ? ERR_AGAIN : ERR_NO_MEMORY;
}

static void begin(struct dial *d, struct loop *l, int fd, const struct dial_target *target,
                  int64_t timeout_ms, dial_fn *fn)
{
        d->fn = fn;
        d->loop = l;
        d->watch.fd = -1;
        d->check_echo = ip_is_loopback(target->ip) && target->port >= EPHEMERAL_PORT_LEAST;
        timer_init(&d->timer, expired);
        task_init(&d->task, known_at_once);
        d->result = start(d, target, fd);
        if (d->result == ERR_AGAIN)
                timer_set(l, &d->timer, loop_now(l) + timeout_ms);
        else
                loop_post(l, &d->task);
}

void dial_start(struct dial *d, struct loop *l, const struct dial_target *target, int64_t timeout_ms,
                dial_fn *fn)
{
        begin(d, l, -1, target, timeout_ms, fn);
}

void dial_start_on(struct dial *d, struct loop *l, int fd, const struct dial_target *target,
                   int64_t timeout_ms, dial_fn *fn)
{
        int yes = 1;

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
        begin(d, l, fd, target, timeout_ms, fn);
}

void dial_cancel(struct dial *d)
{
        if (d->fd < 0 && list_is_empty(&d->task.node))
                return;
        loop_remove(d->loop, &d->watch);
        timer_clear(&d->timer);
        loop_unpost(&d->task);
        if (d->fd >= 0)
                close(d->fd);
        d->fd = -1;
}
