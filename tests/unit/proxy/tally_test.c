#include "proxy/tally.h"

#include "../test.h"

static void counts_to_the_bound(void **state)
{
        struct tally *t = tally_new(2, 64);
        int32_t a = tally_enter(t, 0, 77, 3), b = tally_enter(t, 1, 77, 3), c = tally_enter(t, 0, 77, 3);

        assert_true(a != TALLY_NO_SLOT && b != TALLY_NO_SLOT && c != TALLY_NO_SLOT);
        assert_int_equal(tally_count(t, 77), 3);
        assert_int_equal(tally_enter(t, 1, 77, 3), TALLY_NO_SLOT);
        tally_leave(t, 1, b);
        assert_int_equal(tally_count(t, 77), 2);
        assert_true(tally_enter(t, 1, 77, 3) != TALLY_NO_SLOT);
        tally_leave(t, 0, TALLY_NO_SLOT);
        tally_free(t);
}

static void forgets_a_dead_worker(void **state)
{
        struct tally *t = tally_new(2, 64);

        assert_true(tally_enter(t, 0, 5, 10) != TALLY_NO_SLOT);
        assert_true(tally_enter(t, 1, 5, 10) != TALLY_NO_SLOT);
        assert_true(tally_enter(t, 1, 900, 10) != TALLY_NO_SLOT);
        tally_forget(t, 1);
        assert_int_equal(tally_count(t, 5), 1);
        assert_int_equal(tally_count(t, 900), 0);
        tally_free(t);
}

static void places_are_used_again(void **state)
{
        struct tally *t = tally_new(1, 8);

        for (uint64_t key = 1; key < 1000; key += 2) {
                int32_t slot = tally_enter(t, 0, key << 32 | key, 1);
                assert_true(slot != TALLY_NO_SLOT);
                tally_leave(t, 0, slot);
        }
        tally_free(t);
}

/* More keys at once than places: strangers share a count, so the bound holds for them together. */
static void crowded_table_refuses_rather_than_admits(void **state)
{
        struct tally *t = tally_new(1, 8);
        unsigned admitted = 0;

        for (uint64_t key = 1; key < 200; key += 2)
                admitted += tally_enter(t, 0, key << 32 | key, 1) != TALLY_NO_SLOT;
        assert_true(admitted <= 8);
        tally_free(t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(counts_to_the_bound),
                cmocka_unit_test(forgets_a_dead_worker),
                cmocka_unit_test(places_are_used_again),
                cmocka_unit_test(crowded_table_refuses_rather_than_admits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
