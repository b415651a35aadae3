#include "wg/ratelimiter.h"

#include "lab.h"

static struct wg_ratelimiter *r;

static int setup(void **state)
{
        r = wg_ratelimiter_new((struct hash_key){ 1, 2 });
        return r ? 0 : -1;
}

static int teardown(void **state)
{
        wg_ratelimiter_free(r);
        return 0;
}

/* In this order, milliseconds from the first, as the kernel's own test does it. */
static const struct {
        const char *why;
        mono_ms at;
        bool is_allowed;
} steps[] = {
        { "burst 1", 0, true },
        { "burst 2", 0, true },
        { "burst 3", 0, true },
        { "burst 4", 0, true },
        { "burst 5", 0, true },
        { "the bucket is empty", 0, false },
        { "not yet", 49, false },
        { "one more after 1/20 s", 50, true },
        { "and no second", 50, false },
        { "two after 2/20 s", 150, true },
        { "two after 2/20 s", 150, true },
        { "and no third", 150, false },
        { "a refusal costs nothing", 200, true },
        { "full again after a long time", 60000, true },
        { "full again 2", 60000, true },
        { "full again 3", 60000, true },
        { "full again 4", 60000, true },
        { "full again 5", 60000, true },
        { "but not fuller", 60000, false },
};

static void a_bucket(void **state)
{
        struct ip four = lab_ip("28.28.28.28"), six = lab_ip("2001:db8::1"), other = lab_ip("28.28.28.29");

        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                mono_ms now = 5000 + steps[i].at;
                if (wg_ratelimiter_allow(r, four, now) != steps[i].is_allowed)
                        fail_msg("step %zu: %s", i, steps[i].why);
                assert_int_equal(wg_ratelimiter_allow(r, six, now), steps[i].is_allowed);
        }
        for (int i = 0; i < 5; i++)
                assert_true(wg_ratelimiter_allow(r, other, 65000));
}

static void an_ipv6_source_is_its_64(void **state)
{
        for (int i = 0; i < 5; i++)
                assert_true(
                        wg_ratelimiter_allow(r, lab_ip(i % 2 ? "2001:db8::1" : "2001:db8::ffff:1:2:3"), 0));
        assert_false(wg_ratelimiter_allow(r, lab_ip("2001:db8::9"), 0));
        assert_true(wg_ratelimiter_allow(r, lab_ip("2001:db8:0:1::9"), 0));
        /* 32.1.13.184 has the same first bytes and is somebody else. */
        assert_true(wg_ratelimiter_allow(r, lab_ip("32.1.13.184"), 0));
}

static void a_full_table_refuses_and_recovers(void **state)
{
        size_t allowed = 0, again = 0;
        struct ip ip = { .family = 4 };

        for (uint32_t i = 0; i < 20000; i++) {
                memcpy(ip.bytes, &i, 4);
                allowed += wg_ratelimiter_allow(r, ip, 1000);
        }
        assert_in_range(allowed, 3500, 4096);
        for (uint32_t i = 20000; i < 21000; i++) {
                memcpy(ip.bytes, &i, 4);
                again += wg_ratelimiter_allow(r, ip, 1300);
        }
        assert_true(again > 900);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_bucket, setup, teardown),
                cmocka_unit_test_setup_teardown(an_ipv6_source_is_its_64, setup, teardown),
                cmocka_unit_test_setup_teardown(a_full_table_refuses_and_recovers, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
