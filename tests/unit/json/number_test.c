#include "../test.h"
#include "base/buf.h"
#include "json/value.h"

static void test_integers(void **state)
{
        static const struct {
                struct str in;
                enum err unsigned_err;
                uint64_t unsigned_value;
                enum err signed_err;
                int64_t signed_value;
        } cases[] = {
                { STR_INIT("0"), ERR_OK, 0, ERR_OK, 0 },
                { STR_INIT("-0"), ERR_OK, 0, ERR_OK, 0 },
                { STR_INIT("-0.000e5"), ERR_OK, 0, ERR_OK, 0 },
                { STR_INIT("0e99999999999999999999"), ERR_OK, 0, ERR_OK, 0 },
                { STR_INIT("7"), ERR_OK, 7, ERR_OK, 7 },
                { STR_INIT("-7"), ERR_TOO_LARGE, 0, ERR_OK, -7 },
                { STR_INIT("1e3"), ERR_OK, 1000, ERR_OK, 1000 },
                { STR_INIT("1E+3"), ERR_OK, 1000, ERR_OK, 1000 },
                { STR_INIT("2.0"), ERR_OK, 2, ERR_OK, 2 },
                { STR_INIT("1.50e1"), ERR_OK, 15, ERR_OK, 15 },
                { STR_INIT("1200e-2"), ERR_OK, 12, ERR_OK, 12 },
                { STR_INIT("0.001e3"), ERR_OK, 1, ERR_OK, 1 },
                { STR_INIT("1.5"), ERR_MALFORMED, 0, ERR_MALFORMED, 0 },
                { STR_INIT("1e-1"), ERR_MALFORMED, 0, ERR_MALFORMED, 0 },
                { STR_INIT("1e-99999999999999999999"), ERR_MALFORMED, 0, ERR_MALFORMED, 0 },
                { STR_INIT("9223372036854775807"), ERR_OK, INT64_MAX, ERR_OK, INT64_MAX },
                { STR_INIT("9223372036854775808"), ERR_OK, UINT64_C(9223372036854775808), ERR_TOO_LARGE, 0 },
                { STR_INIT("-9223372036854775808"), ERR_TOO_LARGE, 0, ERR_OK, INT64_MIN },
                { STR_INIT("-9223372036854775809"), ERR_TOO_LARGE, 0, ERR_TOO_LARGE, 0 },
                { STR_INIT("18446744073709551615"), ERR_OK, UINT64_MAX, ERR_TOO_LARGE, 0 },
                { STR_INIT("18446744073709551616"), ERR_TOO_LARGE, 0, ERR_TOO_LARGE, 0 },
                { STR_INIT("99999999999999999999"), ERR_TOO_LARGE, 0, ERR_TOO_LARGE, 0 },
                { STR_INIT("1e19"), ERR_OK, UINT64_C(10000000000000000000), ERR_TOO_LARGE, 0 },
                { STR_INIT("1e20"), ERR_TOO_LARGE, 0, ERR_TOO_LARGE, 0 },
                { STR_INIT("1e99999999999999999999"), ERR_TOO_LARGE, 0, ERR_TOO_LARGE, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint64_t u = 0;
                int64_t n = 0;

                if (json_number_uint64(cases[i].in, &u) != cases[i].unsigned_err ||
                    u != cases[i].unsigned_value)
                        fail_msg("%s as uint64", cases[i].in.ptr);
                if (json_number_int64(cases[i].in, &n) != cases[i].signed_err || n != cases[i].signed_value)
                        fail_msg("%s as int64", cases[i].in.ptr);
        }
}

static void test_doubles(void **state)
{
        static const struct {
                struct str in;
                enum err err;
                double value;
        } cases[] = {
                { STR_INIT("0"), ERR_OK, 0.0 },
                { STR_INIT("-0"), ERR_OK, -0.0 },
                { STR_INIT("0.1"), ERR_OK, 0.1 },
                { STR_INIT("-1.5e2"), ERR_OK, -150.0 },
                { STR_INIT("123456789.123456789"), ERR_OK, 123456789.123456789 },
                { STR_INIT("1.7976931348623157e308"), ERR_OK, 1.7976931348623157e308 },
                { STR_INIT("5e-324"), ERR_OK, 5e-324 },
                { STR_INIT("1e-400"), ERR_OK, 0.0 },
                { STR_INIT("1e400"), ERR_TOO_LARGE, 0 },
                { STR_INIT("-1e400"), ERR_TOO_LARGE, 0 },
                { STR_INIT("1e99999999999999999999"), ERR_TOO_LARGE, 0 },
                { STR_INIT("9007199254740993"), ERR_OK, 9007199254740992.0 },
                { STR_INIT("9007199254740993.0000000000000000000001"), ERR_OK, 9007199254740994.0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                double value = 0;

                if (json_number_double(cases[i].in, &value) != cases[i].err ||
                    memcmp(&value, &cases[i].value, sizeof(value)) != 0)
                        fail_msg("%s: got %.17g", cases[i].in.ptr, value);
        }
}

/* Half way between two doubles for a thousand digits, then one digit that decides. */
static void test_double_of_many_digits(void **state)
{
        struct buf b;
        double value;

        buf_init(&b, 4096);
        buf_add(&b, STR("9007199254740993."));
        for (int i = 0; i < 1000; i++)
                buf_add_char(&b, '0');
        assert_err(json_number_double(buf_str(&b), &value), ERR_OK);
        assert_true(value <= 9007199254740992.0);
        buf_add_char(&b, '1');
        assert_err(json_number_double(buf_str(&b), &value), ERR_OK);
        assert_true(value >= 9007199254740994.0);
        buf_fini(&b);
}

/* Equality of numbers that no type holds. */
static void test_equality(void **state)
{
        static const struct {
                struct str a, b;
                bool eq;
        } cases[] = {
                { STR_INIT("1"), STR_INIT("1.0"), true },
                { STR_INIT("100"), STR_INIT("1e2"), true },
                { STR_INIT("0.00120e+5"), STR_INIT("12E1"), true },
                { STR_INIT("0"), STR_INIT("-0.0e9"), true },
                { STR_INIT("1e400"), STR_INIT("10e399"), true },
                { STR_INIT("1e400"), STR_INIT("1e401"), false },
                { STR_INIT("0.1"), STR_INIT("0.10000000000000000000001"), false },
                { STR_INIT("12"), STR_INIT("21"), false },
                { STR_INIT("1"), STR_INIT("-1"), false },
                { STR_INIT("1e99999999999999999999"), STR_INIT("1e99999999999999999998"), false },
                { STR_INIT("1e99999999999999999999"), STR_INIT("1e99999999999999999999"), true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (json_number_eq(cases[i].a, cases[i].b) != cases[i].eq ||
                    json_number_eq(cases[i].b, cases[i].a) != cases[i].eq)
                        fail_msg("%s and %s", cases[i].a.ptr, cases[i].b.ptr);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_integers),
                cmocka_unit_test(test_doubles),
                cmocka_unit_test(test_double_of_many_digits),
                cmocka_unit_test(test_equality),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
