#include "json/format.h"

#include "../dice.h"
#include "../test.h"
#include "json/reader.h"
#include "json/writer.h"

static const struct {
        const char *why;
        struct str in, out;
} cases[] = {
        { "scalar", STR_INIT(" 1 "), STR_INIT("1\n") },
        { "one line stays one line", STR_INIT("{\"a\":1,\"bb\":2, \"ccc\":[1,2,3]}"),
          STR_INIT("{\"a\": 1, \"bb\": 2, \"ccc\": [1, 2, 3]}\n") },
        { "a line end between parts opens it, values line up",
          STR_INIT("{\"a\":1,\n\"bb\":2, \"ccc\":[1,2,3]}"),
          STR_INIT("{\n\t\"a\":   1,\n\t\"bb\":  2,\n\t\"ccc\": [1, 2, 3]\n}\n") },
        { "a line end before the bracket too", STR_INIT("[1,2\n]"), STR_INIT("[\n\t1,\n\t2\n]\n") },
        { "a line end before a comma does not", STR_INIT("[1\n,2]"), STR_INIT("[1, 2]\n") },
        { "nor one after a colon", STR_INIT("{\"a\":\n1}"), STR_INIT("{\"a\": 1}\n") },
        { "empty ones close up", STR_INIT("[ [\n\n], {  } ]"), STR_INIT("[[], {}]\n") },
        { "a part of several lines breaks the column",
          STR_INIT("{\n\"a\":1,\n\"bb\":{\n\"x\":1},\"ccc\":2,\"d\":3}"),
          STR_INIT("{\n\t\"a\": 1,\n\t\"bb\": {\n\t\t\"x\": 1\n\t},\n\t\"ccc\": 2,\n\t\"d\":   3\n}\n") },
        { "so does an empty line, of which one stays", STR_INIT("{\n\n\"a\":1,\n\n\n\n\"bbb\":2\n\n}"),
          STR_INIT("{\n\t\"a\": 1,\n\n\t\"bbb\": 2\n}\n") },
        { "brackets hug", STR_INIT("[{\n\"a\":1},{\"b\":2}]"), STR_INIT("[{\n\t\"a\": 1\n}, {\"b\": 2}]\n") },
        { "a trailing comma goes with the line end", STR_INIT("[1,2,]"), STR_INIT("[1, 2]\n") },
        { "and comes with it", STR_INIT("[[1,],\n2]"), STR_INIT("[\n\t[1],\n\t2,\n]\n") },
        { "but not into strict JSON", STR_INIT("[[1],\n2]"), STR_INIT("[\n\t[1],\n\t2\n]\n") },
        { "comments bring it", STR_INIT("[1,//x\n2]"), STR_INIT("[\n\t1, //x\n\t2,\n]\n") },
        { "comments keep their lines",
          STR_INIT("//a\n\n\n//b\n[ //c\n\n1 //d\n, /*e*/2 /*f*/\n//g\n\n//h\n] //i\n//j"),
          STR_INIT("//a\n\n//b\n[ //c\n\n\t1, //d\n\t/*e*/ 2, /*f*/\n\t//g\n\n\t//h\n] //i\n//j\n") },
        { "comments on one line", STR_INIT("/*a*/[/*b*/1/*c*/,/*d*/2/*e*/]/*f*/"),
          STR_INIT("/*a*/ [ /*b*/ 1, /*c*/ /*d*/ 2 /*e*/ ] /*f*/\n") },
        { "comments around a colon", STR_INIT("{\"a\"/*b*/:/*c*/1}"), STR_INIT("{\"a\": /*b*/ /*c*/ 1}\n") },
        { "a line comment after a colon", STR_INIT("{\"a\"://b\n1}"),
          STR_INIT("{\n\t\"a\": //b\n\t\t1,\n}\n") },
        { "comments alone", STR_INIT("{\"a\":[//x\n],\"b\":{/*y*/}}"),
          STR_INIT("{\"a\": [ //x\n], \"b\": { /*y*/ }}\n") },
        { "a comment line breaks the column", STR_INIT("{\n\"a\":1,\n//x\n\"bbb\":2}"),
          STR_INIT("{\n\t\"a\": 1,\n\t//x\n\t\"bbb\": 2,\n}\n") },
        { "a comment at the end of a line does not", STR_INIT("{\n\"a\":1, //x\n\"bbb\":2}"),
          STR_INIT("{\n\t\"a\":   1, //x\n\t\"bbb\": 2,\n}\n") },
        { "block comments move as a whole",
          STR_INIT("{\"a\":[\n   /* one\n        two\n      three\n    */\n1]}"),
          STR_INIT("{\"a\": [\n\t/* one\n\t  two\n\tthree\n\t*/\n\t1,\n]}\n") },
        { "with stars", STR_INIT("/*\n* one\n\n* two\n*/\n1"), STR_INIT("/*\n * one\n\n * two\n */\n1\n") },
        { "spaces at the end of a comment go, carriage returns too", STR_INIT("[1, //x \t\r\n2]\r\n"),
          STR_INIT("[\n\t1, //x\n\t2,\n]\n") },
        { "78 columns fit",
          STR_INIT("[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\",1]"),
          STR_INIT("[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\", 1]\n") },
        { "79 do not",
          STR_INIT("[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\",1]"),
          STR_INIT(
                  "[\n\t\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\",\n\t1\n]\n") },
};

