#include "base/escape.h"

#include "../test.h"

static const struct {
        const char *why;
        struct str in, json, text;
} cases[] = {
        { "empty", STR_INIT(""), STR_INIT(""), STR_INIT("") },
        { "ordinary", STR_INIT("GET /a?b=c"), STR_INIT("GET /a?b=c"), STR_INIT("GET /a?b=c") },
        { "quote and backslash", STR_INIT("a\"b\\c"), STR_INIT("a\\\"b\\\\c"), STR_INIT("a\"b\\c") },
        { "line end and tab", STR_INIT("a\nb\tc"), STR_INIT("a\\nb\\tc"), STR_INIT("a\\x0ab\\x09c") },
        { "carriage return", STR_INIT("a\rb"), STR_INIT("a\\u000db"), STR_INIT("a\\x0db") },
        { "NUL", STR_INIT("a\0b"), STR_INIT("a\\u0000b"), STR_INIT("a\\x00b") },
        { "the last control", STR_INIT("\x1f "), STR_INIT("\\u001f "), STR_INIT("\\x1f ") },
        { "DEL", STR_INIT("~\x7f"), STR_INIT("~\\u007f"), STR_INIT("~\\x7f") },
        { "terminal escape sequence", STR_INIT("\x1b[31m"), STR_INIT("\\u001b[31m"), STR_INIT("\\x1b[31m") },
        { "first and last C1 control", STR_INIT("\xc2\x80\xc2\x9f"), STR_INIT("\\u0080\\u009f"),
          STR_INIT("\\xc2\\x80\\xc2\\x9f") },
        { "the character after C1", STR_INIT("\xc2\xa0"), STR_INIT("\xc2\xa0"), STR_INIT("\xc2\xa0") },
        { "Japanese", STR_INIT("関所"), STR_INIT("関所"), STR_INIT("関所") },
        { "outside the basic plane", STR_INIT("\xf0\x9f\x9a\xa7"), STR_INIT("\xf0\x9f\x9a\xa7"),
          STR_INIT("\xf0\x9f\x9a\xa7") },
        { "line separator U+2028", STR_INIT("\xe2\x80\xa8"), STR_INIT("\\u2028"),
          STR_INIT("\\xe2\\x80\\xa8") },
        { "right-to-left override U+202E",
          STR_INIT("a\xe2\x80\xae"
                   "b"),
          STR_INIT("a\\u202eb"), STR_INIT("a\\xe2\\x80\\xaeb") },
        { "isolate U+2066", STR_INIT("\xe2\x81\xa6"), STR_INIT("\\u2066"), STR_INIT("\\xe2\\x81\\xa6") },
        { "Arabic letter mark U+061C", STR_INIT("\xd8\x9c"), STR_INIT("\\u061c"), STR_INIT("\\xd8\\x9c") },
        { "byte order mark", STR_INIT("\xef\xbb\xbf"), STR_INIT("\\ufeff"), STR_INIT("\\xef\\xbb\\xbf") },
        { "continuation byte alone",
          STR_INIT("a\x80"
                   "b"),
          STR_INIT("a\\ufffdb"), STR_INIT("a\\x80b") },
        { "overlong slash", STR_INIT("\xc0\xaf"), STR_INIT("\\ufffd\\ufffd"), STR_INIT("\\xc0\\xaf") },
        { "surrogate", STR_INIT("\xed\xa0\x80"), STR_INIT("\\ufffd\\ufffd\\ufffd"),
          STR_INIT("\\xed\\xa0\\x80") },
        { "cut short at the end", STR_INIT("x\xe9\x96"), STR_INIT("x\\ufffd\\ufffd"),
          STR_INIT("x\\xe9\\x96") },
        { "cut short before a letter", STR_INIT("\xe9\x96x"), STR_INIT("\\ufffd\\ufffdx"),
          STR_INIT("\\xe9\\x96x") },
        { "0xff", STR_INIT("\xff"), STR_INIT("\\ufffd"), STR_INIT("\\xff") },
};

