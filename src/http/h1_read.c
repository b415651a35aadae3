#include "http/h1_read.h"

#include <assert.h>
#include <string.h>

#include "http/chars_priv.h"
#include "http/h1_line_priv.h"

enum { METHOD_BYTES_MAX = 32, LEADING_CRLFS_MAX = 4 };

/* A head being read: a cursor, and where a refusal goes. */
struct reading {
        const char *at, *end;
        struct http_head *head;
        struct http_refusal *refusal;
        bool is_answer;
};

static enum err refuse(struct reading *r, uint16_t status, const char *reason)
{
        *r->refusal = (struct http_refusal){ r->is_answer ? 502 : status, reason };
        switch (status) {
        case 414:
        case 431: return ERR_TOO_LARGE;
        case 405:
        case 417:
        case 501:
        case 505: return ERR_UNSUPPORTED;
        default: return ERR_MALFORMED;
        }
}

/*
 * After a parse that had to wait: looks only at the new bytes, and says whether another parse can say more than "wait
 * on": the head's end came, or the end of the start line, or a byte no head may hold.
 */
static bool is_worth_parsing(struct str in, size_t *scanned)
{
        for (size_t i = *scanned; i < in.len; i++) {
                char c = in.ptr[i], before = i ? in.ptr[i - 1] : '\0';

                if (c == '\n') {
                        if (before != '\r' || (i >= 2 && in.ptr[i - 2] == '\n') || !memchr(in.ptr, '\n', i))
                                return true;
                } else if (before == '\r' || (c != '\r' && !http_char_is(c, HTTP_CHAR_VALUE))) {
                        return true;
                }
        }
        *scanned = in.len;
        return false;
}

static enum err leading_crlfs_skip(struct reading *r)
{
        for (int i = 0; r->at < r->end && (*r->at == '\r' || *r->at == '\n'); i++) {
                if (*r->at == '\n')
                        return refuse(r, 400, "bare_lf");
                if (i == LEADING_CRLFS_MAX)
                        return refuse(r, 400, "leading_crlf");
                if (r->end - r->at < 2)
                        return ERR_AGAIN;
                if (r->at[1] != '\n')
                        return refuse(r, 400, "bare_cr");
                r->at += 2;
        }
        return r->at < r->end ? ERR_OK : ERR_AGAIN;
}

/* "HTTP/d.d" and CRLF. Only 1.0 and 1.1 are spoken here; a well-formed higher major is told so with 505. */
static enum err request_version_parse(struct reading *r)
{
        static const char shape[] = "HTTP/d.d\r\n";
        size_t left = (size_t)(r->end - r->at), n = MIN(left, sizeof(shape) - 1);
        const char *p = r->at;

        if (LIKELY(n == sizeof(shape) - 1 && memcmp(p, "HTTP/1.1\r\n", n) == 0)) {
                r->head->version_minor = 1;
                r->at += n;
                return ERR_OK;
        }
        for (size_t i = 0; i < n; i++)
                if (shape[i] == 'd' ? !ascii_is_digit(p[i]) : p[i] != shape[i])
                        return refuse(r, 400, "version");
        if (n < sizeof(shape) - 1)
                return ERR_AGAIN;
        if (p[5] > '1')
                return refuse(r, 505, "version_unsupported");
        if (p[5] != '1' || p[7] > '1')
                return refuse(r, 400, "version");
        r->head->version_minor = (uint8_t)(p[7] - '0');
        r->at += n;
        return ERR_OK;
}

static enum err request_method_parse(struct reading *r)
{
        const char *start = r->at, *p = http_chars_skip(start, r->end, HTTP_CHAR_TOKEN);
        size_t n = (size_t)(p - start);

        if (n > METHOD_BYTES_MAX)
                return refuse(r, 400, "method_too_long");
        if (p == r->end)
                return ERR_AGAIN;
        if (n == 0 || *p != ' ')
                return refuse(r, 400, "method");
        r->head->method_text = (struct str){ start, n };
        r->head->method = http_method_of(r->head->method_text);
        r->at = p + 1;
        return ERR_OK;
}

