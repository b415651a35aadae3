#include "http/h2_fields.h"
#include "http/h2_list.h"

#include <stdio.h>
#include <stdlib.h>

#include "http/h1_write.h"
#include "http/websocket_handshake.h"

#include "../test.h"

static const struct h1_limits limits = { .head_bytes_max = 2048, .target_bytes_max = 64, .lines_max = 8 };

static struct http_field fields[40];
static char memory[16384];

/* A list is written "name=value|name=value"; the '=' is the first after the first byte of a name. */
static void section_fill(struct h2_section *s, enum h2_section_kind kind, struct str list)
{
        struct str part;

        h2_section_init(s, kind, &limits);
        while (list.len && str_split(&list, '|', &part)) {
                size_t eq = str_find_char(part, '=');

                h2_section_add(s, str_sub(part, 0, eq), str_from(part, eq + 1));
        }
}

#define GET_   ":method=GET|:scheme=https|:path=/"
#define A      "|:authority=a"
#define GET    GET_ A
#define POST   ":method=POST|:scheme=https|:path=/|:authority=a"
#define TUNNEL ":method=CONNECT|:protocol=websocket|:scheme=https|:path=/chat|:authority=a"
#define KEY    STR("dGhlIHNhbXBsZSBub25jZQ==")

/* status 0: the stream is reset, and nothing went on. */
static const struct {
        const char *why;
        struct str list;
        bool is_open; /* a body follows */
        uint16_t status;
        const char *reason;
} refused[] = {
        { "CR in a value", STR_INIT(GET "|x=a\rb"), false, 0, "h2_value" },
        { "LF in a value", STR_INIT(GET "|x=a\nb"), false, 0, "h2_value" },
        { "a whole line in a value", STR_INIT(GET "|x=a\r\nevil: 1"), false, 0, "h2_value" },
        { "a request in a value", STR_INIT(GET "|x=a\r\n\r\nGET /b HTTP/1.1"), false, 0, "h2_value" },
        { "NUL in a value", STR_INIT(GET "|x=a\0b"), false, 0, "h2_value" },
        { "DEL in a value", STR_INIT(GET "|x=a\x7f"), false, 0, "h2_value" },
        { "space before a value", STR_INIT(GET "|x= a"), false, 0, "h2_value" },
        { "tab behind a value", STR_INIT(GET "|x=a\t"), false, 0, "h2_value" },
        { "CR LF in a name", STR_INIT(GET "|x\r\ny=a"), false, 0, "h2_name" },
        { "colon in a name", STR_INIT(GET "|x:y=a"), false, 0, "h2_name" },
        { "colon behind a name", STR_INIT(GET "|host:=b"), false, 0, "h2_name" },
        { "space in a name", STR_INIT(GET "|x y=a"), false, 0, "h2_name" },
        { "space behind a name", STR_INIT(GET "|content-length =5"), false, 0, "h2_name" },
        { "NUL in a name", STR_INIT(GET "|x\0y=a"), false, 0, "h2_name" },
        { "empty name", STR_INIT(GET "|=a"), false, 0, "h2_name" },
        { "8-bit in a name", STR_INIT(GET "|x\xe9=a"), false, 0, "h2_name" },
        { "upper case", STR_INIT(GET "|X=a"), false, 0, "h2_name_case" },
        { "upper case in the middle", STR_INIT(GET "|content-Length=0"), false, 0, "h2_name_case" },

        { "connection", STR_INIT(GET "|connection=close"), false, 0, "h2_connection_field" },
        { "keep-alive", STR_INIT(GET "|keep-alive=5"), false, 0, "h2_connection_field" },
        { "proxy-connection", STR_INIT(GET "|proxy-connection=close"), false, 0, "h2_connection_field" },
        { "transfer-encoding", STR_INIT(POST "|transfer-encoding=chunked"), true, 0, "h2_connection_field" },
        { "upgrade", STR_INIT(GET "|upgrade=websocket"), false, 0, "h2_connection_field" },
        { "te", STR_INIT(GET "|te=gzip"), false, 0, "h2_te" },
        { "te with more", STR_INIT(GET "|te=trailers, gzip"), false, 0, "h2_te" },

        { "no method", STR_INIT(":scheme=https|:path=/" A), false, 0, "h2_pseudo_missing" },
        { "no scheme", STR_INIT(":method=GET|:path=/" A), false, 0, "h2_pseudo_missing" },
        { "no path", STR_INIT(":method=GET|:scheme=https" A), false, 0, "h2_pseudo_missing" },
        { "nothing", STR_INIT(""), false, 0, "h2_pseudo_missing" },
        { "method twice", STR_INIT(GET "|:method=GET"), false, 0, "h2_pseudo_twice" },
        { "path twice", STR_INIT(GET "|:path=/"), false, 0, "h2_pseudo_twice" },
        { "authority twice", STR_INIT(GET "|:authority=a"), false, 0, "h2_pseudo_twice" },
        { "pseudo behind a field", STR_INIT(GET_ "|x=a|:authority=a"), false, 0, "h2_pseudo_late" },
        { "unknown pseudo", STR_INIT(GET "|:evil=1"), false, 0, "h2_pseudo_unknown" },
        { "an answer's pseudo", STR_INIT(GET "|:status=200"), false, 0, "h2_pseudo_unknown" },
        { "upper case pseudo", STR_INIT(":Method=GET|:scheme=https|:path=/" A), false, 0,
          "h2_pseudo_unknown" },

        { "empty path", STR_INIT(":method=GET|:scheme=https|:path=" A), false, 0, "h2_path" },
        { "space in the path", STR_INIT(":method=GET|:scheme=https|:path=/a HTTP/1.1" A), false, 0,
          "h2_path" },
        { "a line in the path", STR_INIT(":method=GET|:scheme=https|:path=/ HTTP/1.1\r\nhost: b\r\nx: y" A),
          false, 0, "h2_path" },
        { "fragment", STR_INIT(":method=GET|:scheme=https|:path=/#a" A), false, 0, "h2_path" },
        { "8-bit in the path", STR_INIT(":method=GET|:scheme=https|:path=/\xc3\xa9" A), false, 0, "h2_path" },
        { "absolute path", STR_INIT(":method=GET|:scheme=https|:path=http://b/" A), false, 0, "h2_path" },
        { "relative path", STR_INIT(":method=GET|:scheme=https|:path=a" A), false, 0, "h2_path" },
        { "space in the method", STR_INIT(":method=GET /x|:scheme=https|:path=/" A), false, 0, "h2_method" },
        { "a line in the method", STR_INIT(":method=GET / HTTP/1.1\r\nx:|:scheme=https|:path=/" A), false, 0,
          "h2_method" },
        { "empty method", STR_INIT(":method=|:scheme=https|:path=/" A), false, 0, "h2_method" },
        { "endless method", STR_INIT(":method=ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG|:scheme=https|:path=/" A),
          false, 0, "h2_method" },
        { "scheme with more", STR_INIT(":method=GET|:scheme=https://b/|:path=/" A), false, 0, "h2_scheme" },
        { "other scheme", STR_INIT(":method=GET|:scheme=file|:path=/" A), false, 0, "h2_scheme" },
        { "empty authority", STR_INIT(GET_ "|:authority="), false, 0, "h2_authority" },
        { "space in the authority", STR_INIT(GET_ "|:authority=a b"), false, 0, "h2_authority" },
        { "a line in the authority", STR_INIT(GET_ "|:authority=a\r\nx: y"), false, 0, "h2_authority" },
        { "path in the authority", STR_INIT(GET_ "|:authority=a/b"), false, 0, "h2_authority" },
        { "query in the authority", STR_INIT(GET_ "|:authority=a?b"), false, 0, "h2_authority" },
        { "Host is another", STR_INIT(GET "|host=b"), false, 400, "host_differs" },
        { "Host is longer", STR_INIT(GET "|host=a.b"), false, 400, "host_differs" },

        { "length, but no body", STR_INIT(POST "|content-length=5"), false, 0, "h2_content_length" },
        { "two lengths", STR_INIT(POST "|content-length=5|content-length=5"), true, 0, "h2_content_length" },
        { "list of lengths", STR_INIT(POST "|content-length=5,5"), true, 0, "h2_content_length" },
        { "signed length", STR_INIT(POST "|content-length=+5"), true, 0, "h2_content_length" },
        { "empty length", STR_INIT(POST "|content-length="), true, 0, "h2_content_length" },
        { "unknown expectation", STR_INIT(POST "|expect=200-ok"), true, 417, "expect" },

        { "CONNECT", STR_INIT(":method=CONNECT|:authority=a:443"), true, 405, "connect" },
        { "CONNECT with a path", STR_INIT(":method=CONNECT|:scheme=https|:path=/" A), true, 0,
          "h2_pseudo_missing" },
        { "CONNECT without authority", STR_INIT(":method=CONNECT"), true, 0, "h2_pseudo_missing" },
        { "protocol without CONNECT", STR_INIT(GET "|:protocol=websocket"), true, 0, "h2_pseudo_missing" },
        { "protocol without path", STR_INIT(":method=CONNECT|:protocol=websocket|:authority=a"), true, 0,
          "h2_pseudo_missing" },
        { "another protocol", STR_INIT(":method=CONNECT|:protocol=connect-udp|:scheme=https|:path=/" A), true,
          501, "h2_protocol_unknown" },
        { "a tunnel with a length", STR_INIT(TUNNEL "|content-length=5"), true, 0, "h2_content_length" },

        { "too many fields", STR_INIT(GET "|a=1|b=1|c=1|d=1|e=1|f=1|g=1|h=1|i=1"), false, 431,
          "head_too_large" },
        { "long target",
          STR_INIT(":method=GET|:scheme=https|:path=/"
                   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" A),
          false, 414, "target_too_long" },
};

static void test_refused(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
                struct h2_section s;
                struct http_head h = { .fields = fields, .fields_max = ARRAY_SIZE(fields) };
                struct http_refusal refusal = { 0, "" };

                section_fill(&s, H2_SECTION_REQUEST, refused[i].list);
                enum err e = h2_section_request(&s, !refused[i].is_open, KEY, &h, &refusal);
                if (e == ERR_OK || (e == ERR_MALFORMED) != (refused[i].status == 0) ||
                    (refused[i].status && refused[i].status != refusal.status) ||
                    strcmp(refusal.reason, refused[i].reason) != 0)
                        fail_msg("%s: ERR_%s %u %s", refused[i].why, err_name(e), refusal.status,
                                 refusal.reason);
                h2_section_fini(&s);
        }
}

