#include "io/peek.h"

#include <sys/socket.h>
#include <unistd.h>

#include "../test.h"

static struct {
        enum err e;
        size_t calls, len;
        char bytes[PEEK_BYTES_MAX];
} seen;

static void on_bytes(struct peek *p, enum err e, struct str bytes)
{
        seen.calls++;
        seen.e = e;
        seen.len = bytes.len;
        if (bytes.len)
                memcpy(seen.bytes, bytes.ptr, bytes.len);
}

struct fixture {
        struct loop *loop;
        struct peek peek;
        int fds[2];
};

static void setup(struct fixture *f, int64_t timeout_ms)
{
        memset(&seen, 0, sizeof(seen));
        assert_err(loop_new(&f->loop), ERR_OK);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, f->fds), 0);
        assert_err(peek_start(&f->peek, f->loop, f->fds[0], timeout_ms, on_bytes), ERR_OK);
}

static void teardown(struct fixture *f)
{
        peek_cancel(&f->peek);
        close(f->fds[0]);
        if (f->fds[1] >= 0)
                close(f->fds[1]);
        loop_free(f->loop);
}

static void shows_all_and_takes_some(void **state)
{
        struct fixture f;
        char rest[16];

        setup(&f, 1000);
        assert_int_equal(write(f.fds[1], "head", 4), 4);
        loop_turn(f.loop, 0);
        assert_int_equal(seen.len, 4);
        assert_int_equal(write(f.fds[1], "er+body", 7), 7);
        loop_turn(f.loop, 0);
        assert_int_equal(seen.len, 11);
        assert_memory_equal(seen.bytes, "header+body", 11);
        assert_err(peek_take(&f.peek, 7), ERR_OK);
        assert_int_equal(read(f.fds[0], rest, sizeof(rest)), 4); /* a stream begins exactly behind it */
        assert_memory_equal(rest, "body", 4);
        teardown(&f);
}

static void tells_the_end(void **state)
{
        struct fixture f;

        setup(&f, 1000);
        close(f.fds[1]);
        f.fds[1] = -1;
        loop_turn(f.loop, 0);
        assert_int_equal(seen.calls, 1);
        assert_err(seen.e, ERR_CLOSED);
        teardown(&f);
}

static void tells_the_end_behind_bytes(void **state)
{
        struct fixture f;

        setup(&f, 1000);
        assert_int_equal(write(f.fds[1], "half", 4), 4);
        loop_turn(f.loop, 0);
        close(f.fds[1]);
        f.fds[1] = -1;
        loop_turn(f.loop, 0);
        assert_err(seen.e, ERR_CLOSED);
        teardown(&f);
}

static void tells_the_time(void **state)
{
        struct fixture f;

        setup(&f, 20);
        for (int i = 0; i < 20 && !seen.calls; i++)
                loop_turn(f.loop, 10);
        assert_err(seen.e, ERR_TIMED_OUT);
        teardown(&f);
}

static void tells_too_much(void **state)
{
        static char many[PEEK_BYTES_MAX + 10];
        struct fixture f;

        setup(&f, 1000);
        assert_int_equal(write(f.fds[1], many, sizeof(many)), (ssize_t)sizeof(many));
        loop_turn(f.loop, 0);
        assert_int_equal(seen.len, PEEK_BYTES_MAX);
        assert_int_equal(write(f.fds[1], "x", 1), 1);
        loop_turn(f.loop, 0);
        assert_err(seen.e, ERR_TOO_LARGE);
        teardown(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(shows_all_and_takes_some),
                cmocka_unit_test(tells_the_end),
                cmocka_unit_test(tells_the_end_behind_bytes),
                cmocka_unit_test(tells_the_time),
                cmocka_unit_test(tells_too_much),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
