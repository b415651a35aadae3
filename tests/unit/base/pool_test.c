#include "base/pool.h"

#include <stdint.h>

#include "../alloc.h"
#include "../test.h"
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#endif

static void test_bound_edges(void **state)
{
        static const struct {
                const char *why;
                size_t object_bytes, objects_max;
        } cases[] = {
                { "none at all", 8, 0 },
                { "one small", 1, 1 },
                { "a few", 100, 3 },
                { "several slabs", 1000, 200 },
                { "objects larger than a slab", 100000, 3 },
                { "a slab exactly", 64 * 1024, 2 },
                { "one byte more than a slab", 64 * 1024 + 1, 2 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct pool *p = pool_new(cases[i].object_bytes, cases[i].objects_max);
                void *objects[200];

                assert_non_null(p);
                assert_int_equal(pool_objects_max(p), cases[i].objects_max);
                for (int round = 0; round < 2; round++) {
                        for (size_t n = 0; n < cases[i].objects_max; n++) {
                                objects[n] = pool_take(p);
                                assert_non_null(objects[n]);
                                assert_int_equal((uintptr_t)objects[n] % _Alignof(max_align_t), 0);
                                memset(objects[n], (int)n, cases[i].object_bytes);
                        }
                        if (pool_take(p) || pool_taken_count(p) != cases[i].objects_max)
                                fail_msg("%s: one more than allowed", cases[i].why);
                        for (size_t n = 0; n < cases[i].objects_max; n++) /* none lies in another */
                                for (size_t at = 0; at < cases[i].object_bytes; at += 7)
                                        assert_int_equal(((unsigned char *)objects[n])[at], n & 0xff);
                        for (size_t n = 0; n < cases[i].objects_max; n++)
                                pool_put(p, objects[n]);
                        assert_int_equal(pool_taken_count(p), 0);
                }
                pool_free(p);
        }
}

static void test_last_freed_first(void **state)
{
        struct pool *p = pool_new(32, 10);
        void *a = pool_take(p), *b = pool_take(p);

        pool_put(p, a);
        pool_put(p, b);
        pool_put(p, NULL);
        assert_int_equal(pool_taken_count(p), 0);
        assert_ptr_equal(pool_take(p), b);
        assert_ptr_equal(pool_take(p), a);
        pool_free(p);
        pool_free(NULL);
}

static void test_small_pool_takes_little(void **state)
{
        struct pool *p = pool_new(1024, 2);

        alloc_fail_at(0);
        assert_non_null(pool_take(p));
        assert_int_equal(alloc_count(), 1);
        assert_true(alloc_last_bytes() < 4096);
        assert_non_null(pool_take(p));
        assert_int_equal(alloc_count(), 1);
        pool_free(p);
}

static void test_unused_pool_takes_nothing(void **state)
{
        alloc_fail_at(0);
        struct pool *p = pool_new(100000, 1000);

        assert_int_equal(alloc_count(), 1);
        assert_true(alloc_last_bytes() < 256);
        pool_free(p);
}

static void test_touch_after_put_is_seen(void **state)
{
#ifdef WITH_ASAN
        struct pool *p = pool_new(64, 4);
        char *a = pool_take(p), *b = pool_take(p);

        assert_null(__asan_region_is_poisoned(a, 64));
        pool_put(p, a);
        assert_ptr_equal(__asan_region_is_poisoned(a, 64), a);
        assert_null(__asan_region_is_poisoned(b, 64));
        assert_ptr_equal(pool_take(p), a);
        assert_null(__asan_region_is_poisoned(a, 64));
        pool_free(p);
#else
        leave_out("not built with AddressSanitizer");
#endif
}

static void test_no_memory(void **state)
{
        alloc_fail_at(1);
        assert_null(pool_new(64, 4));
        alloc_fail_at(0);

        struct pool *p = pool_new(40000, 4); /* a slab an object */
        void *first = pool_take(p);
        alloc_fail_at(1);
        assert_null(pool_take(p));
        assert_int_equal(pool_taken_count(p), 1);
        void *second = pool_take(p); /* memory is back */
        assert_non_null(second);
        pool_put(p, first);
        pool_put(p, second);
        assert_int_equal(pool_taken_count(p), 0);
        pool_free(p);
        alloc_fail_at(0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bound_edges),
                cmocka_unit_test(test_last_freed_first),
                cmocka_unit_test(test_small_pool_takes_little),
                cmocka_unit_test(test_unused_pool_takes_nothing),
                cmocka_unit_test(test_touch_after_put_is_seen),
                cmocka_unit_test(test_no_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