/* What is accepted, as the HTTP/1.1 head it becomes. */
static const struct {
        const char *why;
        struct str list;
        bool is_open;
        struct str text;
        enum http_framing framing;
} accepted[] = {
        { "ordinary", STR_INIT(GET "|x=1"), false, STR_INIT("GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n\r\n"),
          HTTP_BODY_NONE },
        { "Host alone", STR_INIT(GET_ "|host=b"), false, STR_INIT("GET / HTTP/1.1\r\nhost: b\r\n\r\n"),
          HTTP_BODY_NONE },
        { "both alike but for case", STR_INIT(GET "|host=A"), false,
          STR_INIT("GET / HTTP/1.1\r\nhost: a\r\n\r\n"), HTTP_BODY_NONE },
        { "body with a length", STR_INIT(POST "|content-length=5"), true,
          STR_INIT("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n"), HTTP_BODY_LENGTH },
        { "body without", STR_INIT(POST), true, STR_INIT("POST / HTTP/1.1\r\nhost: a\r\n\r\n"),
          HTTP_BODY_CHUNKED },
        { "empty body with a length", STR_INIT(POST "|content-length=0"), false,
          STR_INIT("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"), HTTP_BODY_LENGTH },
        { "crumbs", STR_INIT(GET "|cookie=a=1|x=y|cookie=b=2|cookie=c"), false,
          STR_INIT("GET / HTTP/1.1\r\nhost: a\r\nx: y\r\ncookie: a=1; b=2; c\r\n\r\n"), HTTP_BODY_NONE },
        { "many crumbs are one line",
          STR_INIT(GET "|cookie=1|cookie=2|cookie=3|cookie=4|cookie=5|cookie=6|cookie=7|cookie=8|cookie=9"),
          false, STR_INIT("GET / HTTP/1.1\r\nhost: a\r\ncookie: 1; 2; 3; 4; 5; 6; 7; 8; 9\r\n\r\n"),
          HTTP_BODY_NONE },
        { "te of gRPC", STR_INIT(POST "|te=trailers"), true,
          STR_INIT("POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\n\r\n"), HTTP_BODY_CHUNKED },
        { "an empty value", STR_INIT(GET "|x="), false, STR_INIT("GET / HTTP/1.1\r\nhost: a\r\nx: \r\n\r\n"),
          HTTP_BODY_NONE },
        { "any method", STR_INIT(":method=PROPFIND|:scheme=http|:path=/a?b=c|:authority=a"), false,
          STR_INIT("PROPFIND /a?b=c HTTP/1.1\r\nhost: a\r\n\r\n"), HTTP_BODY_NONE },
        { "asterisk", STR_INIT(":method=OPTIONS|:scheme=http|:path=*|:authority=a"), false,
          STR_INIT("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n"), HTTP_BODY_NONE },
        { "WebSocket", STR_INIT(TUNNEL "|sec-websocket-version=13|sec-websocket-key=x"), true,
          STR_INIT("GET /chat HTTP/1.1\r\nhost: a\r\nsec-websocket-version: 13\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nUpgrade: websocket\r\n"
                   "Connection: Upgrade\r\n\r\n"),
          HTTP_BODY_NONE },
};