static void test_format(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct buf b, again;

                buf_init(&b, 4096);
                buf_init(&again, 4096);
                assert_err(json_format(cases[i].in, JSON_INDENT_TAB, &b, NULL), ERR_OK);
                if (!str_eq(buf_str(&b), cases[i].out))
                        fail_msg("%s: got\n%.*s", cases[i].why, STR_FMT(buf_str(&b)));
                assert_err(json_format(buf_str(&b), JSON_INDENT_TAB, &again, NULL), ERR_OK);
                assert_str(buf_str(&again), buf_str(&b));
                buf_fini(&b);
                buf_fini(&again);
        }
}

static void test_spaces(void **state)
{
        struct buf b;

        buf_init(&b, 4096);
        assert_err(json_format(STR("{\n\"a\":[\n1]}"), 3, &b, NULL), ERR_OK);
        assert_str(buf_str(&b), STR("{\n   \"a\": [\n      1\n   ]\n}\n"));
        buf_fini(&b);
}

/* ---- texts made at random: the layout means the same, keeps the comments, and is its own layout ---- */

static unsigned gaps_left; /* comments one text may still have */

static void gap_make(struct buf *b)
{
        static const char *const gaps[] = { "",
                                            "",
                                            "",
                                            "",
                                            " ",
                                            " ",
                                            "\n",
                                            "\n\n\n",
                                            "\t\r\n",
                                            "// c\n",
                                            "/* d */",
                                            "\n// e\n",
                                            "/* f\n   g\n */",
                                            " /*\n * h\n */\n",
                                            "// \n\n" };
        const char *gap = gaps[dice(gaps_left ? ARRAY_SIZE(gaps) : 9)];

        gaps_left -= gap[0] == '/' || (gap[0] && gap[1] == '/');
        buf_add(b, str_of(gap));
}

static void value_make(struct buf *b, unsigned depth);

static void parts_make(struct buf *b, unsigned depth, bool is_object)
{
        unsigned count = dice(5);

        buf_add_char(b, is_object ? '{' : '[');
        for (unsigned i = 0; i < count; i++) {
                gap_make(b);
                if (is_object) {
                        buf_addf(b, "\"%.*s%u\"", (int)dice(12), "xxxxxxxxxxxx", i);
                        gap_make(b);
                        buf_add_char(b, ':');
                        gap_make(b);
                }
                value_make(b, depth - 1);
                gap_make(b);
                if (i + 1 < count || !dice(3))
                        buf_add_char(b, ',');
        }
        gap_make(b);
        buf_add_char(b, is_object ? '}' : ']');
}

static void value_make(struct buf *b, unsigned depth)
{
        static const char *const scalars[] = { "1",
                                               "-2.5e7",
                                               "true",
                                               "null",
                                               "\"\"",
                                               "\"some text\\n\"",
                                               "\"a rather long text that takes a good part of a line\"" };
        unsigned kind = dice(depth ? 3 : 1);

        if (kind == 0)
                buf_add(b, str_of(scalars[dice(ARRAY_SIZE(scalars))]));
        else
                parts_make(b, depth, kind == 1);
}

static size_t comments_count(struct str text)
{
        struct json_tokenizer t;
        struct json_token token;
        size_t count = 0;

        json_tokenizer_init(&t, JSON_TOKENS_COMMENTS);
        do {
                assert_err(json_token_next(&t, &text, true, &token), ERR_OK);
                count += token.type == JSON_TOKEN_COMMENT_LINE || token.type == JSON_TOKEN_COMMENT_BLOCK;
        } while (token.type != JSON_TOKEN_END);
        return count;
}

/* The same value at the same place, all the way down. */
static void assert_places(const struct json_value *a, const struct json_value *b)
{
        assert_int_equal(a->offset, b->offset);
        assert_int_equal(a->raw.len, b->raw.len);
        assert_int_equal(a->line, b->line);
        for (size_t i = 0; i < a->count; i++)
                if (a->type == JSON_ARRAY)
                        assert_places(&a->items[i], &b->items[i]);
                else
                        assert_places(&a->members[i].value, &b->members[i].value);
}

