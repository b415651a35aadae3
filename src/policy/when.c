#include "policy/when.h"

#include <ctype.h>

#include "policy/read_priv.h"

enum { MINUTES_A_DAY = 1440, LIST_MAX = 256 };

#define MINUTE_MS 60000LL
#define DAY_MS    86400000LL

static const char *const auth_names[AUTHS] = { "none", "token", "password", "sso", "mfa", "hardware" };

const char *policy_auth_name(enum policy_auth a)
{
        return auth_names[a];
}

bool policy_auth_find(struct str text, enum policy_auth *out)
{
        for (int i = 0; i < AUTHS; i++)
                if (str_eq(text, str_of(auth_names[i]))) {
                        *out = (enum policy_auth)i;
                        return true;
                }
        return false;
}

/* ---- hours ---- */

static void days_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        static const struct str days[] = { STR_INIT("mon"), STR_INIT("tue"), STR_INIT("wed"), STR_INIT("thu"),
                                           STR_INIT("fri"), STR_INIT("sat"), STR_INIT("sun") };
        struct policy_hours *h = into;
        struct str *names;
        size_t count;

        policy_read_texts(r, v, "days", &names, &count);
        h->days = 0;
        for (size_t i = 0; i < count; i++) {
                size_t d = 0;

                while (d < ARRAY_SIZE(days) && !str_eq_nocase(names[i], days[d]))
                        d++;
                if (d == ARRAY_SIZE(days))
                        policy_fault(r, &v->items[i],
                                     "\"%.*s\" is no day; write mon, tue, wed, thu, fri, sat or sun",
                                     (int)MIN(names[i].len, (size_t)32), names[i].ptr);
                else
                        h->days |= (uint8_t)(1u << d);
        }
}

static bool digits2(const char *p, uint16_t max, uint16_t *out)
{
        if (!ascii_is_digit(p[0]) || !ascii_is_digit(p[1]))
                return false;
        *out = (uint16_t)((p[0] - '0') * 10 + (p[1] - '0'));
        return *out <= max;
}

/* "08:30" to 510; "24:00" is the day's end. */
static void minute_read(struct policy_reader *r, const struct json_value *v, const char *what, uint16_t *out)
{
        struct str text = json_str(v);
        uint16_t hours, minutes;

        if (!policy_read_is(r, v, JSON_STRING, what))
                return;
        if (text.len == 5 && text.ptr[2] == ':' && digits2(text.ptr, 24, &hours) &&
            digits2(text.ptr + 3, 59, &minutes) && hours * 60 + minutes <= MINUTES_A_DAY)
                *out = (uint16_t)(hours * 60 + minutes);
        else
                policy_fault(r, v, "%s must be a time of day such as \"08:30\"", what);
}

static void from_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        minute_read(r, v, "from", &((struct policy_hours *)into)->from_minute);
}

static void to_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        minute_read(r, v, "to", &((struct policy_hours *)into)->to_minute);
}

static void offset_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_hours *h = into;
        struct str text = json_str(v);
        uint16_t hours, minutes;

        if (!policy_read_is(r, v, JSON_STRING, "utcOffset"))
                return;
        if (text.len == 6 && (text.ptr[0] == '+' || text.ptr[0] == '-') && text.ptr[3] == ':' &&
            digits2(text.ptr + 1, 14, &hours) && digits2(text.ptr + 4, 59, &minutes))
                h->offset_minutes = (int16_t)((text.ptr[0] == '-' ? -1 : 1) * (hours * 60 + minutes));
        else
                policy_fault(r, v, "utcOffset must be written like \"+09:00\"");
}

static const struct policy_hours *hours_read(struct policy_reader *r, const struct json_value *v,
                                             size_t *count)
{
        static const struct policy_member members[] = {
                { STR_INIT("days"), days_read },
                { STR_INIT("from"), from_read },
                { STR_INIT("to"), to_read },
                { STR_INIT("utcOffset"), offset_read },
        };
        struct policy_hours *hours;

        *count = 0;
        if (!policy_read_is(r, v, JSON_ARRAY, "hours") ||
            !(hours = READ_ARRAY(r, struct policy_hours, v->count)))
                return NULL;
        for (size_t i = 0; i < v->count && i < LIST_MAX; i++) {
                hours[i].days = 0x7f;
                policy_read_object(r, &v->items[i], "hours", members, ARRAY_SIZE(members), &hours[i]);
        }
        *count = MIN(v->count, (size_t)LIST_MAX);
        return hours;
}

/* Whether that minute of that day (0 is Monday) lies in the span. */
static bool hours_at(const struct policy_hours *h, unsigned day, unsigned minute)
{
        unsigned before = (day + 6) % 7;

        if (h->from_minute == h->to_minute)
                return h->days >> day & 1;
        if (h->from_minute < h->to_minute)
                return (h->days >> day & 1) && minute >= h->from_minute && minute < h->to_minute;
        /* Past midnight: the part after it belongs to the day on which it began. */
        return ((h->days >> day & 1) && minute >= h->from_minute) ||
               ((h->days >> before & 1) && minute < h->to_minute);
}

