#include "io/mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A datagram: the kind, in the machine's byte order (both ends are on this machine), then the body. */
enum { KIND_BYTES = sizeof(uint32_t), BATCH_MAX = 32 };

enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3 */
#define MFD_NOEXEC_SEAL 0x0008U
#endif

union control {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * MAILBOX_FDS_MAX)];
};

enum err mailbox_pair(int fds[2])
{
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
                return err_from_errno(errno);
        return ERR_OK;
}

static size_t take_fds(struct msghdr *message, int fds[MAILBOX_FDS_MAX])
{
        size_t count = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
                size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                n = MIN(n, MAILBOX_FDS_MAX - count);
                memcpy(fds + count, CMSG_DATA(c), n * sizeof(int));
                count += n;
        }
        return count;
}

static void close_all(const int *fds, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
}

/* The other process is gone, or says what no honest one would: either way there is nobody to talk to. */
static void end(struct mailbox *m)
{
        mailbox_close(m);
        m->on_closed(m); /* may free it */
}

static void receive(struct watch *w, unsigned events)
{
        struct mailbox *m = CONTAINER_OF(w, struct mailbox, watch);

        for (int i = 0; i < BATCH_MAX && w->fd >= 0; i++) {
                char bytes[KIND_BYTES + MAILBOX_BODY_BYTES_MAX];
                union control control;
                int fds[MAILBOX_FDS_MAX];
                struct iovec part = { bytes, sizeof(bytes) };
                struct msghdr message = { .msg_iov = &part,
                                          .msg_iovlen = 1,
                                          .msg_control = control.bytes,
                                          .msg_controllen = sizeof(control.bytes) };
                uint32_t kind;
                ssize_t n = recvmsg(w->fd, &message, MSG_CMSG_CLOEXEC);

                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return;
                size_t count = n < 0 ? 0 : take_fds(&message, fds);
                /* MSG_CTRUNC: no descriptor was left for what was sent. */
                if (n < (ssize_t)KIND_BYTES || message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
                        close_all(fds, count);
                        end(m);
                        return;
                }
                memcpy(&kind, bytes, sizeof(kind));
                m->on_message(m, kind, (struct str){ bytes + KIND_BYTES, (size_t)n - KIND_BYTES }, fds,
                              count);
                close_all(fds, count);
        }
}

enum err mailbox_open(struct mailbox *m, struct loop *l, int fd, mailbox_message_fn *on_message,
                      mailbox_closed_fn *on_closed)
{
        enum err e = loop_add_level(l, &m->watch, fd, receive);

        m->on_message = on_message;
        m->on_closed = on_closed;
        m->loop = l;
        if (e != ERR_OK)
                close(fd);
        return e;
}

void mailbox_close(struct mailbox *m)
{
        int fd = m->watch.fd;

        if (fd < 0)
                return;
        loop_remove(m->loop, &m->watch);
        close(fd);
}

void mailbox_forget(struct mailbox *m)
{
        if (m->watch.fd >= 0)
                close(m->watch.fd);
        m->watch.fd = -1;
}

enum err mailbox_send(struct mailbox *m, uint32_t kind, struct str body, const int *fds, size_t fds_count)
{
        union control control = { 0 };
        struct iovec parts[2] = { { &kind, sizeof(kind) }, { (char *)(uintptr_t)body.ptr, body.len } };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

        if (m->watch.fd < 0)
                return ERR_CLOSED;
        if (body.len > MAILBOX_BODY_BYTES_MAX || fds_count > MAILBOX_FDS_MAX)
                return ERR_TOO_LARGE;
        if (fds_count) {
                message.msg_control = control.bytes;
                message.msg_controllen = CMSG_SPACE(sizeof(int) * fds_count);
                struct cmsghdr *c = CMSG_FIRSTHDR(&message);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int) * fds_count);
                memcpy(CMSG_DATA(c), fds, sizeof(int) * fds_count);
        }
        if (sendmsg(m->watch.fd, &message, MSG_NOSIGNAL) >= 0)
                return ERR_OK;
        switch (errno) {
        case EAGAIN:
        case EINTR:
        case ENOBUFS:
        case ETOOMANYREFS: /* too many descriptors on their way */ return ERR_AGAIN;
        default: return err_from_errno(errno);
        }
}

enum err mailbox_memfd(struct str content, int *fd_out)
{
        int fd = memfd_create("mailbox", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

        if (fd < 0 && errno == EINVAL)
                fd = memfd_create("mailbox", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return err_from_errno(errno);
        while (content.len) {
                ssize_t n = write(fd, content.ptr, content.len);
                if (n < 0) {
                        enum err e = err_from_errno(errno);
                        close(fd);
                        return e;
                }
                content = str_from(content, (size_t)n);
        }
        if (fcntl(fd, F_ADD_SEALS, SEALS) != 0) {
                close(fd);
                return ERR_IO;
        }
        *fd_out = fd;
        return ERR_OK;
}

enum err mailbox_map(int fd, size_t bytes_max, struct str *out)
{
        int seals = fcntl(fd, F_GET_SEALS);
        struct stat st;
        void *bytes;

        /* Not sealed, it could change while it is read, or shrink and kill us with SIGBUS. */
        if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) != 0)
                return ERR_MALFORMED;
        if ((size_t)st.st_size > bytes_max)
                return ERR_TOO_LARGE;
        if (st.st_size == 0) {
                *out = STR_NULL;
                return ERR_OK;
        }
        bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (bytes == MAP_FAILED)
                return err_from_errno(errno);
        *out = (struct str){ bytes, (size_t)st.st_size };
        return ERR_OK;
}

void mailbox_unmap(struct str mapped)
{
        if (mapped.len)
                munmap((void *)(uintptr_t)mapped.ptr, mapped.len);
}
