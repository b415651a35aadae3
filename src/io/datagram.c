#include "io/datagram.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/loop_priv.h"

static void on_event(struct watch *w, unsigned events)
{
        struct datagram *d = CONTAINER_OF(w, struct datagram, watch);

        (void)events; /* an error is given out by the next receive */
        d->on_readable(d);
}

enum err datagram_open(struct datagram *d, struct loop *l, int fd, datagram_fn *on_readable)
{
        *d = (struct datagram){ .on_readable = on_readable, .loop = l, .watch = { .fd = -1 }, .fd = fd };
        enum err e = loop_want_level(l, &d->watch, fd, on_event, true, false);

        if (e != ERR_OK)
                datagram_close(d);
        return e;
}

void datagram_close(struct datagram *d)
{
        if (d->fd < 0)
                return;
        loop_remove(d->loop, &d->watch);
        close(d->fd);
        d->fd = -1;
}

static enum err result_of(int error)
{
        switch (error) {
        case EAGAIN:
        case ENOBUFS: return ERR_AGAIN;
        case EMSGSIZE: return ERR_TOO_LARGE;
        case ECONNREFUSED:
        case EHOSTUNREACH:
        case ENETUNREACH: return ERR_REFUSED;
        default: return err_from_errno(error);
        }
}

enum err datagram_send(struct datagram *d, struct str before, struct str bytes)
{
        struct iovec parts[2] = { { (void *)(uintptr_t)before.ptr, before.len },
                                  { (void *)(uintptr_t)bytes.ptr, bytes.len } };
        struct msghdr m = { .msg_iov = parts, .msg_iovlen = 2 };
        ssize_t sent;

        do {
                sent = sendmsg(d->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
        } while (sent < 0 && errno == EINTR);
        return sent < 0 ? result_of(errno) : ERR_OK;
}

enum err datagram_receive(struct datagram *d, char *room, size_t *len)
{
        ssize_t got;

        do {
                got = recv(d->fd, room, DATAGRAM_BYTES_MAX, MSG_DONTWAIT);
        } while (got < 0 && errno == EINTR);
        if (got < 0)
                return result_of(errno);
        *len = (size_t)got;
        return ERR_OK;
}
