#include "proxy/pace.h"

#include "../test.h"

enum { RATE = 1000, TICKS = 12 };

/* Per tick: the bytes that came, and whether the client kept us waiting ('w') or kept up ('-'). */
static const struct {
        const char *why, *waits;
        uint64_t bytes_a_tick;
        int too_slow_at; /* the tick, from 1; 0: never */
} cases[] = {
        { "an honest rate", "wwwwwwwwwwww", 1000, 0 },
        { "a byte less", "wwwwwwwwwwww", 999, 5 },
        { "nothing at all", "wwwwwwwwwwww", 0, 5 },
        { "nothing, and nothing is waited for", "------------", 0, 0 },
        { "it caught up in between", "wwww-wwww-ww", 10, 0 },
        { "it stalls later", "---wwwwwwwww", 10, 8 },
};

static void table(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct pace p = { 0 };
                int at = 0;

                for (int tick = 0; tick < TICKS && !at; tick++)
                        if (pace_is_too_slow(&p, RATE, cases[i].bytes_a_tick * (uint64_t)(tick + 1),
                                             cases[i].waits[tick] == 'w'))
                                at = tick + 1;
                if (at != cases[i].too_slow_at)
                        fail_msg("%s: too slow at tick %d", cases[i].why, at);
        }
}

/* It had a good start: only what comes now counts. */
static void the_past_does_not_count(void **state)
{
        struct pace p = { 0 };

        assert_false(pace_is_too_slow(&p, RATE, 1000000, false));
        for (int i = 0; i < 4; i++)
                assert_false(pace_is_too_slow(&p, RATE, 1000100, true));
        assert_true(pace_is_too_slow(&p, RATE, 1000100, true));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(table),
                cmocka_unit_test(the_past_does_not_count),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
