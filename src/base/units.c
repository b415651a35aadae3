#include "base/units.h"

#include <stdio.h>
#include <time.h>

/* 0000-01-01T00:00:00Z and 9999-12-31T23:59:59Z */
#define TIME_SECONDS_MIN (-62167219200LL)
#define TIME_SECONDS_MAX 253402300799LL

struct unit {
        struct str name;
        uint64_t factor;
};

/* Splits "32KiB" into its leading digits and the rest. */
static enum err number_parse(struct str text, uint64_t *number, struct str *rest)
{
        size_t digits = 0;

        while (digits < text.len && ascii_is_digit(text.ptr[digits]))
                digits++;
        *rest = str_from(text, digits);
        return units_parse_u64(str_sub(text, 0, digits), UINT64_MAX, number);
}

static enum err scaled_parse(struct str text, const struct unit *units, size_t units_count, uint64_t *out)
{
        uint64_t number;
        struct str unit;
        enum err e = number_parse(text, &number, &unit);

        if (e != ERR_OK)
                return e;
        for (size_t i = 0; i < units_count; i++)
                if (str_eq(unit, units[i].name)) {
                        if (__builtin_mul_overflow(number, units[i].factor, out) || *out > INT64_MAX)
                                return ERR_TOO_LARGE;
                        return ERR_OK;
                }
        return ERR_MALFORMED;
}

enum err units_parse_u64(struct str text, uint64_t max, uint64_t *out)
{
        uint64_t value = 0;

        if (text.len == 0)
                return ERR_MALFORMED;
        for (size_t i = 0; i < text.len; i++) {
                if (!ascii_is_digit(text.ptr[i]))
                        return ERR_MALFORMED;
                if (__builtin_mul_overflow(value, 10, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(text.ptr[i] - '0'), &value))
                        return ERR_TOO_LARGE;
        }
        if (value > max)
                return ERR_TOO_LARGE;
        *out = value;
        return ERR_OK;
}

enum err units_parse_bytes(struct str text, uint64_t *out)
{
        static const struct unit units[] = {
                { STR_INIT(""), 1 },          { STR_INIT("B"), 1 },           { STR_INIT("KiB"), 1 << 10 },
                { STR_INIT("MiB"), 1 << 20 }, { STR_INIT("GiB"), 1 << 30 },   { STR_INIT("kB"), 1000 },
                { STR_INIT("MB"), 1000000 },  { STR_INIT("GB"), 1000000000 },
        };

        return scaled_parse(text, units, ARRAY_SIZE(units), out);
}

enum err units_parse_duration(struct str text, int64_t *out_ms)
{
        static const struct unit units[] = {
                { STR_INIT("ms"), 1 },      { STR_INIT("s"), 1000 },     { STR_INIT("m"), 60000 },
                { STR_INIT("h"), 3600000 }, { STR_INIT("d"), 86400000 },
        };
        uint64_t ms;
        enum err e = scaled_parse(text, units, ARRAY_SIZE(units), &ms);

        if (e == ERR_OK)
                *out_ms = (int64_t)ms;
        return e;
}

enum err units_parse_rate(struct str text, struct units_rate *out)
{
        static const struct unit periods[] = {
                { STR_INIT("/s"), 1000 },     { STR_INIT("/sec"), 1000 },     { STR_INIT("/min"), 60000 },
                { STR_INIT("/m"), 60000 },    { STR_INIT("/h"), 3600000 },    { STR_INIT("/hour"), 3600000 },
                { STR_INIT("/d"), 86400000 }, { STR_INIT("/day"), 86400000 },
        };
        uint64_t count;
        struct str period;
        enum err e = number_parse(text, &count, &period);

        if (e != ERR_OK)
                return e;
        if (count == 0)
                return ERR_MALFORMED;
        for (size_t i = 0; i < ARRAY_SIZE(periods); i++)
                if (str_eq(period, periods[i].name)) {
                        *out = (struct units_rate){ count, (int64_t)periods[i].factor };
                        return ERR_OK;
                }
        return ERR_MALFORMED;
}

