#include "proxy/retry_budget.h"

#include "../test.h"

static uint32_t take_all(struct retry_budget *b, mono_ms now)
{
        uint32_t taken = 0;

        while (taken < 100000 && retry_budget_take(b, now))
                taken++;
        return taken;
}

static void a_share_and_a_few(void **state)
{
        static const struct {
                const char *why;
                uint32_t percent, requests, retries;
        } cases[] = {
                { "a quiet service has some", 20, 0, 30 },
                { "a busy one has its share beside these", 20, 1000, 230 },
                { "all of them", 100, 1000, 1030 },
                { "none is none", 0, 1000, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct retry_budget b = { .percent = cases[i].percent };

                for (uint32_t n = 0; n < cases[i].requests; n++)
                        retry_budget_request(&b, 5000 + n);
                uint32_t taken = take_all(&b, 6000);
                if (taken != cases[i].retries)
                        fail_msg("%s: %u", cases[i].why, taken);
                assert_false(retry_budget_has(&b, 6000));
        }
}

static void seconds_pass(void **state)
{
        struct retry_budget b = { .percent = 20 };

        for (int i = 0; i < 100; i++)
                retry_budget_request(&b, 1000);
        assert_int_equal(take_all(&b, 1500), 50);
        assert_int_equal(take_all(&b, 10999), 0);  /* the same ten seconds */
        assert_int_equal(take_all(&b, 11000), 30); /* those are forgotten, the requests too */
        assert_int_equal(take_all(&b, 1000000), 30);
        assert_int_equal(take_all(&b, 999000), 0); /* a clock that steps back gives nothing */
}

/* Every request fails: retries stay a fifth of them, whatever the rate. */
static void a_storm_stays_small(void **state)
{
        struct retry_budget b = { .percent = 20 };
        uint64_t requests = 0, retries = 0;

        for (mono_ms now = 0; now < 100000; now++)
                for (int i = 0; i < 5; i++) {
                        retry_budget_request(&b, now);
                        requests++;
                        while (retry_budget_take(&b, now))
                                retries++;
                }
        assert_true(retries < requests * 21 / 100);
        assert_true(retries > requests * 19 / 100);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_share_and_a_few),
                cmocka_unit_test(seconds_pass),
                cmocka_unit_test(a_storm_stays_small),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
