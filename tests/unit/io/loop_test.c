#include "../test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/loop.h"
#include "io/timer.h"
#include "with_loop.h"

struct end {
        struct watch watch;
        unsigned calls, events;
        struct end *other; /* removed and freed by the callback */
};

static void note(struct watch *w, unsigned events)
{
        struct end *e = CONTAINER_OF(w, struct end, watch);

        e->calls++;
        e->events |= events;
}

static void pair(int fds[2])
{
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static void test_edges(void **state)
{
        struct end e = { 0 };
        int fds[2];

        pair(fds);
        assert_err(loop_add(loop, &e.watch, fds[0], note), ERR_OK);
        loop_turn(loop, 0);
        assert_int_equal(e.events, LOOP_WRITE); /* a new socket has room */
        e.calls = 0;
        loop_turn(loop, 0);
        assert_int_equal(e.calls, 0); /* an edge comes once */
        assert_int_equal(write(fds[1], "x", 1), 1);
        e.events = 0;
        loop_turn(loop, 1000);
        assert_int_equal(e.calls, 1);
        assert_true(e.events & LOOP_READ);
        loop_turn(loop, 0);
        assert_int_equal(e.calls, 1); /* although nobody has read */
        e.events = 0;
        shutdown(fds[1], SHUT_WR);
        loop_turn(loop, 1000);
        assert_true(e.events & LOOP_HANGUP);
        assert_false(e.events & LOOP_GONE);
        close(fds[1]);
        loop_turn(loop, 1000);
        assert_true(e.events & LOOP_GONE);
        loop_remove(loop, &e.watch);
        assert_int_equal(e.watch.fd, -1);
        loop_remove(loop, &e.watch); /* twice is fine */
        close(fds[0]);
}

static void remove_other(struct watch *w, unsigned events)
{
        struct end *e = CONTAINER_OF(w, struct end, watch);

        e->calls++;
        loop_remove(loop, &e->other->watch);
        free(e->other);
        e->other = NULL;
}

static void test_events_of_a_removed_watch_are_dropped(void **state)
{
        struct end *ends[2];
        int fds[2][2];

        for (int i = 0; i < 2; i++) {
                ends[i] = calloc(1, sizeof(*ends[i]));
                pair(fds[i]);
                assert_err(loop_add(loop, &ends[i]->watch, fds[i][0], remove_other), ERR_OK);
        }
        ends[0]->other = ends[1];
        ends[1]->other = ends[0];
        loop_turn(loop, 0); /* both are ready; whoever comes first frees the other (ASan would tell) */
        /* Events come in the order of becoming ready, so the first one is left. */
        assert_int_equal(ends[0]->calls, 1);
        assert_null(ends[0]->other);
        loop_remove(loop, &ends[0]->watch);
        free(ends[0]);
        for (int i = 0; i < 4; i++)
                close(fds[i / 2][i % 2]);
}

static void test_level(void **state)
{
        struct end e = { 0 };
        int fds[2];

        pair(fds);
        assert_err(loop_add_level(loop, &e.watch, fds[0], note), ERR_OK);
        assert_int_equal(write(fds[1], "x", 1), 1);
        loop_turn(loop, 1000);
        loop_turn(loop, 1000);
        assert_int_equal(e.calls, 2);
        loop_remove(loop, &e.watch);
        close(fds[0]);
        close(fds[1]);
}

static void test_more_events_than_a_batch(void **state)
{
        enum { N = 700 };
        static struct end ends[N];
        static int fds[N][2];

        for (int i = 0; i < N; i++) {
                pair(fds[i]);
                assert_err(loop_add(loop, &ends[i].watch, fds[i][0], note), ERR_OK);
        }
        for (int i = 0; i < 3; i++)
                loop_turn(loop, 0);
        for (int i = 0; i < N; i++) {
                assert_int_equal(ends[i].calls, 1);
                loop_remove(loop, &ends[i].watch);
                close(fds[i][0]);
                close(fds[i][1]);
        }
}

struct job {
        struct task task;
        unsigned runs;
        bool again;
        struct job *unposts;
};

static void job_run(struct task *t)
{
        struct job *j = CONTAINER_OF(t, struct job, task);

        j->runs++;
        if (j->again)
                loop_post(loop, t);
        if (j->unposts)
                loop_unpost(&j->unposts->task);
}

static void test_tasks(void **state)
{
        struct job a = { .again = true }, b = { 0 }, c = { 0 };

        task_init(&a.task, job_run);
        task_init(&b.task, job_run);
        task_init(&c.task, job_run);
        a.unposts = &c;
        loop_post(loop, &a.task);
        loop_post(loop, &b.task);
        loop_post(loop, &b.task); /* twice is once */
        loop_post(loop, &c.task);
        loop_turn(loop, MONO_NEVER); /* does not wait while something is posted */
        assert_int_equal(a.runs, 1); /* posted again by itself: next turn */
        assert_int_equal(b.runs, 1);
        assert_int_equal(c.runs, 0); /* taken back by the first */
        loop_turn(loop, MONO_NEVER);
        assert_int_equal(a.runs, 2);
        assert_int_equal(b.runs, 1);
        loop_unpost(&a.task);
        loop_unpost(&a.task);
}

struct alarm {
        struct timer timer;
        unsigned runs;
};

static void alarm_stop(struct timer *t)
{
        CONTAINER_OF(t, struct alarm, timer)->runs++;
        loop_stop(loop);
}

static void test_clock_and_timers(void **state)
{
        struct alarm a = { 0 };
        mono_ms before = loop_now(loop);
        int64_t start = loop_clock_us();

        timer_init(&a.timer, alarm_stop);
        timer_set(loop, &a.timer, before + 30);
        loop_run(loop);
        assert_int_equal(a.runs, 1);
        assert_true(loop_clock_us() - start >= 30000); /* not early */
        assert_true(loop_now(loop) >= before + 30);
        assert_int_equal(loop_now(loop), loop_now_us(loop) / 1000);
        assert_true(loop_wall(loop) > INT64_C(1700000000000));
        unix_ms wall = loop_wall(loop);
        usleep(3000);
        assert_int_equal(loop_wall(loop), wall); /* read once a turn */
        loop_stop(loop);
        loop_run(loop); /* a stop before the run is not lost */
}

/* Whoever measured before the timer was set finds no time missing, wherever in its millisecond the turn began. */
static void test_no_timer_is_early(void **state)
{
        for (int i = 0; i < 40; i++) {
                struct alarm a = { 0 };

                while (loop_clock_us() % 1000 < i * 25)
                        ;
                loop_turn(loop, 0);
                timer_init(&a.timer, alarm_stop);
                timer_set(loop, &a.timer, loop_now(loop) + 2);
                int64_t start = loop_now_us(loop);
                loop_run(loop);
                int64_t took = loop_clock_us() - start;
                if (took < 2000)
                        fail_msg("fired after %lld us, asked for 2000", (long long)took);
        }
}

static char order[16];
static size_t order_len;

static void hook(void *context)
{
        order[order_len++] = *(const char *)context;
}

static void test_hooks(void **state)
{
        order_len = 0;
        loop_before_wait(loop, hook, "a");
        loop_before_wait(loop, hook, "b");
        loop_turn(loop, 0);
        loop_before_wait_remove(loop, hook, "a");
        loop_turn(loop, 0);
        assert_str(((struct str){ order, order_len }), STR("abb"));
}

static void test_what_cannot_be_watched(void **state)
{
        struct end e = { 0 };
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        assert_int_not_equal(loop_add(loop, &e.watch, fd, note), ERR_OK);
        assert_int_equal(e.watch.fd, -1);
        loop_remove(loop, &e.watch);
        close(fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_edges, setup, teardown),
                cmocka_unit_test_setup_teardown(test_events_of_a_removed_watch_are_dropped, setup, teardown),
                cmocka_unit_test_setup_teardown(test_level, setup, teardown),
                cmocka_unit_test_setup_teardown(test_more_events_than_a_batch, setup, teardown),
                cmocka_unit_test_setup_teardown(test_tasks, setup, teardown),
                cmocka_unit_test_setup_teardown(test_clock_and_timers, setup, teardown),
                cmocka_unit_test_setup_teardown(test_no_timer_is_early, setup, teardown),
                cmocka_unit_test_setup_teardown(test_hooks, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_cannot_be_watched, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
