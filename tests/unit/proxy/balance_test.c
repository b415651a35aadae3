#include "proxy/balance.h"

#include <stdlib.h>

#include "../test.h"
#include "base/hash.h"

/* Simulations: all chance comes from the seed, so what holds once holds always. */
enum { SEATS_MAX = 16, SEED = 20240229 };

struct field {
        struct balance_seat seats[SEATS_MAX], *refs[SEATS_MAX];
        size_t count;
        uint64_t random;
};

static void field_init(struct field *f, size_t count)
{
        *f = (struct field){ .count = count, .random = SEED };
        for (size_t i = 0; i < count; i++) {
                f->seats[i] = (struct balance_seat){ .key = hash_u64(i + 1),
                                                     .weight = 1,
                                                     .share = BALANCE_SHARE_ONE };
                f->refs[i] = &f->seats[i];
        }
}

static void weight_set(struct field *f, size_t i, uint32_t weight)
{
        f->seats[i].weight = weight;
        f->seats[i].share = weight * BALANCE_SHARE_ONE;
}

static size_t choose(struct field *f, enum balance_kind kind, mono_ms now)
{
        struct balance_ask ask = { .kind = kind, .now = now, .random = &f->random };

        return balance_choose(&ask, f->refs, f->count);
}

static size_t choose_for(struct field *f, uint64_t hash)
{
        struct balance_ask ask = {
                .kind = BALANCE_HASH, .random = &f->random, .hash = hash_u64(hash), .has_hash = true
        };

        return balance_choose(&ask, f->refs, f->count);
}

static void assert_near(long value, long expected, long percent, const char *why)
{
        if (labs(value - expected) * 100 > expected * percent)
                fail_msg("%s: %ld is not within %ld %% of %ld", why, value, percent, expected);
}

/* With nothing to tell them apart but weight, each gets its share. */
static void idle_targets_get_their_shares(void **state)
{
        static const struct {
                enum balance_kind kind;
                const char *why;
        } cases[] = {
                { BALANCE_TWO_CHOICES, "two choices" },
                { BALANCE_ROUND_ROBIN, "round robin" },
                { BALANCE_LEAST_REQUESTS, "least requests" },
                { BALANCE_HASH, "a hash that the request has not: two choices" },
        };

        for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
                struct field f;
                long got[SEATS_MAX] = { 0 };

                field_init(&f, 4);
                weight_set(&f, 3, 5);
                for (int i = 0; i < 80000; i++)
                        got[choose(&f, cases[c].kind, 0)]++;
                for (int i = 0; i < 3; i++)
                        assert_near(got[i], 10000, 3, cases[c].why);
                assert_near(got[3], 50000, 3, cases[c].why);
        }
}

/* Servers with a queue each: what arrives in a tick is served `speed` a tick. Gives the longest queue seen. */
static uint32_t longest_queue(enum balance_kind kind, const uint32_t *speeds, size_t count, int arrivals)
{
        struct field f;
        uint32_t longest = 0;

        field_init(&f, count);
        for (int tick = 0; tick < 5000; tick++) {
                for (int i = 0; i < arrivals; i++) {
                        struct balance_seat *s = &f.seats[choose(&f, kind, tick * 10)];
                        balance_answered(s, 1000 + 10000 * (int64_t)s->in_flight / speeds[s - f.seats],
                                         tick * 10);
                        longest = MAX(longest, ++s->in_flight);
                }
                for (size_t i = 0; i < count; i++)
                        f.seats[i].in_flight -= MIN(f.seats[i].in_flight, speeds[i]);
        }
        return longest;
}

/* At 90 % of what all can do, no queue grows away, although the speeds differ and nobody was told them. */
static void queues_stay_short(void **state)
{
        static const uint32_t equal[10] = { 4, 4, 4, 4, 4, 4, 4, 4, 4, 4 };
        static const uint32_t mixed[10] = { 1, 2, 2, 4, 4, 4, 4, 6, 6, 7 };

        assert_true(longest_queue(BALANCE_TWO_CHOICES, equal, 10, 36) <= 16);
        assert_true(longest_queue(BALANCE_TWO_CHOICES, mixed, 10, 36) <= 24);
        /* The same load in turns buries the slowest: this is what the choice is for. */
        assert_true(longest_queue(BALANCE_ROUND_ROBIN, mixed, 10, 36) > 1000);
}

/* All learn at the same moment that one is the fastest: they must not all go there. */
static void no_thundering_herd(void **state)
{
        struct field f;
        uint32_t most = 0;

        field_init(&f, 10);
        for (size_t i = 0; i < f.count; i++)
                balance_answered(&f.seats[i], i == 0 ? 1000 : 20000, 0);
        for (int i = 0; i < 1000; i++)
                f.seats[choose(&f, BALANCE_TWO_CHOICES, 1)].in_flight++;
        for (size_t i = 0; i < f.count; i++)
                most = MAX(most, f.seats[i].in_flight);
        assert_true(f.seats[0].in_flight > 120);
        assert_true(most < 250);
}