static void test_table(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct buf json, text;

                buf_init(&json, 1000);
                buf_init(&text, 1000);
                escape_json(&json, cases[i].in);
                escape_text(&text, cases[i].in);
                if (!str_eq(buf_str(&json), cases[i].json))
                        fail_msg("json, %s: got %.*s", cases[i].why, STR_FMT(buf_str(&json)));
                if (!str_eq(buf_str(&text), cases[i].text))
                        fail_msg("text, %s: got %.*s", cases[i].why, STR_FMT(buf_str(&text)));
                buf_fini(&json);
                buf_fini(&text);
        }
}

/* Whatever three bytes come in: what goes out is UTF-8 without a control, and inside a JSON string it cannot end it. */
static void test_any_bytes(void **state)
{
        static const unsigned char bytes[] = { 0x00, 0x0a, 0x1b, '"',  '\\', 'a',  0x7f, 0x80, 0x9b, 0xa8,
                                               0xbf, 0xc0, 0xc2, 0xe0, 0xe2, 0xed, 0xef, 0xf0, 0xf4, 0xff };
        const size_t n = sizeof(bytes);
        struct buf out;

        buf_init(&out, 1000);
        for (size_t i = 0; i < n * n * n; i++) {
                const char in[3] = { (char)bytes[i % n], (char)bytes[i / n % n], (char)bytes[i / n / n] };

                buf_clear(&out);
                escape_json(&out, (struct str){ in, 3 });
                assert_true(str_is_utf8(buf_str(&out)));
                for (size_t at = 0; at < out.len; at++) {
                        assert_true((unsigned char)out.ptr[at] >= 0x20 && out.ptr[at] != 0x7f);
                        assert_int_not_equal(out.ptr[at], '"');
                        if (out.ptr[at] == '\\') {
                                assert_true(at + 1 < out.len);
                                assert_non_null(strchr("\"\\ntu", out.ptr[at + 1]));
                                at++;
                        }
                }
                buf_clear(&out);
                escape_text(&out, (struct str){ in, 3 });
                assert_true(str_is_utf8(buf_str(&out)));
                for (size_t at = 0; at < out.len; at++)
                        assert_true((unsigned char)out.ptr[at] >= 0x20 && out.ptr[at] != 0x7f);
        }
        buf_fini(&out);
}

static void test_output_bound(void **state)
{
        struct buf out;

        buf_init(&out, 11); /* two \uXXXX are 12 */
        escape_json(&out, STR("\x01\x01"));
        assert_true(out.full);
        assert_str(buf_str(&out), STR("\\u0001"));
        buf_fini(&out);
}

static void html(void **state)
{
        static const struct {
                const char *why;
                struct str in, out;
        } pages[] = {
                { "ordinary", STR_INIT("a b"), STR_INIT("a b") },
                { "markup", STR_INIT("<a href=\"x\">&amp;'"),
                  STR_INIT("&lt;a href=&quot;x&quot;&gt;&amp;amp;&#39;") },
                { "line end and tab stay", STR_INIT("a\n\tb"), STR_INIT("a\n\tb") },
                { "NUL and escape", STR_INIT("a\0\x1b"), STR_INIT("a\xef\xbf\xbd\xef\xbf\xbd") },
                { "not UTF-8", STR_INIT("\xff"), STR_INIT("\xef\xbf\xbd") },
                { "right-to-left override", STR_INIT("\xe2\x80\xae"), STR_INIT("\xef\xbf\xbd") },
                { "Japanese", STR_INIT("関所"), STR_INIT("関所") },
        };

        for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
                struct buf out;

                buf_init(&out, 256);
                escape_html(&out, pages[i].in);
                if (!str_eq(buf_str(&out), pages[i].out))
                        fail_msg("%s: %.*s", pages[i].why, STR_FMT(buf_str(&out)));
                buf_fini(&out);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(html),
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_any_bytes),
                cmocka_unit_test(test_output_bound),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
