#include "../test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/compiler.h"
#include "io/broker.h"

static struct broker *start(void)
{
        struct broker *b = NULL;
        enum broker_lack lack;
        enum err e = broker_start(STR("brk0"), &b, &lack);

        if (e == ERR_OK)
                return b;
        assert_err(e, ERR_UNSUPPORTED);
        assert_true(strlen(broker_lack_text(lack)) > 20);
        leave_out("%s", broker_lack_text(lack));
        return NULL;
}

static void wait_for(int fd, short events)
{
        struct pollfd p = { .fd = fd, .events = events };

        assert_int_equal(poll(&p, 1, 10000), 1);
}

/* Two sockets it hands out reach each other; one of this host does not. */
static void test_sockets_are_of_another_network(void **state)
{
        struct broker *b = start();
        struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
        socklen_t len = sizeof(at);
        int listener, client, here, accepted;
        char byte;

        assert_err(broker_socket(b, AF_INET, SOCK_STREAM, 0, &listener), ERR_OK);
        assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
        assert_int_equal(listen(listener, 1), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);

        assert_true((here = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
        assert_int_not_equal(connect(here, (struct sockaddr *)&at, sizeof(at)), 0);
        close(here);

        assert_err(broker_socket(b, AF_INET, SOCK_STREAM, 0, &client), ERR_OK);
        (void)connect(client, (struct sockaddr *)&at, sizeof(at));
        wait_for(listener, POLLIN);
        assert_true((accepted = accept(listener, NULL, NULL)) >= 0);
        wait_for(client, POLLOUT);
        assert_int_equal(write(client, "x", 1), 1);
        assert_int_equal(read(accepted, &byte, 1), 1);
        assert_int_equal(byte, 'x');
        assert_err(broker_socket(b, 12345, SOCK_STREAM, 0, &here), err_from_errno(EAFNOSUPPORT));
        close(accepted);
        close(client);
        close(listener);
        broker_stop(b);
}

/* A packet to a network behind the device comes out of its descriptor. */
static void test_packets_come_out(void **state)
{
        struct broker *b = start();
        struct ip_prefix own, route;
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
        uint8_t packet[2048];
        int fd, tun;

        assert_err(ip_prefix_parse(STR("10.77.0.1/24"), &own), ERR_OK);
        assert_err(ip_prefix_parse(STR("10.78.0.0/16"), &route), ERR_OK);
        assert_err(broker_set_mtu(b, 1380), ERR_OK);
        assert_err(broker_add_address(b, &own), ERR_OK);
        assert_err(broker_add_address(b, &own), ERR_EXISTS);
        assert_err(broker_set_up(b), ERR_OK);
        assert_err(broker_add_route(b, &route), ERR_OK);
        tun = broker_take_tun(b);
        assert_true(tun >= 0);
        assert_int_equal(broker_take_tun(b), -1);
        assert_err(broker_socket(b, AF_INET, SOCK_DGRAM, 0, &fd), ERR_OK);
        inet_pton(AF_INET, "10.78.1.2", &to.sin_addr);
        assert_int_equal(sendto(fd, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)), 5);
        for (bool is_found = false; !is_found;) { /* IPv6 says something of its own too */
                wait_for(tun, POLLIN);
                ssize_t n = read(tun, packet, sizeof(packet));
                is_found = n == 10 + 20 + 8 + 5 && memcmp(packet + n - 5, "hello", 5) == 0;
        }
        close(fd);
        close(tun);
        broker_stop(b);
}

static void test_programs(void **state)
{
        static const struct {
                const char *why, *script;
                int code;
        } cases[] = { { "ends well", "exit 0", 0 },
                      { "ends with a code", "exit 7", 7 },
                      { "is killed", "kill -9 $$", 137 },
                      { "is root in there, and sees the device",
                        "test $(id -u) = 0 && test -e /proc/net/dev && grep -q brk0 /proc/net/dev", 0 } };
        struct broker *b = start();
        uint8_t code;
        int fd;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct str argv[] = { STR("sh"), STR("-c"), str_of(cases[i].script) };
                assert_err(broker_spawn(b, argv, ARRAY_SIZE(argv), &fd), ERR_OK);
                assert_int_equal(read(fd, &code, 1), 1);
                if (code != cases[i].code)
                        fail_msg("%s: %d", cases[i].why, code);
                close(fd);
        }
        struct str nothing[] = { STR("/there/is/no/such/program") };
        assert_err(broker_spawn(b, nothing, 1, &fd), ERR_OK);
        assert_int_equal(read(fd, &code, 1), 1);
        assert_int_equal(code, 127);
        close(fd);
        static char large[BROKER_ARGUMENTS_BYTES_MAX + 1];
        struct str too_large = { large, BROKER_ARGUMENTS_BYTES_MAX };
        assert_err(broker_spawn(b, &too_large, 1, &fd), ERR_TOO_LARGE);
        assert_err(broker_spawn(b, NULL, 0, &fd), ERR_MALFORMED);
        broker_stop(b);
}

static void test_no_programs_any_more(void **state)
{
        struct broker *b = start();
        struct str argv[] = { STR("true") };
        int fd;

        broker_forbid_programs(b);
        assert_err(broker_spawn(b, argv, 1, &fd), ERR_DENIED);
        assert_err(broker_socket(b, AF_INET, SOCK_STREAM, 0, &fd), ERR_OK);
        close(fd);
        broker_stop(b);
}

/* The child of the second was forked while the first one's end was open here. */
static void test_the_first_of_two_ends(void **state)
{
        struct broker *first = start(), *second = start();
        int fd;

        broker_stop(first);
        assert_err(broker_socket(second, AF_INET, SOCK_STREAM, 0, &fd), ERR_OK);
        close(fd);
        broker_stop(second);
}

static void test_names(void **state)
{
        struct broker *b;
        enum broker_lack lack;

        assert_err(broker_start(STR(""), &b, &lack), ERR_MALFORMED);
        assert_err(broker_start(STR("sixteen-letters!"), &b, &lack), ERR_MALFORMED);
        broker_stop(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_sockets_are_of_another_network),
                                            cmocka_unit_test(test_packets_come_out),
                                            cmocka_unit_test(test_programs),
                                            cmocka_unit_test(test_no_programs_any_more),
                                            cmocka_unit_test(test_the_first_of_two_ends),
                                            cmocka_unit_test(test_names) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