bool policy_hours_hold(const struct policy_hours *h, size_t count, unix_ms now)
{
        for (size_t i = 0; i < count; i++) {
                int64_t local = now + h[i].offset_minutes * MINUTE_MS;
                int64_t days = local / DAY_MS - (local % DAY_MS < 0);
                unsigned minute = (unsigned)((local - days * DAY_MS) / MINUTE_MS);
                unsigned day = (unsigned)((days % 7 + 7 + 3) % 7); /* 1970-01-01 was a Thursday */

                if (hours_at(&h[i], day, minute))
                        return true;
        }
        return count == 0;
}

/* ---- when ---- */

static void address_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_when *w = into;
        struct str *texts;
        size_t count;

        policy_read_texts(r, v, "address", &texts, &count);
        for (size_t i = 0; i < count; i++) {
                struct ip_prefix prefix;

                if (ip_prefix_parse(policy_text_trim(texts[i]), &prefix) != ERR_OK)
                        policy_fault(r, &v->items[i], "\"%.*s\": invalid address; write an IP or a CIDR",
                                     (int)MIN(texts[i].len, (size_t)64), texts[i].ptr);
                else
                        r->no_memory |= !policy_ranges_add_prefix(r->arena, &w->address, prefix);
        }
        policy_ranges_seal(&w->address);
        if (v->count == 0)
                policy_fault(r, v, "address lists no address; leave it out to allow any");
}

static void country_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_when *w = into;
        struct str *texts;
        size_t count;

        policy_read_texts(r, v, "country", &texts, &count);
        for (size_t i = 0; i < count; i++) {
                char *upper = READ_ARRAY(r, char, 2);

                if (texts[i].len != 2 || !ascii_is_alpha(texts[i].ptr[0]) ||
                    !ascii_is_alpha(texts[i].ptr[1])) {
                        policy_fault(r, &v->items[i],
                                     "\"%.*s\" is no country; write its two letters, such as JP",
                                     (int)MIN(texts[i].len, (size_t)32), texts[i].ptr);
                        continue;
                }
                if (!upper)
                        return;
                upper[0] = (char)toupper((unsigned char)texts[i].ptr[0]);
                upper[1] = (char)toupper((unsigned char)texts[i].ptr[1]);
                texts[i] = (struct str){ upper, 2 };
        }
        w->country = texts;
        w->country_count = count;
        if (v->count == 0)
                policy_fault(r, v, "country lists no country; leave it out to allow any");
}

static void when_hours_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_when *w = into;

        w->hours = hours_read(r, v, &w->hours_count);
}

static void auth_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        if (policy_read_is(r, v, JSON_STRING, "auth") &&
            !policy_auth_find(json_str(v), &((struct policy_when *)into)->auth))
                policy_fault(r, v, "auth must be token, password, sso, mfa or hardware");
}

static void moment_read(struct policy_reader *r, const struct json_value *v, const char *what, unix_ms *out)
{
        if (policy_read_is(r, v, JSON_STRING, what) && units_parse_time(json_str(v), out) != ERR_OK)
                policy_fault(r, v, "%s must be a time such as \"2027-01-31T00:00:00Z\"", what);
}

static void after_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        moment_read(r, v, "after", &((struct policy_when *)into)->after);
}

static void before_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        moment_read(r, v, "before", &((struct policy_when *)into)->before);
}

const struct policy_when *policy_when_read(struct arena *arena, const struct json_value *v,
                                           struct report *report)
{
        static const struct policy_member members[] = {
                { STR_INIT("address"), address_read },  { STR_INIT("country"), country_read },
                { STR_INIT("hours"), when_hours_read }, { STR_INIT("auth"), auth_read },
                { STR_INIT("after"), after_read },      { STR_INIT("before"), before_read },
        };
        struct policy_file none = { 0 };
        struct policy_reader r = { .arena = arena, .report = report, .file = &none };
        struct policy_when *w = READ_ARRAY(&r, struct policy_when, 1);
        size_t errors_before = report->errors_count;

        if (!w)
                return NULL;
        w->text = v->raw;
        w->line = v->line;
        w->column = v->column;
        policy_read_object(&r, v, "when", members, ARRAY_SIZE(members), w);
        return report->errors_count > errors_before || r.no_memory ? NULL : w;
}

const char *policy_when_fails(const struct policy_when *w, const struct policy_asker *asker)
{
        size_t i = 0;

        if (w->address.count && !policy_ranges_contain(&w->address, asker->address))
                return "address";
        while (i < w->country_count && !str_eq(w->country[i], asker->country))
                i++;
        if (w->country_count && i == w->country_count)
                return "country";
        if (!policy_hours_hold(w->hours, w->hours_count, asker->now))
                return "hours";
        if (asker->auth < w->auth)
                return "auth";
        if (w->after && asker->now < w->after)
                return "after";
        return w->before && asker->now >= w->before ? "before" : NULL;
}

unix_ms policy_when_next(const struct policy_when *w, unix_ms now)
{
        unix_ms next = INT64_MAX;

        if (w->after > now)
                next = MIN(next, w->after);
        if (w->before > now)
                next = MIN(next, w->before);
        if (w->hours_count) /* minutes are the grain of hours */
                next = MIN(next, (now / MINUTE_MS + 1) * MINUTE_MS);
        return next;
}

