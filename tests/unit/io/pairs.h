/*
 * tests/unit/io/pairs.h - connected sockets for tests: a TCP pair over loopback, a Unix pair.
 */
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* fds[0] is the accepting side. Both are non-blocking. */
static inline void tcp_pair(int fds[2])
{
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t len = sizeof(a);
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
        assert_int_equal(listen(listener, 1), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
        fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fds[1], (struct sockaddr *)&a, sizeof(a)), 0);
        fds[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        assert_true(fds[0] >= 0);
        assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
        close(listener);
}

static inline void unix_pair(int fds[2])
{
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

/* So that writes are partial. Not much less than this: a loopback segment of 64 KiB in a smaller window waits for timers. */
static inline void small_buffers(const int fds[2])
{
        int bytes = 16 * 1024;

        for (int i = 0; i < 2; i++) {
                assert_int_equal(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
                assert_int_equal(setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
        }
}

static inline void send_text(int fd, const char *text)
{
        assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static inline void blocking(int fd)
{
        assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
}

/* Closes with a reset. */
static inline void reset(int fd)
{
        struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
        close(fd);
}