static void test_accepted(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
                struct h2_section s;
                struct http_head h = { .fields = fields, .fields_max = ARRAY_SIZE(fields) };
                struct http_refusal refusal = { 0, "" };
                struct h1_vector v = { 0 };
                struct arena arena;

                arena_init(&arena, memory, sizeof(memory), sizeof(memory));
                section_fill(&s, H2_SECTION_REQUEST, accepted[i].list);
                enum err e = h2_section_request(&s, !accepted[i].is_open, KEY, &h, &refusal);
                if (e != ERR_OK || h.framing != accepted[i].framing)
                        fail_msg("%s: ERR_%s %s", accepted[i].why, err_name(e), refusal.reason);
                assert_err(h1_request_write(&h, h.target, &arena, &v), ERR_OK);
                assert_err(h1_vector_flatten(&v, &arena), ERR_OK);
                assert_str(((struct str){ v.parts[0].iov_base, v.parts[0].iov_len }), accepted[i].text);
                h2_section_fini(&s);
                arena_fini(&arena);
        }
}

/* Lines received together stay one range for the writer. */
static void test_one_range(void **state)
{
        struct h2_section s;
        struct http_head h = { .fields = fields, .fields_max = ARRAY_SIZE(fields) };
        struct http_refusal refusal;

        section_fill(&s, H2_SECTION_REQUEST, STR(GET "|a=1|b=2|c=3"));
        assert_err(h2_section_request(&s, true, KEY, &h, &refusal), ERR_OK);
        assert_int_equal(h.fields_count, 4);
        for (size_t i = 1; i < h.fields_count; i++)
                assert_ptr_equal(h.fields[i].line.ptr, h.fields[i - 1].line.ptr + h.fields[i - 1].line.len);
        h2_section_fini(&s);
}