/* A number of exactly `digits` digits at *at, within low..high; moves *at behind it. */
static bool field_parse(struct str text, size_t *at, size_t digits, int low, int high, int *out)
{
        uint64_t value;
        struct str field = str_sub(text, *at, digits);

        if (field.len != digits || units_parse_u64(field, (uint64_t)high, &value) != ERR_OK ||
            value < (uint64_t)low)
                return false;
        *at += digits;
        *out = (int)value;
        return true;
}

static bool char_parse(struct str text, size_t *at, char c)
{
        if (*at >= text.len || ascii_lower(text.ptr[*at]) != c)
                return false;
        ++*at;
        return true;
}

/* "Z", "+09:00" or "-05:30", in minutes east of UTC. */
static bool offset_parse(struct str text, size_t *at, int *minutes)
{
        int hours, rest, sign;

        *minutes = 0;
        if (char_parse(text, at, 'z'))
                return true;
        if (char_parse(text, at, '+'))
                sign = 1;
        else if (char_parse(text, at, '-'))
                sign = -1;
        else
                return false;
        if (!field_parse(text, at, 2, 0, 23, &hours) || !char_parse(text, at, ':') ||
            !field_parse(text, at, 2, 0, 59, &rest))
                return false;
        *minutes = sign * (hours * 60 + rest);
        return true;
}

static int days_in_month(int year, int month)
{
        static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
        bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

        return days[month - 1] + (month == 2 && is_leap);
}

enum err units_parse_time(struct str text, unix_ms *out)
{
        struct tm tm = { 0 };
        size_t at = 0;
        int year, month, offset, ms = 0;

        if (!field_parse(text, &at, 4, 1970, 9999, &year) || !char_parse(text, &at, '-') ||
            !field_parse(text, &at, 2, 1, 12, &month) || !char_parse(text, &at, '-') ||
            !field_parse(text, &at, 2, 1, days_in_month(year, month), &tm.tm_mday) ||
            !char_parse(text, &at, 't') || !field_parse(text, &at, 2, 0, 23, &tm.tm_hour) ||
            !char_parse(text, &at, ':') || !field_parse(text, &at, 2, 0, 59, &tm.tm_min) ||
            !char_parse(text, &at, ':') || !field_parse(text, &at, 2, 0, 60, &tm.tm_sec))
                return ERR_MALFORMED;
        if (char_parse(text, &at, '.')) {
                size_t start = at;

                for (int weight = 100; at < text.len && ascii_is_digit(text.ptr[at]); at++, weight /= 10)
                        ms += (text.ptr[at] - '0') * weight;
                if (at == start)
                        return ERR_MALFORMED;
        }
        if (!offset_parse(text, &at, &offset) || at != text.len)
                return ERR_MALFORMED;
        tm.tm_year = year - 1900;
        tm.tm_mon = month - 1;
        *out = ((int64_t)timegm(&tm) - (int64_t)offset * 60) * 1000 + ms;
        return ERR_OK;
}

struct str units_format_time(unix_ms when, char out[UNITS_TIME_TEXT_MAX])
{
        int64_t seconds = when / 1000, ms = when % 1000;
        struct tm tm;

        if (ms < 0) { /* round down, also before 1970 */
                seconds--;
                ms += 1000;
        }
        /* RFC 3339 has four digits for the year; "never" is written as its last moment. */
        if (seconds > TIME_SECONDS_MAX || seconds < TIME_SECONDS_MIN) {
                ms = seconds < 0 ? 0 : 999;
                seconds = seconds < 0 ? TIME_SECONDS_MIN : TIME_SECONDS_MAX;
        }
        gmtime_r(&(time_t){ seconds }, &tm);
        snprintf(out, UNITS_TIME_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)ms);
        return str_of(out);
}
