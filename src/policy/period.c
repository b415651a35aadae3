#include "policy/period.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_US 1000LL
#define NS_PER_MS 1000000LL
#define NS_PER_S  1000000000LL

static const struct {
        struct str name;
        int64_t ns;
} units[] = {
        { STR_INIT("ns"), 1 },
        { STR_INIT("us"), NS_PER_US },
        { STR_INIT("\xc2\xb5s"), NS_PER_US }, /* micro sign */
        { STR_INIT("\xce\xbcs"), NS_PER_US }, /* Greek mu */
        { STR_INIT("ms"), NS_PER_MS },
        { STR_INIT("s"), NS_PER_S },
        { STR_INIT("m"), 60 * NS_PER_S },
        { STR_INIT("h"), 3600 * NS_PER_S },
};

static enum err refuse(char why[PERIOD_WHY_MAX], struct str text)
{
        snprintf(why, PERIOD_WHY_MAX, "time: invalid duration \"%.*s\"", (int)MIN(text.len, (size_t)64),
                 text.ptr);
        return ERR_MALFORMED;
}

static struct str digits_take(struct str *rest)
{
        size_t n = 0;

        while (n < rest->len && ascii_is_digit(rest->ptr[n]))
                n++;
        struct str digits = str_sub(*rest, 0, n);
        *rest = str_from(*rest, n);
        return digits;
}

/* Whole and fraction of one number times its unit, added to *sum; false when that is out of range. */
static bool part_add(struct str whole, struct str fraction, int64_t unit, int64_t *sum)
{
        int64_t value = 0;
        double scale = 1, part = 0;

        for (size_t i = 0; i < whole.len; i++)
                if (__builtin_mul_overflow(value, 10, &value) ||
                    __builtin_add_overflow(value, whole.ptr[i] - '0', &value))
                        return false;
        if (__builtin_mul_overflow(value, unit, &value))
                return false;
        for (size_t i = 0; i < fraction.len && i < 18; i++) {
                part = part * 10 + (fraction.ptr[i] - '0');
                scale *= 10;
        }
        return !__builtin_add_overflow(value, (int64_t)(part / scale * (double)unit), &value) &&
               !__builtin_add_overflow(*sum, value, sum);
}

enum err policy_period_parse(struct str text, int64_t *ns, char why[PERIOD_WHY_MAX])
{
        struct str rest = text;
        bool is_negative = rest.len > 0 && rest.ptr[0] == '-';
        int64_t sum = 0;

        if (rest.len > 0 && (rest.ptr[0] == '-' || rest.ptr[0] == '+'))
                rest = str_from(rest, 1);
        if (rest.len == 0)
                return refuse(why, text);
        if (str_eq(rest, STR("0"))) {
                *ns = 0;
                return ERR_OK;
        }
        while (rest.len > 0) {
                struct str whole = digits_take(&rest), fraction = STR_NULL;
                size_t n = 0, u = 0;

                if (rest.len > 0 && rest.ptr[0] == '.') {
                        rest = str_from(rest, 1);
                        fraction = digits_take(&rest);
                }
                if (whole.len == 0 && fraction.len == 0)
                        return refuse(why, text);
                while (n < rest.len && rest.ptr[n] != '.' && !ascii_is_digit(rest.ptr[n]))
                        n++;
                struct str unit = str_sub(rest, 0, n);
                rest = str_from(rest, n);
                if (unit.len == 0) {
                        snprintf(why, PERIOD_WHY_MAX, "time: missing unit in duration \"%.*s\"",
                                 (int)MIN(text.len, (size_t)64), text.ptr);
                        return ERR_MALFORMED;
                }
                while (u < ARRAY_SIZE(units) && !str_eq(units[u].name, unit))
                        u++;
                if (u == ARRAY_SIZE(units)) {
                        snprintf(why, PERIOD_WHY_MAX, "time: unknown unit \"%.*s\" in duration \"%.*s\"",
                                 (int)MIN(unit.len, (size_t)16), unit.ptr, (int)MIN(text.len, (size_t)64),
                                 text.ptr);
                        return ERR_MALFORMED;
                }
                if (!part_add(whole, fraction, units[u].ns, &sum))
                        return refuse(why, text);
        }
        *ns = is_negative ? -sum : sum;
        return ERR_OK;
}

/* "1.5": `value` thousandths (or millionths...) of a unit, without trailing zeros. */
static void fraction_print(char out[PERIOD_TEXT_MAX], size_t at, uint64_t whole, uint64_t part, int digits,
                           const char *unit)
{
        char text[32] = "";

        if (part) {
                snprintf(text, sizeof(text), ".%0*llu", digits, (unsigned long long)part);
                for (size_t n = strlen(text); text[n - 1] == '0'; n--)
                        text[n - 1] = '\0';
        }
        snprintf(out + at, PERIOD_TEXT_MAX - at, "%llu%s%s", (unsigned long long)whole, text, unit);
}

struct str policy_period_format(int64_t ns, char out[PERIOD_TEXT_MAX])
{
        uint64_t n = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
        uint64_t seconds = n / NS_PER_S;
        size_t at = 0;

        if (ns < 0)
                out[at++] = '-';
        if (n == 0)
                snprintf(out, PERIOD_TEXT_MAX, "0s");
        else if (n < NS_PER_US)
                fraction_print(out, at, n, 0, 0, "ns");
        else if (n < NS_PER_MS)
                fraction_print(out, at, n / NS_PER_US, n % NS_PER_US, 3, "\xc2\xb5s");
        else if (n < NS_PER_S)
                fraction_print(out, at, n / NS_PER_MS, n % NS_PER_MS, 6, "ms");
        else {
                if (seconds >= 3600)
                        at += (size_t)snprintf(out + at, PERIOD_TEXT_MAX - at, "%lluh",
                                               (unsigned long long)(seconds / 3600));
                if (seconds >= 60)
                        at += (size_t)snprintf(out + at, PERIOD_TEXT_MAX - at, "%llum",
                                               (unsigned long long)(seconds / 60 % 60));
                fraction_print(out, at, seconds % 60, n % NS_PER_S, 9, "s");
        }
        return str_of(out);
}
