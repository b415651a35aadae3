#include "wg/replay.h"

#include "lab.h"

#define LAST WG_REPLAY_WINDOW

/* In this order on one window, as the kernel's own test does it. */
static const struct {
        const char *why;
        uint64_t counter;
        bool is_accepted;
} steps[] = {
        { "the first", 0, true },
        { "repeat", 0, false },
        { "next", 1, true },
        { "repeat", 1, false },
        { "a jump", 9, true },
        { "within the jump", 8, true },
        { "within the jump", 7, true },
        { "repeat within", 7, false },
        { "the new front is at the window's end", LAST, true },
        { "one before it", LAST - 1, true },
        { "repeat", LAST - 1, false },
        { "repeat of 1", 1, false },
        { "2 is last - 8190", 2, true },
        { "repeat of 2", 2, false },
        { "far past the window", LAST + 16, true },
        { "3 is too old now", 3, false },
        { "repeat", LAST + 16, false },
        { "last - 8191 is the oldest that counts", LAST + 16 - (WG_REPLAY_WINDOW - 1), true },
        { "one older does not", LAST + 16 - WG_REPLAY_WINDOW, false },
        { "a jump over many windows", 10 * LAST, true },
        { "all before is too old", LAST + 17, false },
        { "just inside", 9 * LAST + 1, true },
        { "just outside", 9 * LAST, false },
        { "the last counter there is", WG_REJECT_AFTER_MESSAGES - 1, true },
        { "over the limit", WG_REJECT_AFTER_MESSAGES, false },
        { "the largest number", UINT64_MAX, false },
        { "still inside", WG_REJECT_AFTER_MESSAGES - 2, true },
        { "and once only", WG_REJECT_AFTER_MESSAGES - 2, false },
};

static void step_by_step(void **state)
{
        struct wg_replay r;

        wg_replay_init(&r);
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
                if (wg_replay_accept(&r, steps[i].counter) != steps[i].is_accepted)
                        fail_msg("step %zu, %s", i, steps[i].why);
}

static void whole_windows_in_both_directions(void **state)
{
        struct wg_replay r;

        wg_replay_init(&r);
        for (uint64_t i = 1; i <= WG_REPLAY_WINDOW; i++)
                assert_true(wg_replay_accept(&r, i));
        for (uint64_t i = 1; i <= WG_REPLAY_WINDOW; i++)
                assert_false(wg_replay_accept(&r, i));
        wg_replay_init(&r);
        for (uint64_t i = WG_REPLAY_WINDOW; i-- > 0;)
                assert_true(wg_replay_accept(&r, i));
        for (uint64_t i = WG_REPLAY_WINDOW; i-- > 0;)
                assert_false(wg_replay_accept(&r, i));
}

/* The naive reference: remembers every number. */
static void model(void **state)
{
        enum { NUMBERS = 60000 };
        static bool seen[NUMBERS];

        for (uint64_t seed = 1; seed <= 8; seed++) {
                struct lab_random random = { seed };
                struct wg_replay r;
                uint32_t front = 0, last = 0;
                bool is_any = false;

                memset(seen, 0, sizeof(seen));
                wg_replay_init(&r);
                for (int i = 0; i < 40000; i++) {
                        uint32_t step = lab_below(&random, lab_below(&random, 50) ? 3 : 9000);
                        front = MIN(front + step, NUMBERS - 1u);
                        uint32_t back = lab_below(&random, lab_below(&random, 4) ? 64 : 9000);
                        uint32_t counter = back > front ? 0 : front - back;
                        bool expected = !seen[counter] && (!is_any || counter + WG_REPLAY_WINDOW > last);

                        assert_int_equal(wg_replay_accept(&r, counter), expected);
                        if (expected) {
                                seen[counter] = true;
                                last = MAX(last, counter);
                                is_any = true;
                        }
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(step_by_step),
                cmocka_unit_test(whole_windows_in_both_directions),
                cmocka_unit_test(model),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
