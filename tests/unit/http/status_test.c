#include "../test.h"

#include <time.h>

#include "http/status.h"

static void test_reasons(void **state)
{
        assert_str(http_status_reason(100), STR("Continue"));
        assert_str(http_status_reason(200), STR("OK"));
        assert_str(http_status_reason(404), STR("Not Found"));
        assert_str(http_status_reason(431), STR("Request Header Fields Too Large"));
        assert_str(http_status_reason(511), STR("Network Authentication Required"));
        assert_str(http_status_reason(299), STR("Unknown"));
        assert_str(http_status_reason(0), STR("Unknown"));
        assert_str(http_status_reason(65535), STR("Unknown"));
}

static const struct {
        const char *why;
        unix_ms now;
        const char *text;
} dates[] = {
        { "the epoch", 0, "Thu, 01 Jan 1970 00:00:00 GMT" },
        { "RFC 9110's example", 784111777000, "Sun, 06 Nov 1994 08:49:37 GMT" },
        { "milliseconds are cut", 784111777999, "Sun, 06 Nov 1994 08:49:37 GMT" },
        { "leap day", 951782400000, "Tue, 29 Feb 2000 00:00:00 GMT" },
        { "after it", 951868800000, "Wed, 01 Mar 2000 00:00:00 GMT" },
        { "no leap day in 2100", 4107542400000, "Mon, 01 Mar 2100 00:00:00 GMT" },
        { "end of a year", 1735689599000, "Tue, 31 Dec 2024 23:59:59 GMT" },
        { "before the epoch", -5, "Thu, 01 Jan 1970 00:00:00 GMT" },
        { "past four digits", INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT" },
};

static void test_dates(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(dates); i++) {
                char out[HTTP_DATE_TEXT_MAX];

                assert_str(http_date_format(dates[i].now, out), str_of(dates[i].text));
        }
}

/* Every 11 hours or so for 400 years, against the C library. */
static void test_dates_against_libc(void **state)
{
        for (int64_t t = 0; t < 12622780800; t += 40009) {
                char out[HTTP_DATE_TEXT_MAX], expected[HTTP_DATE_TEXT_MAX];
                time_t seconds = t;
                struct tm tm;

                gmtime_r(&seconds, &tm);
                strftime(expected, sizeof(expected), "%a, %d %b %Y %H:%M:%S GMT", &tm);
                assert_str(http_date_format(t * 1000, out), str_of(expected));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reasons),
                cmocka_unit_test(test_dates),
                cmocka_unit_test(test_dates_against_libc),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
