#include "proxy/compress_rules.h"

#include <string.h>

enum { ENCODINGS_MAX = 8 };

/* ---- the request ---- */

/* What the client itself takes: a rule may have removed it on its way up, so that the upstream leaves the coding to us. */
static enum http_coding coding_choose(const struct compress_conf *conf, const struct http_head *request)
{
        struct http_field fields[ENCODINGS_MAX];
        struct http_head received = { .fields = fields, .fields_max = ENCODINGS_MAX };
        enum http_coding coding;

        for (size_t i = 0; i < request->fields_count && received.fields_count < ENCODINGS_MAX; i++) {
                const struct http_field *f = &request->fields[i];

                if (f->id == HTTP_FIELD_ACCEPT_ENCODING && (f->line.len || !f->is_removed) &&
                    http_set(&received, HTTP_FIELD_ACCEPT_ENCODING, f->value) != ERR_OK)
                        break;
        }
        return http_coding_choose(&received, conf->codings, conf->codings_count, &coding) == ERR_OK
                       ? coding
                       : HTTP_IDENTITY;
}

/*
 * BREACH needs a stranger's page that makes a browser ask with its owner's rights, over and over. Browsers say where a
 * request comes from; who brings rights of the browser's own (a cookie, Basic) from anywhere else is answered plainly.
 */
static bool may_be_forged(const struct http_head *request)
{
        const struct http_field *site = http_find_name(request, STR("Sec-Fetch-Site"));
        struct str auth = http_value(request, HTTP_FIELD_AUTHORIZATION);
        bool is_bearer = str_eq_nocase(str_sub(auth, 0, 7), STR("Bearer "));

        if (!http_find(request, HTTP_FIELD_COOKIE) && (!auth.len || is_bearer))
                return false;
        return !site || (!str_eq(site->value, STR("same-origin")) && !str_eq(site->value, STR("none")));
}

static bool is_no_transform(const struct http_head *head)
{
        for (const struct http_field *f = http_find(head, HTTP_FIELD_CACHE_CONTROL); f;
             f = http_find_next(head, f))
                if (http_list_has(f->value, STR("no-transform")))
                        return true;
        return false;
}

/* ---- the answer ---- */

static bool type_is_wanted(const struct compress_conf *conf, const struct http_head *answer)
{
        struct str value = http_value(answer, HTTP_FIELD_CONTENT_TYPE);
        struct str type = str_trim(str_sub(value, 0, str_find_char(value, ';')));
        char folded[COMPRESS_TYPE_MAX];

        if (type.len == 0 || type.len > sizeof(folded))
                return false;
        for (size_t i = 0; i < type.len; i++)
                folded[i] = ascii_lower(type.ptr[i]);
        type.ptr = folded;
        /* An event stream only where it is named itself: "text/" and "*" does not mean it. */
        bool is_events = str_eq(type, STR("text/event-stream"));
        for (size_t i = 0; i < conf->types_count; i++)
                if (is_events ? str_eq(conf->types[i], type) : str_match(conf->types[i], type))
                        return true;
        return false;
}

static bool status_has_body(uint16_t status)
{
        return status >= 200 && status != 204 && status != 205 && status != 206 && status != 226 &&
               status != 304;
}

/* Someone vouches for the bytes as they are. */
static bool is_digested(const struct http_head *answer)
{
        static const struct str names[] = { STR_INIT("Content-MD5"), STR_INIT("Digest"),
                                            STR_INIT("Content-Digest"), STR_INIT("Repr-Digest") };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (http_find_name(answer, names[i]))
                        return true;
        return false;
}

enum compress_verdict compress_judge(const struct compress_conf *conf, const struct http_head *request,
                                     const struct http_head *answer, enum http_coding *coding_out)
{
        bool is_short = answer->framing == HTTP_BODY_LENGTH && answer->content_length < conf->bytes_min;

        *coding_out = HTTP_IDENTITY;
        if (!status_has_body(answer->status) || is_short || http_find(answer, HTTP_FIELD_CONTENT_ENCODING) ||
            http_find_name(answer, STR("Content-Range")) || is_no_transform(answer) || is_digested(answer) ||
            !type_is_wanted(conf, answer))
                return COMPRESS_NO;
        if (request->version_minor == 0 || is_no_transform(request) ||
            (!conf->with_cookies && may_be_forged(request)))
                return COMPRESS_OTHER;
        *coding_out = coding_choose(conf, request);
        return *coding_out == HTTP_IDENTITY ? COMPRESS_OTHER : COMPRESS_YES;
}

/* ---- the head ---- */

enum err compress_vary(struct http_head *answer)
{
        for (const struct http_field *f = http_find_name(answer, STR("Vary")); f;
             f = http_find_next(answer, f))
                if (http_list_has(f->value, STR("*")) || http_list_has(f->value, STR("Accept-Encoding")))
                        return ERR_OK;
        return http_add(answer, STR("Vary"), STR("Accept-Encoding"));
}

/* RFC 9110 8.8.1: the same words in another coding are no longer the same bytes. */
static enum err etag_weaken(struct http_head *answer, struct arena *a)
{
        const struct http_field *etag = http_find_name(answer, STR("ETag"));

        if (!etag || str_has_prefix(etag->value, STR("W/")))
                return ERR_OK;
        struct str parts[2] = { STR("W/"), etag->value }, weak = arena_join(a, parts, 2);
        return weak.ptr ? http_replace(answer, STR("ETag"), weak) : ERR_TOO_LARGE;
}

enum err compress_head(struct http_head *answer, enum http_coding coding, struct arena *a)
{
        enum err e;

        if (answer->fields_count + 3 > answer->fields_max) /* all of it, or nothing */
                return ERR_TOO_LARGE;
        if ((e = compress_vary(answer)) != ERR_OK || (e = etag_weaken(answer, a)) != ERR_OK ||
            (e = http_set(answer, HTTP_FIELD_CONTENT_ENCODING, http_coding_name(coding))) != ERR_OK)
                return e;
        http_remove(answer, HTTP_FIELD_CONTENT_LENGTH);
        http_remove_name(answer, STR("Accept-Ranges"));
        if (answer->framing == HTTP_BODY_LENGTH)
                answer->framing = HTTP_BODY_UNTIL_CLOSE; /* each side ends it in its own way */
        return ERR_OK;
}

enum err compress_not_modified(const struct http_head *request, struct http_head *answer, struct arena *a)
{
        const struct http_field *etag = http_find_name(answer, STR("ETag"));

        if (!etag || str_has_prefix(etag->value, STR("W/")))
                return ERR_OK;
        struct str parts[2] = { STR("W/"), etag->value }, weak = arena_join(a, parts, 2);
        if (!weak.ptr)
                return ERR_TOO_LARGE;
        for (const struct http_field *f = http_find_name(request, STR("If-None-Match")); f;
             f = http_find_next(request, f))
                if (str_find(f->value, weak) != STR_NONE)
                        return http_replace(answer, STR("ETag"), weak);
        return ERR_OK;
}