static enum err request_target_parse(struct reading *r, size_t bytes_max)
{
        const char *start = r->at, *p = http_chars_skip(start, r->end, HTTP_CHAR_TARGET);
        size_t n = (size_t)(p - start);

        if (n > bytes_max)
                return refuse(r, 414, "target_too_long");
        if (p == r->end)
                return ERR_AGAIN;
        if (*p == '\r' || *p == '\n')
                return refuse(r, 400, "version_missing");
        if (n == 0)
                return refuse(r, 400, "target_missing");
        if (*p != ' ')
                return refuse(r, 400, "target_byte");
        r->head->target = (struct str){ start, n };
        r->at = p + 1;
        return ERR_OK;
}

static enum err request_line_parse(struct reading *r, const struct h1_limits *limits)
{
        enum err e;

        if ((e = leading_crlfs_skip(r)) != ERR_OK || (e = request_method_parse(r)) != ERR_OK ||
            (e = request_target_parse(r, limits->target_bytes_max)) != ERR_OK)
                return e;
        return request_version_parse(r);
}

/* "HTTP/1.1 200 reason". The blank before an empty reason is often left out, and nothing hangs on it. */
static enum err status_line_parse(struct reading *r)
{
        static const char shape[] = "HTTP/1.d ddd";
        size_t left = (size_t)(r->end - r->at), n = MIN(left, sizeof(shape) - 1);
        const char *p = r->at;

