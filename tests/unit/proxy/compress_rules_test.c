#include "proxy/compress_rules.h"

#include <stdio.h>
#include <string.h>

#include "http/h1_read.h"

#include "../test.h"

static const enum http_coding codings[] = { HTTP_ZSTD, HTTP_BR, HTTP_GZIP };
static const struct str types[] = { STR_INIT("text/*"), STR_INIT("*+json"), STR_INIT("application/json") };
static const struct compress_conf conf = { codings, 3, types, 3, 100, false };

static const struct h1_limits limits = { 4096, 1024, 50 };

static void request_read(const char *fields, struct http_head *head)
{
        static char bytes[2048];
        struct http_refusal refusal;
        size_t scanned = 0;

        snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
        assert_err(h1_request_parse(str_of(bytes), &limits, &scanned, head, &refusal), ERR_OK);
}

static void answer_read(const char *text, struct http_head *head)
{
        static char bytes[2048];
        struct http_refusal refusal;
        size_t scanned = 0;

        snprintf(bytes, sizeof(bytes), "HTTP/1.1 %s\r\n", text);
        assert_err(h1_response_parse(str_of(bytes), &limits, HTTP_GET, &scanned, head, &refusal), ERR_OK);
}

#define GZ    "Accept-Encoding: gzip\r\n"
#define HTML  "200 OK\r\nContent-Type: text/html\r\n"
#define LONG  HTML "Content-Length: 5000\r\n"
#define NO    COMPRESS_NO, HTTP_IDENTITY
#define OTHER COMPRESS_OTHER, HTTP_IDENTITY
#define YES   COMPRESS_YES

static const struct {
        const char *why, *request, *answer;
        enum compress_verdict verdict;
        enum http_coding coding;
} cases[] = {
        { "the ordinary page", GZ, LONG, YES, HTTP_GZIP },
        { "the server's order among equals", "Accept-Encoding: gzip, br, zstd\r\n", LONG, YES, HTTP_ZSTD },
        { "the client's weights before it", "Accept-Encoding: gzip, br;q=0.5, zstd;q=0.1\r\n", LONG, YES,
          HTTP_GZIP },
        { "anything", "Accept-Encoding: *\r\n", LONG, YES, HTTP_ZSTD },
        { "not that one", "Accept-Encoding: zstd;q=0, *\r\n", LONG, YES, HTTP_BR },
        { "identity preferred", "Accept-Encoding: identity, gzip;q=0.5\r\n", LONG, OTHER },
        { "no word of codings", "", LONG, OTHER },
        { "an empty one", "Accept-Encoding:\r\n", LONG, OTHER },
        { "none of ours", "Accept-Encoding: compress, deflate\r\n", LONG, OTHER },
        { "length unknown", GZ, HTML, YES, HTTP_GZIP },
        { "one byte under the least", GZ, HTML "Content-Length: 99\r\n", NO },
        { "just the least", GZ, HTML "Content-Length: 100\r\n", YES, HTTP_GZIP },
        { "a picture", GZ, "200 OK\r\nContent-Type: image/png\r\n", NO },
        { "no type", GZ, "200 OK\r\n", NO },
        { "type in capitals, with a parameter", GZ, "200 OK\r\nContent-Type: Text/HTML; charset=x\r\n", YES,
          HTTP_GZIP },
        { "a suffix", GZ, "200 OK\r\nContent-Type: application/problem+json\r\n", YES, HTTP_GZIP },
        { "events are not meant by text/*", GZ, "200 OK\r\nContent-Type: text/event-stream\r\n", NO },
        { "coded already", GZ, LONG "Content-Encoding: br\r\n", NO },
        { "said to be identity: leave it", GZ, LONG "Content-Encoding: identity\r\n", NO },
        { "no-transform", GZ, LONG "Cache-Control: public, No-Transform\r\n", NO },
        { "no-transform in a second field", GZ,
          LONG "Cache-Control: public\r\nCache-Control: no-transform\r\n", NO },
        { "the client wants no transform", GZ "Cache-Control: no-transform\r\n", LONG, OTHER },
        { "a part", GZ,
          "206 Partial Content\r\nContent-Type: text/html\r\nContent-Range: bytes 0-999/5000\r\n", NO },
        { "no content", GZ, "204 No Content\r\nContent-Type: text/html\r\n", NO },
        { "not modified", GZ, "304 Not Modified\r\nContent-Type: text/html\r\n", NO },
        { "an error's page", GZ, "404 Not Found\r\nContent-Type: text/html\r\n", YES, HTTP_GZIP },
        { "somebody vouches for the bytes", GZ, LONG "Repr-Digest: sha-256=:AAAA:\r\n", NO },
        { "and in the old way", GZ, LONG "Content-MD5: AAAA\r\n", NO },
        { "a cookie, from who knows where", GZ "Cookie: a=b\r\n", LONG, OTHER },
        { "a cookie, from another site's page", GZ "Cookie: a=b\r\nSec-Fetch-Site: cross-site\r\n", LONG,
          OTHER },
        { "from a sibling name", GZ "Cookie: a=b\r\nSec-Fetch-Site: same-site\r\n", LONG, OTHER },
        { "a cookie, from its own pages", GZ "Cookie: a=b\r\nSec-Fetch-Site: same-origin\r\n", LONG, YES,
          HTTP_GZIP },
        { "a cookie, typed in", GZ "Cookie: a=b\r\nSec-Fetch-Site: none\r\n", LONG, YES, HTTP_GZIP },
        { "Basic goes by itself as well", GZ "Authorization: Basic YTpi\r\n", LONG, OTHER },
        { "a bearer's token does not", GZ "Authorization: Bearer abc\r\n", LONG, YES, HTTP_GZIP },
};

