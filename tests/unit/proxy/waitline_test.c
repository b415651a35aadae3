#include "proxy/waitline.h"

#include "../test.h"

enum { WAITERS = 400 };

static struct waiter waiters[WAITERS];

static void waiters_init(void)
{
        for (size_t i = 0; i < WAITERS; i++)
                list_init(&waiters[i].node);
}

static void in_order_while_all_is_well(void **state)
{
        struct waitline l;

        waiters_init();
        waitline_init(&l, 3, 1000);
        assert_null(waitline_next(&l, 0));
        for (size_t i = 0; i < 3; i++)
                assert_true(waitline_join(&l, &waiters[i], (mono_ms)i * 100));
        assert_false(waitline_join(&l, &waiters[3], 300)); /* full */
        for (size_t i = 0; i < 3; i++)
                assert_ptr_equal(waitline_next(&l, 500), &waiters[i]);
        assert_null(waitline_next(&l, 500));
}

static void newest_first_under_overload(void **state)
{
        struct waitline l;

        waiters_init();
        waitline_init(&l, 10, 1000);
        for (size_t i = 0; i < 3; i++)
                assert_true(waitline_join(&l, &waiters[i], (mono_ms)i * 100));
        assert_ptr_equal(waitline_next(&l, 501), &waiters[2]);
        assert_ptr_equal(waitline_next(&l, 501), &waiters[1]);
        assert_ptr_equal(waitline_next(&l, 501), &waiters[0]);
}

static void leaving_and_coming_back(void **state)
{
        struct waitline l;

        waiters_init();
        waitline_init(&l, 3, 1000);
        for (size_t i = 0; i < 3; i++)
                assert_true(waitline_join(&l, &waiters[i], (mono_ms)i * 100));
        waitline_leave(&l, &waiters[1]);
        waitline_leave(&l, &waiters[1]); /* not there is fine */
        assert_int_equal(l.count, 2);
        assert_ptr_equal(waitline_next(&l, 300), &waiters[0]);
        assert_true(waitline_join_again(&l, &waiters[0]));
        assert_int_equal(waitline_until(&l, &waiters[0]), 1000);
        assert_ptr_equal(waitline_next(&l, 300), &waiters[0]); /* its old place */
}

/* Twice as many come as can be served: in the order of coming all would be answered at the last moment or not at all. */
static void overload_answers_half_of_them_soon(void **state)
{
        struct waitline l;
        int soon = 0, served = 0;

        waiters_init();
        waitline_init(&l, 100, 1000);
        for (int i = 0; i < WAITERS; i++) {
                mono_ms now = i * 10;

                for (int j = 0; j < i; j++)
                        if (waitline_until(&l, &waiters[j]) <= now)
                                waitline_leave(&l, &waiters[j]); /* its timer fired */
                (void)!waitline_join(&l, &waiters[i], now);
                if (i % 2) {
                        struct waiter *w = waitline_next(&l, now);
                        assert_non_null(w);
                        served++;
                        soon += now - w->since <= 100;
                }
        }
        assert_int_equal(served, WAITERS / 2);
        assert_true(soon > served / 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(in_order_while_all_is_well),
                cmocka_unit_test(newest_first_under_overload),
                cmocka_unit_test(leaving_and_coming_back),
                cmocka_unit_test(overload_answers_half_of_them_soon),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
