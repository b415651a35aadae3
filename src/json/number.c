#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"
#include "json/value.h"

/*
 * A number as the digits of its integer and fraction parts, without zeros at either end, times a power of ten.
 * Exponents beyond EXPONENT_MAX are held there: no range comes near, only equality has to care (is_extreme).
 */
#define EXPONENT_MAX INT64_C(1000000000000000)

struct decimal {
        bool is_negative, is_extreme;
        struct str whole,
                fraction; /* digits; together without leading and trailing zeros; both empty: zero */
        int64_t exponent; /* of the last digit */
};

static struct str digits_take(struct str *s)
{
        size_t n = 0;

        while (n < s->len && ascii_is_digit(s->ptr[n]))
                n++;
        struct str digits = str_sub(*s, 0, n);
        *s = str_from(*s, n);
        return digits;
}

static bool char_take(struct str *s, char c)
{
        if (!s->len || s->ptr[0] != c)
                return false;
        *s = str_from(*s, 1);
        return true;
}

static int64_t exponent_take(struct str *s)
{
        bool is_negative = char_take(s, '-');
        uint64_t value;

        if (!is_negative)
                char_take(s, '+');
        if (units_parse_u64(digits_take(s), (uint64_t)EXPONENT_MAX, &value) != ERR_OK)
                value = (uint64_t)EXPONENT_MAX;
        return is_negative ? -(int64_t)value : (int64_t)value;
}

static void zeros_drop(struct decimal *d)
{
        while (char_take(&d->whole, '0'))
                ;
        if (!d->whole.len)
                while (char_take(&d->fraction, '0'))
                        ;
        while (d->fraction.len && d->fraction.ptr[d->fraction.len - 1] == '0') {
                d->fraction.len--;
                d->exponent++;
        }
        while (!d->fraction.len && d->whole.len && d->whole.ptr[d->whole.len - 1] == '0') {
                d->whole.len--;
                d->exponent++;
        }
}

static struct decimal decimal_of(struct str number)
{
        struct decimal d = { .is_negative = char_take(&number, '-') };

        d.whole = digits_take(&number);
        if (char_take(&number, '.'))
                d.fraction = digits_take(&number);
        if (char_take(&number, 'e') || char_take(&number, 'E'))
                d.exponent = exponent_take(&number);
        assert(!number.len); /* a tokenizer accepted it */
        d.is_extreme = d.exponent == EXPONENT_MAX || d.exponent == -EXPONENT_MAX;
        d.exponent -= (int64_t)d.fraction.len;
        zeros_drop(&d);
        if (!d.whole.len && !d.fraction.len)
                d = (struct decimal){ 0 };
        return d;
}

static size_t digits_count(const struct decimal *d)
{
        return d->whole.len + d->fraction.len;
}

static char digit_at(const struct decimal *d, size_t i)
{
        return i < d->whole.len ? d->whole.ptr[i] : d->fraction.ptr[i - d->whole.len];
}

/* The magnitude of a whole number. */
static enum err magnitude(const struct decimal *d, uint64_t *out)
{
        enum { DIGITS_MAX = 20 }; /* of 2^64 - 1 */
        uint64_t value = 0;
        size_t n = digits_count(d);

        if (d->exponent < 0)
                return ERR_MALFORMED;
        if (n > DIGITS_MAX || d->exponent > (int64_t)(DIGITS_MAX - n))
                return ERR_TOO_LARGE;
        for (size_t i = 0; i < n + (size_t)d->exponent; i++) {
                uint64_t digit = i < n ? (uint64_t)(digit_at(d, i) - '0') : 0;

                if (__builtin_mul_overflow(value, 10u, &value) ||
                    __builtin_add_overflow(value, digit, &value))
                        return ERR_TOO_LARGE;
        }
        *out = value;
        return ERR_OK;
}

enum err json_number_uint64(struct str number, uint64_t *out)
{
        struct decimal d = decimal_of(number);
        uint64_t value;
        enum err e = magnitude(&d, &value);

        if (e == ERR_OK && d.is_negative)
                e = ERR_TOO_LARGE;
        if (e == ERR_OK)
                *out = value;
        return e;
}

enum err json_number_int64(struct str number, int64_t *out)
{
        struct decimal d = decimal_of(number);
        uint64_t value;
        enum err e = magnitude(&d, &value);

        if (e != ERR_OK)
                return e;
        if (value > (uint64_t)INT64_MAX + d.is_negative)
                return ERR_TOO_LARGE;
        *out = d.is_negative ? (int64_t)(0 - value) : (int64_t)value;
        return ERR_OK;
}

/*
 * strtod, on a text without a decimal point (so that no locale matters) and of bounded length: no double needs more
 * than 767 digits to be told from its neighbours, of the rest it only counts that there is some.
 */
enum err json_number_double(struct str number, double *out)
{
        enum { DIGITS_MAX = 800, EXPONENT_SHOWN_MAX = 100000, ROOM = DIGITS_MAX + 16 };
        struct decimal d = decimal_of(number);
        size_t n = digits_count(&d), shown = MIN(n, (size_t)DIGITS_MAX), len = 0;
        int64_t exponent = d.exponent + (int64_t)(n - shown);
        char text[ROOM];

        text[len++] = number.ptr[0] == '-' ? '-' : '+';
        for (size_t i = 0; i < shown; i++)
                text[len++] = digit_at(&d, i);
        if (shown < n) {
                text[len++] = '1';
                exponent--;
        } else if (!n) {
                text[len++] = '0';
        }
        exponent = MAX(MIN(exponent, EXPONENT_SHOWN_MAX), -EXPONENT_SHOWN_MAX);
        snprintf(text + len, sizeof(text) - len, "e%lld", (long long)exponent);
        double value = strtod(text, NULL);
        if (isinf(value))
                return ERR_TOO_LARGE;
        *out = value;
        return ERR_OK;
}

bool json_number_eq(struct str a, struct str b)
{
        struct decimal x = decimal_of(a), y = decimal_of(b);

        if (x.is_extreme || y.is_extreme)
                return str_eq(a, b);
        if (x.is_negative != y.is_negative || x.exponent != y.exponent ||
            digits_count(&x) != digits_count(&y))
                return false;
        for (size_t i = 0; i < digits_count(&x); i++)
                if (digit_at(&x, i) != digit_at(&y, i))
                        return false;
        return true;
}