/* ---- limits ---- */

static void methods_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_limits *l = into;
        struct str *texts;

        policy_read_texts(r, v, "methods", &texts, &l->methods_count);
        for (size_t i = 0; i < l->methods_count; i++)
                for (size_t j = 0; j < texts[i].len; j++)
                        if (texts[i].ptr[j] < 'A' || texts[i].ptr[j] > 'Z') {
                                policy_fault(r, &v->items[i],
                                             "\"%.*s\" is no method; write it in capitals, such as GET",
                                             (int)MIN(texts[i].len, (size_t)32), texts[i].ptr);
                                break;
                        }
        l->methods = texts;
        if (v->count == 0)
                policy_fault(r, v, "methods lists no method; leave it out to allow any");
}

static void paths_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_limits *l = into;
        struct str *texts;

        policy_read_texts(r, v, "paths", &texts, &l->paths_count);
        for (size_t i = 0; i < l->paths_count; i++)
                if (texts[i].len == 0 || (texts[i].ptr[0] != '/' && texts[i].ptr[0] != '*'))
                        policy_fault(r, &v->items[i], "\"%.*s\" is no path; it begins with \"/\"",
                                     (int)MIN(texts[i].len, (size_t)64), texts[i].ptr);
        l->paths = texts;
        if (v->count == 0)
                policy_fault(r, v, "paths lists no path; leave it out to allow any");
}

static void limits_hours_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_limits *l = into;

        l->hours = hours_read(r, v, &l->hours_count);
}

static void rate_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_limits *l = into;

        if (policy_read_is(r, v, JSON_STRING, "rate") && units_parse_rate(json_str(v), &l->rate) != ERR_OK)
                policy_fault(r, v, "rate must be written like \"60/min\"");
}

static void money_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        double amount;

        if (json_get_double(v, &amount) != ERR_OK || !(amount > 0) || amount > 1e12)
                policy_fault(r, v, "money must be a number above 0");
        else
                ((struct policy_limits *)into)->budget_micros = (uint64_t)(amount * 1e6 + 0.5);
}

static void tokens_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        struct policy_limits *l = into;

        if (json_get_uint64(v, &l->budget_tokens) != ERR_OK || l->budget_tokens == 0)
                policy_fault(r, v, "tokens must be a whole number above 0");
}

static void per_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        static const struct {
                struct str name;
                int64_t ms;
        } periods[] = { { STR_INIT("hour"), 3600000 },
                        { STR_INIT("day"), DAY_MS },
                        { STR_INIT("week"), 7 * DAY_MS },
                        { STR_INIT("month"), 30 * DAY_MS },
                        { STR_INIT("total"), 0 } };

        for (size_t i = 0; i < ARRAY_SIZE(periods); i++)
                if (str_eq(json_str(v), periods[i].name)) {
                        ((struct policy_limits *)into)->budget_period_ms = periods[i].ms;
                        return;
                }
        policy_fault(r, v, "per must be hour, day, week, month or total");
}

static void budget_read(struct policy_reader *r, void *into, const struct json_value *v)
{
        static const struct policy_member members[] = { { STR_INIT("money"), money_read },
                                                        { STR_INIT("tokens"), tokens_read },
                                                        { STR_INIT("per"), per_read } };
        struct policy_limits *l = into;

        policy_read_object(r, v, "budget", members, ARRAY_SIZE(members), into);
        if (json_is(v, JSON_OBJECT) && !l->budget_micros && !l->budget_tokens)
                policy_fault(r, v, "a budget names money, tokens or both");
}

const struct policy_limits *policy_limits_read(struct arena *arena, const struct json_value *v,
                                               struct report *report)
{
        static const struct policy_member members[] = {
                { STR_INIT("methods"), methods_read },    { STR_INIT("paths"), paths_read },
                { STR_INIT("hours"), limits_hours_read }, { STR_INIT("rate"), rate_read },
                { STR_INIT("budget"), budget_read },
        };
        struct policy_file none = { 0 };
        struct policy_reader r = { .arena = arena, .report = report, .file = &none };
        struct policy_limits *l = READ_ARRAY(&r, struct policy_limits, 1);
        size_t errors_before = report->errors_count;

        if (!l)
                return NULL;
        l->line = v->line;
        l->column = v->column;
        policy_read_object(&r, v, POLICY_CAP_LIMITS, members, ARRAY_SIZE(members), l);
        return report->errors_count > errors_before || r.no_memory ? NULL : l;
}

const char *policy_limits_fail(const struct policy_limits *l, const struct policy_asker *asker)
{
        size_t i = 0;

        while (i < l->methods_count && !str_eq(l->methods[i], asker->method))
                i++;
        if (l->methods_count && i == l->methods_count)
                return "methods";
        for (i = 0; i < l->paths_count && !str_match(l->paths[i], asker->path);)
                i++;
        if (l->paths_count && i == l->paths_count)
                return "paths";
        return policy_hours_hold(l->hours, l->hours_count, asker->now) ? NULL : "hours";
}
