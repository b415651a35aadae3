#include "proxy/cache_rules.h"

#include "http/date.h"

/* ---- Cache-Control ---- */

/* Takes the next element of a comma list off *rest: name and value, quotes taken off. Commas in quotes do not end it. */
static bool directive_next(struct str *rest, struct str *name, struct str *value)
{
        size_t end = 0, equals = STR_NONE;
        bool is_quoted = false;

        if (rest->len == 0)
                return false;
        for (; end < rest->len && (is_quoted || rest->ptr[end] != ','); end++) {
                if (rest->ptr[end] == '"')
                        is_quoted = !is_quoted;
                else if (is_quoted && rest->ptr[end] == '\\' && end + 1 < rest->len)
                        end++;
                else if (rest->ptr[end] == '=' && equals == STR_NONE)
                        equals = end;
        }
        struct str element = str_sub(*rest, 0, end);
        *rest = str_from(*rest, MIN(end + 1, rest->len));
        *name = str_trim(equals == STR_NONE ? element : str_sub(element, 0, equals));
        *value = equals == STR_NONE ? STR_NULL : str_trim(str_from(element, equals + 1));
        if (value->len >= 2 && value->ptr[0] == '"' && value->ptr[value->len - 1] == '"')
                *value = str_sub(*value, 1, value->len - 2);
        return true;
}

static int64_t seconds_of(struct str text)
{
        int64_t n = 0;

        if (text.len == 0)
                return 0;
        for (size_t i = 0; i < text.len; i++) {
                if (!ascii_is_digit(text.ptr[i]))
                        return 0;
                n = MIN(n * 10 + (text.ptr[i] - '0'), (int64_t)CACHE_SECONDS_MAX);
        }
        return n;
}

static void least(int64_t *place, struct str value)
{
        int64_t n = seconds_of(value);

        *place = *place == CACHE_ABSENT ? n : MIN(*place, n);
}

static void directive_note(struct cache_control *c, struct str name, struct str value)
{
        if (str_eq_nocase(name, STR("no-store")))
                c->no_store = true;
        else if (str_eq_nocase(name, STR("no-cache")))
                c->no_cache = true; /* with names of fields too: then for all */
        else if (str_eq_nocase(name, STR("private")))
                c->is_private = true;
        else if (str_eq_nocase(name, STR("public")))
                c->is_public = true;
        else if (str_eq_nocase(name, STR("must-revalidate")) || str_eq_nocase(name, STR("proxy-revalidate")))
                c->must_revalidate = true;
        else if (str_eq_nocase(name, STR("only-if-cached")))
                c->only_if_cached = true;
        else if (str_eq_nocase(name, STR("max-age")))
                least(&c->max_age, value);
        else if (str_eq_nocase(name, STR("s-maxage")))
                least(&c->s_maxage, value);
        else if (str_eq_nocase(name, STR("stale-while-revalidate")))
                least(&c->stale_while_revalidate, value);
        else if (str_eq_nocase(name, STR("stale-if-error")))
                least(&c->stale_if_error, value);
}

void cache_control_read(const struct http_head *head, struct cache_control *out)
{
        *out = (struct cache_control){ .max_age = CACHE_ABSENT,
                                       .s_maxage = CACHE_ABSENT,
                                       .stale_while_revalidate = CACHE_ABSENT,
                                       .stale_if_error = CACHE_ABSENT };
        for (const struct http_field *f = http_find(head, HTTP_FIELD_CACHE_CONTROL); f;
             f = http_find_next(head, f)) {
                struct str rest = f->value, name, value;

                while (directive_next(&rest, &name, &value))
                        directive_note(out, name, value);
        }
}

/* ---- may it be kept ---- */

static bool status_is_kept(uint16_t status)
{
        switch (status) {
        case 200:
        case 203:
        case 301:
        case 308:
        case 404:
        case 410: return true;
        default: return false;
        }
}

static struct str value_of(const struct http_head *head, struct str name)
{
        const struct http_field *f = http_find_name(head, name);

        return f ? f->value : STR_NULL;
}

static bool has_validator(const struct http_head *answer)
{
        return http_find_name(answer, STR("ETag")) || http_find_name(answer, STR("Last-Modified"));
}

