/*
 * The sending half of HTTP/1.1 against a socket that is full: what was announced is never left out.
 */
#include "proxy/h1_out.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "io/loop.h"

#include "../test.h"

enum { CHUNK_BYTES = 1 << 20 };

static void on_open(struct stream *s, enum err e) {}
static void on_ready(struct stream *s, unsigned ready) {}
static void on_closed(struct stream *s) {}
static const struct stream_events events = { .on_open = on_open,
                                             .on_ready = on_ready,
                                             .on_closed = on_closed };

static void drain(int fd, struct buf *out)
{
        char bytes[65536];
        ssize_t got;

        while ((got = read(fd, bytes, sizeof(bytes))) > 0)
                buf_add(out, (struct str){ bytes, (size_t)got });
}

/* A chunk was taken whole and waits for the socket when the end comes, in a piece of its own. */
static void an_end_without_bytes_joins_what_waits(void **state)
{
        static char chunk[CHUNK_BYTES];
        struct str slice = { chunk, sizeof(chunk) };
        struct side_data data = { &slice, 1, false, NULL, 0 }, end = { NULL, 0, true, NULL, 0 };
        struct h1_vector v = { 0 };
        struct stream stream;
        struct loop *loop;
        struct h1_out out;
        struct arena a;
        struct buf seen;
        int fds[2];

        assert_err(loop_new(&loop), ERR_OK);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        assert_err(stream_open(&stream, loop, fds[0], &events), ERR_OK);
        arena_init(&a, NULL, 0, 4096);
        buf_init(&seen, 2 * CHUNK_BYTES);
        h1_out_init(&out);
        out.is_chunked = true;
        assert_int_equal(h1_out_data(&out, &stream, &v, &data, &a), CHUNK_BYTES);
        assert_true(h1_out_is_pending(&out));
        assert_int_equal(h1_out_data(&out, &stream, &v, &end, &a), 0);
        for (int i = 0; i < 1000 && h1_out_is_pending(&out); i++) {
                drain(fds[1], &seen);
                loop_turn(loop, 0); /* the stream hears that there is room */
                h1_out_flush(&out, &stream, &v);
        }
        drain(fds[1], &seen);
        assert_false(h1_out_is_pending(&out));
        assert_int_equal(seen.len, strlen("100000\r\n") + CHUNK_BYTES + strlen("\r\n0\r\n\r\n"));
        assert_true(str_has_suffix(buf_str(&seen), STR("\r\n0\r\n\r\n")));
        h1_out_fini(&out);
        buf_fini(&seen);
        arena_fini(&a);
        stream_close(&stream, STREAM_CLOSE_PLAIN);
        loop_turn(loop, 0);
        close(fds[1]);
        loop_free(loop);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(an_end_without_bytes_joins_what_waits) };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
