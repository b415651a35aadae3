#include "../test.h"

#include "base/compiler.h"
#include "control/id.h"

static const struct hash_key key = { 1, 2 }, other = { 1, 3 };

static void test_round_trip(void **state)
{
        static const int64_t rows[] = {
                1, 2, 3, 31, 32, 1000, 1 << 20, INT64_C(1) << 39, (INT64_C(1) << 40) - 1
        };
        char text[WIRE_ID_SIZE];
        int64_t row;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct str id = id_format(key, ID_AGENT, rows[i], text);

                assert_true(wire_node_id_is_valid(WIRE_AGENT, id));
                assert_err(id_parse(key, ID_AGENT, id, &row), ERR_OK);
                assert_int_equal(row, rows[i]);
                assert_err(id_parse(other, ID_AGENT, id, &row), ERR_NOT_FOUND);
                assert_err(id_parse(key, ID_GATEWAY, id, &row), ERR_NOT_FOUND);
        }
}

/* No other text is the id of that row: any letter changed is nobody's. */
static void test_made_up(void **state)
{
        char text[WIRE_ID_SIZE], changed[WIRE_ID_SIZE];
        struct str id = id_format(key, ID_SERVICE, 12, text);
        int64_t row;

        for (size_t i = 0; i < id.len; i++)
                for (int c = 1; c < 127; c++) {
                        memcpy(changed, text, sizeof(text));
                        changed[i] = (char)c;
                        if (c != text[i] && id_parse(key, ID_SERVICE, str_of(changed), &row) == ERR_OK)
                                fail_msg("%s is a row", changed);
                }
        assert_err(id_parse(key, ID_SERVICE, STR(""), &row), ERR_NOT_FOUND);
        assert_err(id_parse(key, ID_SERVICE, STR("sv-"), &row), ERR_NOT_FOUND);
        assert_err(id_parse(key, ID_SERVICE, STR("sv-aaaaaaaaaaaaaaaaa"), &row), ERR_NOT_FOUND);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_round_trip),
                                            cmocka_unit_test(test_made_up) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
