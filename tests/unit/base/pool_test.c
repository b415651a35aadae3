#include "base/pool.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../alloc.h"
#include "../test.h"
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#endif

/* ---- where slabs come from ---- */

static size_t bytes_taken;

static void *take(size_t bytes)
{
        void *memory = NULL;

        assert_true(bytes >= 64 * 1024 && (bytes & (bytes - 1)) == 0);
        void *probe = malloc(1); /* so that alloc_fail_at counts it */
        if (!probe || posix_memalign(&memory, bytes, bytes) != 0)
                return NULL;
        free(probe);
        memset(memory, 0xa5, bytes);
        bytes_taken += bytes;
        return memory;
}

static void give(void *memory, size_t bytes)
{
        bytes_taken -= bytes;
        free(memory);
}

static const struct pool_source source = { take, give };

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
                struct pool *p = pool_new(cases[i].object_bytes, cases[i].objects_max, &source);
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
        struct pool *p = pool_new(32, 10, &source);
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

static void test_slabs_hold_many(void **state)
{
        static const struct {
                const char *why;
                size_t object_bytes, objects_max, taken, slabs;
        } cases[] = {
                { "none before the first", 100, 100, 0, 0 },
                { "small ones share a slab", 1024, 1000, 63, 1 },
                { "and the next one begins another", 1024, 1000, 64, 2 },
                { "of a page: the slab's own words cost one", 4096, 1000, 15, 1 },
                { "large ones, too, are some to a slab", 16 * 1024, 1000, 15, 1 },
                { "no more room than for all there may be", 100000, 1, 1, 1 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct pool *p = pool_new(cases[i].object_bytes, cases[i].objects_max, &source);

                for (size_t n = 0; n < cases[i].taken; n++)
                        assert_non_null(pool_take(p));
                if (pool_slabs_count(p) != cases[i].slabs)
                        fail_msg("%s: %zu slabs", cases[i].why, pool_slabs_count(p));
                assert_true(bytes_taken >= cases[i].taken * cases[i].object_bytes);
                pool_free(p);
                assert_int_equal(bytes_taken, 0);
        }
}

/* ---- giving back ---- */

enum { MANY = 1000, OF_A_SLAB = 15 }; /* objects of 4 KiB */

static size_t slabs_after(struct pool *p, int trims)
{
        for (int i = 0; i < trims; i++)
                pool_trim(p);
        return pool_slabs_count(p);
}

static void test_burst_is_given_back(void **state)
{
        struct pool *p = pool_new(4096, MANY, &source);
        void *objects[MANY];

        for (size_t i = 0; i < MANY; i++)
                assert_non_null(objects[i] = pool_take(p));
        size_t all = pool_slabs_count(p);
        assert_int_equal(all, (MANY + OF_A_SLAB - 1) / OF_A_SLAB);
        assert_int_equal(slabs_after(p, 3), all); /* in use */
        for (size_t i = 0; i < MANY; i++)
                pool_put(p, objects[i]);
        assert_int_equal(slabs_after(p, 1), all); /* they were used since the last trim */
        assert_int_equal(slabs_after(p, 1), all - all / 2);
        assert_int_equal(slabs_after(p, 20), 1);
        assert_int_equal(slabs_after(p, 1), 1); /* one stays for the next object */
        for (size_t i = 0; i < MANY; i++) {
                assert_non_null(objects[i] = pool_take(p));
                memset(objects[i], (int)i, 4096);
        }
        assert_int_equal(pool_slabs_count(p), all);
        pool_free(p);
}

static void test_what_comes_and_goes_stays(void **state)
{
        struct pool *p = pool_new(4096, MANY, &source);
        void *objects[100];

        for (int round = 0; round < 50; round++) {
                for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
                        assert_non_null(objects[i] = pool_take(p));
                size_t slabs = pool_slabs_count(p);
                assert_int_equal(slabs, (ARRAY_SIZE(objects) + OF_A_SLAB - 1) / OF_A_SLAB);
                for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
                        pool_put(p, objects[i]);
                assert_int_equal(slabs_after(p, 1), slabs);
        }
        pool_free(p);
}

/* One object of each slab is left: new ones gather in few slabs, and those whose last one goes are given back. */
static void test_few_left_are_gathered(void **state)
{
        struct pool *p = pool_new(4096, MANY, &source);
        void *objects[MANY];
        size_t slabs = MANY / OF_A_SLAB;

        for (size_t i = 0; i < slabs * OF_A_SLAB; i++)
                assert_non_null(objects[i] = pool_take(p));
        for (size_t i = 0; i < slabs * OF_A_SLAB; i++)
                if (i % OF_A_SLAB)
                        pool_put(p, objects[i]);
        assert_int_equal(slabs_after(p, 10), slabs);
        for (size_t i = 1; i < 2 * (size_t)OF_A_SLAB; i++)
                assert_non_null(pool_take(p));
        for (size_t i = 0; i < slabs; i++)
                pool_put(p, objects[i * OF_A_SLAB]);
        assert_true(slabs_after(p, 20) <= 4);
        assert_int_equal(pool_taken_count(p), 2 * OF_A_SLAB - 1);
        pool_free(p);
}

static void test_fullest_is_taken_from(void **state)
{
        struct pool *p = pool_new(4096, MANY, &source);
        void *objects[4 * OF_A_SLAB];

        for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
                assert_non_null(objects[i] = pool_take(p));
        for (size_t i = 1; i < OF_A_SLAB; i++) /* the first slab keeps one, the second all but one */
                pool_put(p, objects[i]);
        pool_put(p, objects[OF_A_SLAB]);
        assert_ptr_equal(pool_take(p), objects[OF_A_SLAB]);
        assert_ptr_equal(pool_take(p), objects[OF_A_SLAB - 1]);
        assert_ptr_equal(pool_take(p), objects[OF_A_SLAB - 2]);
        pool_free(p);
}

/* Against a simple model: nothing is handed out twice, and what was written stays. */
static void test_random_life(void **state)
{
        struct pool *p = pool_new(200, MANY, &source);
        uint32_t *objects[MANY] = { NULL }, random = 1;
        size_t taken = 0;

        for (uint32_t round = 0; round < 200000; round++) {
                random = random * 1664525 + 1013904223;
                size_t i = (random >> 8) % MANY;

                if (objects[i]) {
                        assert_int_equal(objects[i][0], i);
                        assert_int_equal(objects[i][49], i);
                        pool_put(p, objects[i]);
                        objects[i] = NULL;
                        taken--;
                } else if ((random >> 28) < (round / 20000) % 2 * 12 + 2) { /* it ebbs and flows */
                        assert_non_null(objects[i] = pool_take(p));
                        objects[i][0] = objects[i][49] = (uint32_t)i;
                        taken++;
                }
                if (round % 1000 == 0)
                        pool_trim(p);
                assert_int_equal(pool_taken_count(p), taken);
        }
        pool_free(p);
}

/* ---- misuse ---- */

static void put_twice(void)
{
        struct pool *p = pool_new(64, 4, &source);
        void *object = pool_take(p);

        pool_put(p, object);
        pool_put(p, object);
}

static void put_elsewhere(void)
{
        struct pool *p = pool_new(64, 4, &source), *other = pool_new(64, 4, &source);

        if (pool_take(other))
                pool_put(other, pool_take(p));
}

static void test_misuse_ends_the_process(void **state)
{
        static void (*const misuses[])(void) = { put_twice, put_elsewhere };

        for (size_t i = 0; i < ARRAY_SIZE(misuses); i++) {
                int status;
                pid_t child = fork();

                assert_true(child >= 0);
                if (child == 0) {
                        struct rlimit none = { 0, 0 };

                        setrlimit(RLIMIT_CORE, &none);
                        fclose(stderr);
                        misuses[i]();
                        _exit(0);
                }
                assert_int_equal(waitpid(child, &status, 0), child);
                assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        }
}

static void test_unused_pool_takes_nothing(void **state)
{
        alloc_fail_at(0);
        struct pool *p = pool_new(100000, 1000, &source);

        assert_int_equal(alloc_count(), 1);
        assert_true(alloc_last_bytes() < 256);
        pool_free(p);
}

static void test_touch_after_put_is_seen(void **state)
{
#ifdef WITH_ASAN
        struct pool *p = pool_new(64, 4, &source);
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
        void *objects[20];
        size_t count = 0;

        alloc_fail_at(1);
        assert_null(pool_new(64, 4, &source));
        alloc_fail_at(0);

        struct pool *p = pool_new(40000, ARRAY_SIZE(objects), &source);
        alloc_fail_at(1);
        assert_null(pool_take(p)); /* the first slab */
        alloc_fail_at(2);
        while ((objects[count] = pool_take(p)))
                count++;
        assert_true(alloc_failed()); /* the second */
        assert_int_equal(pool_taken_count(p), count);
        for (; count < ARRAY_SIZE(objects); count++) /* memory is back */
                assert_non_null(objects[count] = pool_take(p));
        while (count)
                pool_put(p, objects[--count]);
        assert_int_equal(pool_taken_count(p), 0);
        pool_free(p);
        alloc_fail_at(0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bound_edges),
                cmocka_unit_test(test_last_freed_first),
                cmocka_unit_test(test_slabs_hold_many),
                cmocka_unit_test(test_burst_is_given_back),
                cmocka_unit_test(test_what_comes_and_goes_stays),
                cmocka_unit_test(test_few_left_are_gathered),
                cmocka_unit_test(test_fullest_is_taken_from),
                cmocka_unit_test(test_random_life),
                cmocka_unit_test(test_misuse_ends_the_process),
                cmocka_unit_test(test_unused_pool_takes_nothing),
                cmocka_unit_test(test_touch_after_put_is_seen),
                cmocka_unit_test(test_no_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
