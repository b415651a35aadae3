#include "../test.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "io/linger_priv.h"
#include "io/loop_priv.h"
#include "io/stream.h"
#include "pairs.h"
#include "with_loop.h"

struct conn {
        struct stream stream;
        unsigned ready, readies, closed;
        bool is_closing_in_ready;
};

static void conn_ready(struct stream *s, unsigned ready)
{
        struct conn *c = CONTAINER_OF(s, struct conn, stream);

        assert_int_equal(c->closed, 0);
        c->ready |= ready;
        c->readies++;
        if (c->is_closing_in_ready)
                stream_close(s, STREAM_CLOSE_PLAIN);
}

static void conn_closed(struct stream *s)
{
        CONTAINER_OF(s, struct conn, stream)->closed++;
}

static const struct stream_events events = { .on_ready = conn_ready, .on_closed = conn_closed };

static void conn_open(struct conn *c, int fd)
{
        memset(c, 0, sizeof(*c));
        assert_err(stream_open(&c->stream, loop, fd, &events), ERR_OK);
}

static void turns(int n)
{
        for (int i = 0; i < n; i++)
                loop_turn(loop, 0);
}

/* Turns until `*what` is set, at most two seconds. */
static void turn_until(const unsigned *what)
{
        for (int i = 0; i < 200 && !*what; i++)
                loop_turn(loop, 10);
        assert_true(*what);
}

static enum err read_text(struct conn *c, char *out, size_t len, size_t *got)
{
        *got = 0;
        return stream_read(&c->stream, out, len, got);
}

static enum err write_text(struct conn *c, const char *text, size_t *written)
{
        struct iovec part = { (char *)(uintptr_t)text, strlen(text) };

        *written = 0;
        return stream_write(&c->stream, &part, 1, written);
}

static void finish(struct conn *c)
{
        stream_close(&c->stream, STREAM_CLOSE_PLAIN);
        assert_int_equal(c->closed, 0); /* never inside the call */
        turns(1);
        assert_int_equal(c->closed, 1);
}

static void test_readiness(void **state)
{
        struct conn c;
        int fds[2];
        char bytes[16];
        size_t n;

        tcp_pair(fds);
        conn_open(&c, fds[0]);
        assert_err(read_text(&c, bytes, sizeof(bytes), &n), ERR_AGAIN); /* nothing was announced */
        assert_err(write_text(&c, "hello", &n), ERR_OK);                /* a new stream may be written */
        assert_int_equal(n, 5);
        turns(2);
        assert_int_equal(c.readies, 0); /* room that was never missing is no news */
        send_text(fds[1], "12345678");
        turn_until(&c.readies);
        assert_int_equal(c.ready, STREAM_READABLE);
        assert_true(stream_may_have_input(&c.stream));
        assert_err(read_text(&c, bytes, 8, &n), ERR_OK); /* full: there may be more */
        assert_true(stream_may_have_input(&c.stream));
        assert_err(read_text(&c, bytes, 8, &n), ERR_AGAIN);
        assert_false(stream_may_have_input(&c.stream));
        c.readies = 0;
        send_text(fds[1], "abc");
        turn_until(&c.readies);
        assert_err(read_text(&c, bytes, sizeof(bytes), &n), ERR_OK);
        assert_str(((struct str){ bytes, n }), STR("abc"));
        assert_false(stream_may_have_input(&c.stream)); /* short: taken as drained, no second receive */
        finish(&c);
        close(fds[1]);
}

static void test_end_behind_data(void **state)
{
        struct conn c;
        int fds[2];
        char bytes[64];
        size_t n;

        /* Data and FIN arrive as one event: the short read must not lose the end. */
        tcp_pair(fds);
        conn_open(&c, fds[0]);
        turns(1);
        send_text(fds[1], "bye");
        shutdown(fds[1], SHUT_WR);
        usleep(2000);
        turn_until(&c.readies);
        assert_true(stream_peer_is_done(&c.stream));
        assert_false(stream_peer_is_gone(&c.stream));
        assert_err(read_text(&c, bytes, sizeof(bytes), &n), ERR_OK);
        assert_int_equal(n, 3);
        assert_true(stream_may_have_input(&c.stream));
        assert_err(read_text(&c, bytes, sizeof(bytes), &n), ERR_CLOSED);
        assert_err(read_text(&c, bytes, sizeof(bytes), &n), ERR_CLOSED); /* and again */
        /* Half closed: we can still answer. */
        assert_err(write_text(&c, "answer", &n), ERR_OK);
        assert_int_equal(recv(fds[1], bytes, sizeof(bytes), 0), 6);
        finish(&c);
        close(fds[1]);
}

