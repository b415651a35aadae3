#include "../test.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "io/listener.h"
#include "io/udp.h"
#include "pairs.h"
#include "with_loop.h"

static const struct {
        const char *why;
        struct str in;
        enum err err;
        struct str text; /* formatted again */
} addresses[] = {
        { "IPv4", STR_INIT("127.0.0.1:3000"), ERR_OK, STR_INIT("127.0.0.1:3000") },
        { "IPv6", STR_INIT("[::1]:3000"), ERR_OK, STR_INIT("[::1]:3000") },
        { "every address", STR_INIT(":3000"), ERR_OK, STR_INIT("[::]:3000") },
        { "every address, said", STR_INIT("[::]:80"), ERR_OK, STR_INIT("[::]:80") },
        { "every IPv4 address", STR_INIT("0.0.0.0:80"), ERR_OK, STR_INIT("0.0.0.0:80") },
        { "port 0 is the kernel's choice", STR_INIT("127.0.0.1:0"), ERR_OK, STR_INIT("127.0.0.1:0") },
        { "v4-mapped is IPv4", STR_INIT("[::ffff:10.0.0.1]:1"), ERR_OK, STR_INIT("10.0.0.1:1") },
        { "Unix socket", STR_INIT("unix:/run/s.sock"), ERR_OK, STR_INIT("unix:/run/s.sock") },
        { "largest port", STR_INIT("1.2.3.4:65535"), ERR_OK, STR_INIT("1.2.3.4:65535") },
        { "port too large", STR_INIT("1.2.3.4:65536"), ERR_MALFORMED, STR_INIT("") },
        { "no port", STR_INIT("127.0.0.1"), ERR_MALFORMED, STR_INIT("") },
        { "empty port", STR_INIT("127.0.0.1:"), ERR_MALFORMED, STR_INIT("") },
        { "sign in the port", STR_INIT("127.0.0.1:+80"), ERR_MALFORMED, STR_INIT("") },
        { "IPv6 without brackets", STR_INIT("::1:3000"), ERR_MALFORMED, STR_INIT("") },
        { "IPv4 in brackets", STR_INIT("[127.0.0.1]:80"), ERR_MALFORMED, STR_INIT("") },
        { "open bracket", STR_INIT("[::1:80"), ERR_MALFORMED, STR_INIT("") },
        { "only a bracket", STR_INIT("[:80"), ERR_MALFORMED, STR_INIT("") },
        { "a name", STR_INIT("localhost:80"), ERR_MALFORMED, STR_INIT("") },
        { "nothing", STR_INIT(""), ERR_MALFORMED, STR_INIT("") },
        { "handed over", STR_INIT("systemd:web"), ERR_OK, STR_INIT("systemd:web") },
        { "handed over without a name", STR_INIT("systemd:"), ERR_MALFORMED, STR_INIT("") },
        { "a name with the separator of names", STR_INIT("systemd:a:b"), ERR_MALFORMED, STR_INIT("") },
        { "Unix socket without a path", STR_INIT("unix:"), ERR_MALFORMED, STR_INIT("") },
        { "NUL in a path", STR_INIT("unix:/a\0b"), ERR_MALFORMED, STR_INIT("") },
        { "datagrams", STR_INIT("udp:0.0.0.0:53"), ERR_OK, STR_INIT("udp:0.0.0.0:53") },
        { "of IPv6", STR_INIT("udp:[::]:53"), ERR_OK, STR_INIT("udp:[::]:53") },
        { "of every address: a socket has one family", STR_INIT("udp::53"), ERR_MALFORMED, STR_INIT("") },
        { "of nothing", STR_INIT("udp:"), ERR_MALFORMED, STR_INIT("") },
        { "of a Unix socket", STR_INIT("udp:unix:/x"), ERR_MALFORMED, STR_INIT("") },
        { "twice", STR_INIT("udp:udp:1.2.3.4:5"), ERR_MALFORMED, STR_INIT("") },
        { "path longer than the kernel's 107",
          STR_INIT(
                  "unix:/123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
                  "123456789012345678"),
          ERR_TOO_LARGE, STR_INIT("") },
};

static void test_address_text(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
                struct listen_address a;
                char text[LISTEN_ADDRESS_TEXT_MAX];
                enum err e = listen_address_parse(addresses[i].in, &a);

                if (e != addresses[i].err)
                        fail_msg("%s: ERR_%s", addresses[i].why, err_name(e));
                if (e == ERR_OK)
                        assert_str(listen_address_format(&a, text), addresses[i].text);
        }
}

