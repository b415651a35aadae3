#include "io/datagram.h"

#include "../test.h"
#include "pairs.h"

static struct loop *loop;

static int setup(void **state)
{
        (void)state;
        return loop_new(&loop) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
        (void)state;
        loop_free(loop);
        return 0;
}

struct end {
        struct datagram socket;
        unsigned readable;
};

static void on_readable(struct datagram *d)
{
        CONTAINER_OF(d, struct end, socket)->readable++;
}

/* A server that is bound, and a socket that is connected to it. */
static int server_and_client(struct end *client, struct sockaddr_in *at)
{
        socklen_t len = sizeof(*at);
        int server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        *at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        assert_int_equal(bind(server, (struct sockaddr *)at, sizeof(*at)), 0);
        assert_int_equal(getsockname(server, (struct sockaddr *)at, &len), 0);
        assert_int_equal(connect(fd, (struct sockaddr *)at, sizeof(*at)), 0);
        *client = (struct end){ 0 };
        assert_err(datagram_open(&client->socket, loop, fd, on_readable), ERR_OK);
        return server;
}

static char room[DATAGRAM_BYTES_MAX], bytes[DATAGRAM_BYTES_MAX];

static void goes_there_and_back(void **state)
{
        static const struct {
                const char *why;
                struct str before, rest;
                enum err err;
        } cases[] = {
                { "one part", STR_INIT(""), STR_INIT("ping"), ERR_OK },
                { "two", STR_INIT("whose "), STR_INIT("ping"), ERR_OK },
                { "only what stands before", STR_INIT("whose"), STR_INIT(""), ERR_OK },
                { "nothing is a datagram, too", STR_INIT(""), STR_INIT(""), ERR_OK },
                { "the largest", STR_INIT("0123456"), { bytes, 65500 }, ERR_OK },
                { "one byte more", STR_INIT("01234567"), { bytes, 65500 }, ERR_TOO_LARGE },
        };
        struct sockaddr_in at, from;
        struct end client;
        int server = server_and_client(&client, &at);
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                socklen_t len = sizeof(from);
                size_t got_len = 0, wanted = cases[i].before.len + cases[i].rest.len;
                enum err e = datagram_send(&client.socket, cases[i].before, cases[i].rest);

                if (e != cases[i].err)
                        fail_msg("%s: %s", cases[i].why, err_name(e));
                if (e != ERR_OK)
                        continue;
                ssize_t got = recvfrom(server, room, sizeof(room), 0, (struct sockaddr *)&from, &len);
                if (got != (ssize_t)wanted || memcmp(room, cases[i].before.ptr, cases[i].before.len) != 0)
                        fail_msg("%s: %zd bytes", cases[i].why, got);
                assert_int_equal(sendto(server, room, wanted, 0, (struct sockaddr *)&from, len), got);
                for (int n = 0; n < 300 && client.readable == 0; n++)
                        loop_turn(loop, 10);
                assert_true(client.readable > 0);
                client.readable = 0;
                assert_err(datagram_receive(&client.socket, room, &got_len), ERR_OK);
                assert_int_equal(got_len, wanted);
        }
        size_t len;
        assert_err(datagram_receive(&client.socket, room, &len), ERR_AGAIN);
        datagram_close(&client.socket);
        datagram_close(&client.socket);
        close(server);
}

/* The kernel's own ICMP: the answer to one datagram is the error of the next call. */
static void nobody_there_is_heard_of(void **state)
{
        struct sockaddr_in at;
        struct end client;
        size_t len;
        (void)state;

        close(server_and_client(&client, &at));
        assert_err(datagram_send(&client.socket, STR_NULL, STR("ping")), ERR_OK);
        for (int n = 0; n < 300 && client.readable == 0; n++)
                loop_turn(loop, 10);
        assert_true(client.readable > 0);
        assert_err(datagram_receive(&client.socket, room, &len), ERR_REFUSED);
        assert_err(datagram_receive(&client.socket, room, &len), ERR_AGAIN); /* said once */
        datagram_close(&client.socket);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = { T(goes_there_and_back), T(nobody_there_is_heard_of) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
