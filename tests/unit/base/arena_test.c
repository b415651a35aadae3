#include "base/arena.h"

#include "../alloc.h"
#include "../test.h"

/* The largest request that the budget allows, for each way it can be cut into first block and chain. */
static void test_budget_edges(void **state)
{
        static const struct {
                const char *why;
                size_t first, budget, size;
                bool fits;
        } cases[] = {
                { "one less than the first block", 64, 64, 63, true },
                { "exactly the first block", 64, 64, 64, true },
                { "one more, and no budget for a chain", 64, 64, 65, false },
                { "one more, chained", 64, 64 + 65, 65, true },
                { "one more than the chain's budget", 64, 64 + 65, 66, false },
                { "no first block, one less than the budget", 0, 100, 99, true },
                { "no first block, exactly the budget", 0, 100, 100, true },
                { "no first block, one more", 0, 100, 101, false },
                { "nothing at all", 0, 0, 1, false },
                { "a budget smaller than the first block", 64, 10, 64, true },
                { "and no chain beyond it", 64, 10, 65, false },
                { "a block larger than the usual one", 0, 100000, 100000, true },
                { "a size that wraps when the header is added", 0, SIZE_MAX, SIZE_MAX, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _Alignas(16) char first[64];
                struct arena a;

                arena_init(&a, cases[i].first ? first : NULL, cases[i].first, cases[i].budget);
                char *p = arena_alloc(&a, cases[i].size, 1);
                if ((p != NULL) != cases[i].fits || a.full == cases[i].fits)
                        fail_msg("%s", cases[i].why);
                if (p)
                        memset(p, 0xff, cases[i].size);
                arena_fini(&a);
        }
}

static void test_full_for_ever(void **state)
{
        char first[16];
        struct arena a;

        arena_init(&a, first, sizeof(first), sizeof(first));
        assert_null(arena_alloc(&a, 17, 1));
        assert_true(a.full);
        assert_null(arena_alloc(&a, 1, 1)); /* would have fitted before */
        assert_null(arena_copy(&a, STR("x")).ptr);
        arena_reset(&a);
        assert_false(a.full);
        assert_non_null(arena_alloc(&a, 16, 1));
        arena_fini(&a);
        assert_null(arena_alloc(&a, 1, 1)); /* an arena that ended gives nothing */
}

static void test_alignment(void **state)
{
        static const size_t aligns[] = { 1, 2, 4, 8, 16 };
        char first[100];
        struct arena a;

        arena_init(&a, first + 1, sizeof(first) - 1, 1 << 20);
        for (int round = 0; round < 400; round++) {
                size_t align = aligns[(size_t)round % ARRAY_SIZE(aligns)];
                char *p = arena_alloc(&a, 1 + (size_t)round % 40, align);

                assert_non_null(p);
                assert_int_equal((uintptr_t)p & (align - 1), 0);
                memset(p, 0xff, 1 + (size_t)round % 40);
        }
        assert_true(arena_chained_bytes(&a) > 0);
        arena_fini(&a);
}

static void test_alignment_beyond_malloc_does_not_fit(void **state)
{
        struct arena a;

        arena_init(&a, NULL, 0, 1 << 20);
        assert_null(arena_alloc(&a, 8, 4096));
        assert_true(a.full);
        arena_fini(&a);
}

static void test_padding_counts(void **state)
{
        _Alignas(16) char first[32];
        struct arena a;

        arena_init(&a, first, sizeof(first), sizeof(first));
        assert_ptr_equal(arena_alloc(&a, 1, 1), first);
        assert_ptr_equal(arena_alloc(&a, 16, 16), first + 16);
        assert_null(arena_alloc(&a, 1, 1));
        arena_fini(&a);
}

static void test_empty_allocation_is_not_a_failure(void **state)
{
        struct arena a;

        arena_init(&a, NULL, 0, 100);
        assert_non_null(arena_alloc(&a, 0, 1));
        struct str none = arena_copy(&a, STR_NULL);
        assert_non_null(none.ptr);
        assert_int_equal(none.len, 0);
        assert_int_equal(none.ptr[0], '\0');
        assert_false(a.full);
        arena_fini(&a);
}

static void test_array_product_may_not_wrap(void **state)
{
        static const struct {
                const char *why;
                size_t count, size;
                bool fits;
        } cases[] = {
                { "ordinary", 4, 8, true },
                { "none", 0, 8, true },
                { "product wraps to a small number", SIZE_MAX / 8 + 2, 8, false },
                { "product is larger than the budget", 1000, 1000, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct arena a;

                arena_init(&a, NULL, 0, 4096);
                const char *p = arena_calloc(&a, cases[i].count, cases[i].size, 8);
                if ((p != NULL) != cases[i].fits)
                        fail_msg("%s", cases[i].why);
                for (size_t at = 0; p && at < cases[i].count * cases[i].size; at++)
                        assert_int_equal(p[at], 0);
                arena_fini(&a);
        }
}

static void test_text(void **state)
{
        const struct str parts[] = { STR("ab"), STR_NULL, STR("cd"), STR("") };
        struct arena a;

        arena_init(&a, NULL, 0, 100000);
        struct str joined = arena_join(&a, parts, ARRAY_SIZE(parts));
        assert_str(joined, STR("abcd"));
        assert_int_equal(joined.ptr[4], '\0');
        assert_str(arena_join(&a, parts, 0), STR(""));
        assert_str(arena_copy(&a, STR("x\0y")), STR("x\0y"));
        assert_str(arena_format(&a, "%d-%s", 42, "z"), STR("42-z"));
        struct str longer = arena_format(&a, "%05000d", 7);
        assert_int_equal(longer.len, 5000);
        assert_int_equal(longer.ptr[4999], '7');
        arena_fini(&a);
}

static void test_join_of_too_much(void **state)
{
        const struct str parts[] = { { "x", SIZE_MAX - 1 }, { "y", 2 } };
        struct arena a;

        arena_init(&a, NULL, 0, 4096);
        assert_null(arena_join(&a, parts, 2).ptr);
        assert_true(a.full);
        arena_fini(&a);
}

static void test_text_that_does_not_fit(void **state)
{
        static const struct {
                const char *why;
                size_t budget;
                bool fits;
        } cases[] = { { "no room for the NUL", 4, false },
                      { "exactly", 5, true },
                      { "one to spare", 6, true } };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct arena a;

                arena_init(&a, NULL, 0, cases[i].budget);
                if ((arena_copy(&a, STR("four")).ptr != NULL) != cases[i].fits)
                        fail_msg("copy: %s", cases[i].why);
                arena_reset(&a);
                if ((arena_format(&a, "%s", "four").ptr != NULL) != cases[i].fits)
                        fail_msg("format: %s", cases[i].why);
                arena_fini(&a);
        }
}

static void test_reset_frees_the_chain(void **state)
{
        char first[64];
        struct arena a;

        arena_init(&a, first, sizeof(first), 10000);
        for (int round = 0; round < 100;
             round++) { /* leaks would be seen, and so would a budget that is not given back */
                assert_non_null(arena_alloc(&a, 5000, 1));
                assert_true(arena_chained_bytes(&a) >= 5000);
                arena_reset(&a);
                assert_int_equal(arena_chained_bytes(&a), 0);
        }
        arena_fini(&a);
}

static void test_no_memory(void **state)
{
        struct arena a;

        arena_init(&a, NULL, 0, 1 << 20);
        assert_non_null(arena_alloc(&a, 10, 1));
        alloc_fail_at(1);
        assert_null(arena_alloc(&a, 5000, 1));
        assert_true(alloc_failed());
        alloc_fail_at(0);
        assert_true(a.full);
        assert_null(arena_alloc(&a, 1, 1));
        arena_fini(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_budget_edges),
                cmocka_unit_test(test_full_for_ever),
                cmocka_unit_test(test_alignment),
                cmocka_unit_test(test_alignment_beyond_malloc_does_not_fit),
                cmocka_unit_test(test_padding_counts),
                cmocka_unit_test(test_empty_allocation_is_not_a_failure),
                cmocka_unit_test(test_array_product_may_not_wrap),
                cmocka_unit_test(test_text),
                cmocka_unit_test(test_join_of_too_much),
                cmocka_unit_test(test_text_that_does_not_fit),
                cmocka_unit_test(test_reset_frees_the_chain),
                cmocka_unit_test(test_no_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