struct door {
        struct listener listener;
        unsigned count;
        int last_fd;
        bool keeps, stops;
        int kept[64];
};

static void let_in(struct listener *l, int fd)
{
        struct door *d = CONTAINER_OF(l, struct door, listener);

        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        d->last_fd = fd;
        if (d->keeps)
                d->kept[d->count] = fd;
        else
                close(fd);
        d->count++;
        if (d->stops)
                listener_stop(l);
}

static uint16_t port_of(int fd)
{
        struct sockaddr_in6 a;
        socklen_t len = sizeof(a);

        assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
        return ntohs(a.sin6_port); /* at the same place for IPv4 */
}

static int listen_on(const char *text)
{
        struct listen_address a;
        int fd = -1;

        assert_err(listen_address_parse(str_of(text), &a), ERR_OK);
        assert_err(listen_socket_open(&a, false, &fd), ERR_OK);
        return fd;
}

static int connect_to(uint16_t port)
{
        struct sockaddr_in a = { .sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        return fd;
}

static void turn_until(unsigned *what, unsigned n)
{
        for (int i = 0; i < 300 && *what < n; i++)
                loop_turn(loop, 10);
        assert_int_equal(*what, n);
}

static void test_accepts(void **state)
{
        struct door d = { .keeps = true };
        int clients[40], fd = listen_on("127.0.0.1:0");
        int nodelay = 0;
        socklen_t len = sizeof(nodelay);
        uint16_t port = port_of(fd);

        assert_err(listener_start(&d.listener, loop, fd, let_in), ERR_OK);
        d.keeps = true;
        for (int i = 0; i < 40; i++)
                clients[i] = connect_to(port);
        turn_until(&d.count, 40);
        assert_int_equal(d.listener.accepted_count, 40);
        assert_true(ip_is_loopback(d.listener.peer));
        assert_int_equal(d.listener.peer_port, port_of(clients[39]));
        assert_int_equal(getsockopt(d.last_fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &len), 0);
        assert_true(nodelay);
        for (int i = 0; i < 40; i++) {
                close(clients[i]);
                close(d.kept[i]);
        }
        listener_stop(&d.listener);
        listener_stop(&d.listener);
        close(fd);
}

static void test_stop_from_the_callback(void **state)
{
        struct door d = { 0 };
        int fd = listen_on("127.0.0.1:0");
        int a, b;

        assert_err(listener_start(&d.listener, loop, fd, let_in), ERR_OK);
        d.stops = true;
        a = connect_to(port_of(fd));
        b = connect_to(port_of(fd));
        turn_until(&d.count, 1);
        for (int i = 0; i < 5; i++)
                loop_turn(loop, 1);
        assert_int_equal(d.count, 1);
        close(a);
        close(b);
        close(fd);
}

static void test_open_errors(void **state)
{
        struct listen_address a;
        char text[64];
        int other = -1, fd = listen_on("127.0.0.1:0");

        snprintf(text, sizeof(text), "127.0.0.1:%u", (unsigned)port_of(fd));
        assert_err(listen_address_parse(str_of(text), &a), ERR_OK);
        assert_err(listen_socket_open(&a, false, &other), ERR_EXISTS);
        assert_err(listen_socket_open(&a, true, &other), ERR_EXISTS); /* the first did not ask for sharing */
        close(fd);
        assert_err(listen_socket_open(&a, true, &fd), ERR_OK);
        assert_err(listen_socket_open(&a, true, &other), ERR_OK); /* both did: one a worker */
        close(other);
        assert_err(listen_socket_open(&a, false, &other), ERR_EXISTS); /* the probe for another program */
        close(fd);
        assert_err(listen_address_parse(STR("192.0.2.1:0"), &a), ERR_OK);
        assert_err(listen_socket_open(&a, false, &other),
                   ERR_UNREACHABLE); /* not an address of this machine */
        assert_int_equal(other, other);
}

static void test_every_address_takes_both_families(void **state)
{
        struct door d = { 0 };
        int fd = listen_on(":0"), client;

        assert_err(listener_start(&d.listener, loop, fd, let_in), ERR_OK);
        client = connect_to(port_of(fd)); /* IPv4 */
        turn_until(&d.count, 1);
        assert_int_equal(d.listener.peer.family, 4); /* v4-mapped is shown as IPv4 */
        close(client);
        struct sockaddr_in6 a = { .sin6_family = AF_INET6,
                                  .sin6_port = htons(port_of(fd)),
                                  .sin6_addr = IN6ADDR_LOOPBACK_INIT };
        client = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (client < 0 || connect(client, (struct sockaddr *)&a, sizeof(a)) != 0) {
                leave_part_out("no IPv6 here");
        } else {
                turn_until(&d.count, 2);
                assert_int_equal(d.listener.peer.family, 6);
        }
        close(client);
        listener_stop(&d.listener);
        close(fd);
}

static void test_unix_socket(void **state)
{
        struct door d = { 0 };
        char folder[] = "/tmp/sekisho-listener-XXXXXX", path[64], text[80];
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        struct listen_address address;
        int fd, other = -1, client;

        assert_non_null(mkdtemp(folder));
        snprintf(path, sizeof(path), "%s/s.sock", folder);
        snprintf(text, sizeof(text), "unix:%s", path);
        memcpy(a.sun_path, path, strlen(path) + 1);
        fd = listen_on(text);
        assert_err(listen_address_parse(str_of(text), &address), ERR_OK);
        assert_err(listen_socket_open(&address, false, &other), ERR_EXISTS); /* a live one is not replaced */
        assert_err(listener_start(&d.listener, loop, fd, let_in), ERR_OK);
        client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(client, (struct sockaddr *)&a, sizeof(a)), 0);
        turn_until(&d.count, 1 + 0);
        assert_int_equal(d.listener.peer.family, 0);
        close(client);
        listener_stop(&d.listener);
        close(fd);
        fd = listen_on(text); /* its process is gone: a stale one is */
        close(fd);
        unlink(path);
        assert_true((fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)) >= 0);
        close(fd);
        assert_err(listen_socket_open(&address, false, &other),
                   ERR_EXISTS); /* a file that is no socket stays */
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        assert_true(S_ISREG(st.st_mode));
        unlink(path);
        rmdir(folder);
}

