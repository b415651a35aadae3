#include "http.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"

static bool parse_request_line(struct str line, struct http_request *r)
{
        size_t first = str_find_char(line, ' ');

        if (first == STR_NONE || first == 0)
                return false;
        r->method = str_sub(line, 0, first);
        struct str rest = str_from(line, first + 1);
        size_t second = str_find_char(rest, ' ');
        if (second == STR_NONE || second == 0)
                return false;
        r->target = str_sub(rest, 0, second);
        r->version = str_from(rest, second + 1);
        size_t mark = str_find_char(r->target, '?');
        r->path = str_sub(r->target, 0, mark);
        r->query = mark == STR_NONE ? STR_NULL : str_from(r->target, mark + 1);
        r->is_head_method = str_eq(r->method, STR("HEAD"));
        r->keep_alive = str_eq(r->version, STR("HTTP/1.1"));
        return str_has_prefix(r->version, STR("HTTP/1."));
}

static bool list_has(struct str list, struct str word)
{
        struct str part;

        while (str_split(&list, ',', &part))
                if (str_eq_nocase(str_trim(part), word))
                        return true;
        return false;
}

/* What the server itself must know. The length of the name comes first: most fields are none of these. */
static bool note_field(struct http_request *r, struct str name, struct str value)
{
        switch (name.len) {
        case 6:
                if (str_eq_nocase(name, STR("expect")))
                        r->expects_continue = str_eq_nocase(value, STR("100-continue"));
                break;
        case 9:
                if (str_eq_nocase(name, STR("x-api-key")))
                        r->api_key = value;
                break;
        case 10:
                if (str_eq_nocase(name, STR("connection")))
                        r->keep_alive = r->keep_alive ? !list_has(value, STR("close"))
                                                      : list_has(value, STR("keep-alive"));
                break;
        case 13:
                if (str_eq_nocase(name, STR("authorization")))
                        r->authorization = value;
                break;
        case 14:
                if (str_eq_nocase(name, STR("content-length")))
                        return units_parse_u64(value, UINT64_MAX, &r->length) == ERR_OK;
                if (str_eq_nocase(name, STR("x-sample-fault")))
                        r->fault = value;
                break;
        case 17:
                if (str_eq_nocase(name, STR("transfer-encoding")))
                        r->is_chunked = list_has(value, STR("chunked"));
                else if (str_eq_nocase(name, STR("anthropic-version")))
                        r->anthropic_version = value;
                break;
        case 23:
                if (str_eq_nocase(name, STR("x-stainless-retry-count")))
                        r->retry_count = value;
                break;
        default: break;
        }
        return true;
}

static bool parse_field(struct http_request *r, struct str line)
{
        size_t colon = str_find_char(line, ':');

        if (colon == STR_NONE || r->fields_count == HTTP_FIELDS_MAX)
                return false;
        struct http_field *f = &r->fields[r->fields_count++];
        f->name = str_sub(line, 0, colon);
        f->value = str_trim(str_from(line, colon + 1));
        return note_field(r, f->name, f->value);
}

enum http_result http_head_parse(struct str in, struct http_request *r)
{
        const char *blank = in.len ? memmem(in.ptr, in.len, "\r\n\r\n", 4) : NULL;

        if (!blank)
                return in.len > HTTP_HEAD_MAX ? HTTP_BAD : HTTP_MORE;
        memset(r, 0, offsetof(struct http_request, fields));
        memset(&r->fields_count, 0, sizeof(*r) - offsetof(struct http_request, fields_count));
        r->head = (struct str){ in.ptr, (size_t)(blank + 4 - in.ptr) };
        struct str lines = { in.ptr, (size_t)(blank + 2 - in.ptr) };

        for (bool is_first = true; lines.len; is_first = false) {
                size_t end = str_find(lines, STR("\r\n"));
                struct str line = str_sub(lines, 0, end);

                if (!(is_first ? parse_request_line(line, r) : parse_field(r, line)))
                        return HTTP_BAD;
                lines = str_from(lines, end + 2);
        }
        return HTTP_DONE;
}

