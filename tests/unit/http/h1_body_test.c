#include "../test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "http/h1_read.h"

static struct h1_body chunked(void)
{
        struct http_head h = { .framing = HTTP_BODY_CHUNKED };
        struct h1_body b;

        h1_body_init(&b, &h);
        return b;
}

/* What came out of a body that was offered in pieces. */
struct reading {
        struct buf payload, trailers;
        bool is_last;
        size_t consumed;
        enum err err;
        struct http_refusal refusal;
};

static void reading_fini(struct reading *r)
{
        buf_fini(&r->payload);
        buf_fini(&r->trailers);
}

/*
 * Offers `in` as a connection would: what was not consumed comes again with the next piece. Every window is a copy of its
 * own size, so that a read past its end is seen.
 */
static struct reading read_in_pieces(struct h1_body *b, struct str in, size_t first, size_t piece)
{
        struct reading r = { .err = ERR_OK };
        size_t end = MIN(first, in.len);
        struct h1_body_part part;

        buf_init(&r.payload, 1 << 20);
        buf_init(&r.trailers, 1 << 20);
        for (;;) {
                size_t n = end - r.consumed;
                char *window = malloc(n ? n : 1);

                memcpy(window, in.ptr + r.consumed, n);
                r.err = h1_body_read(b, (struct str){ window, n }, &part, &r.refusal);
                if (r.err == ERR_OK) {
                        assert_true(part.consumed <= n);
                        for (size_t i = 0; i < part.slices_count; i++)
                                buf_add(&r.payload, part.slices[i]);
                        for (size_t i = 0; i < part.trailers_count; i++)
                                buf_addf(&r.trailers, "%.*s=%.*s;", STR_FMT(part.trailers[i].name),
                                         STR_FMT(part.trailers[i].value));
                        r.consumed += part.consumed;
                        r.is_last = part.is_last;
                }
                free(window);
                if (r.err != ERR_OK || r.is_last)
                        return r;
                if (part.slices_count == H1_SLICES_MAX)
                        continue;
                if (end == in.len)
                        return r;
                end = MIN(end + piece, in.len);
        }
}

