#include "base/units.h"

#include "../test.h"

static void test_u64(void **state)
{
        static const struct {
                const char *why;
                struct str in;
                uint64_t max;
                enum err err;
                uint64_t value;
        } cases[] = {
                { "zero", STR_INIT("0"), 10, ERR_OK, 0 },
                { "one below the bound", STR_INIT("9"), 10, ERR_OK, 9 },
                { "the bound", STR_INIT("10"), 10, ERR_OK, 10 },
                { "one above", STR_INIT("11"), 10, ERR_TOO_LARGE, 0 },
                { "largest", STR_INIT("18446744073709551615"), UINT64_MAX, ERR_OK, UINT64_MAX },
                { "wraps by one", STR_INIT("18446744073709551616"), UINT64_MAX, ERR_TOO_LARGE, 0 },
                { "wraps far", STR_INIT("99999999999999999999999"), UINT64_MAX, ERR_TOO_LARGE, 0 },
                { "leading zeros", STR_INIT("007"), 10, ERR_OK, 7 },
                { "plus is not a digit", STR_INIT("+1"), 10, ERR_MALFORMED, 0 },
                { "minus is not a digit", STR_INIT("-1"), 10, ERR_MALFORMED, 0 },
                { "space before", STR_INIT(" 1"), 10, ERR_MALFORMED, 0 },
                { "space after", STR_INIT("1 "), 10, ERR_MALFORMED, 0 },
                { "hexadecimal", STR_INIT("0x1"), 10, ERR_MALFORMED, 0 },
                { "underscore", STR_INIT("1_0"), 10, ERR_MALFORMED, 0 },
                { "a wide digit", STR_INIT("\xef\xbc\x91"), 10, ERR_MALFORMED, 0 },
                { "NUL after", STR_INIT("1\0"), 10, ERR_MALFORMED, 0 },
                { "empty", STR_INIT(""), 10, ERR_MALFORMED, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint64_t value = 77;
                if (units_parse_u64(cases[i].in, cases[i].max, &value) != cases[i].err ||
                    value != (cases[i].err == ERR_OK ? cases[i].value : 77))
                        fail_msg("%s", cases[i].why);
        }
}

static void test_bytes(void **state)
{
        static const struct {
                const char *why;
                struct str in;
                enum err err;
                uint64_t value;
        } cases[] = {
                { "bare", STR_INIT("4096"), ERR_OK, 4096 },
                { "B", STR_INIT("1B"), ERR_OK, 1 },
                { "KiB", STR_INIT("32KiB"), ERR_OK, 32768 },
                { "MiB", STR_INIT("1MiB"), ERR_OK, 1048576 },
                { "GiB", STR_INIT("2GiB"), ERR_OK, 2147483648 },
                { "kB", STR_INIT("32kB"), ERR_OK, 32000 },
                { "MB", STR_INIT("1MB"), ERR_OK, 1000000 },
                { "GB", STR_INIT("1GB"), ERR_OK, 1000000000 },
                { "zero", STR_INIT("0MiB"), ERR_OK, 0 },
                { "largest", STR_INIT("9223372036854775807"), ERR_OK, INT64_MAX },
                { "one more", STR_INIT("9223372036854775808"), ERR_TOO_LARGE, 0 },
                { "product too large for a signed number", STR_INIT("8589934592GiB"), ERR_TOO_LARGE, 0 },
                { "product wraps to zero", STR_INIT("17179869184GiB"), ERR_TOO_LARGE, 0 },
                { "ambiguous", STR_INIT("32K"), ERR_MALFORMED, 0 },
                { "case matters", STR_INIT("32kib"), ERR_MALFORMED, 0 },
                { "a space", STR_INIT("32 KiB"), ERR_MALFORMED, 0 },
                { "a fraction", STR_INIT("1.5MiB"), ERR_MALFORMED, 0 },
                { "no number", STR_INIT("KiB"), ERR_MALFORMED, 0 },
                { "negative", STR_INIT("-1KiB"), ERR_MALFORMED, 0 },
                { "empty", STR_INIT(""), ERR_MALFORMED, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint64_t value = 77;
                if (units_parse_bytes(cases[i].in, &value) != cases[i].err)
                        fail_msg("%s", cases[i].why);
                if (cases[i].err == ERR_OK)
                        assert_int_equal(value, cases[i].value);
        }
}

static void test_duration(void **state)
{
        static const struct {
                const char *why;
                struct str in;
                enum err err;
                int64_t ms;
        } cases[] = {
                { "ms", STR_INIT("250ms"), ERR_OK, 250 },
                { "s", STR_INIT("5s"), ERR_OK, 5000 },
                { "m", STR_INIT("2m"), ERR_OK, 120000 },
                { "h", STR_INIT("12h"), ERR_OK, 43200000 },
                { "d", STR_INIT("30d"), ERR_OK, 2592000000 },
                { "zero", STR_INIT("0s"), ERR_OK, 0 },
                { "largest", STR_INIT("9223372036854775807ms"), ERR_OK, INT64_MAX },
                { "one more", STR_INIT("9223372036854775808ms"), ERR_TOO_LARGE, 0 },
                { "product too large", STR_INIT("106751991168d"), ERR_TOO_LARGE, 0 },
                { "no unit", STR_INIT("30"), ERR_MALFORMED, 0 },
                { "unknown unit", STR_INIT("5min"), ERR_MALFORMED, 0 },
                { "two parts", STR_INIT("1h30m"), ERR_MALFORMED, 0 },
                { "negative", STR_INIT("-5s"), ERR_MALFORMED, 0 },
                { "empty", STR_INIT(""), ERR_MALFORMED, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                int64_t ms = 77;
                if (units_parse_duration(cases[i].in, &ms) != cases[i].err ||
                    ms != (cases[i].err == ERR_OK ? cases[i].ms : 77))
                        fail_msg("%s", cases[i].why);
        }
}

static void test_rate(void **state)
{
        static const struct {
                const char *why;
                struct str in;
                enum err err;
                uint64_t count;
                int64_t period_ms;
        } cases[] = {
                { "a minute", STR_INIT("60/min"), ERR_OK, 60, 60000 },
                { "a second", STR_INIT("5/s"), ERR_OK, 5, 1000 },
                { "an hour", STR_INIT("1000/h"), ERR_OK, 1000, 3600000 },
                { "a day", STR_INIT("10/day"), ERR_OK, 10, 86400000 },
                { "none is no rate", STR_INIT("0/s"), ERR_MALFORMED, 0, 0 },
                { "no period", STR_INIT("60"), ERR_MALFORMED, 0, 0 },
                { "no count", STR_INIT("/s"), ERR_MALFORMED, 0, 0 },
                { "unknown period", STR_INIT("60/fortnight"), ERR_MALFORMED, 0, 0 },
                { "too large", STR_INIT("18446744073709551616/s"), ERR_TOO_LARGE, 0, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct units_rate rate = { 0 };
                if (units_parse_rate(cases[i].in, &rate) != cases[i].err || rate.count != cases[i].count ||
                    rate.period_ms != cases[i].period_ms)
                        fail_msg("%s", cases[i].why);
        }
}

static void test_time(void **state)
{
        static const struct {
                const char *why, *in;
                const char *out; /* NULL: refused */
        } cases[] = {
                { "ordinary", "2027-01-31T00:00:00Z", "2027-01-31T00:00:00.000Z" },
                { "lower case", "2027-01-31t00:00:00z", "2027-01-31T00:00:00.000Z" },
                { "fraction", "2027-01-31T00:00:00.5Z", "2027-01-31T00:00:00.500Z" },
                { "finer than a millisecond is cut", "2027-01-31T00:00:00.123999Z",
                  "2027-01-31T00:00:00.123Z" },
                { "east of Greenwich", "2027-01-31T09:00:00+09:00", "2027-01-31T00:00:00.000Z" },
                { "west, over midnight", "2026-12-31T20:30:00-05:30", "2027-01-01T02:00:00.000Z" },
                { "leap day", "2028-02-29T12:00:00Z", "2028-02-29T12:00:00.000Z" },
                { "no leap day", "2027-02-29T12:00:00Z", NULL },
                { "leap day of a round century", "2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000Z" },
                { "no leap day in 2100", "2100-02-29T00:00:00Z", NULL },
                { "leap second", "2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z" },
                { "the first", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z" },
                { "before the first, by its offset", "1970-01-01T00:00:00.25+09:00",
                  "1969-12-31T15:00:00.250Z" },
                { "the last", "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z" },
                { "after the last, by its offset", "9999-12-31T23:59:59-09:00", "9999-12-31T23:59:59.999Z" },
                { "year too early", "1969-12-31T23:59:59Z", NULL },
                { "month 13", "2027-13-01T00:00:00Z", NULL },
                { "month 0", "2027-00-01T00:00:00Z", NULL },
                { "day 32", "2027-01-32T00:00:00Z", NULL },
                { "day 31 of a short month", "2027-04-31T00:00:00Z", NULL },
                { "day 0", "2027-01-00T00:00:00Z", NULL },
                { "hour 24", "2027-01-31T24:00:00Z", NULL },
                { "minute 60", "2027-01-31T00:60:00Z", NULL },
                { "second 61", "2027-01-31T00:00:61Z", NULL },
                { "no zone", "2027-01-31T00:00:00", NULL },
                { "offset hour 24", "2027-01-31T00:00:00+24:00", NULL },
                { "offset without colon", "2027-01-31T00:00:00+0900", NULL },
                { "a space for the T", "2027-01-31 00:00:00Z", NULL },
                { "a point without digits", "2027-01-31T00:00:00.Z", NULL },
                { "only a date", "2027-01-31", NULL },
                { "one digit", "2027-1-31T00:00:00Z", NULL },
                { "more after it", "2027-01-31T00:00:00ZZ", NULL },
                { "a sign for the year", "+2027-01-31T00:00:00Z", NULL },
                { "empty", "", NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                unix_ms when = 77;
                char text[UNITS_TIME_TEXT_MAX];
                enum err e = units_parse_time(str_of(cases[i].in), &when);

                if (!cases[i].out) {
                        if (e != ERR_MALFORMED || when != 77)
                                fail_msg("%s: accepted, or written to", cases[i].why);
                        continue;
                }
                if (e != ERR_OK)
                        fail_msg("%s: refused", cases[i].why);
                assert_str(units_format_time(when, text), str_of(cases[i].out));
        }
}

static void test_time_at_its_ends(void **state)
{
        static const struct {
                unix_ms when;
                const char *text;
        } cases[] = {
                { 0, "1970-01-01T00:00:00.000Z" },
                { -1, "1969-12-31T23:59:59.999Z" },
                { -1000, "1969-12-31T23:59:59.000Z" },
                { 1795251600123, "2026-11-21T09:00:00.123Z" },
                { 253402300799999, "9999-12-31T23:59:59.999Z" },
                { 253402300800000, "9999-12-31T23:59:59.999Z" },
                { INT64_MAX, "9999-12-31T23:59:59.999Z" },
                { -62167219200000, "0000-01-01T00:00:00.000Z" },
                { INT64_MIN, "0000-01-01T00:00:00.000Z" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char text[UNITS_TIME_TEXT_MAX];
                assert_str(units_format_time(cases[i].when, text), str_of(cases[i].text));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_u64),      cmocka_unit_test(test_bytes),
                cmocka_unit_test(test_duration), cmocka_unit_test(test_rate),
                cmocka_unit_test(test_time),     cmocka_unit_test(test_time_at_its_ends),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
