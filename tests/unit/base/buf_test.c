#include "base/buf.h"

#include <stdlib.h>

#include "../alloc.h"
#include "../test.h"

static void test_bound_edges(void **state)
{
        static const struct {
                const char *why;
                size_t bytes_max;
                bool fits;
        } cases[] = {
                { "one too small", 4, false },
                { "exactly", 5, true },
                { "one to spare", 6, true },
                { "nothing allowed", 0, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct buf b;

                buf_init(&b, cases[i].bytes_max);
                buf_add(&b, STR("12345"));
                if (b.full == cases[i].fits || b.len != (cases[i].fits ? 5u : 0u))
                        fail_msg("add: %s", cases[i].why);
                buf_clear(&b);
                buf_addf(&b, "%d", 12345); /* the NUL that vsnprintf writes takes nothing of the bound */
                if (b.full == cases[i].fits || b.len != (cases[i].fits ? 5u : 0u))
                        fail_msg("addf: %s", cases[i].why);
                buf_clear(&b);
                if ((buf_reserve(&b, 5) != NULL) != cases[i].fits)
                        fail_msg("reserve: %s", cases[i].why);
                buf_fini(&b);
        }
}

static void test_full_for_ever(void **state)
{
        struct buf b;

        buf_init(&b, 4);
        buf_add(&b, STR("abc"));
        buf_add(&b, STR("de"));
        assert_true(b.full);
        assert_str(buf_str(&b), STR("abc"));
        buf_add_char(&b, 'd'); /* would fit, but then a hole would go unseen */
        assert_str(buf_str(&b), STR("abc"));
        assert_null(buf_reserve(&b, 1));
        buf_clear(&b);
        assert_false(b.full);
        buf_add(&b, STR("wxyz"));
        assert_str(buf_str(&b), STR("wxyz"));
        buf_fini(&b);
}

static void test_rests(void **state)
{
        struct buf b;

        buf_init(&b, 4096);
        buf_add(&b, STR("abc"));
        const char *was = b.ptr;
        buf_rest(&b, 4096);
        assert_true(b.len == 0 && b.ptr == was); /* little is kept */
        for (size_t i = 0; i < 1000; i++)
                buf_add(&b, STR("12345"));
        assert_true(b.full);
        buf_rest(&b, 512);
        assert_true(!b.full && b.len == 0 && !b.ptr); /* much is not */
        buf_add(&b, STR("again"));
        assert_str(buf_str(&b), STR("again"));
        buf_fini(&b);
}

static void test_grows(void **state)
{
        enum { COUNT = 5000 };
        struct buf b;

        buf_init(&b, COUNT);
        for (int i = 0; i < COUNT; i++)
                buf_add_char(&b, (char)('a' + i % 26));
        assert_false(b.full);
        assert_int_equal(b.len, COUNT);
        for (int i = 0; i < COUNT; i++)
                assert_int_equal(b.ptr[i], 'a' + i % 26);
        buf_add_char(&b, 'x');
        assert_true(b.full);
        buf_fini(&b);
        assert_null(b.ptr);
        buf_add(&b, STR("again")); /* after fini it is empty, with the same bound */
        assert_str(buf_str(&b), STR("again"));
        buf_fini(&b);
}

static void test_empty(void **state)
{
        struct buf b;

        buf_init(&b, 10);
        buf_add(&b, STR_NULL);
        buf_add(&b, STR(""));
        buf_consume(&b, 0);
        assert_null(b.ptr);
        assert_non_null(buf_reserve(&b, 0)); /* NULL would mean full */
        buf_addf(&b, "%s", "");
        assert_int_equal(b.len, 0);
        assert_false(b.full);
        buf_fini(&b);
}

static void test_reserve_and_consume(void **state)
{
        struct buf b;

        buf_init(&b, 1000);
        char *room = buf_reserve(&b, 600);
        assert_non_null(room);
        memset(room, 'x', 600);
        assert_int_equal(b.len, 0);
        buf_added(&b, 2);
        buf_add(&b, STR("abc"));
        assert_str(buf_str(&b), STR("xxabc"));
        buf_consume(&b, 3);
        assert_str(buf_str(&b), STR("bc"));
        buf_consume(&b, 2);
        assert_int_equal(b.len, 0);
        buf_add(&b, STR("d"));
        assert_str(buf_str(&b), STR("d"));
        buf_fini(&b);
}

static void test_text_with_nul(void **state)
{
        struct buf b;

        buf_init(&b, 100);
        buf_add(&b, STR("a\0b"));
        buf_addf(&b, "%c%s", '\0', "c");
        assert_str(buf_str(&b), STR("a\0b\0c"));
        buf_fini(&b);
}

static void test_secret_leaves_no_copy(void **state)
{
        struct buf b;

        buf_init_secret(&b, 100000);
        buf_add(&b, STR("token"));
        size_t small = alloc_last_bytes();
        alloc_fail_at(0);
        for (int i = 0; i < 2000; i++)
                buf_add(&b, STR("0123456789"));
        assert_true(alloc_count() > 2);
        assert_true(alloc_last_bytes() > small);
        assert_str(str_sub(buf_str(&b), 0, 15), STR("token0123456789"));
        assert_int_equal(b.len, 20005);
        buf_wipe(&b);
        assert_null(b.ptr);
        assert_int_equal(b.len, 0);
}

static void test_no_memory(void **state)
{
        for (int is_secret = 0; is_secret < 2; is_secret++) {
                unsigned n = 1;

                for (;; n++) {
                        struct buf b;

                        alloc_fail_at(n);
                        if (is_secret)
                                buf_init_secret(&b, 4096);
                        else
                                buf_init(&b, 4096);
                        for (int i = 0; i < 400; i++)
                                buf_add(&b, STR("0123456789"));
                        bool failed = alloc_failed();
                        alloc_fail_at(0);
                        assert_int_equal(b.full, failed);
                        assert_int_equal(b.len % 10, 0); /* what was added stays whole */
                        buf_wipe(&b);
                        if (!failed)
                                break;
                }
                assert_true(n > 3);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bound_edges),   cmocka_unit_test(test_full_for_ever),
                cmocka_unit_test(test_rests),         cmocka_unit_test(test_grows),
                cmocka_unit_test(test_empty),         cmocka_unit_test(test_reserve_and_consume),
                cmocka_unit_test(test_text_with_nul), cmocka_unit_test(test_secret_leaves_no_copy),
                cmocka_unit_test(test_no_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
