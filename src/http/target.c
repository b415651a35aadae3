#include "http/target.h"

#include <string.h>

#include "http/chars_priv.h"

/*
 * Theory of operation. Most paths are canonical as they come: one pass finds only bytes that may stand raw, and the
 * slices point into the head. Else the path is written anew into the arena, one escape at a time, and what would still
 * mean something else to a back end that decodes once more is refused rather than repaired. Segments are looked at
 * last, in the canonical bytes, so that no spelling of a dot gets past.
 */

static enum err refuse(struct http_refusal *refusal, const char *reason)
{
        *refusal = (struct http_refusal){ 400, reason };
        return ERR_MALFORMED;
}

static enum err no_room(struct http_refusal *refusal)
{
        *refusal = (struct http_refusal){ 500, "no_memory" };
        return ERR_NO_MEMORY;
}

/* The byte of the escape at `p`, or -1. */
static int escape_byte(const char *p, const char *end)
{
        if (end - p < 3 || p[0] != '%' || ascii_hex(p[1]) < 0 || ascii_hex(p[2]) < 0)
                return -1;
        return ascii_hex(p[1]) << 4 | ascii_hex(p[2]);
}

static char *escape_put(char *at, int byte)
{
        static const char digits[] = "0123456789ABCDEF";

        *at++ = '%';
        *at++ = digits[byte >> 4];
        *at++ = digits[byte & 15];
        return at;
}

/* One character of several escapes at *p, checked as a whole. */
static const char *utf8_rewrite(const char **p, const char *end, char **at)
{
        int lead = escape_byte(*p, end);
        size_t count = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
        char bytes[4];

        for (size_t i = 0; i < count; i++, *p += 3) {
                int byte = escape_byte(*p, end);

                if (byte < 0x80)
                        return "path_utf8";
                bytes[i] = (char)byte;
                *at = escape_put(*at, byte);
        }
        if (!str_is_utf8((struct str){ bytes, count }))
                return "path_utf8";
        if (lead == 0xc2 && (uint8_t)bytes[1] < 0xa0) /* U+0080 to U+009F */
                return "path_control";
        return NULL;
}

static const char *escape_rewrite(const char **p, const char *end, char **at)
{
        int byte = escape_byte(*p, end);

        if (byte < 0)
                return "path_escape";
        if (byte >= 0x80)
                return utf8_rewrite(p, end, at);
        if (byte < 0x20 || byte == 0x7f)
                return "path_control";
        if (byte == '/' || byte == '\\' || byte == ';')
                return "path_separator";
        *p += 3;
        if (http_char_is((char)byte, HTTP_CHAR_UNRESERVED))
                *(*at)++ = (char)byte;
        else
                *at = escape_put(*at, byte);
        return NULL;
}

/* `room` holds three times the path. Returns a reason or NULL. */
static const char *path_rewrite(struct str path, char *room, struct str *out)
{
        const char *p = path.ptr, *end = path.ptr + path.len, *reason = NULL;
        char *at = room;

        while (p < end && !reason) {
                if (*p == '%') {
                        reason = escape_rewrite(&p, end, &at);
                } else if (*p == ';' || *p == '\\') {
                        reason = "path_separator";
                } else if (!http_char_is(*p, HTTP_CHAR_TARGET)) {
                        reason = "path_byte";
                } else if (!http_char_is(*p, HTTP_CHAR_PATH)) {
                        at = escape_put(
                                at, *p++); /* what browsers leave raw though RFC 3986 does not: [ ] | ^ … */
                } else {
                        *at++ = *p++;
                }
        }
        *out = (struct str){ room, (size_t)(at - room) };
        return reason;
}

/* "%25" before two hexadecimal digits, looked for in the result: "%25%32e" becomes one only there. */
static const char *double_escape_check(struct str path)
{
        for (size_t at; (at = str_find(path, STR("%25"))) != STR_NONE;) {
                path = str_from(path, at + 3);
                if (path.len >= 2 && ascii_hex(path.ptr[0]) >= 0 && ascii_hex(path.ptr[1]) >= 0)
                        return "path_double_escape";
        }
        return NULL;
}

/* Dot and empty segments; the one after a last slash is no segment. */
static const char *segments_check(struct str path)
{
        struct str rest = str_from(path, 1), segment;

        if (rest.len == 0)
                return NULL;
        while (str_split(&rest, '/', &segment)) {
                if (segment.len == 0 && rest.ptr)
                        return "path_empty_segment";
                if (segment.len > 0 && segment.ptr[0] == '.' &&
                    (segment.len == 1 || (segment.len == 2 && segment.ptr[1] == '.')))
                        return "path_dot_segment";
        }
        return NULL;
}

static enum err path_canonical(struct str path, struct arena *a, struct str *out,
                               struct http_refusal *refusal)
{
        const char *reason;

        if (path.len == 0 || path.ptr[0] != '/')
                return refuse(refusal, "target_form");
        if (http_chars_skip(path.ptr, path.ptr + path.len, HTTP_CHAR_PATH) == path.ptr + path.len) {
                *out = path;
        } else {
                char *room = path.len <= SIZE_MAX / 3 ? arena_alloc(a, path.len * 3, 1) : NULL;

                if (!room)
                        return no_room(refusal);
                if ((reason = path_rewrite(path, room, out)) || (reason = double_escape_check(*out)))
                        return refuse(refusal, reason);
        }
        return (reason = segments_check(*out)) ? refuse(refusal, reason) : ERR_OK;
}

