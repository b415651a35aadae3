#include "../test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/compiler.h"
#include "crypto/random.h"
#include "crypto/x25519.h"
#include "io/dial.h"
#include "mesh/private.h"

enum { PORT = 8443, TURNS = 3000 };

struct end {
        struct mesh_private *p;
        uint8_t key[WG_KEY_BYTES];
        struct mesh_private_peer self; /* as the others know it */
};

static struct loop *loop;

static struct ip ip_of(const char *text)
{
        struct ip ip;

        assert_err(ip_parse(str_of(text), &ip), ERR_OK);
        return ip;
}

static void end_open(struct end *e)
{
        enum broker_lack lack;

        if (mesh_private_open(loop, &e->p, &lack) != ERR_OK)
                leave_out("%s", broker_lack_text(lack));
}

static void end_make(struct end *e, const char *v4, const char *v6)
{
        *e = (struct end){ .self = { .v4 = ip_of(v4), .v6 = ip_of(v6) } };
        crypto_random(e->key, sizeof(e->key));
        crypto_x25519_clamp(e->key);
        crypto_x25519_public(e->key, e->self.key);
        end_open(e);
}

static void end_set(struct end *e, const struct end *peer)
{
        const struct mesh_private_conf conf = { e->key, e->self.v4, e->self.v6, peer ? &peer->self : NULL,
                                                peer != NULL };

        assert_err(mesh_private_set(e->p, &conf), ERR_OK);
}

static uint16_t free_port(void)
{
        struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_ANY) } };
        socklen_t len = sizeof(at);
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
        close(fd);
        return ntohs(at.sin_port);
}

struct attempt {
        struct dial dial;
        bool is_over;
        enum err e;
        int fd;
};

static void on_dialled(struct dial *d, enum err e, int fd)
{
        struct attempt *a = CONTAINER_OF(d, struct attempt, dial);

        a->is_over = true;
        a->e = e;
        a->fd = fd;
}

static enum err dial(struct end *from, struct ip to, int64_t ms, int *out)
{
        const struct dial_target target = { .ip = to, .port = PORT };
        struct attempt a = { 0 };
        int fd;

        assert_err(mesh_private_socket(from->p, to.family, &fd), ERR_OK);
        dial_start_on(&a.dial, loop, fd, &target, ms, on_dialled);
        for (int i = 0; i < TURNS && !a.is_over; i++)
                loop_turn(loop, 10);
        assert_true(a.is_over);
        *out = a.fd;
        return a.e;
}

static void wait_session(const struct end *e, const struct end *peer)
{
        for (int i = 0; i < TURNS && !mesh_private_has_session(e->p, peer->self.key); i++)
                loop_turn(loop, 10);
        assert_true(mesh_private_has_session(e->p, peer->self.key));
}

/* A gateway listens, an agent calls; then the gateway dials in, on either family, and is seen by its own address. */
static void test_who_was_called_dials(void **state)
{
        struct end gateway, agent;
        uint16_t port = free_port();
        int listener, in = -1, out;
        uint8_t byte = 0;

        end_make(&gateway, "100.64.0.1", "fd00::1");
        end_make(&agent, "100.64.0.9", "fd00::9");
        assert_err(mesh_private_bind(gateway.p, port), ERR_OK);
        assert_err(mesh_private_bind(agent.p, 0), ERR_OK);
        assert_err(mesh_private_listen(agent.p, PORT, &listener), ERR_OK);
        end_set(&gateway, &agent);
        end_set(&agent, &gateway);
        assert_int_equal(mesh_private_proven_at(gateway.p, agent.self.key), 0);
        mesh_private_call(agent.p, &gateway.self, ip_of("127.0.0.1"), port);
        wait_session(&agent, &gateway);
        wait_session(&gateway, &agent);
        assert_true(mesh_private_proven_at(gateway.p, agent.self.key) > 0);

        const struct ip to[] = { agent.self.v4, agent.self.v6 },
                        from[] = { gateway.self.v4, gateway.self.v6 };
        for (size_t i = 0; i < ARRAY_SIZE(to); i++) {
                struct sockaddr_in6 peer;
                socklen_t len = sizeof(peer);

                assert_err(dial(&gateway, to[i], 10000, &out), ERR_OK);
                for (int k = 0; k < TURNS && (in = accept(listener, (struct sockaddr *)&peer, &len)) < 0; k++)
                        loop_turn(loop, 10); /* its last word of the handshake is on its way */
                assert_true(in >= 0);
                assert_true(ip_eq(ip_from_bytes(6, peer.sin6_addr.s6_addr), from[i]));
                assert_int_equal(write(out, "x", 1), 1);
                for (int k = 0; k < TURNS && recv(in, &byte, 1, MSG_DONTWAIT) != 1; k++)
                        loop_turn(loop, 10);
                assert_int_equal(byte, 'x');
                byte = 0;
                close(in);
                close(out);
        }
        /* A peer no more: nothing gets there. */
        end_set(&agent, NULL);
        assert_int_equal(mesh_private_proven_at(agent.p, gateway.self.key), 0);
        assert_err(dial(&gateway, agent.self.v4, 300, &out), ERR_TIMED_OUT);
        /* And to nobody's address there is no way at all. */
        assert_err(dial(&gateway, ip_of("100.64.0.77"), 300, &out), ERR_TIMED_OUT);
        close(listener);
        mesh_private_free(agent.p);
        mesh_private_free(gateway.p);
}

/* The one that was called begins anew with the same key and port: called again it is heard at once, not when keys would be made anew. */
static void test_called_again(void **state)
{
        struct end gateway, agent;
        uint16_t port = free_port();

        end_make(&gateway, "100.64.0.1", "fd00::1");
        end_make(&agent, "100.64.0.9", "fd00::9");
        assert_err(mesh_private_bind(gateway.p, port), ERR_OK);
        assert_err(mesh_private_bind(agent.p, 0), ERR_OK);
        end_set(&gateway, &agent);
        end_set(&agent, &gateway);
        mesh_private_call(agent.p, &gateway.self, ip_of("127.0.0.1"), port);
        wait_session(&gateway, &agent);
        mesh_private_free(gateway.p);
        end_open(&gateway);
        assert_err(mesh_private_bind(gateway.p, port), ERR_OK);
        end_set(&gateway, &agent);
        assert_true(mesh_private_has_session(agent.p, gateway.self.key)); /* so it thinks */
        mesh_private_call(agent.p, &gateway.self, ip_of("127.0.0.1"), port);
        assert_false(mesh_private_has_session(agent.p, gateway.self.key));
        wait_session(&gateway, &agent);
        wait_session(&agent, &gateway);
        mesh_private_free(agent.p);
        mesh_private_free(gateway.p);
}

static void test_a_port_that_is_taken(void **state)
{
        struct end one, two;
        uint16_t port = free_port();

        end_make(&one, "100.64.0.1", "fd00::1");
        end_make(&two, "100.64.0.2", "fd00::2");
        assert_err(mesh_private_bind(one.p, port), ERR_OK);
        assert_err(mesh_private_bind(two.p, port), ERR_EXISTS);
        mesh_private_free(one.p);
        assert_err(mesh_private_bind(two.p, port), ERR_OK);
        mesh_private_free(two.p);
}

static int setup(void **state)
{
        return loop_new(&loop) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
        loop_free(loop);
        return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = { T(test_who_was_called_dials), T(test_called_again),
                                            T(test_a_port_that_is_taken) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
