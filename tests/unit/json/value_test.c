#include "json/value.h"

#include "../test.h"
#include "json/reader.h"

static bool texts_eq(struct str a, struct str b)
{
        const struct json_value *x, *y;
        struct arena arena;

        arena_init(&arena, NULL, 0, 1024 * 1024);
        assert_err(json_read_strict(&arena, a, NULL, &x), ERR_OK);
        assert_err(json_read_strict(&arena, b, NULL, &y), ERR_OK);
        bool eq = json_eq(x, y);
        assert_true(json_eq(y, x) == eq);
        arena_fini(&arena);
        return eq;
}

static void test_equality(void **state)
{
        static const struct {
                struct str a, b;
                bool eq;
        } cases[] = {
                { STR_INIT("1"), STR_INIT("1.0"), true },
                { STR_INIT("\"\\u0061\""), STR_INIT("\"a\""), true },
                { STR_INIT("\"1\""), STR_INIT("1"), false },
                { STR_INIT("null"), STR_INIT("false"), false },
                { STR_INIT("true"), STR_INIT("false"), false },
                { STR_INIT("[1,2]"), STR_INIT("[2,1]"), false },
                { STR_INIT("[]"), STR_INIT("{}"), false },
                { STR_INIT("{\"a\":1,\"b\":[{}]}"), STR_INIT("{ \"b\": [{}], \"a\": 1.0 }"), true },
                { STR_INIT("{\"a\":1}"), STR_INIT("{\"b\":1}"), false },
                { STR_INIT("{\"a\":1}"), STR_INIT("{\"a\":1,\"b\":1}"), false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (texts_eq(cases[i].a, cases[i].b) != cases[i].eq)
                        fail_msg("%s and %s", cases[i].a.ptr, cases[i].b.ptr);
}

/* Look-ups go through anything: what is not there, and what is of another type. */
static void test_lookups(void **state)
{
        const struct json_value *root;
        struct arena arena;
        uint64_t u = 7;
        int64_t n = 7;
        double d = 7;

        arena_init(&arena, NULL, 0, 64 * 1024);
        assert_err(json_read_strict(&arena, STR("{\"s\":\"x\",\"n\":-3,\"t\":true,\"a\":[5],\"z\":null}"),
                                    NULL, &root),
                   ERR_OK);
        assert_str(json_str(json_find(root, STR("s"))), STR("x"));
        assert_null(json_str(json_find(root, STR("n"))).ptr);
        assert_null(json_str(NULL).ptr);
        assert_true(json_bool(json_find(root, STR("t")), false));
        assert_false(json_bool(json_find(root, STR("s")), false));
        assert_true(json_bool(NULL, true));
        assert_false(json_is(NULL, JSON_NULL));
        assert_true(json_is(json_find(root, STR("z")), JSON_NULL));
        assert_null(json_find_member(json_find(root, STR("a")), STR("s")));
        assert_null(json_item(json_find(root, STR("s")), 0));
        assert_null(json_item(NULL, 0));

        assert_err(json_get_int64(json_find(root, STR("n")), &n), ERR_OK);
        assert_int_equal(n, -3);
        assert_err(json_get_uint64(json_find(root, STR("n")), &u), ERR_TOO_LARGE);
        assert_err(json_get_uint64(json_find(root, STR("s")), &u), ERR_MALFORMED);
        assert_err(json_get_double(NULL, &d), ERR_MALFORMED);
        assert_true(u == 7 && d >= 7);
        assert_err(json_get_uint64(json_item(json_find(root, STR("a")), 0), &u), ERR_OK);
        assert_int_equal(u, 5);
        arena_fini(&arena);
}

static void test_type_texts(void **state)
{
        for (enum json_type type = JSON_NULL; type <= JSON_OBJECT; type++)
                assert_true(strlen(json_type_text(type)) > 3);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_equality),
                cmocka_unit_test(test_lookups),
                cmocka_unit_test(test_type_texts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
