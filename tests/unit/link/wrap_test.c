#include "link/wrap.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../test.h"

/* An agent's end and a gateway's, and between them bytes that come in pieces. */
struct end {
        struct link_wrap wrap;
        int fd; /* whoever speaks on the link */
        bool has_news, has_room, is_closed;
};

static struct end *of(struct link_wrap *w)
{
        return CONTAINER_OF(w, struct end, wrap);
}

static void on_pending(struct link_wrap *w)
{
        of(w)->has_news = true;
}

static void on_room(struct link_wrap *w)
{
        of(w)->has_room = true;
}

static void on_closed(struct link_wrap *w)
{
        of(w)->is_closed = true;
}

static const struct link_wrap_events events = { on_pending, on_room, on_closed };

static struct end *end_new(struct loop *l, bool is_client)
{
        struct end *e = calloc(1, sizeof(*e));

        assert_non_null(e);
        assert_err(link_wrap_open(&e->wrap, l, is_client, &events, &e->fd), ERR_OK);
        return e;
}

static void end_free(struct loop *l, struct end *e)
{
        link_wrap_close(&e->wrap);
        for (int i = 0; i < 10 && !e->is_closed; i++)
                loop_turn(l, 0);
        assert_true(e->is_closed);
        if (e->fd >= 0)
                close(e->fd);
        free(e);
}

/* What `from` has to say, in pieces of up to `piece` bytes, as far as `to` takes it. True: it was the last. */
static bool carry(struct end *from, struct end *to, size_t piece)
{
        for (;;) {
                bool is_last;
                struct str bytes = link_wrap_pending(&from->wrap, &is_last);

                if (bytes.len == 0)
                        return is_last;
                size_t taken = link_wrap_receive(&to->wrap, str_sub(bytes, 0, piece));
                link_wrap_sent(&from->wrap, taken);
                if (taken < MIN(piece, bytes.len))
                        return false;
        }
}

static uint8_t byte_at(size_t i)
{
        return (uint8_t)(i * 31 + (i >> 8) + (i >> 16));
}

/* `len` bytes go into one end and come out at the other, whose reader takes up to `gulp` a turn. */
static void send_through(struct loop *l, struct end *from, struct end *to, size_t len, size_t piece,
                         size_t gulp)
{
        size_t in = 0, out = 0;
        uint8_t bytes[16 * 1024];

        for (int turns = 0; out < len; turns++) {
                assert_true(turns < 200000);
                size_t n = MIN(sizeof(bytes), len - in);
                for (size_t i = 0; i < n; i++)
                        bytes[i] = byte_at(in + i);
                ssize_t written = n ? send(from->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
                in += written > 0 ? (size_t)written : 0;
                loop_turn(l, 0);
                carry(from, to, piece);
                ssize_t got = recv(to->fd, bytes, MIN(gulp, sizeof(bytes)), MSG_DONTWAIT);
                for (ssize_t i = 0; i < got; i++)
                        assert_int_equal(bytes[i], byte_at(out + (size_t)i));
                out += got > 0 ? (size_t)got : 0;
        }
}

static void bytes_come_through(void **state)
{
        static const struct {
                const char *why;
                size_t len, piece, gulp;
        } cases[] = {
                { "one byte", 1, 1 << 20, 1 << 20 },
                { "each byte by itself", 3000, 1, 1 << 20 },
                { "headers cut anywhere", 100000, 13, 1 << 20 },
                { "much", 4 << 20, 1 << 20, 1 << 20 },
                { "a reader that is slow", 600000, 1 << 20, 1000 },
        };
        struct loop *l;

        assert_err(loop_new(&l), ERR_OK);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct end *agent = end_new(l, true), *gateway = end_new(l, false);

                send_through(l, agent, gateway, cases[i].len, cases[i].piece, cases[i].gulp);
                send_through(l, gateway, agent, cases[i].len, cases[i].piece, cases[i].gulp);
                end_free(l, agent);
                end_free(l, gateway);
        }
        loop_free(l);
}