static void test_websocket_is_asked(void **state)
{
        struct h2_section s;
        struct http_head h = { .fields = fields, .fields_max = ARRAY_SIZE(fields) };
        struct http_refusal refusal;

        section_fill(&s, H2_SECTION_REQUEST, STR(TUNNEL "|sec-websocket-version=13"));
        assert_err(h2_section_request(&s, false, KEY, &h, &refusal), ERR_OK);
        assert_true(websocket_is_asked(&h));
        assert_err(websocket_request_check(&h, &refusal), ERR_OK);
        assert_err(h2_section_request(&s, false, STR_NULL, &h, &refusal), ERR_UNSUPPORTED);
        assert_int_equal(refusal.status, 501);
        h2_section_fini(&s);
}

/* Over the limit all is still judged, nothing more is kept. */
static void test_list_too_large(void **state)
{
        struct h2_section s;
        struct http_head h = { .fields = fields, .fields_max = ARRAY_SIZE(fields) };
        struct http_refusal refusal;
        char value[512];

        memset(value, 'v', sizeof(value));
        section_fill(&s, H2_SECTION_REQUEST, STR(GET));
        for (int i = 0; i < 10000; i++)
                h2_section_add(&s, STR("x"), (struct str){ value, sizeof(value) });
        assert_true(s.text.len <= limits.head_bytes_max);
        assert_err(h2_section_request(&s, true, KEY, &h, &refusal), ERR_TOO_LARGE);
        assert_int_equal(refusal.status, 431);
        h2_section_add(&s, STR("x"), STR("a\nb"));
        assert_err(h2_section_request(&s, true, KEY, &h, &refusal), ERR_MALFORMED);
        h2_section_fini(&s);
}