/* RFC 9111 4.2.1; CACHE_ABSENT: nothing is said. An Expires that is no date is in the past (5.3). */
static int64_t lifetime_of(const struct http_head *answer, const struct cache_control *c, unix_ms date,
                           unix_ms now)
{
        const struct http_field *expires;
        unix_ms at;

        if (c->s_maxage != CACHE_ABSENT)
                return c->s_maxage;
        if (c->max_age != CACHE_ABSENT)
                return c->max_age;
        if (!(expires = http_find_name(answer, STR("Expires"))))
                return CACHE_ABSENT;
        if (http_find_next(answer, expires) || http_date_parse(expires->value, now, &at) != ERR_OK ||
            at <= date)
                return 0;
        return MIN((at - date) / 1000, (int64_t)CACHE_SECONDS_MAX);
}

static const char *why_not(const struct http_head *request, bool has_credentials,
                           const struct http_head *answer, const struct cache_control *asked,
                           const struct cache_control *c)
{
        if (request->method != HTTP_GET)
                return "method";
        if (!status_is_kept(answer->status))
                return "status";
        if (asked->no_store || c->no_store)
                return "no-store";
        if (c->is_private)
                return "private";
        if (http_find_name(answer, STR("Set-Cookie")))
                return "set-cookie";
        if (http_find_name(answer, STR("Content-Range")))
                return "range";
        /* RFC 9111 3.5 */
        if (has_credentials && !c->is_public && c->s_maxage == CACHE_ABSENT && !c->must_revalidate)
                return "credentials";
        return NULL;
}

const char *cache_judge(const struct http_head *request, bool has_credentials, const struct http_head *answer,
                        unix_ms asked, unix_ms answered, struct cache_age *out)
{
        struct cache_control r, c;
        unix_ms date = answered;
        const char *word;

        cache_control_read(request, &r);
        cache_control_read(answer, &c);
        if ((word = why_not(request, has_credentials, answer, &r, &c)))
                return word;
        if (http_date_parse(http_value(answer, HTTP_FIELD_DATE), answered, &date) != ERR_OK)
                date = answered;
        int64_t lifetime = lifetime_of(answer, &c, date, answered);
        if (lifetime == CACHE_ABSENT && !c.no_cache)
                return "no-lifetime";
        if (c.no_cache)
                lifetime = 0;
        if (lifetime <= 0 && !has_validator(answer) && c.stale_while_revalidate <= 0 && c.stale_if_error <= 0)
                return "no-lifetime";
        /* RFC 9111 4.2.3 */
        int64_t apparent = MAX((answered - date) / 1000, (int64_t)0);
        int64_t said = seconds_of(value_of(answer, STR("Age"))) + MAX((answered - asked) / 1000, (int64_t)0);
        /* Whoever says must-revalidate is never answered for; s-maxage says so too (5.2.2.10), but where it stands beside
         * stale-… the latter was meant. */
        bool never_stale = c.must_revalidate || c.no_cache;
        *out = (struct cache_age){
                .lifetime_s = lifetime,
                .initial_s = MIN(MAX(apparent, said), (int64_t)CACHE_SECONDS_MAX),
                .stale_while_revalidate_s = never_stale ? 0 : MAX(c.stale_while_revalidate, (int64_t)0),
                .stale_if_error_s = never_stale ? 0 : MAX(c.stale_if_error, (int64_t)0),
                .is_for_all = c.is_public || c.s_maxage != CACHE_ABSENT || c.must_revalidate,
        };
        return NULL;
}

/* ---- age ---- */

int64_t cache_age_now(const struct cache_age *a, unix_ms answered, unix_ms now)
{
        return MIN(a->initial_s + MAX((now - answered) / 1000, (int64_t)0), (int64_t)CACHE_SECONDS_MAX * 2);
}

enum cache_state cache_state_of(const struct cache_age *a, unix_ms answered, unix_ms now)
{
        int64_t late = cache_age_now(a, answered, now) - a->lifetime_s;

        if (late < 0)
                return CACHE_FRESH;
        return late < a->stale_while_revalidate_s ? CACHE_STALE_USABLE : CACHE_STALE;
}

