#include "json/parser.h"

#include "../test.h"

/* What may follow what: each text with the place and reason of its first wrong token. */
static void test_grammar(void **state)
{
        static const struct {
                struct str text;
                enum json_mode mode;
                enum err err;
                uint64_t offset;
        } cases[] = {
                { STR_INIT("{\"a\":[1,{}],\"b\":null}"), JSON_STRICT, ERR_OK, 0 },
                { STR_INIT("[1,]"), JSON_STRICT, ERR_MALFORMED, 3 },
                { STR_INIT("[1,]"), JSON_HUJSON, ERR_OK, 0 },
                { STR_INIT("{\"a\":1,}"), JSON_STRICT, ERR_MALFORMED, 7 },
                { STR_INIT("{\"a\":1,}"), JSON_HUJSON, ERR_OK, 0 },
                { STR_INIT("{\"a\",}"), JSON_HUJSON, ERR_MALFORMED, 4 },
                { STR_INIT("{\"a\":,}"), JSON_HUJSON, ERR_MALFORMED, 5 },
                { STR_INIT("[,]"), JSON_HUJSON, ERR_MALFORMED, 1 },
                { STR_INIT("{,}"), JSON_HUJSON, ERR_MALFORMED, 1 },
                { STR_INIT("[1,,2]"), JSON_HUJSON, ERR_MALFORMED, 3 },
                { STR_INIT("1,"), JSON_HUJSON, ERR_MALFORMED, 1 },
                { STR_INIT(","), JSON_HUJSON, ERR_MALFORMED, 0 },
                { STR_INIT(":"), JSON_HUJSON, ERR_MALFORMED, 0 },
                { STR_INIT("]"), JSON_HUJSON, ERR_MALFORMED, 0 },
                { STR_INIT("[1:2]"), JSON_HUJSON, ERR_MALFORMED, 2 },
                { STR_INIT("{\"a\":1:2}"), JSON_HUJSON, ERR_MALFORMED, 6 },
                { STR_INIT("{\"a\":1]"), JSON_HUJSON, ERR_MALFORMED, 6 },
                { STR_INIT("[}"), JSON_HUJSON, ERR_MALFORMED, 1 },
                { STR_INIT("[{]}"), JSON_HUJSON, ERR_MALFORMED, 2 },
                { STR_INIT("{\"a\"}"), JSON_HUJSON, ERR_MALFORMED, 4 },
                { STR_INIT("{{}:1}"), JSON_HUJSON, ERR_MALFORMED, 1 },
                { STR_INIT("[]]"), JSON_HUJSON, ERR_MALFORMED, 2 },
                { STR_INIT("[[[]]]"), JSON_STRICT, ERR_OK, 0 },
                { STR_INIT("[[[{}]]]"), JSON_STRICT, ERR_TOO_LARGE, 3 },
                { STR_INIT("[[[1,[]]]]"), JSON_STRICT, ERR_TOO_LARGE, 5 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct json_token token = { .type = JSON_TOKEN_NULL };
                struct str in = cases[i].text;
                struct json_parser p;
                enum err e = ERR_OK;

                json_parser_init(&p, cases[i].mode, 0, 3);
                while (e == ERR_OK && token.type != JSON_TOKEN_END)
                        e = json_parser_next(&p, &in, true, &token);
                if (e != cases[i].err || p.tokens.problem.at.offset != cases[i].offset)
                        fail_msg("%s: ERR_%s at %llu", cases[i].text.ptr, err_name(e),
                                 (unsigned long long)p.tokens.problem.at.offset);
                if (e != ERR_OK)
                        assert_err(json_parser_next(&p, &in, true, &token), ERR_MALFORMED);
        }
}

static void test_keys_and_depth(void **state)
{
        static const struct {
                enum json_token_type type;
                bool is_key, awaits_key, is_whole;
                uint32_t depth;
        } expected[] = {
                { JSON_TOKEN_OBJECT_BEGIN, false, true, false, 1 },
                { JSON_TOKEN_STRING, true, false, false, 1 },
                { JSON_TOKEN_COLON, false, false, false, 1 },
                { JSON_TOKEN_ARRAY_BEGIN, false, false, false, 2 },
                { JSON_TOKEN_STRING, false, false, false, 2 },
                { JSON_TOKEN_ARRAY_END, false, false, false, 1 },
                { JSON_TOKEN_COMMA, false, true, false, 1 },
                { JSON_TOKEN_COMMENT_BLOCK, false, true, false, 1 },
                { JSON_TOKEN_STRING, true, false, false, 1 },
                { JSON_TOKEN_COLON, false, false, false, 1 },
                { JSON_TOKEN_STRING, false, false, false, 1 },
                { JSON_TOKEN_OBJECT_END, false, false, true, 0 },
                { JSON_TOKEN_END, false, false, true, 0 },
                { JSON_TOKEN_END, false, false, true, 0 },
        };
        struct str in = STR("{\"k\":[\"v\"],/**/\"k\":\"v\"}");
        struct json_parser p;

        json_parser_init(&p, JSON_HUJSON, 0, 0);
        for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
                struct json_token token;

                assert_err(json_parser_next(&p, &in, true, &token), ERR_OK);
                assert_int_equal(token.type, expected[i].type);
                assert_int_equal(token.is_key, expected[i].is_key);
                assert_int_equal(json_parser_awaits_key(&p), expected[i].awaits_key);
                assert_int_equal(json_parser_is_whole(&p), expected[i].is_whole);
                assert_int_equal(p.depth, expected[i].depth);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_grammar),
                                            cmocka_unit_test(test_keys_and_depth) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
