#include "../test.h"

#include <stdlib.h>

#include "http/h1_read.h"

static const struct h1_limits limits = { .head_bytes_max = 1024, .target_bytes_max = 256, .lines_max = 10 };
static struct http_field fields[16];

#define OK_ "HTTP/1.1 200 OK\r\n"

static const struct {
        const char *why;
        struct str in;
        const char *reason;
        enum err err;
} refused[] = {
        { "not HTTP", STR_INIT("SSH-2.0-OpenSSH_9.2\r\n"), "status_line", ERR_MALFORMED },
        { "lower case", STR_INIT("http/1.1 200 OK\r\n\r\n"), "status_line", ERR_MALFORMED },
        { "HTTP/2.0", STR_INIT("HTTP/2.0 200 OK\r\n\r\n"), "status_line", ERR_MALFORMED },
        { "HTTP/1.2", STR_INIT("HTTP/1.2 200 OK\r\n\r\n"), "version", ERR_MALFORMED },
        { "HTTP/1.10", STR_INIT("HTTP/1.10 200 OK\r\n\r\n"), "status_line", ERR_MALFORMED },
        { "two blanks", STR_INIT("HTTP/1.1  200 OK\r\n\r\n"), "status_line", ERR_MALFORMED },
        { "two digits", STR_INIT("HTTP/1.1 20 OK\r\n\r\n"), "status_line", ERR_MALFORMED },
        { "four digits", STR_INIT("HTTP/1.1 2000 OK\r\n\r\n"), "status_line", ERR_MALFORMED },
        { "status 099", STR_INIT("HTTP/1.1 099 x\r\n\r\n"), "status", ERR_MALFORMED },
        { "status 600", STR_INIT("HTTP/1.1 600 x\r\n\r\n"), "status", ERR_MALFORMED },
        { "signed status", STR_INIT("HTTP/1.1 +20 x\r\n\r\n"), "status_line", ERR_MALFORMED },
        { "leading CRLF", STR_INIT("\r\n" OK_ "\r\n"), "status_line", ERR_MALFORMED },
        { "bare LF", STR_INIT("HTTP/1.1 200 OK\n\n"), "bare_lf", ERR_MALFORMED },
        { "bare CR in the reason", STR_INIT("HTTP/1.1 200 O\rK\r\n\r\n"), "bare_cr", ERR_MALFORMED },
        { "NUL in the reason", STR_INIT("HTTP/1.1 200 O\0K\r\n\r\n"), "status_line", ERR_MALFORMED },
        { "bare LF in a field", STR_INIT(OK_ "X: a\nY: b\r\n\r\n"), "bare_lf", ERR_MALFORMED },
        { "obs-fold", STR_INIT(OK_ "X: a\r\n b\r\n\r\n"), "obs_fold", ERR_MALFORMED },
        { "space before the colon", STR_INIT(OK_ "Content-Length : 5\r\n\r\n"), "space_before_colon",
          ERR_MALFORMED },
        { "both lengths", STR_INIT(OK_ "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
          "cl_and_te", ERR_MALFORMED },
        { "two lengths", STR_INIT(OK_ "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"),
          "content_length_twice", ERR_MALFORMED },
        { "list of lengths", STR_INIT(OK_ "Content-Length: 5, 5\r\n\r\n"), "content_length", ERR_MALFORMED },
        { "minus", STR_INIT(OK_ "Content-Length: -1\r\n\r\n"), "content_length", ERR_MALFORMED },
        { "unknown coding", STR_INIT(OK_ "Transfer-Encoding: gzip\r\n\r\n"), "coding_unknown",
          ERR_UNSUPPORTED },
        { "list of codings", STR_INIT(OK_ "Transfer-Encoding: gzip, chunked\r\n\r\n"), "transfer_encoding",
          ERR_MALFORMED },
        { "chunked with HTTP/1.0", STR_INIT("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
          "transfer_encoding_http10", ERR_MALFORMED },
        { "204 chunked", STR_INIT("HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n"), "body_forbidden",
          ERR_MALFORMED },
        { "204 with a length", STR_INIT("HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n"), "body_forbidden",
          ERR_MALFORMED },
        { "100 with a length", STR_INIT("HTTP/1.1 100 x\r\nContent-Length: 5\r\n\r\n"), "body_forbidden",
          ERR_MALFORMED },
        { "101 chunked", STR_INIT("HTTP/1.1 101 x\r\nTransfer-Encoding: chunked\r\n\r\n"), "body_forbidden",
          ERR_MALFORMED },
        { "eleven lines",
          STR_INIT(OK_ "1:\r\n2:\r\n3:\r\n4:\r\n5:\r\n6:\r\n7:\r\n8:\r\n9:\r\na:\r\nb:\r\n\r\n"),
          "too_many_lines", ERR_TOO_LARGE },
};

static enum err parse(struct str in, enum http_method method, size_t *scanned, struct http_head *h,
                      struct http_refusal *refusal)
{
        *h = (struct http_head){ .fields = fields, .fields_max = ARRAY_SIZE(fields) };
        return h1_response_parse(in, &limits, method, scanned, h, refusal);
}

/* Whole, and cut in two at each byte, in copies of just that size. */
static void check(const char *why, struct str in, enum http_method method, enum err expected,
                  struct http_head *h, struct http_refusal *refusal)
{
        for (size_t cut = 0; cut <= in.len; cut++) {
                char *first = malloc(cut ? cut : 1);
                size_t scanned = 0;

                memcpy(first, in.ptr, cut);
                enum err e = parse((struct str){ first, cut }, method, &scanned, h, refusal);
                if (e == ERR_AGAIN)
                        e = parse(in, method, &scanned, h, refusal);
                free(first);
                if (e != expected)
                        fail_msg("%s, cut at %zu: ERR_%s", why, cut, err_name(e));
        }
        size_t scanned = 0;
        assert_err(parse(in, method, &scanned, h, refusal), expected);
}

static void test_refused(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
                struct http_head h;
                struct http_refusal refusal = { 0 };

                check(refused[i].why, refused[i].in, HTTP_GET, refused[i].err, &h, &refusal);
                assert_int_equal(refusal.status, 502);
                if (strcmp(refusal.reason, refused[i].reason) != 0)
                        fail_msg("%s: %s", refused[i].why, refusal.reason);
        }
}

static const struct {
        const char *why;
        struct str in;
        enum http_method method;
        uint16_t status;
        const char *text;
        enum http_framing framing;
        uint64_t length;
        bool keeps_alive;
} accepted[] = {
        { "length", STR_INIT(OK_ "Content-Length: 5\r\n\r\n"), HTTP_GET, 200, "OK", HTTP_BODY_LENGTH, 5,
          true },
        { "length 0", STR_INIT(OK_ "Content-Length: 0\r\n\r\n"), HTTP_GET, 200, "OK", HTTP_BODY_LENGTH, 0,
          true },
        { "chunked", STR_INIT(OK_ "Transfer-Encoding: chunked\r\n\r\n"), HTTP_GET, 200, "OK",
          HTTP_BODY_CHUNKED, 0, true },
        { "until close", STR_INIT(OK_ "\r\n"), HTTP_GET, 200, "OK", HTTP_BODY_UNTIL_CLOSE, 0, false },
        { "HTTP/1.0 until close", STR_INIT("HTTP/1.0 200 OK\r\n\r\n"), HTTP_GET, 200, "OK",
          HTTP_BODY_UNTIL_CLOSE, 0, false },
        { "HTTP/1.0 with a length", STR_INIT("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n"), HTTP_GET, 200,
          "OK", HTTP_BODY_LENGTH, 5, false },
        { "HTTP/1.0 kept alive",
          STR_INIT("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n"), HTTP_GET, 200,
          "OK", HTTP_BODY_LENGTH, 5, true },
        { "HTTP/1.0 kept alive until close is closed",
          STR_INIT("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n"), HTTP_GET, 200, "OK",
          HTTP_BODY_UNTIL_CLOSE, 0, false },
        { "close", STR_INIT(OK_ "Content-Length: 5\r\nConnection: close\r\n\r\n"), HTTP_GET, 200, "OK",
          HTTP_BODY_LENGTH, 5, false },
        { "HEAD", STR_INIT(OK_ "Content-Length: 5\r\n\r\n"), HTTP_HEAD, 200, "OK", HTTP_BODY_NONE, 0, true },
        { "HEAD, chunked", STR_INIT(OK_ "Transfer-Encoding: chunked\r\n\r\n"), HTTP_HEAD, 200, "OK",
          HTTP_BODY_NONE, 0, true },
        { "HEAD, nothing said", STR_INIT(OK_ "\r\n"), HTTP_HEAD, 200, "OK", HTTP_BODY_NONE, 0, true },
        { "204", STR_INIT("HTTP/1.1 204 No Content\r\n\r\n"), HTTP_GET, 204, "No Content", HTTP_BODY_NONE, 0,
          true },
        { "204 with length 0", STR_INIT("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"), HTTP_GET,
          204, "No Content", HTTP_BODY_NONE, 0, true },
        { "304 with a length", STR_INIT("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), HTTP_GET,
          304, "Not Modified", HTTP_BODY_NONE, 0, true },
        { "304 chunked", STR_INIT("HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_GET, 304, "x",
          HTTP_BODY_NONE, 0, true },
        { "100", STR_INIT("HTTP/1.1 100 Continue\r\n\r\n"), HTTP_POST, 100, "Continue", HTTP_BODY_NONE, 0,
          true },
        { "103", STR_INIT("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), HTTP_GET, 103, "Early Hints",
          HTTP_BODY_NONE, 0, true },
        { "101", STR_INIT("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), HTTP_GET,
          101, "x", HTTP_BODY_NONE, 0, true },
        { "CONNECT", STR_INIT(OK_ "Content-Length: 5\r\n\r\n"), HTTP_CONNECT, 200, "OK", HTTP_BODY_NONE, 0,
          true },
        { "CONNECT refused", STR_INIT("HTTP/1.1 403 x\r\nContent-Length: 5\r\n\r\n"), HTTP_CONNECT, 403, "x",
          HTTP_BODY_LENGTH, 5, true },
        { "empty reason", STR_INIT("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"), HTTP_GET, 200, "",
          HTTP_BODY_LENGTH, 0, true },
        { "no blank before an empty reason", STR_INIT("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), HTTP_GET,
          200, "", HTTP_BODY_LENGTH, 0, true },
        { "8-bit reason", STR_INIT("HTTP/1.1 404 Pas trouv\xc3\xa9\r\nContent-Length: 0\r\n\r\n"), HTTP_GET,
          404, "Pas trouv\xc3\xa9", HTTP_BODY_LENGTH, 0, true },
        { "599", STR_INIT("HTTP/1.1 599 x\r\nContent-Length: 0\r\n\r\n"), HTTP_GET, 599, "x",
          HTTP_BODY_LENGTH, 0, true },
};

static void test_accepted(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
                struct http_head h;
                struct http_refusal refusal;

                check(accepted[i].why, accepted[i].in, accepted[i].method, ERR_OK, &h, &refusal);
                if (h.status != accepted[i].status || h.framing != accepted[i].framing ||
                    h.content_length != accepted[i].length || h.keeps_alive != accepted[i].keeps_alive)
                        fail_msg("%s: %u framing %d keeps_alive %d", accepted[i].why, h.status,
                                 (int)h.framing, h.keeps_alive);
                assert_str(h.reason, str_of(accepted[i].text));
                assert_int_equal(h.bytes, accepted[i].in.len);
                assert_int_equal(h.asks_upgrade, h.status == 101);
        }
}

/* An upstream whose head never ends is given up at the limit, as 502. */
static void test_endless(void **state)
{
        char text[4096];
        struct http_head h;
        struct http_refusal refusal;
        size_t scanned = 0;

        memset(text, 'x', sizeof(text));
        memcpy(text, OK_ "X: ", sizeof(OK_ "X: ") - 1);
        assert_err(parse((struct str){ text, 1023 }, HTTP_GET, &scanned, &h, &refusal), ERR_AGAIN);
        assert_err(parse((struct str){ text, 1024 }, HTTP_GET, &scanned, &h, &refusal), ERR_TOO_LARGE);
        assert_int_equal(refusal.status, 502);
        assert_string_equal(refusal.reason, "head_too_large");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_accepted),
                cmocka_unit_test(test_endless),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