bool cache_serves_on_error(const struct cache_age *a, unix_ms answered, unix_ms now)
{
        return cache_age_now(a, answered, now) - a->lifetime_s < a->stale_if_error_s;
}

/* ---- Vary ---- */

/* All values of that name, joined as one list would be. */
static void values_add(const struct http_head *request, struct str name, struct buf *out)
{
        const struct http_field *f = http_find_name(request, name);

        for (bool is_first = true; f; f = http_find_next(request, f), is_first = false) {
                if (!is_first)
                        buf_add(out, STR(", "));
                buf_add(out, str_trim(f->value));
        }
}

static void vary_add(const struct http_head *request, struct str name, struct buf *out)
{
        for (size_t i = 0; i < name.len; i++)
                buf_add_char(out, ascii_lower(name.ptr[i]));
        buf_add_char(out, ':');
        values_add(request, name, out);
        buf_add_char(out, '\n');
}

enum err cache_vary_make(const struct http_head *request, const struct http_head *answer, struct buf *out)
{
        bool names_encoding = false;
        size_t count = 0;

        for (const struct http_field *f = http_find_name(answer, STR("Vary")); f;
             f = http_find_next(answer, f)) {
                struct str rest = f->value, name;

                while (str_split(&rest, ',', &name)) {
                        name = str_trim(name);
                        if (name.len == 0)
                                continue;
                        if (str_eq(name, STR("*")) || ++count > CACHE_VARY_NAMES_MAX ||
                            !http_name_is_valid(name))
                                return ERR_UNSUPPORTED;
                        names_encoding |= str_eq_nocase(name, STR("Accept-Encoding"));
                        vary_add(request, name, out);
                }
        }
        if (!names_encoding && http_find(answer, HTTP_FIELD_CONTENT_ENCODING))
                vary_add(request, STR("accept-encoding"), out);
        return out->full || out->len > CACHE_VARY_BYTES_MAX ? ERR_UNSUPPORTED : ERR_OK;
}

bool cache_vary_matches(struct str vary, const struct http_head *request)
{
        struct buf own;
        bool matches = true;

        buf_init(&own, CACHE_VARY_BYTES_MAX);
        while (matches && vary.len) {
                size_t end = MIN(str_find_char(vary, '\n'), vary.len - 1);
                struct str line = str_sub(vary, 0, end), name = str_sub(line, 0, str_find_char(line, ':'));

                buf_clear(&own);
                values_add(request, name, &own);
                matches = !own.full && str_eq(buf_str(&own), str_from(line, name.len + 1));
                vary = str_from(vary, end + 1);
        }
        buf_fini(&own);
        return matches;
}

/* ---- what the client has ---- */

static struct str opaque(struct str etag)
{
        return str_has_prefix(etag, STR("W/")) ? str_from(etag, 2) : etag;
}

/* Weak comparison, RFC 9110 8.8.3.2. Commas inside a tag's quotes are part of it. */
static bool etag_is_in(struct str list, struct str etag)
{
        while (list.len) {
                list = str_trim(list);
                struct str tag = opaque(list);
                size_t end = tag.len && tag.ptr[0] == '"' ? str_find_char(str_from(tag, 1), '"') : STR_NONE;

                if (end == STR_NONE)
                        return false;
                if (str_eq(str_sub(tag, 0, end + 2), opaque(etag)))
                        return true;
                list = str_from(tag, end + 2);
                list = str_from(list, MIN(str_find_char(list, ','), list.len));
                list = str_from(list, 1);
        }
        return false;
}

bool cache_is_not_modified(const struct http_head *request, struct str etag, struct str last_modified,
                           unix_ms now)
{
        const struct http_field *f = http_find_name(request, STR("If-None-Match"));
        unix_ms since, modified;

        if (f) {
                for (; f; f = http_find_next(request, f))
                        if (str_eq(f->value, STR("*")) || (etag.len && etag_is_in(f->value, etag)))
                                return true;
                return false;
        }
        f = http_find_name(request, STR("If-Modified-Since"));
        return f && last_modified.len && http_date_parse(f->value, now, &since) == ERR_OK &&
               http_date_parse(last_modified, now, &modified) == ERR_OK && modified <= since;
}