static void check_text(struct str text)
{
        const struct json_value *root, *other;
        struct arena arena;
        struct buf b, again;

        arena_init(&arena, NULL, 0, 1024 * 1024);
        buf_init(&b, 1024 * 1024);
        buf_init(&again, 1024 * 1024);
        assert_err(json_read_hujson(&arena, text, NULL, &root), ERR_OK);

        assert_err(json_format(text, 2, &b, NULL), ERR_OK);
        assert_err(json_read_hujson(&arena, buf_str(&b), NULL, &other), ERR_OK);
        assert_true(json_eq(root, other));
        assert_int_equal(comments_count(text), comments_count(buf_str(&b)));
        assert_err(json_format(buf_str(&b), 2, &again, NULL), ERR_OK);
        if (!str_eq(buf_str(&b), buf_str(&again)))
                fail_msg("%.*s\n--- became\n%.*s\n--- and then\n%.*s", STR_FMT(text), STR_FMT(buf_str(&b)),
                         STR_FMT(buf_str(&again)));

        buf_clear(&b);
        assert_err(json_minimize(text, &b, NULL), ERR_OK);
        assert_err(json_read_strict(&arena, buf_str(&b), NULL, &other), ERR_OK);
        assert_true(json_eq(root, other));
        buf_clear(&again);
        assert_err(json_minimize(buf_str(&b), &again, NULL), ERR_OK);
        assert_str(buf_str(&b), buf_str(&again));

        buf_clear(&b);
        assert_err(json_standardize(text, &b, NULL), ERR_OK);
        assert_int_equal(b.len, text.len);
        assert_err(json_read_strict(&arena, buf_str(&b), NULL, &other), ERR_OK);
        assert_true(json_eq(root, other));
        assert_places(root, other);

        buf_fini(&b);
        buf_fini(&again);
        arena_fini(&arena);
}

static void test_random_texts(void **state)
{
        struct buf b;

        buf_init(&b, 1024 * 1024);
        for (uint32_t i = 0; i < 4000; i++) {
                seed = i;
                gaps_left = dice(8);
                buf_clear(&b);
                gap_make(&b);
                value_make(&b, 4);
                gap_make(&b);
                check_text(buf_str(&b));
        }
        buf_fini(&b);
}

static void test_plain(void **state)
{
        struct str text = STR("// a \xe9\x96\xa2\n{ \"x\" : [1, /* b */ ], // c\n\"y\":{},\t}\n");
        struct buf b;

        buf_init(&b, 4096);
        buf_add(&b, STR("kept "));
        assert_err(json_minimize(text, &b, NULL), ERR_OK);
        assert_str(buf_str(&b), STR("kept {\"x\":[1],\"y\":{}}"));
        buf_clear(&b);
        assert_err(json_standardize(text, &b, NULL), ERR_OK);
        assert_str(buf_str(&b), STR("        \n{ \"x\" : [1          ],     \n\"y\":{} \t}\n"));
        buf_fini(&b);
}

static void test_refused(void **state)
{
        static enum err (*const plain[])(struct str, struct buf *, struct report *) = { json_minimize,
                                                                                        json_standardize };
        static const struct {
                struct str in;
                unsigned line, column;
        } bad[] = { { STR_INIT(""), 1, 1 },
                    { STR_INIT("{\n\"a\" 1}"), 2, 5 },
                    { STR_INIT("[1,,]"), 1, 4 },
                    { STR_INIT("1 /*"), 1, 3 } };

        for (size_t i = 0; i < ARRAY_SIZE(bad) * 3; i++) {
                struct str in = bad[i / 3].in;
                struct report report;
                struct buf b;

                report_init(&report, STR(""));
                buf_init(&b, 4096);
                buf_add(&b, STR("kept"));
                if (i % 3 == 2)
                        assert_err(json_format(in, 1, &b, &report), ERR_MALFORMED);
                else
                        assert_err(plain[i % 3](in, &b, &report), ERR_MALFORMED);
                assert_str(buf_str(&b), STR("kept"));
                assert_int_equal(report.entries[0].line, bad[i / 3].line);
                assert_int_equal(report.entries[0].column, bad[i / 3].column);
                buf_fini(&b);
                report_fini(&report);
        }
}

static void test_no_room(void **state)
{
        struct str text = STR("{\n\"a\":1,//x\n\"b\":[2]}");

        for (size_t bytes_max = 4; bytes_max < 16; bytes_max++) {
                struct buf b;

                for (int i = 0; i < 3; i++) {
                        buf_init(&b, bytes_max);
                        buf_add(&b, STR("kept"));
                        enum err e = i == 0   ? json_format(text, 1, &b, NULL)
                                     : i == 1 ? json_minimize(text, &b, NULL)
                                              : json_standardize(text, &b, NULL);
                        assert_err(e, ERR_NO_MEMORY);
                        assert_str(buf_str(&b), STR("kept"));
                        buf_fini(&b);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_format),       cmocka_unit_test(test_spaces),
                cmocka_unit_test(test_random_texts), cmocka_unit_test(test_plain),
                cmocka_unit_test(test_refused),      cmocka_unit_test(test_no_room),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