static void who_does_not_take_makes_the_other_wait(void **state)
{
        struct loop *l;
        uint8_t bytes[8192] = { 0 };
        size_t in = 0;

        assert_err(loop_new(&l), ERR_OK);
        struct end *agent = end_new(l, true), *gateway = end_new(l, false);
        for (int still = 0; still < 20;) {
                ssize_t n = send(agent->fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);

                still = n > 0 ? 0 : still + 1;
                in += n > 0 ? (size_t)n : 0;
                assert_true(in < 8 << 20); /* buffers of two pairs, and ours */
                loop_turn(l, 0);
                carry(agent, gateway, 1 << 20);
        }
        assert_false(gateway->has_room);
        while (recv(gateway->fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
                ;
        for (int i = 0; i < 5; i++)
                loop_turn(l, 0);
        assert_true(gateway->has_room);
        end_free(l, agent);
        end_free(l, gateway);
        loop_free(l);
}

static void an_end_is_said_behind_the_last_bytes(void **state)
{
        struct loop *l;
        char got[16];

        assert_err(loop_new(&l), ERR_OK);
        struct end *agent = end_new(l, true), *gateway = end_new(l, false);
        assert_int_equal(send(agent->fd, "goodbye", 7, 0), 7);
        close(agent->fd);
        agent->fd = -1;
        loop_turn(l, 0);
        loop_turn(l, 0);
        assert_true(agent->has_news);
        assert_true(carry(agent, gateway, 1 << 20));
        assert_int_equal(recv(gateway->fd, got, sizeof(got), MSG_DONTWAIT), 7);
        assert_true(carry(gateway, agent, 1 << 20)); /* answered in kind */
        end_free(l, agent);
        assert_int_equal(recv(gateway->fd, got, sizeof(got), MSG_DONTWAIT),
                         -1); /* until the owner closes it */
        int fd = gateway->fd;
        gateway->fd = -1;
        end_free(l, gateway);
        assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), 0);
        close(fd);
        loop_free(l);
}

static void what_comes_from_strangers(void **state)
{
        static const struct {
                const char *why;
                uint8_t bytes[16];
                size_t len;
                bool is_over;
                uint8_t answer[8];
                size_t answer_len;
        } cases[] = {
                { "a part of a header: it may go on", { 0x82 }, 1, false, { 0 }, 0 },
                { "a ping is answered",
                  { 0x89, 0x82, 0, 0, 0, 0, 'h', 'i' },
                  8,
                  false,
                  { 0x8a, 2, 'h', 'i' },
                  4 },
                { "a pong nobody asked for", { 0x8a, 0x80, 0, 0, 0, 0 }, 6, false, { 0 }, 0 },
                { "a close is answered", { 0x88, 0x80, 0, 0, 0, 0 }, 6, true, { 0x88, 0 }, 2 },
                { "text", { 0x81, 0x81, 0, 0, 0, 0, 'x' }, 7, true, { 0x88, 0 }, 2 },
                { "no mask", { 0x82, 1, 'x' }, 3, true, { 0x88, 0 }, 2 },
                { "no frame at all", { 'G', 'E', 'T', ' ', '/' }, 5, true, { 0x88, 0 }, 2 },
        };
        struct loop *l;

        assert_err(loop_new(&l), ERR_OK);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct end *gateway = end_new(l, false);
                bool is_last;

                loop_turn(l, 0);
                gateway->has_news = false;
                assert_int_equal(link_wrap_receive(&gateway->wrap, (struct str){ (const char *)cases[i].bytes,
                                                                                 cases[i].len }),
                                 cases[i].len);
                loop_turn(l, 0);
                if (cases[i].answer_len)
                        assert_true(gateway->has_news);
                struct str answer = link_wrap_pending(&gateway->wrap, &is_last);
                if (answer.len != cases[i].answer_len || is_last != cases[i].is_over ||
                    memcmp(answer.ptr, cases[i].answer, answer.len) != 0)
                        fail_msg("%s: %zu bytes, %s", cases[i].why, answer.len,
                                 is_last ? "over" : "not over");
                if (is_last) /* and nothing more is kept of it */
                        assert_int_equal(link_wrap_receive(&gateway->wrap, STR("more")), 4);
                end_free(l, gateway);
        }
        loop_free(l);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(bytes_come_through),
                cmocka_unit_test(who_does_not_take_makes_the_other_wait),
                cmocka_unit_test(an_end_is_said_behind_the_last_bytes),
                cmocka_unit_test(what_comes_from_strangers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
