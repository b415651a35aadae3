#include "json/token.h"

#include <stdlib.h>

#include "../test.h"

enum { TOKENS_MAX = 24, TEXT_MAX = 64 };

struct seen {
        size_t count;
        struct json_token tokens[TOKENS_MAX];
        struct str texts[TOKENS_MAX];
        char room[TOKENS_MAX][TEXT_MAX];
        enum err err;
        struct json_problem problem;
};

/* Tokens of a text that comes in two pieces, then in pieces of `step` bytes; each piece is memory of its own. */
static void tokens_read(struct str text, size_t split, size_t step, unsigned flags, struct seen *seen)
{
        struct json_tokenizer t;

        *seen = (struct seen){ 0 };
        json_tokenizer_init(&t, flags);
        do {
                size_t n = MIN(split ? split : step, text.len);
                char *piece = malloc(n ? n : 1);

                split = 0;
                if (n)
                        memcpy(piece, text.ptr, n);
                struct str in = { piece, n };
                text = str_from(text, n);
                do {
                        assert_true(seen->count < TOKENS_MAX);
                        t.text = seen->room[seen->count];
                        t.text_max = TEXT_MAX;
                        seen->err = json_token_next(&t, &in, !text.len, &seen->tokens[seen->count]);
                        if (seen->err == ERR_OK) {
                                seen->texts[seen->count].ptr = seen->room[seen->count];
                                seen->texts[seen->count].len = t.text_len;
                        }
                } while (seen->err == ERR_OK && seen->tokens[seen->count++].type != JSON_TOKEN_END);
                free(piece);
        } while (seen->err == ERR_AGAIN);
        seen->problem = t.problem;
        if (seen->err != ERR_OK) {
                struct str rest = STR("1");
                struct json_token token;
                assert_err(json_token_next(&t, &rest, true, &token), ERR_MALFORMED); /* and stays so */
        }
}

static void test_tokens(void **state)
{
        static const struct str text = STR_INIT(
                " {\"k\\u00e9y\xc3\xa9\":\n [ -1.50e+3,true ,false,null]} /*\n\xe9\x96\xa2**/ //\xe2\x82\xac\r\n0");
        static const struct {
                enum json_token_type type;
                size_t start, end;
                uint32_t line, column;
                struct str text;
        } expected[] = {
                { JSON_TOKEN_OBJECT_BEGIN, 1, 2, 1, 2, { 0 } },
                { JSON_TOKEN_STRING, 2, 14, 1, 3, STR_INIT("k\xc3\xa9y\xc3\xa9") },
                { JSON_TOKEN_COLON, 14, 15, 1, 14, { 0 } },
                { JSON_TOKEN_ARRAY_BEGIN, 17, 18, 2, 2, { 0 } },
                { JSON_TOKEN_NUMBER, 19, 27, 2, 4, STR_INIT("-1.50e+3") },
                { JSON_TOKEN_COMMA, 27, 28, 2, 12, { 0 } },
                { JSON_TOKEN_TRUE, 28, 32, 2, 13, { 0 } },
                { JSON_TOKEN_COMMA, 33, 34, 2, 18, { 0 } },
                { JSON_TOKEN_FALSE, 34, 39, 2, 19, { 0 } },
                { JSON_TOKEN_COMMA, 39, 40, 2, 24, { 0 } },
                { JSON_TOKEN_NULL, 40, 44, 2, 25, { 0 } },
                { JSON_TOKEN_ARRAY_END, 44, 45, 2, 29, { 0 } },
                { JSON_TOKEN_OBJECT_END, 45, 46, 2, 30, { 0 } },
                { JSON_TOKEN_COMMENT_BLOCK, 47, 56, 2, 32, { 0 } },
                { JSON_TOKEN_COMMENT_LINE, 57, 63, 3, 6, { 0 } },
                { JSON_TOKEN_NUMBER, 64, 65, 4, 1, STR_INIT("0") },
        };

        for (size_t split = 0; split <= text.len; split++) {
                struct seen seen;

                tokens_read(text, split, 1 + split % 3, JSON_TOKENS_COMMENTS, &seen);
                assert_err(seen.err, ERR_OK);
                assert_int_equal(seen.count, ARRAY_SIZE(expected) + 1);
                assert_int_equal(seen.tokens[ARRAY_SIZE(expected)].type, JSON_TOKEN_END);
                for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
                        const struct json_token *token = &seen.tokens[i];

                        assert_int_equal(token->type, expected[i].type);
                        assert_int_equal(token->start.offset, expected[i].start);
                        assert_int_equal(token->end, expected[i].end);
                        assert_int_equal(token->start.line, expected[i].line);
                        assert_int_equal(token->start.column, expected[i].column);
                        if (expected[i].text.len)
                                assert_str(seen.texts[i], expected[i].text);
                }
        }
}