static void a_slow_one_is_left_alone_and_tried_again(void **state)
{
        struct field f;
        int got = 0;

        field_init(&f, 2);
        balance_answered(&f.seats[0], 5000, 0);
        balance_answered(&f.seats[1], 500000, 0);
        for (int i = 0; i < 1000; i++)
                got += choose(&f, BALANCE_TWO_CHOICES, 100) == 1;
        assert_int_equal(got, 0);
        for (int i = 0; i < 1000; i++) {
                balance_answered(&f.seats[0], 5000, 90000);
                got += choose(&f, BALANCE_TWO_CHOICES, 90000) == 1;
        }
        assert_true(got > 300);
}

static void failing_fast_is_not_fast(void **state)
{
        struct field f;
        int got = 0;

        field_init(&f, 2);
        for (size_t i = 0; i < 2; i++)
                balance_answered(&f.seats[i], 20000, 0);
        balance_failed(&f.seats[1], 0);
        for (int i = 0; i < 100; i++)
                got += choose(&f, BALANCE_TWO_CHOICES, 0) == 1;
        assert_int_equal(got, 0);
}

static void hash_is_fair_and_constant(void **state)
{
        struct field f;
        long got[SEATS_MAX] = { 0 };

        field_init(&f, 8);
        weight_set(&f, 7, 3);
        for (uint64_t key = 0; key < 100000; key++) {
                size_t i = choose_for(&f, key);

                got[i]++;
                assert_int_equal(choose_for(&f, key), i);
        }
        for (int i = 0; i < 7; i++)
                assert_near(got[i], 10000, 5, "weight 1 of 10");
        assert_near(got[7], 30000, 5, "weight 3 of 10");
}

/* A target that goes takes only its own keys along; one that comes takes only its part. */
static void hash_moves_as_little_as_it_can(void **state)
{
        struct field f;
        int moved = 0, mine = 0;

        field_init(&f, 10);
        for (uint64_t key = 0; key < 20000; key++) {
                size_t with, without;

                f.count = 10;
                with = choose_for(&f, key);
                f.count = 9;
                without = choose_for(&f, key);
                mine += with == 9;
                moved += with != without;
        }
        assert_int_equal(moved, mine);
        assert_near(moved, 2000, 8, "a tenth");
}

static void hash_bounds_the_load_of_a_hot_key(void **state)
{
        struct field f;
        uint32_t most = 0;

        field_init(&f, 10);
        for (int i = 0; i < 1000; i++)
                f.seats[choose_for(&f, 7)].in_flight++;
        for (size_t i = 0; i < f.count; i++)
                most = MAX(most, f.seats[i].in_flight);
        assert_true(most <= 126);
}

static void warming_up(void **state)
{
        static const struct {
                const char *why;
                mono_ms back_since, now;
                uint32_t share;
        } cases[] = {
                { "was never away", 0, 5000, 2048 },
                { "just back: a tenth", 1000, 1000, 204 },
                { "still a tenth", 1000, 1900, 204 },
                { "half way", 1000, 6000, 1024 },
                { "warm", 1000, 11000, 2048 },
                { "the clock of another worker is ahead", 6000, 5000, 204 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint32_t share = balance_share(2, cases[i].back_since, 10000, cases[i].now);

                if (share != cases[i].share)
                        fail_msg("%s: %u", cases[i].why, share);
        }
        assert_int_equal(balance_share(2, 1000, 0, 1000), 2048); /* off */
}

static void average_follows_slowly_and_forgets(void **state)
{
        struct balance_seat s = { .weight = 1 };

        balance_answered(&s, 1000, 0);
        assert_int_equal(s.latency_us, 1000);
        balance_answered(&s, 17000, 1);
        assert_int_equal(s.latency_us, 2000); /* a sixteenth of the way */
        balance_answered(&s, 50000, 100000);
        assert_int_equal(s.latency_us, 50000); /* what was known is old */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(idle_targets_get_their_shares),
                cmocka_unit_test(queues_stay_short),
                cmocka_unit_test(no_thundering_herd),
                cmocka_unit_test(a_slow_one_is_left_alone_and_tried_again),
                cmocka_unit_test(failing_fast_is_not_fast),
                cmocka_unit_test(hash_is_fair_and_constant),
                cmocka_unit_test(hash_moves_as_little_as_it_can),
                cmocka_unit_test(hash_bounds_the_load_of_a_hot_key),
                cmocka_unit_test(warming_up),
                cmocka_unit_test(average_follows_slowly_and_forgets),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
