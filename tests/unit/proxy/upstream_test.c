#include "proxy/upstream.h"

#include "../test.h"

enum { TARGETS = 3 };

struct fixture {
        struct standings *standings;
        struct target targets[TARGETS];
        struct upstream upstream;
};

static void fixture_init(struct fixture *f, enum upstream_balance balance)
{
        *f = (struct fixture){ .standings = standings_new(TARGETS) };
        f->upstream = (struct upstream){ .targets = f->targets,
                                         .targets_count = TARGETS,
                                         .balance = balance,
                                         .failures_max = 2,
                                         .eject_ms = 1000 };
        for (uint64_t i = 0; i < TARGETS; i++)
                f->targets[i] = (struct target){ .upstream = &f->upstream,
                                                 .weight = 1,
                                                 .standing = standing_of(f->standings, i * 2 + 1) };
}

static void fixture_fini(struct fixture *f)
{
        standings_free(f->standings);
}

static struct target *pick(struct fixture *f, mono_ms now)
{
        return upstream_pick(&f->upstream, now, NULL, 0);
}

static void round_robin_by_weight(void **state)
{
        struct fixture f;
        int counts[TARGETS] = { 0 };

        fixture_init(&f, BALANCE_ROUND_ROBIN);
        f.targets[1].weight = 3;
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
        f.targets[0].requests_active = 4;
        f.targets[1].requests_active = 2;
        f.targets[2].requests_active = 3;
        assert_ptr_equal(pick(&f, 0), &f.targets[1]);
        f.targets[0].weight = 4; /* 4 of 4 is less than 2 of 1 */
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
        target_succeeded(t); /* not in a row */
        assert_false(target_failed(t, 0));
        assert_true(target_failed(t, 0));
        assert_false(standing_is_usable(t->standing, 999));
        assert_true(standing_is_usable(t->standing, 1000));
        assert_false(target_failed(t, 1000));
        assert_true(target_failed(t, 1000));
        assert_false(standing_is_usable(t->standing, 2999));
        assert_true(standing_is_usable(t->standing, 3000));
        target_succeeded(t);
        assert_false(target_failed(t, 3000));
        assert_true(target_failed(t, 3000));
        assert_true(standing_is_usable(t->standing, 4000)); /* a success made the time short again */
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

        fixture_init(&f, BALANCE_ROUND_ROBIN);
        struct target *tried[2] = { &f.targets[0], &f.targets[1] };
        for (int i = 0; i < 5; i++)
                assert_ptr_equal(upstream_pick(&f.upstream, 0, tried, 2), &f.targets[2]);
        f.targets[2].connections_max = 1;
        f.targets[2].requests_active = 1;
        assert_null(upstream_pick(&f.upstream, 0, tried, 2));
        fixture_fini(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(round_robin_by_weight),
                cmocka_unit_test(least_requests_by_weight),
                cmocka_unit_test(backup_only_when_no_other),
                cmocka_unit_test(failures_eject_and_double),
                cmocka_unit_test(last_resort),
                cmocka_unit_test(not_again_and_not_over_the_bound),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
