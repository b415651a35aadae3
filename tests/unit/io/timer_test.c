#include "../test.h"

#include <stdio.h>
#include <stdlib.h>

#include "io/timer_priv.h"

static struct wheel wheel;

static uint64_t random_state = 88172645463325252ULL;

static uint64_t random_u64(void)
{
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        return random_state ^= random_state << 17;
}

struct probe {
        struct timer timer;
        mono_ms want; /* the naive model: MONO_NEVER or when it must fire at the earliest */
        unsigned fired;
};

static mono_ms advancing_to;
static mono_ms last_due;

static void probe_fired(struct timer *t)
{
        struct probe *p = CONTAINER_OF(t, struct probe, timer);

        assert_true(p->want != MONO_NEVER);
        assert_true(p->want <= advancing_to);
        assert_true(p->want >= last_due); /* in order of due times */
        assert_true(t->due == MONO_NEVER);
        last_due = p->want;
        p->want = MONO_NEVER;
        p->fired++;
}

static mono_ms random_delay(void)
{
        /* Every level of the wheel gets its share, and the past too. */
        unsigned bits = (unsigned)(random_u64() % 45);
        mono_ms d = (mono_ms)(random_u64() & ((UINT64_C(1) << bits) - 1));
        return random_u64() % 16 == 0 ? -d : d;
}

static void against_naive_model(mono_ms start, unsigned rounds)
{
        enum { PROBES = 300 };
        static struct probe probes[PROBES];
        mono_ms now = start;

        wheel_init(&wheel, now);
        for (int i = 0; i < PROBES; i++) {
                timer_init(&probes[i].timer, probe_fired);
                probes[i].want = MONO_NEVER;
        }
        for (unsigned round = 0; round < rounds; round++) {
                for (int i = 0; i < 20; i++) {
                        struct probe *p = &probes[random_u64() % PROBES];
                        switch (random_u64() % 4) {
                        case 0:
                                timer_clear(&p->timer);
                                p->want = MONO_NEVER;
                                break;
                        case 1: /* pushed on, as an idle timer is */
                                if (p->want != MONO_NEVER) {
                                        p->want += (mono_ms)(random_u64() % 5000);
                                        wheel_set(&wheel, &p->timer, p->want);
                                }
                                break;
                        default:
                                p->want = now + random_delay();
                                p->want = MAX(p->want, now + 1);
                                wheel_set(&wheel, &p->timer, p->want);
                        }
                }
                mono_ms first = MONO_NEVER;
                for (int i = 0; i < PROBES; i++)
                        first = MIN(first, probes[i].want);
                mono_ms next = wheel_next(&wheel);
                assert_true(next <= first);
                assert_true(next > now);
                if (first != MONO_NEVER && random_u64() % 2)
                        now = random_u64() % 2 ? next : first;
                else
                        now += (mono_ms)(random_u64() % (random_u64() % 8 == 0 ? 100000000 : 200)) + 1;
                advancing_to = now;
                last_due = 0;
                wheel_advance(&wheel, now);
                for (int i = 0; i < PROBES; i++)
                        assert_true(probes[i].want > now);
        }
}

static void test_naive_model(void **state)
{
        against_naive_model(0, 20000);
        against_naive_model(1000, 5000);
        against_naive_model((INT64_C(1) << 36) - 3, 5000); /* across a carry through many levels */
        against_naive_model(INT64_C(1) << 60, 5000);
}

static void count_fired(struct timer *t)
{
        CONTAINER_OF(t, struct probe, timer)->fired++;
}

static void test_pushing_on_moves_nothing(void **state)
{
        struct probe p = { 0 };

        wheel_init(&wheel, 0);
        timer_init(&p.timer, count_fired);
        wheel_set(&wheel, &p.timer, 100);
        struct list *place = p.timer.node.next;
        for (mono_ms due = 101; due < 1000; due++)
                wheel_set(&wheel, &p.timer, due);
        assert_ptr_equal(p.timer.node.next, place);
        wheel_advance(&wheel, 998);
        assert_int_equal(p.fired, 0);
        wheel_advance(&wheel, 999);
        assert_int_equal(p.fired, 1);
        assert_true(wheel_is_empty(&wheel));
}