/* No descriptor left: the loop does not spin, the client is told, what is open lives, and it recovers by itself. */
static void test_no_descriptor_left(void **state)
{
        struct door d = { 0 };
        struct rlimit old, low;
        int clients[3], fd = listen_on("127.0.0.1:0"), fillers[64], fillers_count = 0;
        uint16_t port = port_of(fd);
        char byte;

        assert_err(listener_start(&d.listener, loop, fd, let_in), ERR_OK);
        d.keeps = true;
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
        for (int i = 0; i < 3; i++)
                clients[i] = connect_to(port);
        int next = dup(0);
        close(next);
        low = (struct rlimit){ .rlim_cur = (rlim_t)next + 1, .rlim_max = old.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        while ((fillers[fillers_count] = dup(0)) >= 0)
                assert_true(++fillers_count < 64);
        int64_t start = loop_clock_us();
        unsigned turns = 0;
        while (loop_clock_us() - start < 350000) {
                loop_turn(loop, 20);
                turns++;
        }
        assert_int_equal(d.count, 0);
        assert_in_range(d.listener.paused_count, 2, 5);
        assert_true(turns < 60); /* waiting, not spinning */
        blocking(clients[0]);
        assert_true(recv(clients[0], &byte, 1, 0) <=
                    0); /* let in and out, so that it need not wait for a timeout */
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        int late = connect_to(port);
        turn_until(&d.count, 1 + (unsigned)(3 - MIN(3, (int)d.listener.paused_count)));
        for (unsigned i = 0; i < d.count; i++)
                close(d.kept[i]);
        for (int i = 0; i < 3; i++)
                close(clients[i]);
        while (fillers_count)
                close(fillers[--fillers_count]);
        close(late);
        listener_stop(&d.listener);
        close(fd);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void asks_at(const char *host, uint16_t port)
{
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        assert_int_equal(inet_pton(AF_INET, host, &a.sin_addr), 1);
        assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&a, sizeof(a)), 1);
        close(fd);
}