struct str http_field_find(const struct http_request *r, struct str name)
{
        for (size_t i = 0; i < r->fields_count; i++)
                if (str_eq_nocase(r->fields[i].name, name))
                        return r->fields[i].value;
        return STR_NULL;
}

struct str http_query_find(const struct http_request *r, struct str name)
{
        struct str rest = r->query, part;

        while (str_split(&rest, '&', &part)) {
                size_t equals = str_find_char(part, '=');

                if (str_eq(str_sub(part, 0, equals), name))
                        return equals == STR_NONE ? STR("") : str_from(part, equals + 1);
        }
        return STR_NULL;
}

uint64_t http_number_find(const struct http_request *r, const char *name, uint64_t max, uint64_t otherwise)
{
        char field[64];
        uint64_t number;
        struct str text = http_query_find(r, str_of(name));

        if (!text.ptr) {
                snprintf(field, sizeof(field), "x-sample-%s", name);
                text = http_field_find(r, str_of(field));
        }
        return text.ptr && units_parse_u64(text, max, &number) == ERR_OK ? number : otherwise;
}

void http_body_init(struct http_body *b, const struct http_request *r)
{
        *b = (struct http_body){ .is_chunked = r->is_chunked,
                                 .left = r->is_chunked ? 0 : r->length,
                                 .state = HTTP_CHUNK_SIZE };
}

static enum http_result take_chunk_size(struct http_body *b, struct str *in)
{
        size_t end = str_find(*in, STR("\r\n")), digits = 0;
        uint64_t size = 0;

        if (end == STR_NONE)
                return in->len > 1024 ? HTTP_BAD : HTTP_MORE;
        while (digits < end && ascii_hex(in->ptr[digits]) >= 0 && digits < 15)
                size = size << 4 | (uint64_t)ascii_hex(in->ptr[digits++]);
        if (digits == 0)
                return HTTP_BAD;
        *in = str_from(*in, end + 2);
        b->left = size + 2;
        b->state = size ? HTTP_CHUNK_DATA : HTTP_CHUNK_TRAILERS;
        return HTTP_DONE;
}

/* Data first, then the line end behind it, which may come in a later piece. */
static enum http_result take_chunk_data(struct http_body *b, struct str *in, struct str *data)
{
        if (b->left > 2) {
                size_t len = (size_t)MIN((uint64_t)in->len, b->left - 2);

                *data = str_sub(*in, 0, len);
                *in = str_from(*in, len);
                b->left -= len;
                return HTTP_MORE;
        }
        while (b->left && in->len) {
                if (in->ptr[0] != (b->left == 2 ? '\r' : '\n'))
                        return HTTP_BAD;
                *in = str_from(*in, 1);
                b->left--;
        }
        if (b->left)
                return HTTP_MORE;
        b->state = HTTP_CHUNK_SIZE;
        return HTTP_DONE;
}

static enum http_result take_trailers(struct str *in, struct str *trailers)
{
        size_t len = 2;

        if (!str_has_prefix(*in, STR("\r\n"))) {
                size_t blank = str_find(*in, STR("\r\n\r\n"));

                if (blank == STR_NONE)
                        return in->len > HTTP_HEAD_MAX ? HTTP_BAD : HTTP_MORE;
                len = blank + 4;
                *trailers = str_sub(*in, 0, blank + 2);
        }
        *in = str_from(*in, len);
        return HTTP_DONE;
}

enum http_result http_body_take(struct http_body *b, struct str *in, struct str *data, struct str *trailers)
{
        *data = STR_NULL;
        if (!b->is_chunked) {
                size_t len = (size_t)MIN((uint64_t)in->len, b->left);

                *data = str_sub(*in, 0, len);
                *in = str_from(*in, len);
                b->left -= len;
                return b->left ? HTTP_MORE : HTTP_DONE;
        }
        for (;;) {
                enum http_result result = HTTP_BAD;

                switch (b->state) {
                case HTTP_CHUNK_SIZE: result = take_chunk_size(b, in); break;
                case HTTP_CHUNK_DATA: result = take_chunk_data(b, in, data); break;
                case HTTP_CHUNK_TRAILERS: return take_trailers(in, trailers);
                }
                if (result != HTTP_DONE)
                        return result;
        }
}
