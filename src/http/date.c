#include "http/date.h"

/* Reads along a text; `ok` is false for ever once something did not fit. */
struct cursor {
        struct str rest;
        bool ok;
};

static char take(struct cursor *c)
{
        if (c->rest.len == 0) {
                c->ok = false;
                return '\0';
        }
        char ch = c->rest.ptr[0];
        c->rest = str_from(c->rest, 1);
        return ch;
}

static void expect(struct cursor *c, char ch)
{
        c->ok &= take(c) == ch;
}

static int number(struct cursor *c, int digits)
{
        int value = 0;

        for (int i = 0; i < digits; i++) {
                char ch = take(c);

                c->ok &= ascii_is_digit(ch);
                value = value * 10 + (ch - '0');
        }
        return value;
}

static int month(struct cursor *c)
{
        static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        struct str name = str_sub(c->rest, 0, 3);
        size_t at = str_find(STR(names), name);

        c->rest = str_from(c->rest, 3);
        c->ok &= name.len == 3 && at != STR_NONE && at % 3 == 0;
        return c->ok ? (int)(at / 3) + 1 : 1;
}

/* Days from 1970-01-01; the calendar of Gregory, years from March. */
static int64_t days_of(int64_t year, int month_number, int day)
{
        int64_t y = month_number <= 2 ? year - 1 : year;
        int64_t era = (y >= 0 ? y : y - 399) / 400;
        int64_t of_era = y - era * 400;
        int64_t of_year = (153 * (month_number + (month_number > 2 ? -3 : 9)) + 2) / 5 + day - 1;

        return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

struct civil {
        int year, month, day, hour, minute, second;
};

static void clock_read(struct cursor *c, struct civil *t)
{
        t->hour = number(c, 2);
        expect(c, ':');
        t->minute = number(c, 2);
        expect(c, ':');
        t->second = number(c, 2);
}

static void zone_expect(struct cursor *c)
{
        c->ok &= str_eq(c->rest, STR(" GMT"));
}

static int year_near(int two_digits, unix_ms now)
{
        int64_t this_year = 1970 + now / 31556952000; /* mean length of a year in ms */
        int64_t year = this_year - this_year % 100 + two_digits;

        return (int)(year > this_year + 50 ? year - 100 : year);
}

enum err http_date_parse(struct str text, unix_ms now, unix_ms *out)
{
        struct cursor c = { text, true };
        struct civil t = { 0 };
        size_t comma = str_find_char(text, ',');

        if (comma == STR_NONE) { /* asctime */
                c.rest = str_from(text, 4);
                c.ok = text.len > 4 && text.ptr[3] == ' ';
                t.month = month(&c);
                expect(&c, ' ');
                if (c.rest.len && c.rest.ptr[0] == ' ') {
                        expect(&c, ' ');
                        t.day = number(&c, 1);
                } else {
                        t.day = number(&c, 2);
                }
                expect(&c, ' ');
                clock_read(&c, &t);
                expect(&c, ' ');
                t.year = number(&c, 4);
                c.ok &= c.rest.len == 0;
        } else {
                char between;

                c.rest = str_from(text, comma + 1);
                expect(&c, ' ');
                t.day = number(&c, 2);
                between = take(&c);
                c.ok &= between == (comma == 3 ? ' ' : '-');
                t.month = month(&c);
                expect(&c, between);
                t.year = between == '-' ? year_near(number(&c, 2), now) : number(&c, 4);
                expect(&c, ' ');
                clock_read(&c, &t);
                zone_expect(&c);
        }
        if (!c.ok || t.day < 1 || t.day > 31 || t.hour > 23 || t.minute > 59 || t.second > 60)
                return ERR_MALFORMED;
        int64_t seconds = days_of(t.year, t.month, t.day) * 86400 + t.hour * 3600 + t.minute * 60 + t.second;
        *out = seconds * 1000;
        return ERR_OK;
}
