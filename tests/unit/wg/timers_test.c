#include "wg/timers.h"

#include "lab.h"

static struct wg_timers t;

static int setup(void **state)
{
        wg_timers_init(&t);
        return 0;
}

/* Nothing is due before `at`, and then exactly these. */
static void expect(mono_ms at, unsigned actions)
{
        assert_int_equal(wg_timers_next(&t), at);
        assert_int_equal(wg_timers_fire(&t, at - 1), 0);
        assert_int_equal(wg_timers_fire(&t, at), actions);
}

static void new_ones_are_off(void **state)
{
        assert_int_equal(wg_timers_next(&t), MONO_NEVER);
        assert_int_equal(wg_timers_fire(&t, INT64_MAX - 1), 0);
}

static void an_initiation_is_not_wanted_twice_in_5_seconds(void **state)
{
        wg_timers_want_initiation(&t, 1000);
        expect(1000, WG_DO_INITIATE);
        wg_timers_initiation_sent(&t, 1000, 0);
        wg_timers_want_initiation(&t, 5999);
        assert_int_equal(wg_timers_next(&t), 6000); /* only the retransmission */
        wg_timers_handshake_complete(&t);
        wg_timers_want_initiation(&t, 6000);
        expect(6000, WG_DO_INITIATE);
}

static void a_handshake_is_tried_18_times_more(void **state)
{
        mono_ms now = 0;

        for (int i = 0; i < 18; i++) {
                wg_timers_initiation_sent(&t, now, 100);
                now += 5100;
                expect(now, WG_DO_INITIATE | WG_DO_FORGET_SOURCE);
        }
        wg_timers_initiation_sent(&t, now, 333);
        now += 5333;
        wg_timers_data_received(&t, now - 1); /* a keepalive would be useless now */
        expect(now, WG_DO_DROP_STAGED);
        expect(now + 540 * 1000, WG_DO_ZERO_KEYS);
        assert_int_equal(wg_timers_next(&t), MONO_NEVER);
}

static void a_keepalive_follows_data_that_came_in(void **state)
{
        wg_timers_data_received(&t, 0);
        expect(10000, WG_DO_KEEPALIVE);
        assert_int_equal(wg_timers_next(&t), MONO_NEVER);

        /* More data meanwhile asks for one more. */
        wg_timers_data_received(&t, 20000);
        wg_timers_data_received(&t, 21000);
        expect(30000, WG_DO_KEEPALIVE);
        expect(40000, WG_DO_KEEPALIVE);

        /* Anything sent makes it needless. */
        wg_timers_data_received(&t, 50000);
        wg_timers_authenticated_sent(&t, 51000);
        assert_int_equal(wg_timers_next(&t), MONO_NEVER);
}

static void silence_after_data_asks_for_new_keys(void **state)
{
        wg_timers_data_sent(&t, 0, 50);
        wg_timers_data_sent(&t, 9000, 50); /* the first counts */
        expect(15050, WG_DO_INITIATE | WG_DO_FORGET_SOURCE);
        wg_timers_data_sent(&t, 20000, 0);
        wg_timers_authenticated_received(&t, 21000);
        assert_int_equal(wg_timers_next(&t), MONO_NEVER);
}

static void keys_age(void **state)
{
        wg_timers_session_derived(&t, 0);
        expect(180000, WG_DO_DROP_OLD_KEYS);
        expect(540000, WG_DO_ZERO_KEYS);
        wg_timers_session_derived(&t, 600000);
        wg_timers_session_derived(&t, 700000); /* each session starts them anew */
        assert_int_equal(wg_timers_next(&t), 880000);
}

static void the_last_minute_asks_once(void **state)
{
        wg_timers_last_minute(&t, 165000);
        expect(165000, WG_DO_INITIATE);
        wg_timers_last_minute(&t, 166000);
        assert_int_equal(wg_timers_next(&t), MONO_NEVER);
        wg_timers_handshake_complete(&t);
        wg_timers_last_minute(&t, 330000);
        expect(330000, WG_DO_INITIATE);
}

static void persistent(void **state)
{
        wg_timers_set_persistent(&t, 25000, 1000);
        expect(1000, WG_DO_KEEPALIVE);
        wg_timers_authenticated_sent(&t, 1000);
        expect(26000, WG_DO_KEEPALIVE);
        expect(51000, WG_DO_KEEPALIVE); /* even if nothing could be sent */
        wg_timers_authenticated_received(&t, 60000);
        assert_int_equal(wg_timers_next(&t), 85000);
        wg_timers_set_persistent(&t, 0, 70000);
        assert_int_equal(wg_timers_next(&t), MONO_NEVER);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(new_ones_are_off),
                T(an_initiation_is_not_wanted_twice_in_5_seconds),
                T(a_handshake_is_tried_18_times_more),
                T(a_keepalive_follows_data_that_came_in),
                T(silence_after_data_asks_for_new_keys),
                T(keys_age),
                T(the_last_minute_asks_once),
                T(persistent),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
