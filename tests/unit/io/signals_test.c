#include "io/signals.h"

#include <sys/wait.h>
#include <unistd.h>

#include "../test.h"

static int seen[4];
static size_t seen_count;

static void on_signal(struct signals *s, int number)
{
        seen[seen_count++ % 4] = number;
}

static void signals_become_events(void **state)
{
        struct loop *loop;
        struct signals s;

        assert_err(loop_new(&loop), ERR_OK);
        assert_err(signals_open(&s, loop, on_signal), ERR_OK);
        kill(getpid(), SIGHUP);
        kill(getpid(), SIGTERM);
        loop_turn(loop, 0);
        assert_int_equal(seen_count, 2);
        assert_true((seen[0] == SIGHUP && seen[1] == SIGTERM) || (seen[0] == SIGTERM && seen[1] == SIGHUP));
        if (fork() ==
            0) { /* a child is left alone by what the terminal sends to all, and dies of the rest as usual */
                signals_leave_to_parent();
                raise(SIGTERM);
                raise(SIGHUP);
                raise(SIGUSR1);
                _exit(3);
        }
        int status;
        wait(&status);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGUSR1);
        loop_turn(loop, 100);
        assert_int_equal(seen[2], SIGCHLD);
        signals_close(&s);
        loop_free(loop);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(signals_become_events) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