/* The character a rule sees at p[0], and how many bytes of the path it takes: an escaped delimiter is the delimiter. */
static char matched_char(const char *p, const char *end, size_t *bytes)
{
        int byte = escape_byte(p, end);
        bool folds = byte >= 0 && http_char_is((char)byte, HTTP_CHAR_PATH);

        *bytes = folds ? 3 : 1;
        return folds ? (char)byte : *p;
}

static enum err path_match(struct str path, struct arena *a, struct str *out)
{
        const char *p = path.ptr, *end = path.ptr + path.len;
        size_t n = 0, step;

        if (str_find_char(path, '%') == STR_NONE) {
                *out = path;
                return ERR_OK;
        }
        char *room = arena_alloc(a, path.len, 1);
        if (!room)
                return ERR_NO_MEMORY;
        for (; p < end; p += step)
                room[n++] = matched_char(p, end, &step);
        *out = (struct str){ room, n };
        return ERR_OK;
}

size_t http_path_prefix(struct str path, struct str prefix)
{
        const char *p = path.ptr, *end = path.ptr + path.len;
        size_t step;

        for (size_t i = 0; i < prefix.len; i++, p += step)
                if (p == end || matched_char(p, end, &step) != prefix.ptr[i])
                        return STR_NONE;
        return (size_t)(p - path.ptr);
}

enum err http_path_canonical(struct str path, struct arena *a, struct str *out)
{
        struct http_refusal refusal;
        struct str canonical;
        enum err e = path_canonical(path, a, &canonical, &refusal);

        return e == ERR_OK ? path_match(canonical, a, out) : e;
}

/* `raw` is path and query as received; the query goes along as it is. */
static enum err path_and_query(struct str raw, struct arena *a, struct http_target *out,
                               struct http_refusal *refusal)
{
        struct str path = str_sub(raw, 0, str_find_char(raw, '?'));
        struct str mark_and_query = str_from(raw, path.len);
        struct str canonical;
        enum err e;

        if (path.len == 0) /* "http://a" and "http://a?b" */
                path = STR("/");
        if ((e = path_canonical(path, a, &canonical, refusal)) != ERR_OK)
                return e;
        if (canonical.ptr == raw.ptr) {
                out->text = raw;
        } else {
                const struct str parts[] = { canonical, mark_and_query };

                out->text = mark_and_query.len ? arena_join(a, parts, ARRAY_SIZE(parts)) : canonical;
                if (!out->text.ptr)
                        return no_room(refusal);
        }
        out->path = str_sub(out->text, 0, canonical.len);
        out->query = mark_and_query.len ? str_from(out->text, canonical.len + 1) : STR_NULL;
        return path_match(out->path, a, &out->match) == ERR_OK ? ERR_OK : no_room(refusal);
}

static enum err host_parse(const struct http_head *h, struct arena *a, struct http_authority *out,
                           struct http_refusal *refusal)
{
        const struct http_field *host = http_find(h, HTTP_FIELD_HOST);

        if (!host)
                return refuse(refusal, "host_missing");
        if (http_find_next(h, host))
                return refuse(refusal, "host_twice");
        if (str_find_char(host->line, '\t') != STR_NONE)
                return refuse(refusal, "host");
        enum err e = http_authority_parse(host->value, a, out);
        return e == ERR_NO_MEMORY ? no_room(refusal) : e != ERR_OK ? refuse(refusal, "host") : ERR_OK;
}

/* Takes "http://authority" off the front; what is left is path and query. */
static enum err absolute_parse(struct str *raw, struct arena *a, const struct http_authority *host,
                               struct http_refusal *refusal)
{
        size_t colon = str_find(*raw, STR("://"));
        struct str scheme = str_sub(*raw, 0, colon);
        struct http_authority authority;

        if (colon == STR_NONE)
                return refuse(refusal, "target_form");
        if (!str_eq_nocase(scheme, STR("http")) && !str_eq_nocase(scheme, STR("https")))
                return refuse(refusal, "target_scheme");
        struct str rest = str_from(*raw, colon + 3);
        size_t n = 0;
        while (n < rest.len && rest.ptr[n] != '/' && rest.ptr[n] != '?')
                n++;
        enum err e = http_authority_parse(str_sub(rest, 0, n), a, &authority);
        if (e == ERR_NO_MEMORY)
                return no_room(refusal);
        if (e != ERR_OK)
                return refuse(refusal, "target_authority");
        if (!str_eq(authority.host, host->host) || authority.port != host->port ||
            authority.is_ipv6 != host->is_ipv6)
                return refuse(refusal, "host_differs");
        *raw = str_from(rest, n);
        return ERR_OK;
}

enum err http_target_parse(const struct http_head *h, struct arena *a, struct http_target *out,
                           struct http_refusal *refusal)
{
        struct http_target target = { 0 };
        struct str raw = h->target;
        enum err e;

        if ((e = host_parse(h, a, &target.authority, refusal)) != ERR_OK)
                return e;
        if (str_eq(raw, STR("*"))) {
                if (h->method != HTTP_OPTIONS)
                        return refuse(refusal, "target_asterisk");
                target.text = target.path = target.match = raw;
                *out = target;
                return ERR_OK;
        }
        if ((raw.len == 0 || raw.ptr[0] != '/') &&
            (e = absolute_parse(&raw, a, &target.authority, refusal)) != ERR_OK)
                return e;
        if ((e = path_and_query(raw, a, &target, refusal)) == ERR_OK)
                *out = target;
        return e;
}
