/* A node's number is found again, whatever order they came in. */
#include "../test.h"
#include "control/numbers.h"

enum { NODES = 500, STEP = 7919 }; /* a prime: every node once, in no order */

static void found_again(void **state)
{
        struct numbers all = { 0 };

        for (int64_t i = 0; i < NODES; i++) {
                struct number *n = numbers_find(&all, (i * STEP) % NODES - 3);

                assert_non_null(n);
                assert_int_equal(n->version, 0);
                n->version = (uint64_t)(i + 1);
        }
        assert_int_equal(all.count, NODES);
        for (int64_t i = 0; i < NODES; i++)
                assert_int_equal(numbers_find(&all, (i * STEP) % NODES - 3)->version, i + 1);
        assert_int_equal(all.count, NODES);
        for (size_t i = 1; i < all.count; i++)
                assert_true(all.list[i - 1].node < all.list[i].node);
        numbers_fini(&all);
        assert_null(all.list);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(found_again) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