/* What is wrong is the same wherever the text is cut. */
static void test_problems(void **state)
{
        static const struct {
                struct str text;
                unsigned flags;
                uint64_t offset;
                const char *part;
        } cases[] = {
                { STR_INIT("\"\\ud83dx\""), 0, 1, "surrogate" },
                { STR_INIT("\"\\ud83d\\u0041\""), 0, 1, "surrogate" },
                { STR_INIT("\"ab\\ude00\""), 0, 3, "surrogate" },
                { STR_INIT("\"a\\u0000\""), JSON_TOKENS_NO_NUL, 2, "NUL" },
                { STR_INIT("\"\xe9\x96\""), 0, 3, "UTF-8" },
                { STR_INIT("\"\xf0\x8f\xbf\xbf\""), 0, 2, "UTF-8" },
                { STR_INIT("\"abcdefgh\xe0\x9f\xbf\""), 0, 10, "UTF-8" },
                { STR_INIT("\"\\"), 0, 0, "never closed" },
                { STR_INIT("\"\\u00"), 0, 0, "never closed" },
                { STR_INIT("\"\xe9\x96"), 0, 0, "never closed" },
                { STR_INIT("-"), 0, 1, "minus" },
                { STR_INIT("1.e"), 0, 2, "decimal point" },
                { STR_INIT("1E"), 0, 2, "exponent" },
                { STR_INIT("-012"), 0, 0, "begin with 0" },
                { STR_INIT("tru "), 0, 0, "unknown word" },
                { STR_INIT("//\xe9\x96"), JSON_TOKENS_COMMENTS, 4, "inside a character" },
                { STR_INIT("//\x07"), JSON_TOKENS_COMMENTS, 2, "control" },
                { STR_INIT("/*/"), JSON_TOKENS_COMMENTS, 0, "never closed" },
                { STR_INIT("/* * /"), JSON_TOKENS_COMMENTS, 0, "never closed" },
                { STR_INIT("/**\xff/"), JSON_TOKENS_COMMENTS, 3, "UTF-8" },
                { STR_INIT("/x"), JSON_TOKENS_COMMENTS, 0, "begins with //" },
                { STR_INIT("// x"), 0, 0, "strict" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                for (size_t split = 0; split <= cases[i].text.len; split++) {
                        struct seen seen;

                        tokens_read(cases[i].text, split, 1, cases[i].flags, &seen);
                        assert_err(seen.err, ERR_MALFORMED);
                        if (seen.problem.at.offset != cases[i].offset ||
                            !strstr(seen.problem.text, cases[i].part))
                                fail_msg("%s split at %zu: %s at %llu", cases[i].text.ptr, split,
                                         seen.problem.text, (unsigned long long)seen.problem.at.offset);
                }
}

static void test_lone_surrogates(void **state)
{
        static const struct {
                struct str text, out;
                bool is_lone;
        } cases[] = {
                { STR_INIT("\"\\ud83d\\ude00\""), STR_INIT("\xf0\x9f\x98\x80"), false },
                { STR_INIT("\"\\ud83d\""), STR_INIT("\xef\xbf\xbd"), true },
                { STR_INIT("\"\\ude00x\""), STR_INIT("\xef\xbf\xbdx"), true },
                { STR_INIT("\"\\ud83dx\""), STR_INIT("\xef\xbf\xbdx"), true },
                { STR_INIT("\"\\ud83d\\n\""), STR_INIT("\xef\xbf\xbd\n"), true },
                { STR_INIT("\"\\ud83d\\u0041\""),
                  STR_INIT("\xef\xbf\xbd"
                           "A"),
                  true },
                { STR_INIT("\"\\ud83d\\ud83d\\ude00\""), STR_INIT("\xef\xbf\xbd\xf0\x9f\x98\x80"), true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                for (size_t split = 0; split <= cases[i].text.len; split++) {
                        char whole[TEXT_MAX];
                        struct seen seen;

                        tokens_read(cases[i].text, split, 1, JSON_TOKENS_LONE_SURROGATES, &seen);
                        assert_err(seen.err, ERR_OK);
                        assert_str(seen.texts[0], cases[i].out);
                        assert_true(seen.tokens[0].has_escapes);
                        assert_int_equal(seen.tokens[0].has_lone_surrogate, cases[i].is_lone);
                        struct str inside = str_sub(cases[i].text, 1, cases[i].text.len - 2);
                        assert_str(((struct str){ whole, json_unescape(inside, whole) }), cases[i].out);
                }
}

/* The caller's room bounds what is kept, not what is read. */
static void test_room(void **state)
{
        struct str text = STR("\"ab\\u20acd\"");

        for (size_t room = 0; room <= 7; room++) {
                struct json_tokenizer t;
                struct json_token token;
                struct str in = text;
                char kept[8];

                json_tokenizer_init(&t, 0);
                t.text = kept;
                t.text_max = room;
                assert_err(json_token_next(&t, &in, true, &token), ERR_OK);
                assert_int_equal(t.text_cut, room < 6);
                assert_memory_equal(kept,
                                    "ab\xe2\x82\xac"
                                    "d",
                                    MIN(room, t.text_len));
                assert_int_equal(token.end, text.len);
        }
}

/* Each byte value at each place of a long string: the quick run stops just where it must. */
static void test_plain_runs(void **state)
{
        for (size_t at = 0; at < 40; at++)
                for (unsigned c = 0; c < 256; c++) {
                        struct json_tokenizer t;
                        struct json_token token;
                        char text[42];

                        memset(text, 'x', sizeof(text));
                        text[0] = text[41] = '"';
                        text[at + 1] = (char)c;
                        struct str in = { text, sizeof(text) };
                        json_tokenizer_init(&t, 0);
                        enum err e = json_token_next(&t, &in, true, &token);
                        bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
                        if (plain || c == '"')
                                assert_int_equal(token.end, plain ? 42 : at + 2);
                        assert_err(e, plain || c == '"' ? ERR_OK : ERR_MALFORMED);
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tokens),          cmocka_unit_test(test_problems),
                cmocka_unit_test(test_lone_surrogates), cmocka_unit_test(test_room),
                cmocka_unit_test(test_plain_runs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