static const struct {
        const char *why;
        struct str list;
        bool is_open;
        enum http_method method;
        const char *reason; /* NULL: accepted */
        uint16_t status;
        enum http_framing framing;
} answers[] = {
        { "with a body", STR_INIT(":status=200|x=1"), true, HTTP_GET, NULL, 200, HTTP_BODY_CHUNKED },
        { "with a length", STR_INIT(":status=200|content-length=3"), true, HTTP_GET, NULL, 200,
          HTTP_BODY_LENGTH },
        { "ended at once: an HTTP/1.1 client must see that", STR_INIT(":status=200"), false, HTTP_GET, NULL,
          200, HTTP_BODY_CHUNKED },
        { "of HEAD", STR_INIT(":status=200|content-length=3"), false, HTTP_HEAD, NULL, 200, HTTP_BODY_NONE },
        { "304 with a length", STR_INIT(":status=304|content-length=3"), false, HTTP_GET, NULL, 304,
          HTTP_BODY_NONE },
        { "early hints", STR_INIT(":status=103|link=x"), true, HTTP_GET, NULL, 103, HTTP_BODY_NONE },
        { "cookies stay apart", STR_INIT(":status=200|set-cookie=a|set-cookie=b"), false, HTTP_GET, NULL, 200,
          HTTP_BODY_CHUNKED },
        { "101", STR_INIT(":status=101"), true, HTTP_GET, "h2_status", 0, HTTP_BODY_NONE },
        { "an interim answer at the end", STR_INIT(":status=103"), false, HTTP_GET, "h2_status", 0,
          HTTP_BODY_NONE },
        { "status of two digits", STR_INIT(":status=20"), true, HTTP_GET, "h2_status", 0, HTTP_BODY_NONE },
        { "status with more", STR_INIT(":status=200 OK"), true, HTTP_GET, "h2_status", 0, HTTP_BODY_NONE },
        { "status 600", STR_INIT(":status=600"), true, HTTP_GET, "h2_status", 0, HTTP_BODY_NONE },
        { "no status", STR_INIT("x=1"), true, HTTP_GET, "h2_pseudo_missing", 0, HTTP_BODY_NONE },
        { "a request's pseudo", STR_INIT(":status=200|:path=/"), true, HTTP_GET, "h2_pseudo_unknown", 0,
          HTTP_BODY_NONE },
        { "length, but no body", STR_INIT(":status=200|content-length=3"), false, HTTP_GET,
          "h2_content_length", 0, HTTP_BODY_NONE },
        { "body of a 204", STR_INIT(":status=204|content-length=3"), true, HTTP_GET, "body_forbidden", 0,
          HTTP_BODY_NONE },
        { "chunked", STR_INIT(":status=200|transfer-encoding=chunked"), true, HTTP_GET, "h2_connection_field",
          0, HTTP_BODY_NONE },
        { "a line in a value", STR_INIT(":status=200|x=a\r\nset-cookie: b"), true, HTTP_GET, "h2_value", 0,
          HTTP_BODY_NONE },
};