static void test_end_after_data(void **state)
{
        struct conn c;
        int fds[2];
        char bytes[64];
        size_t n;

        /* The end comes after the short read: a new event tells it. */
        tcp_pair(fds);
        conn_open(&c, fds[0]);
        send_text(fds[1], "bye");
        turn_until(&c.readies);
        assert_err(read_text(&c, bytes, sizeof(bytes), &n), ERR_OK);
        c.readies = 0;
        close(fds[1]);
        turn_until(&c.readies);
        assert_err(read_text(&c, bytes, sizeof(bytes), &n), ERR_CLOSED);
        finish(&c);
}

static void test_reset_is_no_clean_end(void **state)
{
        struct conn c;
        int fds[2];
        char bytes[64];
        size_t n;

        tcp_pair(fds);
        conn_open(&c, fds[0]);
        send_text(fds[1], "half");
        turn_until(&c.readies);
        assert_err(read_text(&c, bytes, sizeof(bytes), &n), ERR_OK);
        c.readies = 0;
        reset(fds[1]);
        turn_until(&c.readies);
        assert_true(c.ready & STREAM_READABLE);
        assert_true(stream_peer_is_gone(&c.stream));
        assert_err(read_text(&c, bytes, sizeof(bytes), &n), ERR_IO);
        assert_err(write_text(&c, "x", &n), ERR_CLOSED);
        finish(&c);
}

static void test_reset_close_is_seen_as_reset(void **state)
{
        struct conn c;
        int fds[2];
        char bytes[8];

        tcp_pair(fds);
        conn_open(&c, fds[0]);
        stream_close(&c.stream, STREAM_CLOSE_RESET);
        turns(1);
        assert_int_equal(c.closed, 1);
        blocking(fds[1]);
        assert_int_equal(recv(fds[1], bytes, sizeof(bytes), 0), -1);
        assert_int_equal(errno, ECONNRESET);
        close(fds[1]);
}

/* Everything written arrives once and in order, through sockets that take a few KiB at a time. */
static void partial_writes(int fds[2])
{
        enum { TOTAL = 1 << 20 };
        static char sent[TOTAL], got[TOTAL];
        struct conn c;
        size_t out = 0, in = 0, n;
        unsigned refusals = 0;

        for (size_t i = 0; i < TOTAL; i++)
                sent[i] = (char)(i * 2654435761u >> 13);
        conn_open(&c, fds[0]);
        while (in < TOTAL) {
                for (int i = 0; i < 3 && out < TOTAL; i++) {
                        struct iovec parts[3];
                        size_t left = TOTAL - out;
                        parts[0] = (struct iovec){ sent + out, MIN(left, 100) };
                        parts[1] = (struct iovec){ sent + out + parts[0].iov_len, 0 };
                        parts[2] = (struct iovec){ sent + out + parts[0].iov_len, left - parts[0].iov_len };
                        enum err e = stream_write(&c.stream, parts, 3, &n);
                        if (e == ERR_OK) {
                                out += n;
                        } else {
                                assert_err(e, ERR_AGAIN);
                                refusals++;
                        }
                }
                ssize_t r = recv(fds[1], got + in, MIN(TOTAL - in, 9000), MSG_DONTWAIT);
                if (r > 0)
                        in += (size_t)r;
                turns(1);
        }
        assert_true(refusals > 0);
        assert_memory_equal(sent, got, TOTAL);
        finish(&c);
        close(fds[1]);
}

static void test_partial_writes(void **state)
{
        int fds[2];

        tcp_pair(fds);
        small_buffers(fds);
        partial_writes(fds);
        unix_pair(fds);
        small_buffers(fds);
        partial_writes(fds);
}

/* Writes until the peer's buffer is full too, and no room comes by itself. */
static void fill(struct conn *c)
{
        static char bytes[1 << 16];
        struct iovec part = { bytes, sizeof(bytes) };
        size_t n;

        do {
                while (stream_write(&c->stream, &part, 1, &n) == ERR_OK)
                        ;
                c->ready = c->readies = 0;
                usleep(5000);
                turns(2);
        } while (c->ready & STREAM_WRITABLE);
}

