#include "base/str.h"

#include "../test.h"

static void test_equality(void **state)
{
        static const struct {
                const char *why;
                struct str a, b;
                bool eq, eq_nocase;
        } cases[] = {
                { "same", STR_INIT("abc"), STR_INIT("abc"), true, true },
                { "other case", STR_INIT("aBc"), STR_INIT("AbC"), false, true },
                { "shorter", STR_INIT("ab"), STR_INIT("abc"), false, false },
                { "empty and none", STR_INIT(""), { NULL, 0 }, true, true },
                { "none and one letter", { NULL, 0 }, STR_INIT("a"), false, false },
                { "NUL counts", STR_INIT("a\0b"), STR_INIT("a\0c"), false, false },
                { "@ and ` differ by the case bit only", STR_INIT("@"), STR_INIT("`"), false, false },
                { "[ and { too", STR_INIT("["), STR_INIT("{"), false, false },
                { "Latin-1 letters are not folded", STR_INIT("\xc4"), STR_INIT("\xe4"), false, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                if (str_eq(cases[i].a, cases[i].b) != cases[i].eq ||
                    str_eq_consttime(cases[i].a, cases[i].b) != cases[i].eq ||
                    str_eq_nocase(cases[i].a, cases[i].b) != cases[i].eq_nocase)
                        fail_msg("%s", cases[i].why);
        }
        assert_int_equal(str_of(NULL).len, 0);
        assert_str(str_of("x"), STR("x"));
}

static void test_consttime_sees_every_bit(void **state)
{
        char a[40], b[40];

        memset(a, 0x5a, sizeof(a));
        for (size_t i = 0; i < sizeof(a) * 8; i++) {
                memcpy(b, a, sizeof(a));
                b[i / 8] = (char)(b[i / 8] ^ 1 << i % 8);
                assert_false(str_eq_consttime((struct str){ a, sizeof(a) }, (struct str){ b, sizeof(b) }));
        }
        assert_false(str_eq_consttime((struct str){ a, 40 }, (struct str){ a, 39 }));
}

static void test_order(void **state)
{
        static const struct str sorted[] = {
                STR_INIT(""),   STR_INIT("\0"), STR_INIT("a"),    STR_INIT("aa"),
                STR_INIT("ab"), STR_INIT("b"),  STR_INIT("\xff"),
        };

        for (size_t i = 0; i < ARRAY_SIZE(sorted); i++)
                for (size_t j = 0; j < ARRAY_SIZE(sorted); j++) {
                        int order = str_cmp(sorted[i], sorted[j]);
                        assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
                }
}

static void test_prefix_and_suffix(void **state)
{
        static const struct {
                const char *why;
                struct str s, part;
                bool prefix, suffix;
        } cases[] = {
                { "at the front", STR_INIT("abc"), STR_INIT("ab"), true, false },
                { "at the end", STR_INIT("abc"), STR_INIT("bc"), false, true },
                { "all of it", STR_INIT("abc"), STR_INIT("abc"), true, true },
                { "one longer", STR_INIT("abc"), STR_INIT("abcd"), false, false },
                { "nothing is part of all", STR_INIT("abc"), { NULL, 0 }, true, true },
                { "nothing of nothing", { NULL, 0 }, STR_INIT(""), true, true },
                { "something of nothing", { NULL, 0 }, STR_INIT("a"), false, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (str_has_prefix(cases[i].s, cases[i].part) != cases[i].prefix ||
                    str_has_suffix(cases[i].s, cases[i].part) != cases[i].suffix)
                        fail_msg("%s", cases[i].why);
}

static void test_sub(void **state)
{
        static const struct {
                const char *why;
                size_t start, len;
                struct str out;
        } cases[] = {
                { "inside", 1, 2, STR_INIT("bc") },
                { "all", 0, 4, STR_INIT("abcd") },
                { "one too long", 0, 5, STR_INIT("abcd") },
                { "from the last", 3, 9, STR_INIT("d") },
                { "from the end", 4, 1, STR_INIT("") },
                { "past the end", 5, 1, STR_INIT("") },
                { "a sum that wraps", 2, SIZE_MAX, STR_INIT("cd") },
                { "start that wraps", SIZE_MAX, SIZE_MAX, STR_INIT("") },
                { "none", 2, 0, STR_INIT("") },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                if (!str_eq(str_sub(STR("abcd"), cases[i].start, cases[i].len), cases[i].out))
                        fail_msg("%s", cases[i].why);
                assert_int_equal(str_sub(STR_NULL, cases[i].start, cases[i].len).len, 0);
        }
        assert_null(str_from(STR_NULL, 3).ptr);
        assert_str(str_from(STR("abc"), 2), STR("c"));
}

static void test_find(void **state)
{
        static const struct {
                const char *why;
                struct str s, needle;
                size_t at;
        } cases[] = {
                { "first of several", STR_INIT("abcabc"), STR_INIT("c"), 2 },
                { "at the front", STR_INIT("abc"), STR_INIT("ab"), 0 },
                { "at the end", STR_INIT("abc"), STR_INIT("bc"), 1 },
                { "beginning again", STR_INIT("aab"), STR_INIT("ab"), 1 },
                { "not there", STR_INIT("abc"), STR_INIT("d"), STR_NONE },
                { "longer than the text", STR_INIT("abc"), STR_INIT("abcd"), STR_NONE },
                { "in nothing", { NULL, 0 }, STR_INIT("a"), STR_NONE },
                { "nothing in nothing", { NULL, 0 }, { NULL, 0 }, 0 },
                { "past a NUL", STR_INIT("a\0b"), STR_INIT("b"), 2 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                if (str_find(cases[i].s, cases[i].needle) != cases[i].at)
                        fail_msg("%s", cases[i].why);
                if (cases[i].needle.len == 1 &&
                    str_find_char(cases[i].s, cases[i].needle.ptr[0]) != cases[i].at)
                        fail_msg("char: %s", cases[i].why);
        }
}

static void test_trim(void **state)
{
        static const struct {
                struct str in, out;
        } cases[] = {
                { STR_INIT(" \ta b\t "), STR_INIT("a b") }, { STR_INIT("a"), STR_INIT("a") },
                { STR_INIT(" \t"), STR_INIT("") },          { STR_INIT(""), STR_INIT("") },
                { STR_INIT("\ra\n"), STR_INIT("\ra\n") },   { STR_INIT("\xa0"), STR_INIT("\xa0") },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_str(str_trim(cases[i].in), cases[i].out);
        assert_str(str_trim(STR_NULL), STR(""));
}

static void test_split(void **state)
{
        static const struct {
                struct str in;
                const char *joined; /* parts, each with '|' after it */
        } cases[] = {
                { STR_INIT("a,b"), "a|b|" }, { STR_INIT("a,,b"), "a||b|" }, { STR_INIT("a,"), "a||" },
                { STR_INIT(",a"), "|a|" },   { STR_INIT(","), "||" },       { STR_INIT("a"), "a|" },
                { STR_INIT(""), "|" },       { { NULL, 0 }, "" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char joined[16];
                size_t n = 0;
                struct str rest = cases[i].in, part;

                while (str_split(&rest, ',', &part)) {
                        for (size_t at = 0; at < part.len; at++)
                                joined[n++] = part.ptr[at];
                        joined[n++] = '|';
                }
                joined[n] = '\0';
                assert_string_equal(joined, cases[i].joined);
                assert_false(str_split(&rest, ',', &part)); /* stays at the end */
        }
}

static void test_match(void **state)
{
        static const struct {
                const char *pattern, *text;
                bool matches;
        } cases[] = {
                { "", "", true },
                { "", "a", false },
                { "a", "", false },
                { "abc", "abc", true },
                { "abc", "ABC", false },
                { "*", "", true },
                { "*", "a/b", true },
                { "a*", "a", true },
                { "a*", "b", false },
                { "*a", "ba", true },
                { "*a", "ab", false },
                { "a*c", "abbbc", true },
                { "a*c", "abbbd", false },
                { "a*b*c", "a--b--b--c", true },
                { "*.example.com", "x.y.example.com", true },
                { "*.example.com", "example.com", false },
                { "a?c", "abc", true },
                { "a?c", "ac", false },
                { "?", "", false },
                { "**", "ab", true },
                { "*?", "", false },
                { "*?", "a", true },
                { "claude-*", "claude-3", true },
                { "claude-*", "gpt", false },
                { "*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false }, /* no blow-up */
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (str_match(str_of(cases[i].pattern), str_of(cases[i].text)) != cases[i].matches)
                        fail_msg("%s against %s", cases[i].pattern, cases[i].text);
}

static void test_match_takes_bounded_time(void **state)
{
        static char pattern[4000], text[20000];

        for (size_t i = 0; i < sizeof(pattern); i++)
                pattern[i] = i % 2 ? 'a' : '*';
        pattern[sizeof(pattern) - 1] = 'b';
        memset(text, 'a', sizeof(text));
        assert_false(str_match((struct str){ pattern, sizeof(pattern) }, (struct str){ text, sizeof(text) }));
}

static void test_ascii(void **state)
{
        for (int c = 0; c < 256; c++) {
                bool is_digit = c >= '0' && c <= '9', is_upper = c >= 'A' && c <= 'Z',
                     is_lower = c >= 'a' && c <= 'z';
                const char *hex = c ? strchr("0123456789abcdefABCDEF", c) : NULL;
                int value = !hex ? -1 : is_digit ? c - '0' : (c | 0x20) - 'a' + 10;

                assert_int_equal(ascii_is_digit((char)c), is_digit);
                assert_int_equal(ascii_is_alpha((char)c), is_upper || is_lower);
                assert_int_equal(ascii_lower((char)c), (char)(is_upper ? c + 32 : c));
                assert_int_equal(ascii_hex((char)c), value);
        }
}

static void test_utf8(void **state)
{
        static const struct {
                const char *why;
                struct str in;
                bool is_good;
                size_t first; /* bytes of the first sequence */
        } cases[] = {
                { "empty", STR_INIT(""), true, 0 },
                { "ASCII and NUL", STR_INIT("a\0\x7f"), true, 1 },
                { "lowest of two", STR_INIT("\xc2\x80"), true, 2 },
                { "overlong of two", STR_INIT("\xc1\xbf"), false, 0 },
                { "overlong NUL", STR_INIT("\xc0\x80"), false, 0 },
                { "highest of two", STR_INIT("\xdf\xbf"), true, 2 },
                { "lowest of three", STR_INIT("\xe0\xa0\x80"), true, 3 },
                { "overlong of three", STR_INIT("\xe0\x9f\xbf"), false, 0 },
                { "before the surrogates", STR_INIT("\xed\x9f\xbf"), true, 3 },
                { "first surrogate", STR_INIT("\xed\xa0\x80"), false, 0 },
                { "last surrogate", STR_INIT("\xed\xbf\xbf"), false, 0 },
                { "after the surrogates", STR_INIT("\xee\x80\x80"), true, 3 },
                { "lowest of four", STR_INIT("\xf0\x90\x80\x80"), true, 4 },
                { "overlong of four", STR_INIT("\xf0\x8f\xbf\xbf"), false, 0 },
                { "the last character", STR_INIT("\xf4\x8f\xbf\xbf"), true, 4 },
                { "one past the last", STR_INIT("\xf4\x90\x80\x80"), false, 0 },
                { "0xf5", STR_INIT("\xf5\x80\x80\x80"), false, 0 },
                { "continuation alone", STR_INIT("\x80"), false, 0 },
                { "cut after one of two", STR_INIT("\xc3"), false, 0 },
                { "cut after two of three", STR_INIT("\xe3\x81"), false, 0 },
                { "cut after three of four", STR_INIT("\xf0\x9f\x9a"), false, 0 },
                { "third byte is no continuation", STR_INIT("\xe3\x81\x41"), false, 0 },
                { "good, then bad", STR_INIT("a\xff"), false, 1 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (str_is_utf8(cases[i].in) != cases[i].is_good ||
                    str_utf8_len(cases[i].in) != cases[i].first)
                        fail_msg("%s", cases[i].why);
        assert_true(str_is_utf8(STR_NULL));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_equality), cmocka_unit_test(test_consttime_sees_every_bit),
                cmocka_unit_test(test_order),    cmocka_unit_test(test_prefix_and_suffix),
                cmocka_unit_test(test_sub),      cmocka_unit_test(test_find),
                cmocka_unit_test(test_trim),     cmocka_unit_test(test_split),
                cmocka_unit_test(test_match),    cmocka_unit_test(test_match_takes_bounded_time),
                cmocka_unit_test(test_ascii),    cmocka_unit_test(test_utf8),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
