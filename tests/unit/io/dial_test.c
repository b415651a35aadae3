#include "../test.h"

#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "io/dial.h"
#include "io/listener.h"
#include "pairs.h"
#include "with_loop.h"

struct attempt {
        struct dial dial;
        unsigned calls;
        enum err e;
        int fd;
};

static void ended(struct dial *d, enum err e, int fd)
{
        struct attempt *a = CONTAINER_OF(d, struct attempt, dial);

        a->calls++;
        a->e = e;
        a->fd = fd;
}

static void run(struct attempt *a, const struct dial_target *target, int64_t timeout_ms)
{
        *a = (struct attempt){ .fd = -2 };
        dial_start(&a->dial, loop, target, timeout_ms, ended);
        assert_int_equal(a->calls, 0); /* never inside the call */
        for (int i = 0; i < 300 && !a->calls; i++)
                loop_turn(loop, 10);
        assert_int_equal(a->calls, 1);
        assert_true((a->e == ERR_OK) == (a->fd >= 0));
        dial_cancel(&a->dial); /* may have ended already */
}

static struct ip ip_of(const char *text)
{
        struct ip ip;

        assert_err(ip_parse(str_of(text), &ip), ERR_OK);
        return ip;
}

static void run_on(struct attempt *a, int fd, const struct dial_target *target, int64_t timeout_ms)
{
        *a = (struct attempt){ .fd = -2 };
        dial_start_on(&a->dial, loop, fd, target, timeout_ms, ended);
        assert_int_equal(a->calls, 0);
        for (int i = 0; i < 300 && !a->calls; i++)
                loop_turn(loop, 10);
        assert_int_equal(a->calls, 1);
        dial_cancel(&a->dial);
}

static int listen_on(const char *text, uint16_t *port)
{
        struct listen_address a;
        struct sockaddr_in name = { 0 };
        socklen_t len = sizeof(name);
        int fd = -1;

        assert_err(listen_address_parse(str_of(text), &a), ERR_OK);
        assert_err(listen_socket_open(&a, false, &fd), ERR_OK);
        if (port) {
                assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
                *port = ntohs(name.sin_port);
        }
        return fd;
}

static void test_connects(void **state)
{
        struct dial_target t = { .ip = ip_of("127.0.0.1"), .source = ip_of("127.0.0.77") };
        struct attempt a;
        struct sockaddr_in from;
        socklen_t len = sizeof(from);
        int nodelay = 0, listener = listen_on("127.0.0.1:0", &t.port);

        run(&a, &t, 1000);
        assert_err(a.e, ERR_OK);
        assert_true(fcntl(a.fd, F_GETFL) & O_NONBLOCK);
        int accepted = accept(listener, (struct sockaddr *)&from, &len);
        assert_true(accepted >= 0);
        assert_int_equal(ntohl(from.sin_addr.s_addr), 0x7f00004d); /* from the source asked for */
        len = sizeof(nodelay);
        assert_int_equal(getsockopt(a.fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &len), 0);
        assert_true(nodelay);
        close(accepted);
        close(a.fd);
        close(listener);
}

/* Over a socket made elsewhere, and bound there: it is that one that is connected, and closed when it is not. */
static void test_over_a_given_socket(void **state)
{
        struct dial_target t = { .ip = ip_of("127.0.0.1") };
        struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr = { htonl(0x7f00004e) } }, from;
        socklen_t len = sizeof(from);
        int listener = listen_on("127.0.0.1:0", &t.port), nodelay = 0;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct attempt a;

        assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
        run_on(&a, fd, &t, 1000);
        assert_err(a.e, ERR_OK);
        assert_int_equal(a.fd, fd);
        int accepted = accept(listener, (struct sockaddr *)&from, &len);
        assert_true(accepted >= 0);
        assert_int_equal(ntohl(from.sin_addr.s_addr), 0x7f00004e);
        len = sizeof(nodelay);
        assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &len), 0);
        assert_true(nodelay);
        close(accepted);
        close(fd);
        close(listener);

        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        run_on(&a, fd, &t, 1000);
        assert_err(a.e, ERR_REFUSED);
        assert_int_equal(a.fd, -1);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void test_refused(void **state)
{
        struct dial_target t = { .ip = ip_of("127.0.0.1") };
        struct attempt a;

        close(listen_on("127.0.0.1:0", &t.port));
        run(&a, &t, 1000);
        assert_err(a.e, ERR_REFUSED);
}

