#include "proxy/upstream.h"

#include "../test.h"

enum { TARGETS = 3 };

struct fixture {
        struct standings *standings;
        struct target targets[TARGETS];
        struct upstream upstream;
};

static void fixture_init(struct fixture *f, enum balance_kind balance)
{
        *f = (struct fixture){ .standings = standings_new(TARGETS) };
        f->upstream = (struct upstream){ .targets = f->targets,
                                         .targets_count = TARGETS,
                                         .balance = balance,
                                         .waits = { .connect_ms = 1000, .first_byte_ms = 1000 },
                                         .tries_max = 2,
                                         .passive = { 2, 10000, 1000 },
                                         .ejected_percent_max = 100 };
        for (uint64_t i = 0; i < TARGETS; i++)
                f->targets[i] = (struct target){ .upstream = &f->upstream,
                                                 .seat = { .key = i, .weight = 1 },
                                                 .standing = standing_of(f->standings, i * 2 + 1) };
}

static void fixture_fini(struct fixture *f)
{
        standings_free(f->standings);
}

static struct target *pick(struct fixture *f, mono_ms now)
{
        struct upstream_ask ask = { .now = now };
        struct target *t;
        bool is_probe;

        upstream_pick(&f->upstream, &ask, &t, &is_probe);
        return t;
}

static void round_robin_by_weight(void **state)
{
        struct fixture f;
        int counts[TARGETS] = { 0 };

        fixture_init(&f, BALANCE_ROUND_ROBIN);
        f.targets[1].seat.weight = 3;
        for (int i = 0; i < 50; i++)
                counts[pick(&f, 0) - f.targets]++;
        assert_int_equal(counts[0], 10);
        assert_int_equal(counts[1], 30);
        assert_int_equal(counts[2], 10);
        fixture_fini(&f);
}

static void least_requests_by_weight(void **state)
{
        struct fixture f;

        fixture_init(&f, BALANCE_LEAST_REQUESTS);
        f.targets[0].seat.in_flight = 4;
        f.targets[1].seat.in_flight = 2;
        f.targets[2].seat.in_flight = 3;
        assert_ptr_equal(pick(&f, 0), &f.targets[1]);
        f.targets[0].seat.weight = 4; /* 4 of 4 is less than 2 of 1 */
        assert_ptr_equal(pick(&f, 0), &f.targets[0]);
        fixture_fini(&f);
}

static void backup_only_when_no_other(void **state)
{
        struct fixture f;

        fixture_init(&f, BALANCE_ROUND_ROBIN);
        f.targets[2].is_backup = true;
        for (int i = 0; i < 10; i++)
                assert_ptr_not_equal(pick(&f, 0), &f.targets[2]);
        atomic_store(&f.targets[0].standing->is_down, true);
        atomic_store(&f.targets[1].standing->is_down, true);
        assert_ptr_equal(pick(&f, 0), &f.targets[2]);
        fixture_fini(&f);
}

static void failures_eject_and_double(void **state)
{
        struct fixture f;
        struct target *t;

        fixture_init(&f, BALANCE_ROUND_ROBIN);
        t = &f.targets[0];
        assert_false(target_failed(t, 0));
        target_succeeded(t, 0); /* not in a row */
        assert_false(target_failed(t, 0));
        assert_true(target_failed(t, 0));
        assert_false(target_failed(t, 500)); /* begun before: it counts no more */
        assert_false(target_failed(t, 500));
        assert_false(standing_is_usable(t->standing, 999));
        assert_true(standing_is_usable(t->standing, 1000));
        assert_true(target_failed(t, 1000)); /* half open: one is enough, and it is out for longer */
        assert_false(standing_is_usable(t->standing, 2999));
        assert_true(standing_is_usable(t->standing, 3000));
        target_succeeded(t, 3000);
        assert_false(target_failed(t, 3000));
        assert_true(target_failed(t, 3000));
        assert_true(standing_is_usable(t->standing, 4000)); /* a success made the time short again */
        fixture_fini(&f);
}

static void failures_far_apart_do_not_eject(void **state)
{
        struct fixture f;

        fixture_init(&f, BALANCE_ROUND_ROBIN);
        for (mono_ms now = 0; now < 100000; now += 10001)
                assert_false(target_failed(&f.targets[0], now));
        fixture_fini(&f);
}

