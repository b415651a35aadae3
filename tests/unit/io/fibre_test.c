#include "io/fibre.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../test.h"

struct counter {
        int steps, pauses;
};

/* Uses a good deal of stack, with something on it that must survive the pauses. */
static void counts(void *argument)
{
        struct counter *c = argument;
        volatile unsigned char room[16 * 1024];

        for (size_t i = 0; i < sizeof(room); i++)
                room[i] = (unsigned char)(i * 7);
        assert_non_null(fibre_current());
        for (int i = 0; i < c->pauses; i++) {
                c->steps++;
                fibre_pause();
        }
        for (size_t i = 0; i < sizeof(room); i++)
                assert_int_equal(room[i], (unsigned char)(i * 7));
        c->steps = -c->steps;
}

static void it_pauses_and_goes_on(void **state)
{
        struct counter c = { .pauses = 3 };
        struct fibre *f = fibre_new(counts, &c);

        assert_non_null(f);
        assert_int_equal(c.steps, 0);
        for (int i = 1; i <= 3; i++) {
                assert_false(fibre_run(f));
                assert_int_equal(c.steps, i);
                assert_null(fibre_current());
        }
        assert_true(fibre_run(f));
        assert_int_equal(c.steps, -3);
}

static void without_a_pause_it_is_a_call(void **state)
{
        for (int i = 0; i < 1000; i++) {
                struct counter c = { 0 };

                assert_true(fibre_run(fibre_new(counts, &c)));
        }
}

static void many_wait_at_once_and_no_more_than_may(void **state)
{
        static struct counter counters[FIBRES_MAX];
        static struct fibre *fibres[FIBRES_MAX];

        for (size_t i = 0; i < FIBRES_MAX; i++) {
                counters[i].pauses = 2;
                assert_non_null(fibres[i] = fibre_new(counts, &counters[i]));
                assert_false(fibre_run(fibres[i]));
        }
        assert_null(fibre_new(counts, NULL));
        for (size_t i = FIBRES_MAX; i-- > 0;) /* in another order than they began */
                assert_false(fibre_run(fibres[i]));
        for (size_t i = 0; i < FIBRES_MAX; i += 2)
                assert_true(fibre_run(fibres[i]));
        for (size_t i = 1; i < FIBRES_MAX; i += 2)
                assert_true(fibre_run(fibres[i]));
        for (size_t i = 0; i < FIBRES_MAX; i++)
                assert_int_equal(counters[i].steps, -2);
}

/* Touches the pages below its own frame, one by one. */
static void digs(void *argument)
{
        volatile char here = 0;

        for (uintptr_t at = (uintptr_t)&here;; at -= 1024)
                *(volatile char *)at = 0;
}

/* It meets the guard page, and nobody else's memory. */
static void a_stack_that_is_outgrown_ends_the_process(void **state)
{
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                close(1); /* cmocka and a sanitizer would tell all about it */
                close(2);
                signal(SIGSEGV, SIG_DFL);
                bool is_over = fibre_run(fibre_new(digs, NULL));
                _exit(is_over ? 0 : 2);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(it_pauses_and_goes_on),
                cmocka_unit_test(without_a_pause_it_is_a_call),
                cmocka_unit_test(many_wait_at_once_and_no_more_than_may),
                cmocka_unit_test(a_stack_that_is_outgrown_ends_the_process),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