static void test_answers(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                struct h2_section s;
                struct http_head h = { .fields = fields, .fields_max = ARRAY_SIZE(fields) };
                struct http_refusal refusal = { 0, "" };

                section_fill(&s, H2_SECTION_ANSWER, answers[i].list);
                enum err e = h2_section_answer(&s, !answers[i].is_open, answers[i].method, &h, &refusal);
                bool is_right = answers[i].reason
                                        ? e == ERR_MALFORMED && strcmp(refusal.reason, answers[i].reason) == 0
                                        : e == ERR_OK && h.status == answers[i].status &&
                                                  h.framing == answers[i].framing;
                if (!is_right)
                        fail_msg("%s: ERR_%s %s", answers[i].why, err_name(e), refusal.reason);
                h2_section_fini(&s);
        }
}

static const struct {
        const char *why;
        struct str list;
        const char *reason; /* NULL: accepted */
        size_t count;
} trailers[] = {
        { "of gRPC", STR_INIT("grpc-status=0|grpc-message=ok"), NULL, 2 },
        { "none", STR_INIT(""), NULL, 0 },
        { "too late to mean anything", STR_INIT("grpc-status=0|content-type=x|set-cookie=a"), NULL, 1 },
        { "pseudo", STR_INIT(":path=/"), "h2_pseudo_unknown", 0 },
        { "length", STR_INIT("content-length=1"), "trailer_forbidden", 0 },
        { "credential", STR_INIT("authorization=x"), "trailer_forbidden", 0 },
        { "identity", STR_INIT("x-sekisho-user=root"), "trailer_forbidden", 0 },
        { "identity with an underscore", STR_INIT("tailscale_user_login=root"), "trailer_forbidden", 0 },
        { "transfer-encoding", STR_INIT("transfer-encoding=chunked"), "h2_connection_field", 0 },
        { "a line in a value", STR_INIT("x=a\r\n\r\n0\r\n"), "h2_value", 0 },
};

static void test_trailers(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(trailers); i++) {
                struct h2_section s;
                struct http_refusal refusal = { 0, "" };
                size_t count = 0;

                section_fill(&s, H2_SECTION_TRAILERS, trailers[i].list);
                enum err e = h2_section_trailers(&s, fields, &count, &refusal);
                bool is_right = trailers[i].reason ? e == ERR_MALFORMED &&
                                                             strcmp(refusal.reason, trailers[i].reason) == 0
                                                   : e == ERR_OK && count == trailers[i].count;
                if (!is_right)
                        fail_msg("%s: ERR_%s %s, %zu", trailers[i].why, err_name(e), refusal.reason, count);
                h2_section_fini(&s);
        }
}

static struct str list_text(const struct h2_list *l, struct arena *a)
{
        struct str text = STR("");

        for (size_t i = 0; i < l->count; i++) {
                struct str parts[] = { text, i ? STR("|") : STR(""), l->pairs[i].name, STR("="),
                                       l->pairs[i].value };
                text = arena_join(a, parts, ARRAY_SIZE(parts));
        }
        return text;
}

