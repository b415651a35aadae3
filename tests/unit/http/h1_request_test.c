#include "../test.h"

#include <stdio.h>
#include <stdlib.h>

#include "http/h1_read.h"

static const struct h1_limits limits = { .head_bytes_max = 2048, .target_bytes_max = 256, .lines_max = 20 };

static struct http_field fields[32];

static struct http_head head_new(void)
{
        return (struct http_head){ .fields = fields, .fields_max = ARRAY_SIZE(fields) };
}

#define GET_ "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

/* Every refusal: the status to answer and the word that becomes a label. reliability 3.1. */
static const struct {
        const char *why;
        struct str in;
        uint16_t status;
        const char *reason;
} refused[] = {
        /* where the body ends */
        { "both lengths", STR_INIT(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), 400,
          "cl_and_te" },
        { "both, the other order", STR_INIT(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
          400, "cl_and_te" },
        { "both, coding unknown", STR_INIT(POST "Transfer-Encoding: x\r\nContent-Length: 5\r\n\r\n"), 400,
          "cl_and_te" },
        { "two equal lengths", STR_INIT(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"), 400,
          "content_length_twice" },
        { "two lengths", STR_INIT(POST "Content-Length: 5\r\ncontent-length: 6\r\n\r\n"), 400,
          "content_length_twice" },
        { "list of lengths", STR_INIT(POST "Content-Length: 5,5\r\n\r\n"), 400, "content_length" },
        { "list of lengths, blank", STR_INIT(POST "Content-Length: 5, 5\r\n\r\n"), 400, "content_length" },
        { "empty length", STR_INIT(POST "Content-Length:\r\n\r\n"), 400, "content_length" },
        { "blank length", STR_INIT(POST "Content-Length:  \r\n\r\n"), 400, "content_length" },
        { "plus", STR_INIT(POST "Content-Length: +5\r\n\r\n"), 400, "content_length" },
        { "minus", STR_INIT(POST "Content-Length: -5\r\n\r\n"), 400, "content_length" },
        { "hexadecimal", STR_INIT(POST "Content-Length: 0x5\r\n\r\n"), 400, "content_length" },
        { "underscore", STR_INIT(POST "Content-Length: 5_0\r\n\r\n"), 400, "content_length" },
        { "octal to some", STR_INIT(POST "Content-Length: 010\r\n\r\n"), 400, "content_length" },
        { "fraction", STR_INIT(POST "Content-Length: 5.0\r\n\r\n"), 400, "content_length" },
        { "exponent", STR_INIT(POST "Content-Length: 5e1\r\n\r\n"), 400, "content_length" },
        { "blank inside", STR_INIT(POST "Content-Length: 5 5\r\n\r\n"), 400, "content_length" },
        { "tab before", STR_INIT(POST "Content-Length: \t5\r\n\r\n"), 400, "content_length" },
        { "tab after", STR_INIT(POST "Content-Length: 5\t\r\n\r\n"), 400, "content_length" },
        { "twenty digits", STR_INIT(POST "Content-Length: 18446744073709551615\r\n\r\n"), 400,
          "content_length" },
        { "2^64 + 5", STR_INIT(POST "Content-Length: 18446744073709551621\r\n\r\n"), 400, "content_length" },
        { "2^63", STR_INIT(POST "Content-Length: 9223372036854775808\r\n\r\n"), 400, "content_length" },
        { "wide digits", STR_INIT(POST "Content-Length: \xef\xbc\x95\r\n\r\n"), 400, "content_length" },
        { "leading comma", STR_INIT(POST "Transfer-Encoding: ,chunked\r\n\r\n"), 400, "transfer_encoding" },
        { "chunked twice", STR_INIT(POST "Transfer-Encoding: chunked,chunked\r\n\r\n"), 400,
          "transfer_encoding" },
        { "two lines", STR_INIT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), 400,
          "transfer_encoding_twice" },
        { "two lines, one other",
          STR_INIT(POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"), 400,
          "transfer_encoding_twice" },
        { "parameter", STR_INIT(POST "Transfer-Encoding: chunked;q=1\r\n\r\n"), 400, "transfer_encoding" },
        { "vertical tab",
          STR_INIT(POST "Transfer-Encoding: \x0b"
                        "chunked\r\n\r\n"),
          400, "value_byte" },
        { "tab", STR_INIT(POST "Transfer-Encoding:\tchunked\r\n\r\n"), 400, "transfer_encoding" },
        { "quoted", STR_INIT(POST "Transfer-Encoding: \"chunked\"\r\n\r\n"), 400, "transfer_encoding" },
        { "disguised", STR_INIT(POST "Transfer-Encoding: xchunked\r\n\r\n"), 400, "transfer_encoding" },
        { "identity", STR_INIT(POST "Transfer-Encoding: identity\r\n\r\n"), 400, "transfer_encoding" },
        { "empty coding", STR_INIT(POST "Transfer-Encoding:\r\n\r\n"), 400, "transfer_encoding" },
        { "list of codings", STR_INIT(POST "Transfer-Encoding: gzip, chunked\r\n\r\n"), 400,
          "transfer_encoding" },
        { "no-break space",
          STR_INIT(POST "Transfer-Encoding: \xc2\xa0"
                        "chunked\r\n\r\n"),
          400, "transfer_encoding" },
        { "HTTP/1.0", STR_INIT("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), 400,
          "transfer_encoding_http10" },
        { "unknown coding alone", STR_INIT(POST "Transfer-Encoding: gzip\r\n\r\n"), 501, "coding_unknown" },

        /* lines */
        { "bare LF after the start line", STR_INIT("GET / HTTP/1.1\nHost: a\r\n\r\n"), 400, "version" },
        { "bare LF after a field", STR_INIT(GET_ "Host: a\n\r\n"), 400, "bare_lf" },
        { "bare LF as the empty line", STR_INIT(GET_ HOST "\n"), 400, "bare_lf" },
        { "bare LF throughout", STR_INIT("GET / HTTP/1.1\nHost: a\n\n"), 400, "version" },
        { "bare CR after a field", STR_INIT(GET_ "Host: a\rX: y\r\n\r\n"), 400, "bare_cr" },
        { "bare CR as the empty line", STR_INIT(GET_ HOST "\rX"), 400, "bare_cr" },
        { "two CR", STR_INIT(GET_ "Host: a\r\r\n\r\n"), 400, "bare_cr" },
        { "NUL in a value", STR_INIT(GET_ "X: a\0b\r\n\r\n"), 400, "value_byte" },
        { "DEL in a value", STR_INIT(GET_ "X: a\x7f\r\n\r\n"), 400, "value_byte" },
        { "DEL far into a value", STR_INIT(GET_ "X: 0123456789abcdef0123456789\x7f\r\n\r\n"), 400,
          "value_byte" },
        { "control in a value", STR_INIT(GET_ "X: 01234567\x01\r\n\r\n"), 400, "value_byte" },
        { "escape in a value", STR_INIT(GET_ "X: \x1b[31m\r\n\r\n"), 400, "value_byte" },
        { "space before the colon", STR_INIT(GET_ "Host : a\r\n\r\n"), 400, "space_before_colon" },
        { "tab before the colon", STR_INIT(GET_ "Host\t: a\r\n\r\n"), 400, "space_before_colon" },
        { "empty name", STR_INIT(GET_ ": a\r\n\r\n"), 400, "empty_name" },
        { "no colon", STR_INIT(GET_ "Host\r\n\r\n"), 400, "no_colon" },
        { "leading space on the first field", STR_INIT(GET_ " Host: a\r\n\r\n"), 400, "leading_space" },
        { "leading tab on the first field", STR_INIT(GET_ "\tHost: a\r\n\r\n"), 400, "leading_space" },
        { "obs-fold", STR_INIT(GET_ HOST "X: a\r\n b\r\n\r\n"), 400, "obs_fold" },
        { "obs-fold with a tab", STR_INIT(GET_ HOST "\tb\r\n\r\n"), 400, "obs_fold" },
        { "blank line that is not empty", STR_INIT(GET_ HOST " \r\n\r\n"), 400, "obs_fold" },
        { "parenthesis in a name", STR_INIT(GET_ "X(): a\r\n\r\n"), 400, "name_byte" },
        { "NUL in a name", STR_INIT(GET_ "X\0: a\r\n\r\n"), 400, "name_byte" },
        { "8-bit in a name", STR_INIT(GET_ "X\xe9: a\r\n\r\n"), 400, "name_byte" },
        { "quote in a name", STR_INIT(GET_ "\"Host\": a\r\n\r\n"), 400, "name_byte" },
        { "control in a name", STR_INIT(GET_ "X\x0b: a\r\n\r\n"), 400, "name_byte" },

        /* the request line */
        { "two spaces before the target", STR_INIT("GET  / HTTP/1.1\r\n\r\n"), 400, "target_missing" },
        { "two spaces before the version", STR_INIT("GET /  HTTP/1.1\r\n\r\n"), 400, "version" },
        { "space in the target", STR_INIT("GET /a b HTTP/1.1\r\n\r\n"), 400, "version" },
        { "space after the version", STR_INIT("GET / HTTP/1.1 \r\n\r\n"), 400, "version" },
        { "leading space", STR_INIT(" GET / HTTP/1.1\r\n\r\n"), 400, "method" },
        { "tab", STR_INIT("GET\t/ HTTP/1.1\r\n\r\n"), 400, "method" },
        { "tab before the version", STR_INIT("GET /\tHTTP/1.1\r\n\r\n"), 400, "target_byte" },
        { "HTTP/0.9", STR_INIT("GET /\r\n"), 400, "version_missing" },
        { "HTTP/0.9 with a number", STR_INIT("GET / HTTP/0.9\r\n\r\n"), 400, "version" },
        { "HTTP/1.10", STR_INIT("GET / HTTP/1.10\r\n\r\n"), 400, "version" },
        { "HTTP/1.2", STR_INIT("GET / HTTP/1.2\r\n\r\n"), 400, "version" },
        { "HTTP/01.1", STR_INIT("GET / HTTP/01.1\r\n\r\n"), 400, "version" },
        { "HTTP/1", STR_INIT("GET / HTTP/1\r\n\r\n"), 400, "version" },
        { "HTTP/1,1", STR_INIT("GET / HTTP/1,1\r\n\r\n"), 400, "version" },
        { "HTTP/2.0", STR_INIT("GET / HTTP/2.0\r\n\r\n"), 505, "version_unsupported" },
        { "HTTP/3.1", STR_INIT("GET / HTTP/3.1\r\n\r\n"), 505, "version_unsupported" },
        { "HTTP/2 preface", STR_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505, "version_unsupported" },
        { "lower case", STR_INIT("GET / http/1.1\r\n\r\n"), 400, "version" },
        { "other protocol", STR_INIT("OPTIONS / RTSP/1.0\r\n\r\n"), 400, "version" },
        { "method too long", STR_INIT("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n\r\n"), 400,
          "method_too_long" },
        { "no method", STR_INIT("\x16\x03\x01\x02\x00"), 400, "method" },
        { "method with a slash", STR_INIT("GE/T / HTTP/1.1\r\n\r\n"), 400, "method" },
        { "fragment", STR_INIT("GET /#a HTTP/1.1\r\n\r\n"), 400, "target_byte" },
        { "raw 8-bit", STR_INIT("GET /\xc3\xa9 HTTP/1.1\r\n\r\n"), 400, "target_byte" },
        { "NUL in the target", STR_INIT("GET /\0 HTTP/1.1\r\n\r\n"), 400, "target_byte" },
        { "DEL in the target", STR_INIT("GET /\x7f HTTP/1.1\r\n\r\n"), 400, "target_byte" },
        { "CONNECT", STR_INIT("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), 405, "connect" },
        { "five leading CRLFs", STR_INIT("\r\n\r\n\r\n\r\n\r\n" GET_ HOST "\r\n"), 400, "leading_crlf" },
        { "leading LF", STR_INIT("\n" GET_ HOST "\r\n"), 400, "bare_lf" },
        { "leading CR", STR_INIT("\rGET / HTTP/1.1\r\n\r\n"), 400, "bare_cr" },
        { "response", STR_INIT("HTTP/1.1 200 OK\r\n\r\n"), 400, "method" },

        /* expectations */
        { "unknown expectation", STR_INIT(POST "Expect: 200-ok\r\n\r\n"), 417, "expect" },
        { "expectation with a parameter", STR_INIT(POST "Expect: 100-continue;a=b\r\n\r\n"), 417, "expect" },
        { "expectation with a comma", STR_INIT(POST "Expect: 100-continue, 100-continue\r\n\r\n"), 417,
          "expect" },
        { "obfuscated expectation", STR_INIT(POST "Expect: y 100-continue\r\n\r\n"), 417, "expect" },
        { "two expectations", STR_INIT(POST "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n"), 417,
          "expect" },
        { "empty expectation", STR_INIT(POST "Expect:\r\n\r\n"), 417, "expect" },
};

/* One verdict from the whole input. */
static enum err parse(struct str in, struct http_head *h, struct http_refusal *refusal)
{
        size_t scanned = 0;

        *h = head_new();
        *refusal = (struct http_refusal){ 0 };
        return h1_request_parse(in, &limits, &scanned, h, refusal);
}

/* The same in two pieces, of which the first must be waited with or judged alike. Exactly sized copies, for ASan. */
static void check_splits(struct str in, enum err expected, const char *reason)
{
        for (size_t cut = 0; cut <= in.len; cut++) {
                struct http_head h = head_new();
                struct http_refusal refusal = { 0 };
                size_t scanned = 0;
                char *first = malloc(cut ? cut : 1), *whole = malloc(in.len);

                memcpy(first, in.ptr, cut);
                memcpy(whole, in.ptr, in.len);
                enum err e = h1_request_parse((struct str){ first, cut }, &limits, &scanned, &h, &refusal);
                if (e == ERR_AGAIN) {
                        assert_true(scanned <= cut);
                        e = h1_request_parse((struct str){ whole, in.len }, &limits, &scanned, &h, &refusal);
                }
                if (e != expected)
                        fail_msg("cut at %zu: ERR_%s, not ERR_%s", cut, err_name(e), err_name(expected));
                if (reason)
                        assert_string_equal(refusal.reason, reason);
                free(first);
                free(whole);
        }
}

/* Byte by byte, as the slowest client would. */
static enum err parse_in_drops(struct str in, struct http_head *h, struct http_refusal *refusal)
{
        size_t scanned = 0;

        *h = head_new();
        for (size_t n = 0; n <= in.len; n++) {
                enum err e = h1_request_parse((struct str){ in.ptr, n }, &limits, &scanned, h, refusal);
                if (e != ERR_AGAIN)
                        return e;
        }
        return ERR_AGAIN;
}

static enum err err_of_status(uint16_t status)
{
        return status == 414 || status == 431 ? ERR_TOO_LARGE
               : status == 400                ? ERR_MALFORMED
                                              : ERR_UNSUPPORTED;
}

static void test_refused(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
                struct http_head h;
                struct http_refusal refusal;
                enum err e = parse(refused[i].in, &h, &refusal);

                if (e != err_of_status(refused[i].status) || refusal.status != refused[i].status ||
                    strcmp(refusal.reason, refused[i].reason) != 0)
                        fail_msg("%s: ERR_%s %u %s", refused[i].why, err_name(e), refusal.status,
                                 refusal.reason);
                e = parse_in_drops(refused[i].in, &h, &refusal);
                if (e != err_of_status(refused[i].status) || strcmp(refusal.reason, refused[i].reason) != 0)
                        fail_msg("%s in drops: ERR_%s %s", refused[i].why, err_name(e), refusal.reason);
                check_splits(refused[i].in, err_of_status(refused[i].status), refused[i].reason);
        }
}

enum { CLOSES = 1, CONTINUES = 2, UPGRADES = 4, HTTP10 = 8 };

static const struct {
        const char *why;
        struct str in;
        enum http_method method;
        const char *target;
        enum http_framing framing;
        uint64_t length;
        unsigned flags;
        unsigned fields_count;
} accepted[] = {
        { "ordinary", STR_INIT(GET_ HOST "\r\n"), HTTP_GET, "/", HTTP_BODY_NONE, 0, 0, 1 },
        { "no field at all", STR_INIT(GET_ "\r\n"), HTTP_GET, "/", HTTP_BODY_NONE, 0, 0, 0 },
        { "HTTP/1.0", STR_INIT("GET / HTTP/1.0\r\n\r\n"), HTTP_GET, "/", HTTP_BODY_NONE, 0, CLOSES | HTTP10,
          0 },
        { "HTTP/1.0 kept alive", STR_INIT("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), HTTP_GET, "/",
          HTTP_BODY_NONE, 0, HTTP10, 1 },
        { "HTTP/1.0 both", STR_INIT("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"), HTTP_GET, "/",
          HTTP_BODY_NONE, 0, CLOSES | HTTP10, 1 },
        { "leading CRLFs", STR_INIT("\r\n\r\n\r\n\r\n" GET_ HOST "\r\n"), HTTP_GET, "/", HTTP_BODY_NONE, 0, 0,
          1 },
        { "HEAD", STR_INIT("HEAD /a?b HTTP/1.1\r\n\r\n"), HTTP_HEAD, "/a?b", HTTP_BODY_NONE, 0, 0, 0 },
        { "POST of 5", STR_INIT(POST "Content-Length: 5\r\n\r\n"), HTTP_POST, "/", HTTP_BODY_LENGTH, 5, 0,
          2 },
        { "POST of 0", STR_INIT(POST "Content-Length: 0\r\n\r\n"), HTTP_POST, "/", HTTP_BODY_LENGTH, 0, 0,
          2 },
        { "largest length", STR_INIT(POST "Content-Length: 9223372036854775807\r\n\r\n"), HTTP_POST, "/",
          HTTP_BODY_LENGTH, INT64_MAX, 0, 2 },
        { "length with blanks around", STR_INIT(POST "Content-Length:   7  \r\n\r\n"), HTTP_POST, "/",
          HTTP_BODY_LENGTH, 7, 0, 2 },
        { "length without blank", STR_INIT(POST "content-length:7\r\n\r\n"), HTTP_POST, "/", HTTP_BODY_LENGTH,
          7, 0, 2 },
        { "chunked", STR_INIT(POST "Transfer-Encoding: chunked\r\n\r\n"), HTTP_POST, "/", HTTP_BODY_CHUNKED,
          0, 0, 2 },
        { "coding names fold", STR_INIT(POST "transfer-encoding: Chunked\r\n\r\n"), HTTP_POST, "/",
          HTTP_BODY_CHUNKED, 0, 0, 2 },
        { "GET with a body", STR_INIT(GET_ HOST "Content-Length: 3\r\n\r\n"), HTTP_GET, "/", HTTP_BODY_LENGTH,
          3, 0, 2 },
        { "OPTIONS *", STR_INIT("OPTIONS * HTTP/1.1\r\n\r\n"), HTTP_OPTIONS, "*", HTTP_BODY_NONE, 0, 0, 0 },
        { "unknown method", STR_INIT("PROPFIND / HTTP/1.1\r\n\r\n"), HTTP_OTHER, "/", HTTP_BODY_NONE, 0, 0,
          0 },
        { "methods do not fold", STR_INIT("get / HTTP/1.1\r\n\r\n"), HTTP_OTHER, "/", HTTP_BODY_NONE, 0, 0,
          0 },
        { "longest method", STR_INIT("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / HTTP/1.1\r\n\r\n"), HTTP_OTHER, "/",
          HTTP_BODY_NONE, 0, 0, 0 },
        { "absolute form", STR_INIT("GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_GET, "http://a/b",
          HTTP_BODY_NONE, 0, 0, 1 },
        { "8-bit in a value", STR_INIT(GET_ "X: caf\xc3\xa9 \xff\r\n\r\n"), HTTP_GET, "/", HTTP_BODY_NONE, 0,
          0, 1 },
        { "tab in a value", STR_INIT(GET_ "X: a\tb\t\tc 0123456789\t0123\r\n\r\n"), HTTP_GET, "/",
          HTTP_BODY_NONE, 0, 0, 1 },
        { "empty value", STR_INIT(GET_ "X:\r\n\r\n"), HTTP_GET, "/", HTTP_BODY_NONE, 0, 0, 1 },
        { "close", STR_INIT(GET_ "Connection: close\r\n\r\n"), HTTP_GET, "/", HTTP_BODY_NONE, 0, CLOSES, 1 },
        { "close in the second line", STR_INIT(GET_ "Connection: x\r\nConnection: y, Close\r\n\r\n"),
          HTTP_GET, "/", HTTP_BODY_NONE, 0, CLOSES, 2 },
        { "closer is not close", STR_INIT(GET_ "Connection: closer\r\n\r\n"), HTTP_GET, "/", HTTP_BODY_NONE,
          0, 0, 1 },
        { "expects", STR_INIT(POST "Content-Length: 5\r\nExpect: 100-Continue\r\n\r\n"), HTTP_POST, "/",
          HTTP_BODY_LENGTH, 5, CONTINUES, 3 },
        { "expects, chunked", STR_INIT(POST "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"),
          HTTP_POST, "/", HTTP_BODY_CHUNKED, 0, CONTINUES, 3 },
        { "expects but sends nothing", STR_INIT(POST "Expect: 100-continue\r\n\r\n"), HTTP_POST, "/",
          HTTP_BODY_NONE, 0, 0, 2 },
        { "expects with HTTP/1.0",
          STR_INIT("POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"), HTTP_POST, "/",
          HTTP_BODY_LENGTH, 5, CLOSES | HTTP10, 2 },
        { "websocket", STR_INIT(GET_ "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"),
          HTTP_GET, "/", HTTP_BODY_NONE, 0, UPGRADES, 2 },
        { "other protocol", STR_INIT(GET_ "Connection: upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"), HTTP_GET, "/",
          HTTP_BODY_NONE, 0, UPGRADES, 2 },
        { "upgrade not in Connection", STR_INIT(GET_ "Upgrade: websocket\r\n\r\n"), HTTP_GET, "/",
          HTTP_BODY_NONE, 0, 0, 1 },
        { "upgrade with HTTP/1.0",
          STR_INIT("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), HTTP_GET, "/",
          HTTP_BODY_NONE, 0, CLOSES | HTTP10, 2 },
        { "h2c",
          STR_INIT(GET_ "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"),
          HTTP_GET, "/", HTTP_BODY_NONE, 0, 0, 3 },
        { "H2C behind a list", STR_INIT(GET_ "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n"),
          HTTP_GET, "/", HTTP_BODY_NONE, 0, 0, 2 },
        { "H2C in capitals", STR_INIT(GET_ "Connection: Upgrade\r\nUpgrade: H2C\r\n\r\n"), HTTP_GET, "/",
          HTTP_BODY_NONE, 0, 0, 2 },
        { "HTTP/2.0", STR_INIT(GET_ "Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n\r\n"), HTTP_GET, "/",
          HTTP_BODY_NONE, 0, 0, 2 },
        { "h2c in a second line",
          STR_INIT(GET_ "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n"), HTTP_GET, "/",
          HTTP_BODY_NONE, 0, 0, 3 },
};

static void check_accepted(size_t i, const struct http_head *h)
{
        if (h->method != accepted[i].method || h->framing != accepted[i].framing ||
            h->content_length != accepted[i].length || h->fields_count != accepted[i].fields_count)
                fail_msg("%s: method %d framing %d length %llu fields %u", accepted[i].why, (int)h->method,
                         (int)h->framing, (unsigned long long)h->content_length, h->fields_count);
        unsigned flags = (h->keeps_alive ? 0u : CLOSES) | (h->expects_continue ? CONTINUES : 0u) |
                         (h->asks_upgrade ? UPGRADES : 0u) | (h->version_minor == 0 ? HTTP10 : 0u);
        if (flags != accepted[i].flags)
                fail_msg("%s: flags %u", accepted[i].why, flags);
        assert_str(h->target, str_of(accepted[i].target));
        assert_int_equal(h->bytes, accepted[i].in.len);
        assert_int_equal(h->status, 0);
}

static void test_accepted(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
                struct http_head h;
                struct http_refusal refusal;
                enum err e = parse(accepted[i].in, &h, &refusal);

                if (e != ERR_OK)
                        fail_msg("%s: ERR_%s %s", accepted[i].why, err_name(e), refusal.reason);
                check_accepted(i, &h);
                assert_err(parse_in_drops(accepted[i].in, &h, &refusal), ERR_OK);
                check_accepted(i, &h);
                check_splits(accepted[i].in, ERR_OK, NULL);
        }
}

static void test_fields(void **state)
{
        struct str in = STR("GET /a HTTP/1.1\r\nHost:  a \r\nX-One:1\r\ncookie: b\r\nCOOKIE: c\r\n\r\nrest");
        struct http_head h;
        struct http_refusal refusal;

        assert_err(parse(in, &h, &refusal), ERR_OK);
        assert_int_equal(h.bytes, in.len - 4);
        assert_str(h.method_text, STR("GET"));
        assert_str(h.fields[0].name, STR("Host"));
        assert_str(h.fields[0].value, STR("a"));
        assert_str(h.fields[0].line, STR("Host:  a \r\n"));
        assert_str(h.fields[1].line, STR("X-One:1\r\n"));
        assert_int_equal(h.fields[1].id, HTTP_FIELD_OTHER);
        assert_int_equal(h.first[HTTP_FIELD_HOST], 1);
        assert_int_equal(h.first[HTTP_FIELD_COOKIE], 3);
        assert_int_equal(h.first[HTTP_FIELD_VIA], 0);
        assert_str(http_value(&h, HTTP_FIELD_COOKIE), STR("b"));
        const struct http_field *second = http_find_next(&h, http_find(&h, HTTP_FIELD_COOKIE));
        assert_str(second->value, STR("c"));
        assert_null(http_find_next(&h, second));
}

/* A request whose head is `bytes` long. */
static struct str request_of(char *out, size_t bytes)
{
        static const char start[] = "GET / HTTP/1.1\r\nX: ";

        memset(out, 'x', bytes);
        memcpy(out, start, sizeof(start) - 1);
        memcpy(out + bytes - 4, "\r\n\r\n", 4);
        return (struct str){ out, bytes };
}

static void test_limit_head(void **state)
{
        char text[4096];
        struct http_head h;
        struct http_refusal refusal;

        assert_err(parse(request_of(text, 2047), &h, &refusal), ERR_OK);
        assert_err(parse(request_of(text, 2048), &h, &refusal), ERR_OK);
        assert_err(parse(request_of(text, 2049), &h, &refusal), ERR_TOO_LARGE);
        assert_int_equal(refusal.status, 431);
        assert_string_equal(refusal.reason, "head_too_large");
        check_splits(request_of(text, 2048), ERR_OK, NULL);
        check_splits(request_of(text, 2049), ERR_TOO_LARGE, "head_too_large");
        /* endless, never an end in sight */
        memset(text + 100, 'x', sizeof(text) - 100);
        assert_err(parse((struct str){ text, sizeof(text) }, &h, &refusal), ERR_TOO_LARGE);
        /* a fault past the limit is not looked at */
        text[3000] = '\0';
        assert_err(parse((struct str){ text, sizeof(text) }, &h, &refusal), ERR_TOO_LARGE);
}

static void test_limit_target(void **state)
{
        for (size_t n = 255; n <= 257; n++) {
                char text[512];
                struct http_head h;
                struct http_refusal refusal;

                memset(text, 'a', sizeof(text));
                memcpy(text, "GET /", 5);
                memcpy(text + 4 + n, " HTTP/1.1\r\n\r\n", 13);
                struct str in = { text, 4 + n + 13 };
                assert_err(parse(in, &h, &refusal), n <= 256 ? ERR_OK : ERR_TOO_LARGE);
                if (n > 256) {
                        assert_int_equal(refusal.status, 414);
                        check_splits(in, ERR_TOO_LARGE, "target_too_long");
                        in.len = 300; /* no end yet, and none is needed to judge */
                        memset(text + 5, 'a', sizeof(text) - 5);
                        assert_err(parse(in, &h, &refusal), ERR_TOO_LARGE);
                }
        }
}

static void test_limit_lines(void **state)
{
        for (int n = 19; n <= 21; n++) {
                char text[512];
                struct http_head h;
                struct http_refusal refusal;
                int len = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n");

                for (int i = 0; i < n; i++)
                        len += snprintf(text + len, sizeof(text) - (size_t)len, "X%d: y\r\n", i);
                len += snprintf(text + len, sizeof(text) - (size_t)len, "\r\n");
                assert_err(parse((struct str){ text, (size_t)len }, &h, &refusal),
                           n <= 20 ? ERR_OK : ERR_TOO_LARGE);
                if (n > 20) {
                        assert_int_equal(refusal.status, 431);
                        assert_string_equal(refusal.reason, "too_many_lines");
                }
        }
}

/* Requests one behind the other: each head ends where the next begins. */
static void test_pipelined(void **state)
{
        struct str in = STR(GET_ HOST "\r\n" POST "Content-Length: 0\r\n\r\n"
                                      "GET  / HTTP/1.1\r\n\r\n");
        struct http_head h;
        struct http_refusal refusal;

        assert_err(parse(in, &h, &refusal), ERR_OK);
        in = str_from(in, h.bytes);
        assert_err(parse(in, &h, &refusal), ERR_OK);
        assert_int_equal(h.method, HTTP_POST);
        in = str_from(in, h.bytes);
        assert_err(parse(in, &h, &refusal), ERR_MALFORMED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_refused),      cmocka_unit_test(test_accepted),
                cmocka_unit_test(test_fields),       cmocka_unit_test(test_limit_head),
                cmocka_unit_test(test_limit_target), cmocka_unit_test(test_limit_lines),
                cmocka_unit_test(test_pipelined),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
