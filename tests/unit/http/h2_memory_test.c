/* Blocks that nghttp2 takes and gives back: their bytes are its own, and what is kept is bounded. */
#include "../test.h"

#include "http/h2_memory.h"

static nghttp2_mem *m;

static void test_bytes_are_whole(void **state)
{
        static const size_t sizes[] = { 0, 1, 47, 48, 49, 63, 64, 65, 1000, 1007, 1008, 1009, 1024, 5000 };
        unsigned char *taken[ARRAY_SIZE(sizes)];

        for (int round = 0; round < 3; round++) { /* fresh blocks, then kept ones */
                for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                        taken[i] = m->malloc(sizes[i], m->mem_user_data);
                        assert_non_null(taken[i]);
                        assert_int_equal((uintptr_t)taken[i] % _Alignof(max_align_t), 0);
                        memset(taken[i], (int)i + 1, sizes[i]);
                }
                for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                        for (size_t at = 0; at < sizes[i]; at++)
                                assert_int_equal(taken[i][at], i + 1);
                        m->free(taken[i], m->mem_user_data);
                }
        }
}

static void test_a_freed_block_serves_again(void **state)
{
        void *first = m->malloc(100, NULL), *second;

        m->free(first, NULL);
        second = m->calloc(10, 10, NULL);
        assert_ptr_equal(second, first);
        for (int i = 0; i < 100; i++)
                assert_int_equal(((char *)second)[i], 0);
        m->free(second, NULL);
        m->free(NULL, NULL);
        assert_null(m->calloc(SIZE_MAX / 2, 3, NULL));
        assert_null(m->malloc(SIZE_MAX, NULL));
}

static void test_growing_keeps_the_bytes(void **state)
{
        char *p = m->realloc(NULL, 10, NULL);

        assert_non_null(p);
        memcpy(p, "123456789", 10);
        for (size_t bytes = 20; bytes < 10000; bytes *= 2) {
                char *grown = m->realloc(p, bytes, NULL);

                assert_non_null(grown);
                p = grown;
                assert_string_equal(p, "123456789");
        }
        m->free(p, NULL);
}

/* More than is kept goes back to malloc; all of it is there to be counted by the leak checker. */
static void test_what_is_kept_is_bounded(void **state)
{
        enum { COUNT = 2 * H2_MEMORY_KEPT_MAX / 1024 };
        static void *blocks[COUNT];

        for (int i = 0; i < COUNT; i++)
                assert_non_null(blocks[i] = m->malloc(1000, NULL));
        for (int i = 0; i < COUNT; i++)
                m->free(blocks[i], NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bytes_are_whole),
                cmocka_unit_test(test_a_freed_block_serves_again),
                cmocka_unit_test(test_growing_keeps_the_bytes),
                cmocka_unit_test(test_what_is_kept_is_bounded),
        };

        m = h2_memory_keeping();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