static void test_writable_is_told_after_a_refusal(void **state)
{
        struct conn c;
        int fds[2];
        static char bytes[1 << 16];
        struct iovec part = { bytes, sizeof(bytes) };
        size_t n;

        tcp_pair(fds);
        small_buffers(fds);
        conn_open(&c, fds[0]);
        fill(&c);
        assert_err(stream_write(&c.stream, &part, 1, &n), ERR_AGAIN);
        for (int i = 0; i < 200 && !(c.ready & STREAM_WRITABLE); i++) {
                while (recv(fds[1], bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
                        ;
                loop_turn(loop, 10);
        }
        assert_true(c.ready & STREAM_WRITABLE);
        assert_err(stream_write(&c.stream, &part, 1, &n), ERR_OK);
        finish(&c);
        close(fds[1]);
}

static void test_writer_learns_that_the_peer_is_gone(void **state)
{
        struct conn c;
        int fds[2];
        static char bytes[1 << 16];
        struct iovec part = { bytes, sizeof(bytes) };
        size_t n;

        tcp_pair(fds);
        small_buffers(fds);
        conn_open(&c, fds[0]);
        fill(&c);
        reset(fds[1]);
        turn_until(&c.readies);
        assert_int_equal(c.ready, STREAM_READABLE | STREAM_WRITABLE);
        assert_err(stream_write(&c.stream, &part, 1, &n), ERR_IO);
        finish(&c);
}

static void test_poke(void **state)
{
        struct conn c;
        int fds[2];
        char bytes[4];
        size_t n;

        unix_pair(fds);
        conn_open(&c, fds[0]);
        send_text(fds[1], "123456");
        turn_until(&c.readies);
        assert_err(read_text(&c, bytes, sizeof(bytes), &n), ERR_OK);
        /* Back-pressure: not read to the end. No edge will come for the rest. */
        c.readies = 0;
        turns(2);
        assert_int_equal(c.readies, 0);
        stream_poke(&c.stream, STREAM_READABLE);
        stream_poke(&c.stream, STREAM_WRITABLE);
        assert_int_equal(c.readies, 0);
        turns(1);
        assert_int_equal(c.readies, 1);
        assert_int_equal(c.ready, STREAM_READABLE | STREAM_WRITABLE);
        assert_err(read_text(&c, bytes, sizeof(bytes), &n), ERR_OK);
        assert_int_equal(n, 2);
        /* A poke before the close is not delivered after it. */
        stream_poke(&c.stream, STREAM_READABLE);
        c.readies = 0;
        finish(&c);
        assert_int_equal(c.readies, 0);
        close(fds[1]);
}

static void test_close_drops_events(void **state)
{
        struct conn c;
        int fds[2];
        char bytes[4];
        size_t n;

        unix_pair(fds);
        conn_open(&c, fds[0]);
        c.is_closing_in_ready = true;
        send_text(fds[1], "1");
        turn_until(&c.readies);
        turns(3);
        assert_int_equal(c.readies, 1);
        assert_int_equal(c.closed, 1);
        stream_close(&c.stream, STREAM_CLOSE_RESET); /* changes nothing */
        assert_err(read_text(&c, bytes, sizeof(bytes), &n), ERR_CLOSED);
        assert_err(write_text(&c, "x", &n), ERR_CLOSED);
        stream_poke(&c.stream, STREAM_READABLE);
        turns(2);
        assert_int_equal(c.closed, 1);
        close(fds[1]);
}

/* The peer goes on sending a body we refused; our answer must reach it all the same. */
static void linger_case(size_t more, enum stream_close_how how, bool wants_clean)
{
        struct conn c;
        bool was_reset = false;
        int fds[2];
        static char bytes[1 << 17];
        size_t n, answer = 0;
        ssize_t r;

        tcp_pair(fds);
        conn_open(&c, fds[0]);
        assert_true(send(fds[1], bytes, 10000, 0) == 10000);
        turn_until(&c.readies);
        assert_err(read_text(&c, bytes, 100, &n), ERR_OK);
        assert_err(write_text(&c, "413 too large", &n), ERR_OK);
        stream_close(&c.stream, how);
        turns(1);
        assert_int_equal(c.closed, 1); /* the owner is rid of it at once */
        for (size_t sent = 0; sent < more; sent += (size_t)r) {
                r = send(fds[1], bytes, MIN(more - sent, 1000), MSG_NOSIGNAL);
                if (r < 0) {
                        was_reset = true;
                        break;
                }
                turns(1);
        }
        usleep(1000);
        while ((r = recv(fds[1], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
                answer += (size_t)r;
        was_reset |= r < 0;
        if (wants_clean != (answer == 13 && !was_reset))
                fail_msg("more %zu how %d: answer %zu, end %zd errno %d", more, (int)how, answer, r, errno);
        close(fds[1]);
        for (int i = 0; i < 20; i++)
                turns(1);
        assert_int_equal(*loop_lingers_count(loop), 0);
}

static void test_linger(void **state)
{
        linger_case(20000, STREAM_CLOSE_LINGER, true);
        linger_case(20000, STREAM_CLOSE_PLAIN, false); /* what lingering is there to prevent */
        linger_case(LINGER_BYTES_MAX * 2, STREAM_CLOSE_LINGER, false); /* bounded in bytes */
}

static void test_linger_is_bounded_in_time(void **state)
{
        struct conn c;
        int fds[2];

        tcp_pair(fds);
        conn_open(&c, fds[0]);
        stream_close(&c.stream, STREAM_CLOSE_LINGER);
        turns(1);
        assert_int_equal(*loop_lingers_count(loop), 1);
        int64_t start = loop_clock_us();
        while (*loop_lingers_count(loop))
                loop_turn(loop, MONO_NEVER);
        assert_true(loop_clock_us() - start >= (LINGER_MS - 100) * 1000);
        close(fds[1]);
        /* And what still lingers when the loop ends is closed by it (ASan would tell the leak). */
        tcp_pair(fds);
        conn_open(&c, fds[0]);
        stream_close(&c.stream, STREAM_CLOSE_LINGER);
        turns(1);
        close(fds[1]);
}

static void test_addresses(void **state)
{
        struct conn c;
        int fds[2];
        uint16_t peer, own, other_peer;

        tcp_pair(fds);
        conn_open(&c, fds[0]);
        assert_true(ip_is_loopback(stream_peer_address(&c.stream, &peer)));
        assert_true(ip_is_loopback(stream_local_address(&c.stream, &own)));
        struct conn d;
        conn_open(&d, fds[1]);
        assert_int_equal(stream_peer_address(&d.stream, &other_peer).family, 4);
        assert_int_equal(other_peer, own);
        finish(&c);
        finish(&d);
        unix_pair(fds);
        conn_open(&c, fds[0]);
        assert_int_equal(stream_peer_address(&c.stream, &peer).family, 0);
        assert_int_equal(peer, 0);
        finish(&c);
        assert_int_equal(stream_peer_address(&c.stream, NULL).family, 0); /* closed */
        close(fds[1]);
}

static void test_move(void **state)
{
        struct conn a, b = { 0 };
        int fds[2];
        char bytes[16];
        size_t n;

        tcp_pair(fds);
        conn_open(&a, fds[0]);
        send_text(fds[1], "early");
        turn_until(&a.readies);
        stream_poke(&a.stream, STREAM_WRITABLE);
        assert_err(stream_move(&b.stream, &a.stream, &events), ERR_OK);
        a.readies = 0;
        turn_until(&b.readies); /* what is there already is told to the new owner */
        assert_int_equal(b.ready, STREAM_READABLE | STREAM_WRITABLE);
        assert_err(read_text(&b, bytes, sizeof(bytes), &n), ERR_OK);
        assert_int_equal(n, 5);
        b.readies = 0;
        send_text(fds[1], "late");
        turn_until(&b.readies);
        assert_err(read_text(&b, bytes, sizeof(bytes), &n), ERR_OK);
        assert_int_equal(n, 4);
        assert_err(write_text(&b, "answer", &n), ERR_OK);
        assert_int_equal(recv(fds[1], bytes, sizeof(bytes), 0), 6);
        assert_err(read_text(&a, bytes, sizeof(bytes), &n), ERR_CLOSED); /* for the old one it is over */
        assert_int_equal(a.readies + a.closed, 0);
        finish(&b);
        close(fds[1]);
}

static void test_size(void **state)
{
        assert_true(sizeof(struct stream) <= 96);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(test_readiness),
                T(test_end_behind_data),
                T(test_end_after_data),
                T(test_reset_is_no_clean_end),
                T(test_reset_close_is_seen_as_reset),
                T(test_partial_writes),
                T(test_writable_is_told_after_a_refusal),
                T(test_writer_learns_that_the_peer_is_gone),
                T(test_poke),
                T(test_close_drops_events),
                T(test_linger),
                T(test_linger_is_bounded_in_time),
                T(test_addresses),
                T(test_move),
                T(test_size),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
