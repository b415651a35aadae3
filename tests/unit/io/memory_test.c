#include "io/memory.h"

#include <stdlib.h>
#include <string.h>

#include "../test.h"

static void test_pages_are_aligned_and_counted(void **state)
{
        static const size_t sizes[] = { 64 * 1024, 128 * 1024, 1024 * 1024 };

        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                void *pages[8];
                uint64_t before = memory_allocated_bytes();

                for (size_t n = 0; n < ARRAY_SIZE(pages); n++) {
                        assert_non_null(pages[n] = memory_pages.take(sizes[i]));
                        assert_int_equal((uintptr_t)pages[n] % sizes[i], 0);
                        memset(pages[n], 1, sizes[i]);
                }
                assert_true(memory_allocated_bytes() - before >= ARRAY_SIZE(pages) * sizes[i]);
                for (size_t n = 0; n < ARRAY_SIZE(pages); n++)
                        memory_pages.give(pages[n], sizes[i]);
                assert_true(memory_allocated_bytes() - before < sizes[i]);
        }
}

static void test_no_memory(void **state)
{
        assert_null(memory_pages.take((size_t)1 << 50));
}

/* What hangs on nothing but an object of a pool is no leak while the pool is there: else this process ends with a complaint. */
static void test_leaks_are_looked_for_in_pages(void **state)
{
        static void *kept;
        void **page = memory_pages.take(64 * 1024);

        assert_non_null(page);
        kept = page;
        *page = malloc(100);
        assert_non_null(*page);
        assert_non_null(kept);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pages_are_aligned_and_counted),
                cmocka_unit_test(test_no_memory),
                cmocka_unit_test(test_leaks_are_looked_for_in_pages),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
