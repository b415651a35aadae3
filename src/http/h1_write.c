#include "http/h1_write.h"

#include <assert.h>
#include <string.h>

#include "http/chars_priv.h"
#include "http/status.h"

#define CRLF STR("\r\n")

void h1_vector_add(struct h1_vector *v, struct str s)
{
        if (s.len == 0 || v->full)
                return;
        struct iovec *last = v->parts_count ? &v->parts[v->parts_count - 1] : NULL;

        if (last && (const char *)last->iov_base + last->iov_len == s.ptr) {
                last->iov_len += s.len;
        } else if (v->parts_count == H1_VECTOR_MAX) {
                v->full = true;
                return;
        } else {
                /* writev only reads, whatever its type says. */
                v->parts[v->parts_count++] =
                        (struct iovec){ .iov_base = (void *)(uintptr_t)s.ptr, .iov_len = s.len };
        }
        v->bytes += s.len;
}

enum err h1_vector_flatten(struct h1_vector *v, struct arena *a)
{
        char *all, *p;

        if (v->parts_count < 2)
                return ERR_OK;
        if (!(all = p = arena_alloc(a, v->bytes, 1)))
                return ERR_NO_MEMORY;
        for (int i = 0; i < v->parts_count; i++) {
                memcpy(p, v->parts[i].iov_base, v->parts[i].iov_len);
                p += v->parts[i].iov_len;
        }
        v->parts[0] = (struct iovec){ .iov_base = all, .iov_len = v->bytes };
        v->parts_count = 1;
        return ERR_OK;
}

void h1_vector_consume(struct h1_vector *v, size_t written)
{
        int gone = 0;

        assert(written <= v->bytes);
        v->bytes -= written;
        while (gone < v->parts_count && written >= v->parts[gone].iov_len)
                written -= v->parts[gone++].iov_len;
        v->parts_count -= gone;
        memmove(v->parts, v->parts + gone, (size_t)v->parts_count * sizeof(v->parts[0]));
        if (written) {
                v->parts[0].iov_base = (char *)v->parts[0].iov_base + written;
                v->parts[0].iov_len -= written;
        }
}

static char *put(char *at, struct str s)
{
        if (s.len)
                memcpy(at, s.ptr, s.len);
        return at + s.len;
}

static size_t line_bytes(const struct http_field *f)
{
        return f->line.len ? f->line.len : f->name.len + f->value.len + STR(": \r\n").len;
}

static char *line_put(char *at, const struct http_field *f)
{
        if (f->line.len)
                return put(at, f->line);
        return put(put(put(put(at, f->name), STR(": ")), f->value), CRLF);
}

/* Ranges of received lines that stay, had each run of neighbours become one. */
static int ranges_count(const struct http_field *fields, size_t count)
{
        const char *next = NULL;
        int ranges = 0;

        for (size_t i = 0; i < count; i++) {
                if (fields[i].is_removed || !fields[i].line.len)
                        continue;
                ranges += fields[i].line.ptr != next;
                next = fields[i].line.ptr + fields[i].line.len;
        }
        return ranges;
}

/*
 * The fields that stay and the empty line. Received lines go as ranges unless they are too many pieces; all others, with
 * the empty line, are one piece of the arena.
 */
static enum err fields_write(const struct http_field *fields, size_t count, struct arena *a,
                             struct h1_vector *v)
{
        bool copies = ranges_count(fields, count) > H1_HEAD_PARTS_MAX - 2;
        size_t bytes = 0;

        for (size_t i = 0; i < count; i++)
                if (!fields[i].is_removed && (copies || !fields[i].line.len))
                        bytes += line_bytes(&fields[i]);
        if (bytes == 0) {
                for (size_t i = 0; i < count; i++)
                        if (!fields[i].is_removed)
                                h1_vector_add(v, fields[i].line);
                h1_vector_add(v, CRLF);
                return v->full ? ERR_NO_MEMORY : ERR_OK;
        }
        char *piece = arena_alloc(a, bytes + CRLF.len, 1), *at = piece;
        if (!piece)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < count; i++) {
                if (fields[i].is_removed)
                        continue;
                if (copies || !fields[i].line.len)
                        at = line_put(at, &fields[i]);
                else
                        h1_vector_add(v, fields[i].line);
        }
        put(at, CRLF);
        h1_vector_add(v, (struct str){ piece, bytes + CRLF.len });
        return v->full ? ERR_NO_MEMORY : ERR_OK;
}

enum err h1_request_write(const struct http_head *h, struct str target, struct arena *a, struct h1_vector *v)
{
        static const struct str version = STR_INIT(" HTTP/1.1\r\n");
        struct str method = h->method == HTTP_OTHER ? h->method_text : http_method_name(h->method);

        if (!http_name_is_valid(method) || target.len == 0 ||
            http_chars_skip(target.ptr, target.ptr + target.len, HTTP_CHAR_TARGET) != target.ptr + target.len)
                return ERR_MALFORMED;
        size_t bytes = method.len + 1 + target.len + version.len;
        char *line = arena_alloc(a, bytes, 1);
        if (!line)
                return ERR_NO_MEMORY;
        put(put(put(put(line, method), STR(" ")), target), version);
        h1_vector_add(v, (struct str){ line, bytes });
        return fields_write(h->fields, h->fields_count, a, v);
}

enum err h1_response_write(const struct http_head *h, struct arena *a, struct h1_vector *v)
{
        struct str reason = h->reason.len ? h->reason : http_status_reason(h->status);

        if (h->status < 100 || h->status > 599 || !http_value_is_valid(reason))
                return ERR_MALFORMED;
        size_t bytes = STR("HTTP/1.1 200 ").len + reason.len + CRLF.len;
        char *line = arena_alloc(a, bytes, 1);
        if (!line)
                return ERR_NO_MEMORY;
        const char digits[] = { ' ', (char)('0' + h->status / 100), (char)('0' + h->status / 10 % 10),
                                (char)('0' + h->status % 10), ' ' };
        char *at = put(put(line, STR("HTTP/1.1")), (struct str){ digits, sizeof(digits) });
        put(put(at, reason), CRLF);
        h1_vector_add(v, (struct str){ line, bytes });
        return fields_write(h->fields, h->fields_count, a, v);
}

struct str h1_chunk_head(char out[H1_CHUNK_HEAD_MAX], uint64_t bytes)
{
        char *end = out + H1_CHUNK_HEAD_MAX, *at = end;

        *--at = '\n';
        *--at = '\r';
        do {
                *--at = "0123456789abcdef"[bytes & 15];
                bytes >>= 4;
        } while (bytes);
        return (struct str){ at, (size_t)(end - at) };
}

enum err h1_last_chunk_write(const struct http_field *trailers, size_t trailers_count, struct arena *a,
                             struct h1_vector *v)
{
        if (trailers_count == 0) {
                h1_vector_add(v, STR("0\r\n\r\n"));
                return v->full ? ERR_NO_MEMORY : ERR_OK;
        }
        for (size_t i = 0; i < trailers_count; i++)
                if (!http_name_is_valid(trailers[i].name) || !http_value_is_valid(trailers[i].value))
                        return ERR_MALFORMED;
        h1_vector_add(v, STR("0\r\n"));
        return fields_write(trailers, trailers_count, a, v);
}
