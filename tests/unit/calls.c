#include "calls.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

static unsigned fail_at, calls_seen;
static bool is_counting;
static const char *failed;

void calls_fail_at(unsigned n)
{
        fail_at = n;
        calls_seen = 0;
        failed = NULL;
}

void calls_count_on(bool is_on)
{
        is_counting = is_on;
}

const char *calls_failed(void)
{
        return failed;
}

static bool fails(const char *name, int error)
{
        if (!is_counting || !fail_at || ++calls_seen != fail_at)
                return false;
        failed = name;
        errno = error;
        return true;
}

/* One line a call: what it returns, its name, parameters, arguments, what it gives when it fails, and why. */
#define CALL(type, name, parameters, arguments, gives, error)                   \
        type __real_##name parameters;                                          \
        type __wrap_##name parameters;                                          \
        type __wrap_##name parameters                                           \
        {                                                                       \
                return fails(#name, error) ? (gives) : __real_##name arguments; \
        }

/* mmap64: with 64-bit file offsets mmap is another name of it. */
CALL(void *, malloc, (size_t size), (size), NULL, ENOMEM)
CALL(void *, calloc, (size_t count, size_t size), (count, size), NULL, ENOMEM)
CALL(void *, realloc, (void *old, size_t size), (old, size), NULL, ENOMEM)
CALL(void *, mmap64, (void *at, size_t size, int protection, int flags, int fd, off_t offset),
     (at, size, protection, flags, fd, offset), MAP_FAILED, ENOMEM)
CALL(ssize_t, read, (int fd, void *bytes, size_t size), (fd, bytes, size), -1, EIO)
CALL(ssize_t, recv, (int fd, void *bytes, size_t size, int flags), (fd, bytes, size, flags), -1, ECONNRESET)
CALL(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags), -1, ECONNRESET)
CALL(ssize_t, write, (int fd, const void *bytes, size_t size), (fd, bytes, size), -1, EPIPE)
CALL(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count), -1, EPIPE)
CALL(ssize_t, send, (int fd, const void *bytes, size_t size, int flags), (fd, bytes, size, flags), -1,
     ECONNRESET)
CALL(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags), -1,
     ECONNRESET)
CALL(int, socket, (int domain, int type, int protocol), (domain, type, protocol), -1, EMFILE)
CALL(int, connect, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size), -1,
     ECONNREFUSED)
CALL(int, epoll_wait, (int epoll, struct epoll_event *events, int max, int timeout),
     (epoll, events, max, timeout), -1, EINTR)
CALL(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *size),
     (fd, level, name, value, size), -1, ENOBUFS)
CALL(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t size),
     (fd, level, name, value, size), -1, ENOBUFS)
CALL(int, getpeername, (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size), -1, ENOTCONN)
CALL(int, shutdown, (int fd, int how), (fd, how), -1, ENOTCONN)

/* Taking out a descriptor that is in cannot fail. */
int __real_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
        if (operation != EPOLL_CTL_DEL && fails("epoll_ctl", ENOMEM))
                return -1;
        return __real_epoll_ctl(epoll, operation, fd, event);
}