        for (size_t i = 0; i < n; i++)
                if (shape[i] == 'd' ? !ascii_is_digit(p[i]) : p[i] != shape[i])
                        return refuse(r, 502, "status_line");
        if (n < sizeof(shape) - 1)
                return ERR_AGAIN;
        if (p[7] > '1' || p[9] < '1' || p[9] > '5')
                return refuse(r, 502, p[7] > '1' ? "version" : "status");
        r->head->version_minor = (uint8_t)(p[7] - '0');
        r->head->status = (uint16_t)((p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0'));

        p += n;
        if (p < r->end && *p != ' ' && *p != '\r')
                return refuse(r, 502, "status_line");
        const char *reason = p < r->end && *p == ' ' ? p + 1 : p;
        p = http_value_skip(reason, r->end);
        if (r->end - p < 1 || (*p == '\r' && r->end - p < 2))
                return ERR_AGAIN;
        if (p[0] != '\r' || p[1] != '\n')
                return refuse(r, 502, p[0] == '\r' ? "bare_cr" : p[0] == '\n' ? "bare_lf" : "status_line");
        r->head->reason = (struct str){ reason, (size_t)(p - reason) };
        r->at = p + 2;
        return ERR_OK;
}

static enum err fields_parse(struct reading *r, const struct h1_limits *limits)
{
        struct http_head *h = r->head;
        size_t lines_max = MIN(limits->lines_max, MIN(h->fields_max, HTTP_FIELDS_MAX));
        const char *reason = NULL;
        struct http_field spare; /* for the line over the limit */

        for (;;) {
                struct http_field *f = h->fields_count < lines_max ? &h->fields[h->fields_count] : &spare;

                switch (h1_line_read(&r->at, r->end, f, &reason)) {
                case H1_LINE_CUT: return ERR_AGAIN;
                case H1_LINE_EMPTY: return ERR_OK;
                case H1_LINE_BAD:
                        if (h->fields_count == 0 && strcmp(reason, "obs_fold") == 0)
                                reason = "leading_space";
                        return refuse(r, 400, reason);
                case H1_LINE_FIELD: break;
                }
                if (f == &spare)
                        return refuse(r, 431, "too_many_lines");
                h->fields_count++;
                if (f->id != HTTP_FIELD_OTHER && h->first[f->id] == 0)
                        h->first[f->id] = (uint8_t)h->fields_count;
        }
}

/* A field that decides where the body ends is there once and without tabs, which others do not all trim. */
static enum err framing_field_check(struct reading *r, const struct http_field *f, const char *twice,
                                    const char *blank)
{
        if (http_find_next(r->head, f))
                return refuse(r, 400, twice);
        if (str_find_char(f->line, '\t') != STR_NONE)
                return refuse(r, 400, blank);
        return ERR_OK;
}

static bool str_has_nocase(struct str s, struct str part)
{
        for (size_t i = 0; i + part.len <= s.len; i++)
                if (str_eq_nocase(str_sub(s, i, part.len), part))
                        return true;
        return false;
}

static enum err transfer_encoding_check(struct reading *r, const struct http_field *f)
{
        enum err e = framing_field_check(r, f, "transfer_encoding_twice", "transfer_encoding");

        if (e != ERR_OK)
                return e;
        if (http_find(r->head, HTTP_FIELD_CONTENT_LENGTH))
                return refuse(r, 400, "cl_and_te");
        if (r->head->version_minor == 0)
                return refuse(r, 400, "transfer_encoding_http10");
        if (str_eq_nocase(f->value, STR("chunked"))) {
                r->head->framing = HTTP_BODY_CHUNKED;
                return ERR_OK;
        }
        /* One honest coding we do not know is 501; a list, a parameter or "chunked" in disguise is an attack. */
        if (!http_name_is_valid(f->value) || str_has_nocase(f->value, STR("chunked")) ||
            str_eq_nocase(f->value, STR("identity")))
                return refuse(r, 400, "transfer_encoding");
        return refuse(r, 501, "coding_unknown");
}

static enum err framing_check(struct reading *r)
{
        struct http_head *h = r->head;
        const struct http_field *te = http_find(h, HTTP_FIELD_TRANSFER_ENCODING);
        const struct http_field *cl = http_find(h, HTTP_FIELD_CONTENT_LENGTH);
        enum err e;

        h->framing = HTTP_BODY_NONE;
        h->content_length = 0;
        if (te)
                return transfer_encoding_check(r, te);
        if (!cl)
                return ERR_OK;
        if ((e = framing_field_check(r, cl, "content_length_twice", "content_length")) != ERR_OK)
                return e;
        if (!http_length_parse(cl->value, &h->content_length))
                return refuse(r, 400, "content_length");
        h->framing = HTTP_BODY_LENGTH;
        return ERR_OK;
}

static bool any_list_has(const struct http_head *h, enum http_field_id id, struct str token)
{
        for (const struct http_field *f = http_find(h, id); f; f = http_find_next(h, f))
                if (http_list_has(f->value, token))
                        return true;
        return false;
}

/* RFC 9112 9.3. */
static bool keeps_alive(const struct http_head *h)
{
        if (any_list_has(h, HTTP_FIELD_CONNECTION, STR("close")))
                return false;
        return h->version_minor == 1 || any_list_has(h, HTTP_FIELD_CONNECTION, STR("keep-alive"));
}

/* One protocol, and not HTTP itself: h2c behind a proxy is a way round its rules. */
static bool asks_upgrade(const struct http_head *h)
{
        const struct http_field *f = http_find(h, HTTP_FIELD_UPGRADE);

        if (!f || h->version_minor == 0 || http_find_next(h, f) ||
            !any_list_has(h, HTTP_FIELD_CONNECTION, STR("upgrade")))
                return false;
        size_t slash = str_find_char(f->value, '/');
        struct str name = str_sub(f->value, 0, slash);
        struct str version = slash == STR_NONE ? STR("-") : str_from(f->value, slash + 1);
        return http_name_is_valid(name) && http_name_is_valid(version) && !str_eq_nocase(name, STR("h2c")) &&
               !str_eq_nocase(name, STR("h2")) && !str_eq_nocase(name, STR("http"));
}

static enum err request_check(struct reading *r)
{
        struct http_head *h = r->head;
        const struct http_field *expect;
        enum err e;

        if (h->method == HTTP_CONNECT)
                return refuse(r, 405, "connect");
        if ((e = framing_check(r)) != ERR_OK)
                return e;
        h->expects_continue = false;
        if ((expect = http_find(h, HTTP_FIELD_EXPECT)) != NULL) {
                if (!str_eq_nocase(expect->value, STR("100-continue")) || http_find_next(h, expect))
                        return refuse(r, 417, "expect");
                h->expects_continue =
                        h->version_minor == 1 && (h->framing == HTTP_BODY_CHUNKED || h->content_length > 0);
        }
        h->keeps_alive = keeps_alive(h);
        h->asks_upgrade = asks_upgrade(h);
        return ERR_OK;
}

/* RFC 9112 6.3, in its order; what it leaves to taste is refused. */
static enum err response_check(struct reading *r, enum http_method request_method)
{
        struct http_head *h = r->head;
        bool is_interim = h->status < 200;
        enum err e = framing_check(r);

        if (e != ERR_OK)
                return e;
        if ((is_interim || h->status == 204) && (h->framing == HTTP_BODY_CHUNKED || h->content_length > 0))
                return refuse(r, 502, "body_forbidden");
        h->expects_continue = false;
        h->keeps_alive = keeps_alive(h);
        h->asks_upgrade = asks_upgrade(h);
        if (is_interim || h->status == 204 || h->status == 304 || request_method == HTTP_HEAD ||
            (request_method == HTTP_CONNECT && h->status < 300)) {
                h->framing = HTTP_BODY_NONE;
                h->content_length = 0;
        } else if (h->framing == HTTP_BODY_NONE) {
                h->framing = HTTP_BODY_UNTIL_CLOSE;
                h->keeps_alive = false;
        }
        return ERR_OK;
}

static void head_clear(struct http_head *h)
{
        assert(h->fields_max <= HTTP_FIELDS_MAX);
        h->method = HTTP_OTHER;
        h->method_text = h->target = h->reason = STR_NULL;
        h->status = 0;
        h->fields_count = 0;
        h->bytes = 0;
        memset(h->first, 0, sizeof(h->first));
}

/* Start line and fields; r->at is after the empty line when ERR_OK. */
static enum err head_parse(struct reading *r, struct str in, const struct h1_limits *limits, size_t *scanned)
{
        bool is_full = in.len >= limits->head_bytes_max;
        enum err e;

        in.len = MIN(in.len, limits->head_bytes_max);
        if (in.len == 0 || (*scanned && !is_full && !is_worth_parsing(in, scanned)))
                return ERR_AGAIN;
        r->at = in.ptr;
        r->end = in.ptr + in.len;
        head_clear(r->head);
        e = r->is_answer ? status_line_parse(r) : request_line_parse(r, limits);
        if (e == ERR_OK)
                e = fields_parse(r, limits);
        if (e == ERR_AGAIN && is_full)
                return refuse(r, 431, "head_too_large");
        if (e == ERR_AGAIN)
                *scanned = in.len;
        r->head->bytes = (size_t)(r->at - in.ptr);
        return e;
}

enum err h1_request_parse(struct str in, const struct h1_limits *limits, size_t *scanned,
                          struct http_head *out, struct http_refusal *refusal)
{
        struct reading r = { .head = out, .refusal = refusal };
        enum err e = head_parse(&r, in, limits, scanned);

        return e == ERR_OK ? request_check(&r) : e;
}

enum err h1_response_parse(struct str in, const struct h1_limits *limits, enum http_method request_method,
                           size_t *scanned, struct http_head *out, struct http_refusal *refusal)
{
        struct reading r = { .head = out, .refusal = refusal, .is_answer = true };
        enum err e = head_parse(&r, in, limits, scanned);

        return e == ERR_OK ? response_check(&r, request_method) : e;
}
