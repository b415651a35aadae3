#include "proxy/standing.h"

#include "../test.h"

static void one_place_a_target(void **state)
{
        struct standings *s = standings_new(3);
        struct standing *a = standing_of(s, 10), *b = standing_of(s, 20);

        assert_non_null(a);
        assert_non_null(b);
        assert_ptr_not_equal(a, b);
        assert_ptr_equal(standing_of(s, 10), a);
        assert_non_null(standing_of(s, 30));
        assert_null(standing_of(s, 40)); /* full: such a target counts as up */
        assert_true(standing_is_usable(NULL, 0));
        standings_free(s);
}

static void down_and_ejected(void **state)
{
        struct standings *s = standings_new(3);
        struct standing *a = standing_of(s, 10);

        assert_true(standing_is_usable(a, 0));
        atomic_store(&a->is_down, true);
        assert_false(standing_is_usable(a, 0));
        atomic_store(&a->is_down, false);
        atomic_store(&a->ejected_until, 500);
        assert_false(standing_is_usable(a, 499));
        assert_true(standing_is_usable(a, 500));
        standings_free(s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_place_a_target),
                cmocka_unit_test(down_and_ejected),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