static void test_lists(void **state)
{
        struct http_head h = {
                .fields = fields, .fields_max = ARRAY_SIZE(fields), .method = HTTP_GET, .status = 200
        };
        struct h2_list list;
        struct arena arena;

        arena_init(&arena, memory, sizeof(memory), sizeof(memory));
        assert_err(http_add(&h, STR("Host"), STR("a")), ERR_OK);
        assert_err(http_add(&h, STR("Content-Type"), STR("text/plain")), ERR_OK);
        assert_err(http_add(&h, STR("Authorization"), STR("Bearer x")), ERR_OK);
        assert_err(http_add(&h, STR("Connection"), STR("close")), ERR_OK);
        assert_err(http_add(&h, STR("Transfer-Encoding"), STR("chunked")), ERR_OK);
        assert_err(http_add(&h, STR("TE"), STR("trailers")), ERR_OK);
        assert_err(h2_list_request(&h, STR("https"), STR("/x?y"), &arena, &list), ERR_OK);
        assert_str(list_text(&list, &arena),
                   STR(":method=GET|:scheme=https|:authority=a|:path=/x?y|content-type=text/plain|"
                       "authorization=Bearer x|te=trailers"));
        assert_true(list.pairs[5].is_unindexed);
        assert_false(list.pairs[4].is_unindexed);
        assert_err(http_add(&h, STR("X-Sekisho-Request-Id"), STR("once")), ERR_OK);
        assert_err(h2_list_answer(&h, &arena, &list), ERR_OK);
        assert_true(list.pairs[list.count - 1].is_unindexed);
        http_remove_name(&h, STR("X-Sekisho-Request-Id"));
        assert_err(h2_list_answer(&h, &arena, &list), ERR_OK);
        assert_str(list_text(&list, &arena),
                   STR(":status=200|content-type=text/plain|authorization=Bearer x|te=trailers"));
        assert_err(h2_list_trailers(h.fields + 1, 1, &arena, &list), ERR_OK);
        assert_str(list_text(&list, &arena), STR("content-type=text/plain"));
        assert_err(h2_list_request(&h, STR("https"), STR("/x y"), &arena, &list), ERR_MALFORMED);
        arena_fini(&arena);
}

/* HTTP/1.1's upgrade and HTTP/2's extended CONNECT are one thing, both ways. */
static void test_tunnel_lists(void **state)
{
        struct http_head h = {
                .fields = fields, .fields_max = ARRAY_SIZE(fields), .method = HTTP_GET, .asks_upgrade = true
        };
        struct h2_list list;
        struct arena arena;

        arena_init(&arena, memory, sizeof(memory), sizeof(memory));
        assert_err(http_add(&h, STR("Host"), STR("a")), ERR_OK);
        assert_err(http_add(&h, STR("Upgrade"), STR("websocket")), ERR_OK);
        assert_err(http_add(&h, STR("Connection"), STR("upgrade")), ERR_OK);
        assert_err(http_add(&h, STR("Sec-WebSocket-Key"), KEY), ERR_OK);
        assert_err(http_add(&h, STR("Sec-WebSocket-Version"), STR("13")), ERR_OK);
        assert_err(h2_list_request(&h, STR("https"), STR("/chat"), &arena, &list), ERR_OK);
        assert_str(list_text(&list, &arena), STR(":method=CONNECT|:protocol=websocket|:scheme=https|"
                                                 ":authority=a|:path=/chat|sec-websocket-version=13"));
        h.status = 101;
        http_remove(&h, HTTP_FIELD_SEC_WEBSOCKET_VERSION);
        assert_err(http_add(&h, STR("Sec-WebSocket-Accept"), STR("x")), ERR_OK);
        assert_err(http_add(&h, STR("Sec-WebSocket-Protocol"), STR("chat")), ERR_OK);
        assert_err(h2_list_answer(&h, &arena, &list), ERR_OK);
        assert_str(list_text(&list, &arena), STR(":status=200|sec-websocket-protocol=chat"));
        arena_fini(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_refused),        cmocka_unit_test(test_accepted),
                cmocka_unit_test(test_one_range),      cmocka_unit_test(test_websocket_is_asked),
                cmocka_unit_test(test_list_too_large), cmocka_unit_test(test_answers),
                cmocka_unit_test(test_trailers),       cmocka_unit_test(test_lists),
                cmocka_unit_test(test_tunnel_lists),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
