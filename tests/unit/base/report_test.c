#include "base/report.h"

#include "../alloc.h"
#include "../test.h"

static void assert_text(const struct report *r, struct str wanted)
{
        struct buf out;

        buf_init(&out, 1 << 20);
        buf_add(&out, STR("before:")); /* what stands there already is left alone */
        report_format(r, &out);
        assert_str(str_from(buf_str(&out), 7), wanted);
        buf_fini(&out);
}

static void test_places(void **state)
{
        struct report r;

        report_init(&r, STR("sekisho.json"));
        report_error(&r, 3, 14, "unknown key \"%s\"; did you mean \"host\"?", "hsot");
        report_warning(&r, 0, 0, "no route");
        r.file = STR_NULL;
        report_error(&r, 0, 0, "no file");
        report_error(&r, 7, 1, "no name");
        r.file = STR("a\nb");
        report_error(&r, 1, 1, "%s", "x\x1b[31my");
        assert_int_equal(r.errors_count, 4);
        assert_int_equal(r.warnings_count, 1);
        assert_text(&r, STR("sekisho.json:3:14: error: unknown key \"hsot\"; did you mean \"host\"?\n"
                            "sekisho.json: warning: no route\n"
                            "error: no file\n"
                            ":7:1: error: no name\n"
                            "a\\x0ab:1:1: error: x\\x1b[31my\n"));
        report_fini(&r);
        assert_int_equal(r.errors_count, 0);
}

static void test_empty(void **state)
{
        struct report r;

        report_init(&r, STR("f"));
        assert_text(&r, STR(""));
        report_fini(&r);
}

static void test_entries_are_bounded_and_counted_on(void **state)
{
        struct report r;

        report_init(&r, STR("f"));
        for (int i = 0; i < REPORT_ENTRIES_MAX - 1; i++)
                report_error(&r, 1, 1, "%d", i);
        assert_int_equal(r.entries_count, REPORT_ENTRIES_MAX - 1);
        report_error(&r, 1, 1, "last");
        assert_int_equal(r.entries_count, REPORT_ENTRIES_MAX);
        report_error(&r, 1, 1, "one more");
        report_warning(&r, 1, 1, "and one");
        assert_int_equal(r.entries_count, REPORT_ENTRIES_MAX);
        assert_int_equal(r.errors_count, REPORT_ENTRIES_MAX + 1);
        assert_int_equal(r.warnings_count, 1);
        assert_str(r.entries[REPORT_ENTRIES_MAX - 1].text, STR("last"));
        report_fini(&r);
}

static void test_long_text_is_cut(void **state)
{
        char text[3000];
        struct report r;

        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        report_init(&r, STR("f"));
        for (int i = 0; i < 2 * REPORT_ENTRIES_MAX; i++)
                report_error(&r, 1, 1, "%s", text);
        assert_int_equal(r.entries_count, REPORT_ENTRIES_MAX);
        assert_int_equal(r.entries[0].text.len, 1023);
        report_fini(&r);
}

static void test_nearest(void **state)
{
        static const struct str keys[] = {
                STR_INIT("host"),      STR_INIT("port"),       STR_INIT("listen"),
                STR_INIT("apiTokens"), STR_INIT("allowedIps"),
        };
        static const struct {
                const char *why;
                struct str word, nearest;
        } cases[] = {
                { "itself", STR_INIT("host"), STR_INIT("host") },
                { "other case", STR_INIT("HOST"), STR_INIT("host") },
                { "a letter changed", STR_INIT("hast"), STR_INIT("host") },
                { "a letter missing", STR_INIT("hst"), STR_INIT("host") },
                { "a letter more", STR_INIT("hosts"), STR_INIT("host") },
                { "two letters swapped", STR_INIT("hsot"), STR_INIT("host") },
                { "swapped at the end", STR_INIT("listne"), STR_INIT("listen") },
                { "two edits in six letters", STR_INIT("listin_"), STR_INIT("listen") },
                { "two edits in four letters", STR_INIT("hoax"), STR_INIT("") },
                { "the first of equals", STR_INIT("hort"), STR_INIT("host") },
                { "two edits in a long word", STR_INIT("allowdIp"), STR_INIT("allowedIps") },
                { "other spelling", STR_INIT("api_tokens"), STR_INIT("apiTokens") },
                { "nothing like it", STR_INIT("certificate"), STR_INIT("") },
                { "empty", STR_INIT(""), STR_INIT("") },
                { "longer than any key",
                  STR_INIT("0123456789012345678901234567890123456789012345678901234567890123456789"),
                  STR_INIT("") },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct str nearest = report_nearest(cases[i].word, keys, ARRAY_SIZE(keys));
                if (!str_eq(nearest, cases[i].nearest))
                        fail_msg("%s: got \"%.*s\"", cases[i].why, STR_FMT(nearest));
        }
        assert_int_equal(report_nearest(STR("host"), NULL, 0).len, 0);
}

static void test_no_memory(void **state)
{
        unsigned n = 1;

        for (;; n++) {
                struct report r;

                report_init(&r, STR("f"));
                alloc_fail_at(n);
                for (int i = 0; i < 90; i++)
                        report_error(&r, 1, 1, "%0500d", i);
                bool failed = alloc_failed();
                alloc_fail_at(0);
                assert_int_equal(r.errors_count, 90); /* a mistake is never forgotten, its text may be */
                assert_true(failed ? r.entries_count < 90 : r.entries_count == 90);
                report_fini(&r);
                if (!failed)
                        break;
        }
        assert_true(n > 3);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_places),
                cmocka_unit_test(test_empty),
                cmocka_unit_test(test_entries_are_bounded_and_counted_on),
                cmocka_unit_test(test_long_text_is_cut),
                cmocka_unit_test(test_nearest),
                cmocka_unit_test(test_no_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