static void test_unreachable(void **state)
{
        struct dial_target t = { .ip = ip_of("255.255.255.255"), .port = 9 };
        struct attempt a;

        run(&a, &t, 1000);
        assert_err(a.e, ERR_UNREACHABLE);
        t = (struct dial_target){ .ip = ip_of("127.0.0.1"), .port = 9, .source = ip_of("192.0.2.1") };
        run(&a, &t, 1000); /* no such address here */
        assert_err(a.e, ERR_UNREACHABLE);
}

static void test_unix(void **state)
{
        char folder[] = "/tmp/sekisho-dial-XXXXXX", path[64], text[80];
        struct dial_target t = { 0 };
        struct attempt a;

        assert_non_null(mkdtemp(folder));
        snprintf(path, sizeof(path), "%s/s.sock", folder);
        snprintf(text, sizeof(text), "unix:%s", path);
        t.path = str_of(path);
        run(&a, &t, 1000);
        assert_err(a.e, ERR_UNREACHABLE); /* no such file */
        int listener = listen_on(text, NULL);
        run(&a, &t, 1000);
        assert_err(a.e, ERR_OK);
        close(a.fd);
        close(listener);
        run(&a, &t, 1000);
        assert_err(a.e, ERR_REFUSED); /* a stale file */
        t.path = STR("");
        run(&a, &t, 1000);
        assert_err(a.e, ERR_UNREACHABLE);
        unlink(path);
        rmdir(folder);
}

/* A listener whose backlog is full lets further connection attempts hang. */
static int full_listener(uint16_t *port, int fillers[8])
{
        int fd = listen_on("127.0.0.1:0", port);
        struct sockaddr_in a = { .sin_family = AF_INET,
                                 .sin_port = htons(*port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

        assert_int_equal(listen(fd, 0), 0);
        for (int i = 0; i < 8; i++) {
                fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                connect(fillers[i], (struct sockaddr *)&a, sizeof(a));
        }
        return fd;
}

static void test_times_out(void **state)
{
        struct dial_target t = { .ip = ip_of("127.0.0.1") };
        struct attempt a;
        int fillers[8], listener = full_listener(&t.port, fillers);
        int64_t start = loop_clock_us();

        run(&a, &t, 60);
        assert_err(a.e, ERR_TIMED_OUT);
        assert_in_range(loop_clock_us() - start, 55000, 10000000);
        for (int i = 0; i < 8; i++)
                close(fillers[i]);
        close(listener);
}

static void test_cancel(void **state)
{
        struct dial_target t = { .ip = ip_of("127.0.0.1") };
        struct attempt a = { 0 };
        int fillers[8], listener = full_listener(&t.port, fillers);

        dial_start(&a.dial, loop, &t, 10000, ended); /* under way */
        loop_turn(loop, 1);
        dial_cancel(&a.dial);
        dial_cancel(&a.dial);
        t.path = STR("/nowhere");
        t.ip.family = 0;
        dial_start(&a.dial, loop, &t, 10000, ended); /* known at once, not told yet */
        dial_cancel(&a.dial);
        for (int i = 0; i < 3; i++)
                loop_turn(loop, 1);
        assert_int_equal(a.calls, 0);
        for (int i = 0; i < 8; i++)
                close(fillers[i]);
        close(listener);
}

/* In a network of its own, in which the kernel has one port to choose. False when the system does not permit that. */
static bool enter_one_port_network(const char *port)
{
        struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
        char text[32];
        bool done = false;
        int fd;

        if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
                return false;
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        done = ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
        close(fd);
        fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC);
        snprintf(text, sizeof(text), "%s %s", port, port);
        done = done && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
        close(fd);
        return done;
}

/* A loopback port in the ephemeral range can be chosen for our own end: TCP then connects the socket to itself. */
static int dial_own_port(void)
{
        struct dial_target t = { .ip = ip_of("127.0.0.1"), .port = 40000 };
        struct sockaddr_in to = { .sin_family = AF_INET,
                                  .sin_port = htons(t.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct attempt a;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
                return 2; /* this kernel does not do it */
        reset(fd);
        run(&a, &t, 1000);
        return a.e == ERR_REFUSED ? 0 : 1;
}

static void test_does_not_connect_to_itself(void **state)
{
        int status;
        pid_t child = fork();

        if (child == 0)
                _exit(enter_one_port_network("40000") ? dial_own_port() : 2);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 2)
                leave_out(
                        "needs a network namespace of its own, and a kernel that connects a socket to itself");
        assert_int_equal(WEXITSTATUS(status), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(test_connects), T(test_over_a_given_socket),
                T(test_refused),  T(test_unreachable),
                T(test_unix),     T(test_times_out),
                T(test_cancel),   T(test_does_not_connect_to_itself),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