static void judges(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct http_field a[50], b[50];
                struct http_head request = { .fields = a, .fields_max = 50 },
                                 answer = { .fields = b, .fields_max = 50 };
                enum http_coding coding;

                request_read(cases[i].request, &request);
                answer_read(cases[i].answer, &answer);
                enum compress_verdict verdict = compress_judge(&conf, &request, &answer, &coding);
                if (verdict != cases[i].verdict || coding != cases[i].coding)
                        print_error("%s\n", cases[i].why);
                assert_int_equal(verdict, cases[i].verdict);
                assert_int_equal(coding, cases[i].coding);
        }
}

static void rules_of_the_operator(void **state)
{
        static const struct str events[] = { STR_INIT("text/event-stream") };
        struct compress_conf own = conf;
        struct http_field a[50], b[50];
        struct http_head request = { .fields = a, .fields_max = 50 },
                         answer = { .fields = b, .fields_max = 50 };
        enum http_coding coding;

        own.with_cookies = true;
        request_read(GZ "Cookie: a=b\r\n", &request);
        answer_read(LONG, &answer);
        assert_int_equal(compress_judge(&own, &request, &answer, &coding), COMPRESS_YES);
        own.types = events;
        own.types_count = 1;
        answer.fields_count = 0;
        memset(answer.first, 0, sizeof(answer.first));
        answer_read("200 OK\r\nContent-Type: text/event-stream\r\n", &answer);
        assert_int_equal(compress_judge(&own, &request, &answer, &coding), COMPRESS_YES);
        http_remove(&request,
                    HTTP_FIELD_ACCEPT_ENCODING); /* a rule for the way up: the client said it all the same */
        assert_int_equal(compress_judge(&own, &request, &answer, &coding), COMPRESS_YES);
        request.version_minor = 0;
        assert_int_equal(compress_judge(&own, &request, &answer, &coding), COMPRESS_OTHER);
}

static const char *value(const struct http_head *h, const char *name)
{
        static char text[256];
        const struct http_field *f = http_find_name(h, str_of(name));

        snprintf(text, sizeof(text), "%.*s%s", f ? (int)f->value.len : 4, f ? f->value.ptr : "none",
                 f && http_find_next(h, f) ? "+" : "");
        return text;
}

static const struct {
        const char *why, *answer, *vary, *etag;
} heads[] = {
        { "a strong tag becomes weak", LONG "ETag: \"v1\"\r\n", "Accept-Encoding", "W/\"v1\"" },
        { "a weak one stays", LONG "ETag: W/\"v1\"\r\n", "Accept-Encoding", "W/\"v1\"" },
        { "said once", LONG "Vary: accept-encoding, Origin\r\n", "accept-encoding, Origin", "none" },
        { "beside others", LONG "Vary: Origin\r\n", "Origin+", "none" },
        { "everything varies", LONG "Vary: *\r\n", "*", "none" },
};

static void changes_heads(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
                struct http_field fields[50];
                struct http_head head = { .fields = fields, .fields_max = 50 };
                char memory[512];
                struct arena a;

                arena_init(&a, memory, sizeof(memory), sizeof(memory));
                answer_read(heads[i].answer, &head);
                assert_err(http_add(&head, STR("Accept-Ranges"), STR("bytes")), ERR_OK);
                assert_err(compress_head(&head, HTTP_BR, &a), ERR_OK);
                assert_string_equal(value(&head, "Vary"), heads[i].vary);
                assert_string_equal(value(&head, "ETag"), heads[i].etag);
                assert_string_equal(value(&head, "Content-Encoding"), "br");
                assert_string_equal(value(&head, "Content-Length"), "none");
                assert_string_equal(value(&head, "Accept-Ranges"), "none");
                assert_int_equal(head.framing, HTTP_BODY_UNTIL_CLOSE);
                arena_fini(&a);
        }
}

static const struct {
        const char *why, *asked, *etag, *out;
} not_modified[] = {
        { "the weak tag of ours", "W/\"v1\"", "\"v1\"", "W/\"v1\"" },
        { "among others", "\"v0\", W/\"v1\"", "\"v1\"", "W/\"v1\"" },
        { "what it has is strong", "\"v1\"", "\"v1\"", "\"v1\"" },
        { "another's", "W/\"v2\"", "\"v1\"", "\"v1\"" },
        { "weak from the start", "W/\"v1\"", "W/\"v1\"", "W/\"v1\"" },
};

static void a_304_speaks_of_what_the_client_has(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(not_modified); i++) {
                struct http_field a[50], b[50];
                struct http_head request = { .fields = a, .fields_max = 50 },
                                 answer = { .fields = b, .fields_max = 50 };
                char memory[512];
                struct arena arena;

                arena_init(&arena, memory, sizeof(memory), sizeof(memory));
                assert_err(http_add(&request, STR("If-None-Match"), str_of(not_modified[i].asked)), ERR_OK);
                assert_err(http_add(&answer, STR("ETag"), str_of(not_modified[i].etag)), ERR_OK);
                assert_err(compress_not_modified(&request, &answer, &arena), ERR_OK);
                assert_string_equal(value(&answer, "ETag"), not_modified[i].out);
                arena_fini(&arena);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(judges),
                cmocka_unit_test(rules_of_the_operator),
                cmocka_unit_test(changes_heads),
                cmocka_unit_test(a_304_speaks_of_what_the_client_has),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