static void no_more_than_the_cap_are_out(void **state)
{
        static const struct {
                const char *why;
                uint32_t percent;
                int out;
        } cases[] = {
                { "all of them may", 100, 3 },
                { "two thirds", 67, 2 },
                { "less than one target: one may", 10, 1 },
                { "none", 0, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct fixture f;
                int out = 0;

                fixture_init(&f, BALANCE_ROUND_ROBIN);
                f.upstream.ejected_percent_max = cases[i].percent;
                for (int round = 0; round < 5; round++)
                        for (int t = 0; t < TARGETS; t++)
                                out += target_failed(&f.targets[t], 0);
                if (out != cases[i].out)
                        fail_msg("%s: %d are out", cases[i].why, out);
                fixture_fini(&f);
        }
}

/* A target out of its ejection gets one request at a time, of those that can be sent again, until one was answered. */
static void half_open_takes_one_at_a_time(void **state)
{
        struct fixture f;
        struct upstream_ask ask = { .now = 1000, .is_repeatable = true };
        struct target *t;
        bool is_probe;

        fixture_init(&f, BALANCE_ROUND_ROBIN);
        assert_false(target_failed(&f.targets[1], 0));
        assert_true(target_failed(&f.targets[1], 0));
        ask.is_repeatable = false;
        for (int i = 0; i < 10; i++) {
                assert_int_equal(upstream_pick(&f.upstream, &ask, &t, &is_probe), UPSTREAM_FOUND);
                assert_ptr_not_equal(t, &f.targets[1]);
        }
        ask.is_repeatable = true;
        assert_int_equal(upstream_pick(&f.upstream, &ask, &t, &is_probe), UPSTREAM_FOUND);
        assert_ptr_equal(t, &f.targets[1]);
        assert_true(is_probe);
        target_enter(t);
        for (int i = 0; i < 10; i++) {
                assert_int_equal(upstream_pick(&f.upstream, &ask, &t, &is_probe), UPSTREAM_FOUND);
                assert_ptr_not_equal(t, &f.targets[1]);
        }
        target_leave(&f.targets[1], true); /* given up: the next one tries it */
        assert_int_equal(upstream_pick(&f.upstream, &ask, &t, &is_probe), UPSTREAM_FOUND);
        assert_true(is_probe);
        target_succeeded(&f.targets[1], 1000);
        assert_int_equal(standing_look(f.targets[1].standing, 1000), STANDING_UP);
        fixture_fini(&f);
}

/* Where nobody asks what could be sent again, any request tries it in the end. */
static void half_open_does_not_wait_for_ever(void **state)
{
        struct fixture f;
        struct upstream_ask ask = { .now = 2000 };
        struct target *t;
        bool is_probe;

        fixture_init(&f, BALANCE_ROUND_ROBIN);
        target_failed(&f.targets[1], 0);
        target_failed(&f.targets[1], 0);
        upstream_pick(&f.upstream, &ask, &t, &is_probe);
        assert_ptr_equal(t, &f.targets[1]);
        assert_true(is_probe);
        fixture_fini(&f);
}

static void warms_up_after_it_came_back(void **state)
{
        struct fixture f;
        int counts[TARGETS] = { 0 };

        fixture_init(&f, BALANCE_ROUND_ROBIN);
        f.upstream.slow_start_ms = 10000;
        standing_set_down(f.targets[0].standing, true, 1);
        standing_set_down(f.targets[0].standing, false, 1000);
        for (int i = 0; i < 210; i++)
                counts[pick(&f, 1500) - f.targets]++;
        assert_int_equal(counts[0], 10);
        memset(counts, 0, sizeof(counts));
        for (int i = 0; i < 210; i++)
                counts[pick(&f, 11000) - f.targets]++;
        assert_int_equal(counts[0], 70);
        fixture_fini(&f);
}

/* All ejected: better a doubtful target than none. Down by active checks: none. */
static void last_resort(void **state)
{
        struct fixture f;

        fixture_init(&f, BALANCE_ROUND_ROBIN);
        for (int i = 0; i < TARGETS; i++)
                atomic_store(&f.targets[i].standing->ejected_until, 5000);
        assert_non_null(pick(&f, 0));
        for (int i = 0; i < TARGETS; i++)
                atomic_store(&f.targets[i].standing->is_down, true);
        assert_null(pick(&f, 0));
        fixture_fini(&f);
}

static void not_again_and_not_over_the_bound(void **state)
{
        struct fixture f;
        struct target *tried[TARGETS], *t;
        struct upstream_ask ask = { .not_again = tried, .not_again_count = 2 };
        bool is_probe;

        fixture_init(&f, BALANCE_ROUND_ROBIN);
        for (int i = 0; i < TARGETS; i++)
                tried[i] = &f.targets[i];
        for (int i = 0; i < 5; i++) {
                assert_int_equal(upstream_pick(&f.upstream, &ask, &t, &is_probe), UPSTREAM_FOUND);
                assert_ptr_equal(t, &f.targets[2]);
        }
        f.targets[2].connections_max = 1;
        target_enter(&f.targets[2]);
        assert_int_equal(upstream_pick(&f.upstream, &ask, &t, &is_probe), UPSTREAM_FULL);
        assert_null(t);
        target_leave(&f.targets[2], false);
        ask.not_again_count = 3;
        assert_int_equal(upstream_pick(&f.upstream, &ask, &t, &is_probe), UPSTREAM_DOWN);
        fixture_fini(&f);
}

/* A backup is for targets that are down, not for busy ones. */
static void full_is_not_down(void **state)
{
        struct fixture f;
        struct upstream_ask ask = { 0 };
        struct target *t;
        bool is_probe;

        fixture_init(&f, BALANCE_ROUND_ROBIN);
        f.targets[2].is_backup = true;
        for (int i = 0; i < 2; i++) {
                f.targets[i].connections_max = 1;
                target_enter(&f.targets[i]);
        }
        assert_int_equal(upstream_pick(&f.upstream, &ask, &t, &is_probe), UPSTREAM_FULL);
        fixture_fini(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(round_robin_by_weight),
                cmocka_unit_test(least_requests_by_weight),
                cmocka_unit_test(backup_only_when_no_other),
                cmocka_unit_test(failures_eject_and_double),
                cmocka_unit_test(failures_far_apart_do_not_eject),
                cmocka_unit_test(no_more_than_the_cap_are_out),
                cmocka_unit_test(half_open_takes_one_at_a_time),
                cmocka_unit_test(half_open_does_not_wait_for_ever),
                cmocka_unit_test(warms_up_after_it_came_back),
                cmocka_unit_test(full_is_not_down),
                cmocka_unit_test(last_resort),
                cmocka_unit_test(not_again_and_not_over_the_bound),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
