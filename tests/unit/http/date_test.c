#include "http/date.h"

#include "http/status.h"

#include "../test.h"

#define NOW 1790000000000 /* September 2026 */

static const struct {
        const char *why, *in;
        enum err err;
        int64_t seconds;
} cases[] = {
        { "the form that is sent", "Sun, 06 Nov 1994 08:49:37 GMT", ERR_OK, 784111777 },
        { "RFC 850", "Sunday, 06-Nov-94 08:49:37 GMT", ERR_OK, 784111777 },
        { "asctime", "Sun Nov  6 08:49:37 1994", ERR_OK, 784111777 },
        { "asctime, two digits", "Wed Nov 16 08:49:37 1994", ERR_OK, 784975777 },
        { "the epoch", "Thu, 01 Jan 1970 00:00:00 GMT", ERR_OK, 0 },
        { "a leap day", "Thu, 29 Feb 2024 12:00:00 GMT", ERR_OK, 1709208000 },
        { "the end of a century without one", "Mon, 01 Mar 1900 00:00:00 GMT", ERR_OK, -2203891200 },
        { "two digits within 50 years", "Friday, 01-Jan-70 00:00:00 GMT", ERR_OK, 3155760000 },
        { "two digits further off: the past", "Saturday, 01-Jan-77 00:00:00 GMT", ERR_OK, 220924800 },
        { "a number", "0", ERR_MALFORMED, 0 },
        { "nothing", "", ERR_MALFORMED, 0 },
        { "another zone", "Sun, 06 Nov 1994 08:49:37 CET", ERR_MALFORMED, 0 },
        { "no such month", "Sun, 06 Now 1994 08:49:37 GMT", ERR_MALFORMED, 0 },
        { "a month across two names", "Sun, 06 anF 1994 08:49:37 GMT", ERR_MALFORMED, 0 },
        { "no such hour", "Sun, 06 Nov 1994 24:49:37 GMT", ERR_MALFORMED, 0 },
        { "one digit", "Sun, 6 Nov 1994 08:49:37 GMT", ERR_MALFORMED, 0 },
        { "something behind", "Sun, 06 Nov 1994 08:49:37 GMT ", ERR_MALFORMED, 0 },
        { "cut short", "Sun, 06 Nov 1994 08:49", ERR_MALFORMED, 0 },
};

static void reads(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                unix_ms out = 0;
                enum err e = http_date_parse(str_of(cases[i].in), NOW, &out);

                if (e != cases[i].err || out != cases[i].seconds * 1000)
                        print_error("%s: %lld\n", cases[i].why, (long long)out);
                assert_err(e, cases[i].err);
                assert_true(out == cases[i].seconds * 1000);
        }
}

static void reads_what_is_written(void **state)
{
        for (unix_ms t = 0; t < 4102444800000; t += 86400000LL * 13 + 3671000) {
                char text[HTTP_DATE_TEXT_MAX];
                unix_ms out;

                assert_err(http_date_parse(http_date_format(t, text), NOW, &out), ERR_OK);
                assert_true(out == t);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(reads),
                                            cmocka_unit_test(reads_what_is_written) };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