static void test_set_to_the_past_fires_at_the_next_advance(void **state)
{
        struct probe p = { 0 };

        wheel_init(&wheel, 5000);
        timer_init(&p.timer, count_fired);
        wheel_set(&wheel, &p.timer, 10);
        assert_int_equal(wheel_next(&wheel), 5001);
        wheel_advance(&wheel, 5001);
        assert_int_equal(p.fired, 1);
}

static void rearm_at_once(struct timer *t)
{
        CONTAINER_OF(t, struct probe, timer)->fired++;
        wheel_set(&wheel, t, 0);
}

static void test_rearming_does_not_spin(void **state)
{
        struct probe p = { 0 };

        wheel_init(&wheel, 0);
        timer_init(&p.timer, rearm_at_once);
        wheel_set(&wheel, &p.timer, 1);
        wheel_advance(&wheel, 1000000);
        assert_int_equal(p.fired, 1);
        wheel_advance(&wheel, 1000001);
        assert_int_equal(p.fired, 2);
        timer_clear(&p.timer);
}

static struct probe *victim;

static void free_another(struct timer *t)
{
        struct probe *p = CONTAINER_OF(t, struct probe, timer);

        p->fired++;
        if (victim) {
                timer_clear(&victim->timer);
                free(victim);
                victim = NULL;
        }
        free(p); /* itself too */
}

static void test_callback_may_free(void **state)
{
        wheel_init(&wheel, 0);
        for (mono_ms due = 1; due < 20000; due = due * 3 + 1) {
                struct probe *p = calloc(1, sizeof(*p));
                victim = calloc(1, sizeof(*victim));
                timer_init(&p->timer, free_another);
                timer_init(&victim->timer, free_another);
                wheel_set(&wheel, &p->timer, wheel.now + due);
                wheel_set(&wheel, &victim->timer, wheel.now + due); /* same slot, behind it */
                wheel_advance(&wheel, wheel.now + due);
                assert_null(victim);
        }
        assert_true(wheel_is_empty(&wheel));
}

static void test_never_clears(void **state)
{
        struct probe p = { 0 };

        wheel_init(&wheel, 0);
        timer_init(&p.timer, count_fired);
        timer_clear(&p.timer); /* clear already */
        wheel_set(&wheel, &p.timer, 7);
        wheel_set(&wheel, &p.timer, MONO_NEVER);
        assert_true(wheel_is_empty(&wheel));
        wheel_set(&wheel, &p.timer, MONO_NEVER - 1); /* the farthest */
        wheel_advance(&wheel, INT64_C(1) << 50);
        assert_int_equal(p.fired, 0);
        timer_clear(&p.timer);
}

static void test_many_timers_few_wakes(void **state)
{
        /* A timer far away wakes the loop once a level, not once a slot. */
        struct probe p = { 0 };
        unsigned wakes = 0;

        wheel_init(&wheel, 12345);
        timer_init(&p.timer, count_fired);
        wheel_set(&wheel, &p.timer, 12345 + 3600 * 1000);
        while (!p.fired) {
                wheel_advance(&wheel, wheel_next(&wheel));
                wakes++;
        }
        assert_int_equal(wheel.now, 12345 + 3600 * 1000);
        assert_true(wakes <= 5);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_naive_model),
                cmocka_unit_test(test_pushing_on_moves_nothing),
                cmocka_unit_test(test_set_to_the_past_fires_at_the_next_advance),
                cmocka_unit_test(test_rearming_does_not_spin),
                cmocka_unit_test(test_callback_may_free),
                cmocka_unit_test(test_never_clears),
                cmocka_unit_test(test_many_timers_few_wakes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
