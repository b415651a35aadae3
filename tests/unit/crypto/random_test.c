#include "crypto/random.h"

#include "../test.h"

static void fills_all_of_it(void **state)
{
        uint8_t bytes[1000] = { 0 };
        unsigned seen_last = 0;

        /* A byte stays zero by chance once in 256: in 64 rounds each place must have changed. */
        for (int round = 0; round < 64; round++) {
                crypto_random(bytes, sizeof(bytes) - 1);
                assert_int_equal(bytes[sizeof(bytes) - 1], 0);
                seen_last |= bytes[sizeof(bytes) - 2];
        }
        assert_int_not_equal(seen_last, 0);
        assert_true(crypto_random_u64() != crypto_random_u64());
        crypto_random(NULL, 0);
}

static void below_stays_below(void **state)
{
        unsigned counts[3] = { 0 };

        for (int i = 0; i < 3000; i++) {
                uint32_t value = crypto_random_below(3);
                assert_true(value < 3);
                counts[value]++;
        }
        /* 1000 each; 15 standard deviations off would be 390. */
        for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
                assert_in_range(counts[i], 610, 1390);
        assert_int_equal(crypto_random_below(1), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(fills_all_of_it),
                cmocka_unit_test(below_stays_below),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