static const struct {
        const char *why;
        struct str in;
        const char *payload, *trailers;
        size_t left; /* behind the end */
} accepted[] = {
        { "empty", STR_INIT("0\r\n\r\n"), "", "", 0 },
        { "one chunk", STR_INIT("5\r\nhello\r\n0\r\n\r\n"), "hello", "", 0 },
        { "two chunks", STR_INIT("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), "hello world", "", 0 },
        { "hexadecimal, both cases", STR_INIT("a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n"),
          "01234567890123456789a", "", 0 },
        { "leading zeros", STR_INIT("0005\r\nhello\r\n000\r\n\r\n"), "hello", "", 0 },
        { "sixteen digits", STR_INIT("0000000000000001\r\nx\r\n0\r\n\r\n"), "x", "", 0 },
        { "extension", STR_INIT("1;a\r\nx\r\n0;b=c\r\n\r\n"), "x", "", 0 },
        { "quoted extension", STR_INIT("1;a=\"b c;d\"\r\nx\r\n0\r\n\r\n"), "x", "", 0 },
        { "payload that looks like a chunk", STR_INIT("5\r\n0\r\n\r\n\r\n0\r\n\r\n"), "0\r\n\r\n", "", 0 },
        { "next message behind", STR_INIT("1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"), "x", "", 18 },
        { "trailers", STR_INIT("1\r\nx\r\n0\r\nX-A: 1\r\ngrpc-status:0\r\n\r\n"), "x", "X-A=1;grpc-status=0;",
          0 },
        { "trailers alone", STR_INIT("0\r\nX-A: 1\r\n\r\n"), "", "X-A=1;", 0 },
        { "idle trailers are left out",
          STR_INIT("0\r\nSet-Cookie: a\r\nX-A: 1\r\ncontent-type: b\r\nDate: c\r\n\r\n"), "", "X-A=1;", 0 },
};

static const struct {
        const char *why;
        struct str in;
        const char *reason;
        enum err err;
} refused[] = {
        { "empty size", STR_INIT("\r\nhello\r\n0\r\n\r\n"), "chunk_size", ERR_MALFORMED },
        { "plus", STR_INIT("+5\r\nhello\r\n0\r\n\r\n"), "chunk_size", ERR_MALFORMED },
        { "0x", STR_INIT("0x5\r\nhello\r\n0\r\n\r\n"), "chunk_size", ERR_MALFORMED },
        { "blank after", STR_INIT("5 \r\nhello\r\n0\r\n\r\n"), "chunk_size", ERR_MALFORMED },
        { "tab after", STR_INIT("5\t\r\nhello\r\n0\r\n\r\n"), "chunk_size", ERR_MALFORMED },
        { "blank before", STR_INIT(" 5\r\nhello\r\n0\r\n\r\n"), "chunk_size", ERR_MALFORMED },
        { "minus", STR_INIT("-1\r\n"), "chunk_size", ERR_MALFORMED },
        { "underscore", STR_INIT("5_0\r\n"), "chunk_size", ERR_MALFORMED },
        { "letter", STR_INIT("g\r\n"), "chunk_size", ERR_MALFORMED },
        { "extension without size", STR_INIT(";a\r\n"), "chunk_size", ERR_MALFORMED },
        { "seventeen digits", STR_INIT("00000000000000005\r\nhello\r\n"), "chunk_size_too_large",
          ERR_TOO_LARGE },
        { "2^63", STR_INIT("8000000000000000\r\n"), "chunk_size_too_large", ERR_TOO_LARGE },
        { "2^64 - 1", STR_INIT("ffffffffffffffff\r\n"), "chunk_size_too_large", ERR_TOO_LARGE },
        { "bare LF after the size", STR_INIT("5\nhello\r\n0\r\n\r\n"), "chunk_size", ERR_MALFORMED },
        { "bare CR after the size", STR_INIT("5\rhello\r\n0\r\n\r\n"), "bare_cr", ERR_MALFORMED },
        { "two CR", STR_INIT("5\r\r\nhello\r\n0\r\n\r\n"), "bare_cr", ERR_MALFORMED },
        { "LF in an extension", STR_INIT("5;a\nb\r\nhello\r\n0\r\n\r\n"), "chunk_extension", ERR_MALFORMED },
        { "CR in an extension", STR_INIT("5;a\rb\r\nhello\r\n0\r\n\r\n"), "bare_cr", ERR_MALFORMED },
        { "NUL in an extension", STR_INIT("5;a\0b\r\nhello\r\n0\r\n\r\n"), "chunk_extension", ERR_MALFORMED },
        { "payload too long", STR_INIT("4\r\nhello\r\n0\r\n\r\n"), "chunk_end", ERR_MALFORMED },
        { "payload too short", STR_INIT("6\r\nhello\r\n0\r\n\r\n"), "chunk_end", ERR_MALFORMED },
        { "bare LF after the payload", STR_INIT("5\r\nhello\n0\r\n\r\n"), "chunk_end", ERR_MALFORMED },
        { "bare CR after the payload", STR_INIT("5\r\nhello\r0\r\n\r\n"), "chunk_end", ERR_MALFORMED },
        { "nothing after the payload", STR_INIT("5\r\nhello0\r\n\r\n"), "chunk_end", ERR_MALFORMED },
        { "bare LF at the end", STR_INIT("0\r\n\n"), "bare_lf", ERR_MALFORMED },
        { "bare CR at the end", STR_INIT("0\r\n\rx"), "bare_cr", ERR_MALFORMED },
        { "bare LF after the last size", STR_INIT("0\n\r\n"), "chunk_size", ERR_MALFORMED },
        { "trailer with a bare LF", STR_INIT("0\r\nX: a\n\r\n"), "bare_lf", ERR_MALFORMED },
        { "trailer folded", STR_INIT("0\r\nX: a\r\n b\r\n\r\n"), "obs_fold", ERR_MALFORMED },
        { "trailer with a blank before the colon", STR_INIT("0\r\nX : a\r\n\r\n"), "space_before_colon",
          ERR_MALFORMED },
        { "trailer with NUL", STR_INIT("0\r\nX: \0\r\n\r\n"), "value_byte", ERR_MALFORMED },
        { "trailer Host", STR_INIT("0\r\nHost: a\r\n\r\n"), "trailer_forbidden", ERR_MALFORMED },
        { "trailer Content-Length", STR_INIT("0\r\nX: y\r\nContent-Length: 5\r\n\r\n"), "trailer_forbidden",
          ERR_MALFORMED },
        { "trailer Transfer-Encoding", STR_INIT("0\r\ntransfer-encoding: x\r\n\r\n"), "trailer_forbidden",
          ERR_MALFORMED },
        { "trailer Authorization", STR_INIT("0\r\nAuthorization: x\r\n\r\n"), "trailer_forbidden",
          ERR_MALFORMED },
        { "trailer Cookie", STR_INIT("0\r\nCookie: x\r\n\r\n"), "trailer_forbidden", ERR_MALFORMED },
        { "trailer X-Sekisho-User", STR_INIT("0\r\nX-Sekisho-User: x\r\n\r\n"), "trailer_forbidden",
          ERR_MALFORMED },
        { "trailer x_sekisho_user", STR_INIT("0\r\nx_sekisho_user: x\r\n\r\n"), "trailer_forbidden",
          ERR_MALFORMED },
        { "trailer Tailscale-User-Login", STR_INIT("0\r\nTailscale-User-Login: x\r\n\r\n"),
          "trailer_forbidden", ERR_MALFORMED },
        { "trailer X-Forwarded-For", STR_INIT("0\r\nX-FORWARDED_FOR: x\r\n\r\n"), "trailer_forbidden",
          ERR_MALFORMED },
        { "trailer content_length", STR_INIT("0\r\ncontent_length: 5\r\n\r\n"), "trailer_forbidden",
          ERR_MALFORMED },
};

static void test_accepted(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(accepted); i++)
                for (size_t first = 0; first <= accepted[i].in.len; first++)
                        for (size_t piece = 1; piece <= 1000; piece += 999) {
                                struct h1_body b = chunked();
                                struct reading r = read_in_pieces(&b, accepted[i].in, first, piece);

                                if (r.err != ERR_OK || !r.is_last ||
                                    !str_eq(buf_str(&r.payload), str_of(accepted[i].payload)) ||
                                    !str_eq(buf_str(&r.trailers), str_of(accepted[i].trailers)) ||
                                    accepted[i].in.len - r.consumed != accepted[i].left)
                                        fail_msg("%s, first %zu, pieces of %zu: ERR_%s \"%.*s\"",
                                                 accepted[i].why, first, piece, err_name(r.err),
                                                 STR_FMT(buf_str(&r.payload)));
                                assert_int_equal(b.bytes, r.payload.len);
                                assert_err(h1_body_end(&b), ERR_OK);
                                reading_fini(&r);
                        }
}

static void test_refused(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
                for (size_t first = 0; first <= refused[i].in.len; first++)
                        for (size_t piece = 1; piece <= 1000; piece += 999) {
                                struct h1_body b = chunked();
                                struct reading r = read_in_pieces(&b, refused[i].in, first, piece);

                                if (r.err != refused[i].err ||
                                    strcmp(r.refusal.reason, refused[i].reason) != 0)
                                        fail_msg("%s, first %zu: ERR_%s %s", refused[i].why, first,
                                                 err_name(r.err), r.refusal.reason ? r.refusal.reason : "");
                                assert_int_equal(r.refusal.status, 400);
                                reading_fini(&r);
                        }
}

/* Cut anywhere before its end, a chunked body is never whole. */
static void test_cut(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(accepted); i++)
                for (size_t n = 0; n < accepted[i].in.len - accepted[i].left; n++) {
                        struct h1_body b = chunked();
                        struct reading r = read_in_pieces(&b, str_sub(accepted[i].in, 0, n), n, 1);

                        assert_err(r.err, ERR_OK);
                        assert_false(r.is_last);
                        assert_err(h1_body_end(&b), ERR_MALFORMED);
                        reading_fini(&r);
                }
}

