#include <assert.h>
#include <string.h>

#include "http/chars_priv.h"
#include "http/h1_line_priv.h"
#include "http/h1_read.h"
#include "http/rules.h"

/*
 * Chunked (RFC 9112 7.1). A size line is taken byte by byte and needs no buffer; payload is pointed at; the trailer
 * section is taken at once when all of it is there.
 */
enum state { SIZE, EXTENSION, SIZE_LF, PAYLOAD, PAYLOAD_CR, PAYLOAD_LF, TRAILERS, DONE };

enum { SIZE_DIGITS_MAX = 16 };

static enum err refuse(const struct h1_body *b, struct http_refusal *refusal, enum err e, const char *reason)
{
        *refusal = (struct http_refusal){ b->is_answer ? 502 : 400, reason };
        return e;
}

void h1_body_init(struct h1_body *b, const struct http_head *head)
{
        *b = (struct h1_body){
                .framing = head->framing,
                .left = head->framing == HTTP_BODY_LENGTH ? head->content_length : 0,
                .is_answer = head->status != 0,
                .state = SIZE,
        };
}

/* All of the section or nothing: sets out->is_last when its empty line is there. */
static enum err trailers_read(struct h1_body *b, const char **at, const char *end, struct h1_body_part *out,
                              struct http_refusal *refusal)
{
        bool is_full = end - *at >= H1_TRAILER_BYTES_MAX;
        const char *p = *at, *limit = is_full ? p + H1_TRAILER_BYTES_MAX : end;
        const char *reason = NULL;
        struct http_field f;

        for (size_t lines = 0;; lines++) {
                switch (h1_line_read(&p, limit, &f, &reason)) {
                case H1_LINE_BAD: return refuse(b, refusal, ERR_MALFORMED, reason);
                case H1_LINE_CUT:
                        out->trailers_count = 0;
                        return is_full ? refuse(b, refusal, ERR_TOO_LARGE, "trailers_too_large") : ERR_OK;
                case H1_LINE_EMPTY:
                        b->state = DONE;
                        *at = p;
                        return ERR_OK;
                case H1_LINE_FIELD: break;
                }
                if (lines == H1_TRAILERS_MAX)
                        return refuse(b, refusal, ERR_TOO_LARGE, "trailers_too_many");
                if (http_trailer_is_forbidden(&f))
                        return refuse(b, refusal, ERR_MALFORMED, "trailer_forbidden");
                if (!http_trailer_is_idle(&f))
                        out->trailers[out->trailers_count++] = f;
        }
}

/* The size line is whole. */
static void size_enter(struct h1_body *b)
{
        b->state = b->left ? PAYLOAD : TRAILERS;
        b->size_digits = 0;
        b->extension_bytes = 0;
}

static enum err size_byte_read(struct h1_body *b, char c, struct http_refusal *refusal)
{
        int digit = ascii_hex(c);

        if (digit >= 0) {
                if (b->size_digits == SIZE_DIGITS_MAX || b->left > INT64_MAX >> 4)
                        return refuse(b, refusal, ERR_TOO_LARGE, "chunk_size_too_large");
                b->left = b->left << 4 | (uint64_t)digit;
                b->size_digits++;
                return ERR_OK;
        }
        if (b->size_digits == 0 || (c != '\r' && c != ';'))
                return refuse(b, refusal, ERR_MALFORMED, "chunk_size");
        b->state = c == ';' ? EXTENSION : SIZE_LF;
        return ERR_OK;
}

static enum err extension_byte_read(struct h1_body *b, char c, struct http_refusal *refusal)
{
        if (c == '\r') {
                b->state = SIZE_LF;
                return ERR_OK;
        }
        if (!http_char_is(c, HTTP_CHAR_VALUE))
                return refuse(b, refusal, ERR_MALFORMED, "chunk_extension");
        if (++b->extension_bytes > H1_CHUNK_EXTENSION_BYTES_MAX ||
            ++b->extensions_bytes > H1_CHUNK_EXTENSIONS_BYTES_MAX)
                return refuse(b, refusal, ERR_TOO_LARGE, "chunk_extensions_too_large");
        return ERR_OK;
}

