/* Which streams there were, as far as it is remembered. */
#include "../test.h"
#include "http/h2_past_priv.h"

static void skipped(void **state)
{
        struct h2_past p = { 0 };

        h2_past_opened(&p, 1);
        h2_past_opened(&p, 3);
        h2_past_opened(&p, 9); /* 5 and 7 were passed over */
        assert_int_equal(p.last_id, 9);
        for (int32_t id = 1; id <= 11; id += 2)
                assert_int_equal(h2_past_was_skipped(&p, id), id == 5 || id == 7);
}

static void the_first_may_be_any(void **state)
{
        struct h2_past p = { 0 };

        h2_past_opened(&p, 7);
        for (int32_t id = 1; id <= 7; id += 2)
                assert_int_equal(h2_past_was_skipped(&p, id), id < 7);
}

/* Gaps of long ago are forgotten, the latest are kept. */
static void gaps_are_bounded(void **state)
{
        struct h2_past p = { 0 };
        int32_t id = 1;

        for (int i = 0; i < 3 * H2_SKIPPED_MAX; i++, id += 4)
                h2_past_opened(&p, id);
        assert_false(h2_past_was_skipped(&p, 3));
        for (int i = 0; i < H2_SKIPPED_MAX; i++)
                assert_true(h2_past_was_skipped(&p, p.last_id - 2 - 4 * i));
}

static void resets_are_bounded(void **state)
{
        struct h2_past p = { 0 };

        assert_false(h2_past_was_reset(&p, 0));
        for (int32_t i = 0; i < H2_RESETS_KEPT + 10; i++)
                h2_past_reset(&p, 2 * i + 1);
        assert_false(h2_past_was_reset(&p, 1));
        assert_false(h2_past_was_reset(&p, 19));
        for (int32_t i = 10; i < H2_RESETS_KEPT + 10; i++)
                assert_true(h2_past_was_reset(&p, 2 * i + 1));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(skipped),
                cmocka_unit_test(the_first_may_be_any),
                cmocka_unit_test(gaps_are_bounded),
                cmocka_unit_test(resets_are_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
