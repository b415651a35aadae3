#include "proxy/cache_purges.h"

#include "../test.h"

static void each_reader_sees_all_in_order(void **state)
{
        struct cache_purges *p = cache_purges_new();
        uint64_t seen = cache_purges_now(p), hash;

        assert_false(cache_purges_next(p, &seen, &hash));
        for (uint64_t i = 1; i <= 1000; i++) {
                cache_purges_add(p, i);
                assert_true(cache_purges_next(p, &seen, &hash));
                assert_int_equal(hash, i);
                assert_false(cache_purges_next(p, &seen, &hash));
        }
        cache_purges_free(p);
}

static void who_is_too_late_forgets_all(void **state)
{
        struct cache_purges *p = cache_purges_new();
        uint64_t just = 0, late = 0, hash;

        for (uint64_t i = 1; i <= CACHE_PURGES_MAX; i++)
                cache_purges_add(p, i);
        assert_true(cache_purges_next(p, &just, &hash));
        assert_int_equal(hash, 1);
        cache_purges_add(p, 999);
        assert_true(cache_purges_next(p, &late, &hash));
        assert_int_equal(hash, CACHE_PURGE_ALL);
        assert_false(cache_purges_next(p, &late, &hash));
        cache_purges_free(p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_reader_sees_all_in_order),
                cmocka_unit_test(who_is_too_late_forgets_all),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