/* One byte of what stands between payloads. */
static enum err frame_byte_read(struct h1_body *b, char c, struct http_refusal *refusal)
{
        switch ((enum state)b->state) {
        case SIZE: return size_byte_read(b, c, refusal);
        case EXTENSION: return extension_byte_read(b, c, refusal);
        case SIZE_LF:
                if (c != '\n')
                        return refuse(b, refusal, ERR_MALFORMED, "bare_cr");
                size_enter(b);
                return ERR_OK;
        case PAYLOAD_CR:
                if (c != '\r')
                        return refuse(b, refusal, ERR_MALFORMED, "chunk_end");
                b->state = PAYLOAD_LF;
                return ERR_OK;
        case PAYLOAD_LF:
                if (c != '\n')
                        return refuse(b, refusal, ERR_MALFORMED, "chunk_end");
                b->state = SIZE;
                return ERR_OK;
        case PAYLOAD:
        case TRAILERS:
        case DONE: break;
        }
        assert(false);
        return ERR_MALFORMED;
}

static void payload_take(struct h1_body *b, const char **at, const char *end, struct h1_body_part *out)
{
        size_t n = (size_t)(end - *at);

        if (b->framing != HTTP_BODY_UNTIL_CLOSE) {
                n = (size_t)MIN((uint64_t)n, b->left);
                b->left -= n;
        }
        if (n == 0)
                return;
        out->slices[out->slices_count++] = (struct str){ *at, n };
        out->payload_bytes += n;
        b->bytes += n;
        *at += n;
}

static enum err chunked_read(struct h1_body *b, const char **at, const char *end, struct h1_body_part *out,
                             struct http_refusal *refusal)
{
        while (*at < end && b->state != DONE) {
                enum err e = ERR_OK;

                if (b->state == PAYLOAD) {
                        if (out->slices_count == H1_SLICES_MAX)
                                return ERR_OK;
                        payload_take(b, at, end, out);
                        if (b->left == 0)
                                b->state = PAYLOAD_CR;
                } else if (b->state == TRAILERS) {
                        e = trailers_read(b, at, end, out, refusal);
                        if (e != ERR_OK || b->state != DONE)
                                return e;
                } else {
                        e = frame_byte_read(b, *(*at)++, refusal);
                        if (e != ERR_OK)
                                return e;
                }
        }
        out->is_last = b->state == DONE;
        return ERR_OK;
}

enum err h1_body_read(struct h1_body *b, struct str in, struct h1_body_part *out,
                      struct http_refusal *refusal)
{
        const char *at = in.ptr, *end = in.len ? in.ptr + in.len : in.ptr;
        enum err e = ERR_OK;

        out->slices_count = out->payload_bytes = out->consumed = out->trailers_count = 0;
        out->is_last = false;
        switch (b->framing) {
        case HTTP_BODY_NONE: out->is_last = true; break;
        case HTTP_BODY_LENGTH:
                payload_take(b, &at, end, out);
                out->is_last = b->left == 0;
                break;
        case HTTP_BODY_UNTIL_CLOSE: payload_take(b, &at, end, out); break;
        case HTTP_BODY_CHUNKED: e = chunked_read(b, &at, end, out, refusal); break;
        }
        out->consumed = in.len ? (size_t)(at - in.ptr) : 0;
        return e;
}

enum err h1_body_end(const struct h1_body *b)
{
        switch (b->framing) {
        case HTTP_BODY_NONE:
        case HTTP_BODY_UNTIL_CLOSE: return ERR_OK;
        case HTTP_BODY_LENGTH: return b->left == 0 ? ERR_OK : ERR_MALFORMED;
        case HTTP_BODY_CHUNKED: return b->state == DONE ? ERR_OK : ERR_MALFORMED;
        }
        return ERR_MALFORMED;
}
