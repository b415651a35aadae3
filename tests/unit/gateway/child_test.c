/* How long a process that died is waited for before the next one. */
#include "../test.h"

#include "gateway/child.h"

static void test_the_first_death_is_mended_at_once(void **state)
{
        static const struct {
                const char *why;
                uint32_t deaths;
                int64_t wait_ms;
        } cases[] = {
                { "it lived for long", 0, 0 },    { "the first in quick succession", 1, 0 },
                { "the second waits", 2, 200 },   { "then twice as long", 3, 400 },
                { "and so on", 6, 3200 },         { "five seconds at most", 7, 5000 },
                { "for ever", UINT32_MAX, 5000 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (child_wait_ms(cases[i].deaths) != cases[i].wait_ms)
                        fail_msg("%s: %lld ms", cases[i].why, (long long)child_wait_ms(cases[i].deaths));
}

static void test_a_long_life_forgives(void **state)
{
        assert_int_equal(child_deaths(4, 1000, 2000), 5);
        assert_int_equal(child_deaths(4, 1000, 10 * 1000 + 999), 5);
        assert_int_equal(child_deaths(4, 1000, 10 * 1000 + 1000), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_first_death_is_mended_at_once),
                cmocka_unit_test(test_a_long_life_forgives),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
