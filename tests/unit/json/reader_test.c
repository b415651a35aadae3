#include "json/reader.h"

#include <stdio.h>
#include <stdlib.h>

#include "../test.h"

struct doc {
        struct arena arena;
        struct report report;
        const struct json_value *root;
};

static enum err doc_read(struct doc *d, struct str text, const struct json_options *options)
{
        arena_init(&d->arena, NULL, 0, 64 * 1024 * 1024);
        report_init(&d->report, STR("t.json"));
        d->root = NULL;
        return json_read(&d->arena, text, options, &d->report, &d->root);
}

static void doc_fini(struct doc *d)
{
        report_fini(&d->report);
        arena_fini(&d->arena);
}

static const struct json_options strict = { .mode = JSON_STRICT }, hujson = { .mode = JSON_HUJSON };

static void test_accepts(void **state)
{
        static const struct {
                const char *why;
                struct str in;
                bool strict;
        } cases[] = {
                { "scalar at the top", STR_INIT("null"), true },
                { "number at the very end", STR_INIT("-0.5e+07"), true },
                { "empty object", STR_INIT("{}"), true },
                { "empty array, all kinds of space", STR_INIT(" \t\r\n[ \n] \n"), true },
                { "nested", STR_INIT("{\"a\":[{\"b\":[[],{}]}]}"), true },
                { "empty key", STR_INIT("{\"\":0}"), true },
                { "same key on two levels", STR_INIT("{\"a\":{\"a\":1}}"), true },
                { "line comment", STR_INIT("// x\n1"), false },
                { "line comment that ends the text", STR_INIT("1 // x"), false },
                { "carriage return in a comment", STR_INIT("1 // x\r\n"), false },
                { "block comment", STR_INIT("/* x */1/**/"), false },
                { "stars in a block comment", STR_INIT("/***/1/* * ** / ***/"), false },
                { "slashes in a line comment", STR_INIT("////*\n1"), false },
                { "comments between all tokens",
                  STR_INIT("{/*1*/\"a\"/*2*/:/*3*/[/*4*/1/*5*/,/*6*/]/*7*/,/*8*/}"), false },
                { "comma after the last item", STR_INIT("[1,]"), false },
                { "comma after the last member", STR_INIT("{\"a\":1,}"), false },
                { "UTF-8 in a comment", STR_INIT("// \xe9\x96\xa2\xe6\x89\x80\n1"), false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct doc d;

                if (doc_read(&d, cases[i].in, &hujson) != ERR_OK)
                        fail_msg("%s: huJSON refused it", cases[i].why);
                doc_fini(&d);
                if ((doc_read(&d, cases[i].in, &strict) == ERR_OK) != cases[i].strict)
                        fail_msg("%s: strict JSON", cases[i].why);
                doc_fini(&d);
        }
}

static void test_refuses(void **state)
{
        static const struct {
                struct str in;
                unsigned line, column;
                const char *part; /* of the sentence */
        } cases[] = {
                { STR_INIT(""), 1, 1, "empty" },
                { STR_INIT("  \n  "), 2, 3, "empty" },
                { STR_INIT("{"), 1, 2, "never closed" },
                { STR_INIT("[1,2"), 1, 5, "never closed" },
                { STR_INIT("{\"a\" 1}"), 1, 6, "colon" },
                { STR_INIT("{\"a\":}"), 1, 6, "after the colon" },
                { STR_INIT("{\"a\":1 \"b\":2}"), 1, 8, "comma or } is missing" },
                { STR_INIT("[1 2]"), 1, 4, "comma or ] is missing" },
                { STR_INIT("[,]"), 1, 2, "value or ]" },
                { STR_INIT("[1,,]"), 1, 4, "after the comma" },
                { STR_INIT("{,}"), 1, 2, "key in double quotes or }" },
                { STR_INIT("{a:1}"), 1, 2, "unknown word" },
                { STR_INIT("{'a':1}"), 1, 2, "double quotes" },
                { STR_INIT("{1:1}"), 1, 2, "key in double quotes" },
                { STR_INIT("[1}"), 1, 3, "comma or ]" },
                { STR_INIT("1 2"), 1, 3, "more text after the end" },
                { STR_INIT("\xef\xbb\xbf{}"), 1, 1, "byte order mark" },
                { STR_INIT("[\"a\nb\"]"), 1, 2, "not closed on its line" },
                { STR_INIT("[\"a\tb\"]"), 1, 4, "write \\t" },
                { STR_INIT("[\"\x01\"]"), 1, 3, "control character" },
                { STR_INIT("[\"\0\"]"), 1, 3, "control character" },
                { STR_INIT("\0"), 1, 1, "NUL" },
                { STR_INIT("[\"\\x41\"]"), 1, 4, "unknown escape" },
                { STR_INIT("[\"\\u12g4\"]"), 1, 7, "four hexadecimal" },
                { STR_INIT("[\"\\ud800\"]"), 1, 3, "surrogate" },
                { STR_INIT("[\"\\udc00\"]"), 1, 3, "surrogate" },
                { STR_INIT("[\"\\ud800\\u0041\"]"), 1, 3, "surrogate" },
                { STR_INIT("[\"\\ud800\\n\"]"), 1, 3, "surrogate" },
                { STR_INIT("[\"\\ud800\\ud800\\udc00\"]"), 1, 3, "surrogate" },
                { STR_INIT("[\"abc"), 1, 2, "never closed" },
                { STR_INIT("[\"\xc3\x28\"]"), 1, 4, "UTF-8" },
                { STR_INIT("[\"\xed\xa0\x80\"]"), 1, 4, "UTF-8" },
                { STR_INIT("[\"\xc0\xaf\"]"), 1, 3, "UTF-8" },
                { STR_INIT("[\"\xf4\x90\x80\x80\"]"), 1, 4, "UTF-8" },
                { STR_INIT("[\"\xe9\x96\xa2\", x]"), 1, 7, "unknown word" }, /* one character, three bytes */
                { STR_INIT("[01]"), 1, 2, "begin with 0" },
                { STR_INIT("[-]"), 1, 3, "minus" },
                { STR_INIT("[1.]"), 1, 4, "decimal point" },
                { STR_INIT("[1e+]"), 1, 5, "exponent" },
                { STR_INIT("[+1]"), 1, 2, "digit or a minus" },
                { STR_INIT("[.5]"), 1, 2, "digit or a minus" },
                { STR_INIT("[0x10]"), 1, 3, "unknown word" },
                { STR_INIT("[True]"), 1, 2, "unknown word" },
                { STR_INIT("[nul]"), 1, 2, "unknown word" },
                { STR_INIT("[tru"), 1, 2, "inside a word" },
                { STR_INIT("[NaN]"), 1, 2, "unknown word" },
                { STR_INIT("// only a comment\n"), 2, 1, "empty" },
                { STR_INIT("[1] /* open\n"), 1, 5, "comment is never closed" },
                { STR_INIT("[1] /"), 1, 5, "comment begins" },
                { STR_INIT("[1] / /"), 1, 5, "comment begins" },
                { STR_INIT("1 // \x1b[2J"), 1, 6, "control character inside a comment" },
                { STR_INIT("1 // \xff"), 1, 6, "UTF-8" },
                { STR_INIT("{\n  \"a\": 1,\n  \"b\": 2,\n  \"a\": 3\n}"), 4, 3, "\"a\" stands twice" },
                { STR_INIT("{\"a\":1,\"\\u0061\":2}"), 1, 8, "\"a\" stands twice" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct doc d;
                enum err e = doc_read(&d, cases[i].in, &hujson);
                const struct report_entry *entry = d.report.entries;

                if (e != ERR_MALFORMED || d.report.entries_count != 1 || d.root)
                        fail_msg("\"%s\" was not refused", cases[i].in.ptr);
                if (entry->line != cases[i].line || entry->column != cases[i].column ||
                    !strstr(entry->text.ptr, cases[i].part))
                        fail_msg("\"%s\": got %u:%u %s", cases[i].in.ptr, entry->line, entry->column,
                                 entry->text.ptr);
                doc_fini(&d);
                assert_err(doc_read(&d, cases[i].in, &strict), ERR_MALFORMED);
                doc_fini(&d);
        }
}

static void test_strict_says_what_hujson_would_allow(void **state)
{
        static const struct {
                struct str in;
                const char *part;
        } cases[] = {
                { STR_INIT("[1,]"), "no comma before ]" },
                { STR_INIT("{\"a\":1,}"), "no comma before }" },
                { STR_INIT("// x\n1"), "comments are not allowed" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct doc d;

                assert_err(doc_read(&d, cases[i].in, &strict), ERR_MALFORMED);
                assert_non_null(strstr(d.report.entries[0].text.ptr, cases[i].part));
                doc_fini(&d);
        }
}

static void test_tree(void **state)
{
        struct str text = STR(
                "{ // c\n  \"name\": \"a\\u0062\\n\",\n  \"n\": [1, 2.50, -3e2],\n  \"\\u0074\": true, \"z\": null\n}");
        struct doc d;

        assert_err(doc_read(&d, text, &hujson), ERR_OK);
        assert_int_equal(d.root->type, JSON_OBJECT);
        assert_int_equal(d.root->count, 4);
        assert_str(d.root->raw, text);
        assert_str(d.root->members[0].key, STR("name"));
        assert_int_equal(d.root->members[0].key_line, 2);
        assert_int_equal(d.root->members[0].key_column, 3);
        assert_int_equal(text.ptr[d.root->members[0].key_offset], '"');

        const struct json_value *name = json_find(d.root, STR("name"));
        assert_str(json_str(name), STR("ab\n"));
        assert_str(name->raw, STR("\"a\\u0062\\n\""));
        assert_int_equal(name->line, 2);
        assert_int_equal(name->column, 11);
        assert_int_equal(name->offset, 17);

        const struct json_value *n = json_find(d.root, STR("n"));
        assert_int_equal(n->count, 3);
        assert_str(n->raw, STR("[1, 2.50, -3e2]"));
        assert_str(json_item(n, 1)->text, STR("2.50"));
        assert_null(json_item(n, 3));
        assert_null(json_item(d.root, 0));
        assert_true(json_bool(json_find(d.root, STR("t")), false));
        assert_str(d.root->members[2].key_raw, STR("\"\\u0074\""));
        assert_true(json_is(json_find(d.root, STR("z")), JSON_NULL));

        assert_null(json_find(d.root, STR("absent")));
        assert_null(json_find(json_find(d.root, STR("absent")), STR("deeper")));
        assert_null(json_find(n, STR("name")));
        assert_null(json_str(n).ptr);
        assert_true(json_bool(n, true));
        doc_fini(&d);
}

static void test_strings(void **state)
{
        static const struct {
                const char *why;
                struct str in, out;
        } cases[] = {
                { "all short escapes", STR_INIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
                  STR_INIT("\"\\/\b\f\n\r\t") },
                { "NUL is a character", STR_INIT("\"a\\u0000b\""), STR_INIT("a\0b") },
                { "two bytes", STR_INIT("\"\\u00e9\""), STR_INIT("\xc3\xa9") },
                { "three bytes, either case", STR_INIT("\"\\uD7fF\\uFFFF\""),
                  STR_INIT("\xed\x9f\xbf\xef\xbf\xbf") },
                { "a pair", STR_INIT("\"\\ud83d\\ude00!\""), STR_INIT("\xf0\x9f\x98\x80!") },
                { "the last pair", STR_INIT("\"\\udbff\\udfff\""), STR_INIT("\xf4\x8f\xbf\xbf") },
                { "plain UTF-8 stays", STR_INIT("\"\xf0\x9f\x98\x80\""), STR_INIT("\xf0\x9f\x98\x80") },
                { "DEL is no control to JSON", STR_INIT("\"\x7f\""), STR_INIT("\x7f") },
                { "empty", STR_INIT("\"\""), STR_INIT("") },
                { "longer than a word, hit in the middle", STR_INIT("\"0123456789012\\n4567890123456789\""),
                  STR_INIT("0123456789012\n4567890123456789") },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct doc d;

                assert_err(doc_read(&d, cases[i].in, &strict), ERR_OK);
                if (!str_eq(json_str(d.root), cases[i].out))
                        fail_msg("%s", cases[i].why);
                doc_fini(&d);
        }
}

static void test_limits(void **state)
{
        static const struct {
                const char *why;
                struct str in;
                struct json_options options;
                enum err err;
        } cases[] = {
                { "depth reached", STR_INIT("[[[]]]"), { .depth_max = 3 }, ERR_OK },
                { "depth passed", STR_INIT("[[[[]]]]"), { .depth_max = 3 }, ERR_TOO_LARGE },
                { "depth in objects", STR_INIT("{\"a\":{\"b\":{}}}"), { .depth_max = 2 }, ERR_TOO_LARGE },
                { "siblings are not depth", STR_INIT("[[],[],[],[]]"), { .depth_max = 2 }, ERR_OK },
                { "bytes reached", STR_INIT("[1,2]"), { .bytes_max = 5 }, ERR_OK },
                { "bytes passed", STR_INIT("[1,22]"), { .bytes_max = 5 }, ERR_TOO_LARGE },
                { "values reached", STR_INIT("[1,2]"), { .values_max = 3 }, ERR_OK },
                { "values passed", STR_INIT("[1,2,3]"), { .values_max = 3 }, ERR_TOO_LARGE },
                { "values passed by members",
                  STR_INIT("{\"a\":1,\"b\":2}"),
                  { .values_max = 2 },
                  ERR_TOO_LARGE },
                { "keys reached", STR_INIT("{\"a\":1,\"b\":{\"c\":1,\"d\":1}}"), { .keys_max = 2 }, ERR_OK },
                { "keys passed", STR_INIT("{\"a\":1,\"b\":1,\"c\":1}"), { .keys_max = 2 }, ERR_TOO_LARGE },
                { "NUL refused", STR_INIT("\"a\\u0000\""), { .nul_refused = true }, ERR_MALFORMED },
                { "NUL refused in keys",
                  STR_INIT("{\"a\\u0000\":1}"),
                  { .nul_refused = true },
                  ERR_MALFORMED },
                { "duplicates allowed",
                  STR_INIT("{\"a\":1,\"a\":2}"),
                  { .duplicates_allowed = true },
                  ERR_OK },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct doc d;

                if (doc_read(&d, cases[i].in, &cases[i].options) != cases[i].err)
                        fail_msg("%s", cases[i].why);
                assert_int_equal(d.report.errors_count, cases[i].err == ERR_OK ? 0 : 1);
                doc_fini(&d);
        }
}

/* Nesting costs no stack: as deep as it goes, and one more. */
static void test_depth(void **state)
{
        struct json_options options = { .depth_max = JSON_DEPTH_MAX };

        for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
                char text[2 * (JSON_DEPTH_MAX + 1)];
                struct doc d;

                memset(text, '[', depth);
                memset(text + depth, ']', depth);
                assert_err(doc_read(&d, (struct str){ text, 2 * depth }, &options),
                           depth <= JSON_DEPTH_MAX ? ERR_OK : ERR_TOO_LARGE);
                doc_fini(&d);
        }
}

static struct str object_of(size_t keys, size_t again, struct buf *b)
{
        buf_clear(b);
        buf_add_char(b, '{');
        for (size_t i = 0; i < keys; i++)
                buf_addf(b, "%s\"key-%zu\":%zu", i ? "," : "", i, i);
        if (again < keys)
                buf_addf(b, ",\n\"key-%zu\":0", again);
        buf_add_char(b, '}');
        return buf_str(b);
}

static void test_many_keys(void **state)
{
        static const size_t sizes[] = { 1, 2, 8, 9, 10, 63, 1000, 100000 };
        struct buf b;

        buf_init(&b, 8 * 1024 * 1024);
        for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
                size_t n = sizes[s];
                struct doc d;
                char name[32];

                assert_err(doc_read(&d, object_of(n, SIZE_MAX, &b), &strict), ERR_OK);
                for (size_t i = 0; i < n; i++) {
                        int len = snprintf(name, sizeof(name), "key-%zu", i);
                        assert_ptr_equal(json_find(d.root, (struct str){ name, (size_t)len }),
                                         &d.root->members[i].value);
                }
                assert_null(json_find(d.root, STR("key-")));
                assert_null(json_find(d.root, STR("zzz")));
                doc_fini(&d);

                assert_err(doc_read(&d, object_of(n, n / 2, &b), &strict), ERR_MALFORMED);
                assert_int_equal(d.report.entries[0].line, 2);
                assert_int_equal(d.report.entries[0].column, 1);
                doc_fini(&d);

                struct json_options options = { .duplicates_allowed = true };
                assert_err(doc_read(&d, object_of(n, n / 2, &b), &options), ERR_OK);
                int len = snprintf(name, sizeof(name), "key-%zu", n / 2);
                assert_ptr_equal(json_find(d.root, (struct str){ name, (size_t)len }),
                                 &d.root->members[n].value);
                doc_fini(&d);
        }
        buf_fini(&b);
}

/* Every size of arena that is too small: an error, told once, and no crash. */
static void test_no_memory(void **state)
{
        struct str text =
                STR("{\"a\":[1,\"x\\ny\",{\"b\":[]}],\"k1\":1,\"k2\":1,\"k3\":1,\"k4\":1,\"k5\":1,\"k6\":1,"
                    "\"k7\":1,\"k8\":1,\"\\u0065\":\"\\\\\"}");
        bool fitted = false;

        for (size_t size = 0; !fitted; size++) {
                _Alignas(max_align_t) static char first[8192];
                const struct json_value *root = NULL;
                struct arena arena;
                struct report report;

                assert_true(size < sizeof(first));
                arena_init(&arena, first, size, size);
                report_init(&report, STR(""));
                enum err e = json_read_strict(&arena, text, &report, &root);
                fitted = e == ERR_OK;
                if (!fitted) {
                        assert_err(e, ERR_NO_MEMORY);
                        assert_null(root);
                        assert_int_equal(report.errors_count, 1);
                        assert_err(json_read_strict(&arena, text, NULL, &root), ERR_NO_MEMORY);
                }
                report_fini(&report);
                arena_fini(&arena);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_accepts),
                cmocka_unit_test(test_refuses),
                cmocka_unit_test(test_strict_says_what_hujson_would_allow),
                cmocka_unit_test(test_tree),
                cmocka_unit_test(test_strings),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_depth),
                cmocka_unit_test(test_many_keys),
                cmocka_unit_test(test_no_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