static void test_other_framings(void **state)
{
        static const struct {
                const char *why;
                struct http_head head;
                const char *in, *payload;
                bool is_last;
                enum err end;
        } cases[] = {
                { "none", { .framing = HTTP_BODY_NONE }, "abc", "", true, ERR_OK },
                { "length",
                  { .framing = HTTP_BODY_LENGTH, .content_length = 3 },
                  "abc",
                  "abc",
                  true,
                  ERR_OK },
                { "length, more behind",
                  { .framing = HTTP_BODY_LENGTH, .content_length = 3 },
                  "abcdef",
                  "abc",
                  true,
                  ERR_OK },
                { "length, short",
                  { .framing = HTTP_BODY_LENGTH, .content_length = 3 },
                  "ab",
                  "ab",
                  false,
                  ERR_MALFORMED },
                { "length 0", { .framing = HTTP_BODY_LENGTH }, "abc", "", true, ERR_OK },
                { "length 0, nothing offered", { .framing = HTTP_BODY_LENGTH }, "", "", true, ERR_OK },
                { "until close",
                  { .framing = HTTP_BODY_UNTIL_CLOSE, .status = 200 },
                  "abc",
                  "abc",
                  false,
                  ERR_OK },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                for (size_t first = 0; first <= strlen(cases[i].in); first++) {
                        struct h1_body b;

                        h1_body_init(&b, &cases[i].head);
                        struct reading r = read_in_pieces(&b, str_of(cases[i].in), first, 1);
                        if (r.err != ERR_OK || r.is_last != cases[i].is_last ||
                            !str_eq(buf_str(&r.payload), str_of(cases[i].payload)))
                                fail_msg("%s", cases[i].why);
                        assert_err(h1_body_end(&b), cases[i].end);
                        assert_int_equal(r.consumed, r.payload.len);
                        reading_fini(&r);
                }
}

/* An upstream's fault is 502. */
static void test_answer_status(void **state)
{
        struct http_head h = { .framing = HTTP_BODY_CHUNKED, .status = 200 };
        struct h1_body b;
        struct h1_body_part part;
        struct http_refusal refusal;

        h1_body_init(&b, &h);
        assert_err(h1_body_read(&b, STR("x"), &part, &refusal), ERR_MALFORMED);
        assert_int_equal(refusal.status, 502);
}

static void test_many_slices(void **state)
{
        struct buf in;
        struct h1_body b = chunked();
        struct h1_body_part part;
        struct http_refusal refusal;

        buf_init(&in, 4096);
        for (int i = 0; i < 40; i++)
                buf_addf(&in, "1\r\n%c\r\n", 'a' + i % 26);
        buf_add(&in, STR("0\r\n\r\n"));
        assert_err(h1_body_read(&b, buf_str(&in), &part, &refusal), ERR_OK);
        assert_int_equal(part.slices_count, H1_SLICES_MAX);
        assert_false(part.is_last);
        buf_fini(&in);
}

static enum err read_extension(size_t bytes, struct h1_body *b, struct http_refusal *refusal)
{
        static char text[H1_CHUNK_EXTENSION_BYTES_MAX + 64];
        struct h1_body_part part;

        memset(text, 'x', sizeof(text));
        memcpy(text, "1;", 2);
        memcpy(text + 2 + bytes, "\r\ny\r\n", 5);
        return h1_body_read(b, (struct str){ text, 2 + bytes + 5 }, &part, refusal);
}

static void test_limit_extensions(void **state)
{
        struct http_refusal refusal;
        struct h1_body b = chunked();

        assert_err(read_extension(H1_CHUNK_EXTENSION_BYTES_MAX - 1, &b, &refusal), ERR_OK);
        assert_err(read_extension(H1_CHUNK_EXTENSION_BYTES_MAX, &b, &refusal), ERR_OK);
        assert_err(read_extension(H1_CHUNK_EXTENSION_BYTES_MAX + 1, &b, &refusal), ERR_TOO_LARGE);
        assert_string_equal(refusal.reason, "chunk_extensions_too_large");
        b = chunked();
        for (int i = 0; i < H1_CHUNK_EXTENSIONS_BYTES_MAX / 1024; i++)
                assert_err(read_extension(1024, &b, &refusal), ERR_OK);
        assert_err(read_extension(0, &b, &refusal), ERR_OK);
        assert_err(read_extension(1, &b, &refusal), ERR_TOO_LARGE);
}

static enum err read_trailers(size_t bytes, struct http_refusal *refusal)
{
        static char text[H1_TRAILER_BYTES_MAX + 64];
        struct h1_body b = chunked();
        struct h1_body_part part;

        memset(text, 'x', sizeof(text));
        memcpy(text, "0\r\nX:", 5);
        memcpy(text + 3 + bytes - 4, "\r\n\r\n", 4);
        enum err e = h1_body_read(&b, (struct str){ text, 3 + bytes }, &part, refusal);
        return e == ERR_OK && !part.is_last ? ERR_AGAIN : e;
}

static void test_limit_trailers(void **state)
{
        struct http_refusal refusal;

        assert_err(read_trailers(H1_TRAILER_BYTES_MAX - 1, &refusal), ERR_OK);
        assert_err(read_trailers(H1_TRAILER_BYTES_MAX, &refusal), ERR_OK);
        assert_err(read_trailers(H1_TRAILER_BYTES_MAX + 1, &refusal), ERR_TOO_LARGE);
        assert_string_equal(refusal.reason, "trailers_too_large");

        for (int n = H1_TRAILERS_MAX; n <= H1_TRAILERS_MAX + 1; n++) {
                char text[1024];
                struct h1_body b = chunked();
                struct h1_body_part part;
                int len = snprintf(text, sizeof(text), "0\r\n");

                for (int i = 0; i < n; i++)
                        len += snprintf(text + len, sizeof(text) - (size_t)len, "X%d:\r\n", i);
                len += snprintf(text + len, sizeof(text) - (size_t)len, "\r\n");
                assert_err(h1_body_read(&b, (struct str){ text, (size_t)len }, &part, &refusal),
                           n == H1_TRAILERS_MAX ? ERR_OK : ERR_TOO_LARGE);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_accepted),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_cut),
                cmocka_unit_test(test_other_framings),
                cmocka_unit_test(test_answer_status),
                cmocka_unit_test(test_many_slices),
                cmocka_unit_test(test_limit_extensions),
                cmocka_unit_test(test_limit_trailers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