static void test_datagrams(void **state)
{
        struct listen_address address, found;
        char place[108], text[LISTEN_ADDRESS_TEXT_MAX], wanted[LISTEN_ADDRESS_TEXT_MAX];
        static uint8_t memory[UDP_ARRIVAL_BYTES];
        struct udp_arrival arrival;
        struct udp u;
        size_t count = 0;
        int fds[3];
        (void)state;

        fds[0] = listen_on("udp:127.0.0.1:0");
        assert_err(listen_socket_address(fds[0], &address, place), ERR_OK);
        assert_true(address.is_datagram && address.port && ip_is_loopback(address.ip));
        assert_err(listen_socket_open(&address, false, &fds[1]), ERR_EXISTS);
        assert_err(listen_socket_open(&address, true, &fds[1]), ERR_EXISTS); /* another program's stays so */
        close(fds[0]);
        assert_err(listen_socket_open(&address, true, &fds[0]), ERR_OK);
        assert_err(listen_socket_open(&address, true, &fds[1]), ERR_OK);
        assert_err(listen_socket_address(fds[1], &found, place), ERR_OK);
        assert_true(listen_address_overlaps(&address, &found));
        close(fds[0]);
        close(fds[1]);
        fds[0] = listen_on("udp:0.0.0.0:0");
        assert_err(listen_socket_address(fds[0], &address, place), ERR_OK);
        asks_at("127.0.0.9", address.port);
        assert_err(udp_adopt(&u, fds[0]), ERR_OK); /* what came before is known as well */
        assert_err(udp_receive(&u, memory, &arrival, 1, &count), ERR_OK);
        assert_int_equal(count, 1);
        assert_err(ip_parse(STR("127.0.0.9"), &found.ip), ERR_OK);
        assert_true(ip_eq(arrival.to, found.ip));
        udp_close(&u);
        fds[1] = listen_on("udp:127.0.0.1:0");
        assert_err(listen_socket_address(fds[1], &address, place), ERR_OK);
        fds[2] = listen_on("127.0.0.1:0");
        assert_err(udp_adopt(&u, fds[2]), ERR_NOT_FOUND); /* takes it */
        assert_int_equal(fcntl(fds[2], F_GETFD), -1);
        assert_err(udp_adopt(&u, fds[1]), ERR_OK);
        assert_err(udp_address(&u, &found.ip, &found.port), ERR_OK);
        assert_str(listen_address_format(&found, text), listen_address_format(&address, wanted));
        udp_close(&u);
        udp_close(&u);
}

static void addresses_that_meet(void **state)
{
        static const struct {
                const char *a, *b;
                bool meet;
        } cases[] = {
                { "127.0.0.1:80", "127.0.0.1:80", true },
                { "127.0.0.1:80", "127.0.0.1:81", false },
                { "127.0.0.1:80", "127.0.0.2:80", false },
                { "0.0.0.0:80", "127.0.0.2:80", true },
                { "0.0.0.0:80", "[::1]:80", false },
                { "[::]:80", "[::1]:80", true },
                { ":80", "127.0.0.1:80", true },
                { ":80", "0.0.0.0:80", true },
                { ":80", ":81", false },
                { "127.0.0.1:0", "127.0.0.1:0", false },
                { "udp:127.0.0.1:80", "udp:127.0.0.1:80", true },
                { "udp:127.0.0.1:80", "127.0.0.1:80", false },
                { "udp:0.0.0.0:80", "udp:127.0.0.1:80", true },
                { "udp:0.0.0.0:80", ":80", false },
                { "udp:[::]:80", "udp:[::1]:80", true },
                { "udp:[::]:80", "udp:0.0.0.0:80", false },
                { "udp:[::]:80", "udp:127.0.0.1:80", false },
                { "unix:/a", "unix:/a", true },
                { "unix:/a", "unix:/b", false },
                { "unix:/a", "systemd:/a", false },
                { "unix:/a", ":80", false },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct listen_address a, b;

                assert_err(listen_address_parse(str_of(cases[i].a), &a), ERR_OK);
                assert_err(listen_address_parse(str_of(cases[i].b), &b), ERR_OK);
                if (listen_address_overlaps(&a, &b) != cases[i].meet ||
                    listen_address_overlaps(&b, &a) != cases[i].meet)
                        fail_msg("%s and %s", cases[i].a, cases[i].b);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(addresses_that_meet),
                cmocka_unit_test(test_address_text),
                cmocka_unit_test(test_datagrams),
                T(test_accepts),
                T(test_stop_from_the_callback),
                T(test_open_errors),
                T(test_every_address_takes_both_families),
                T(test_unix_socket),
                T(test_no_descriptor_left),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
