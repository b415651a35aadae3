#include "http/websocket_handshake.h"

#include "../test.h"

static const struct h1_limits limits = { 4096, 256, 20 };
static struct http_field request_fields[24], answer_fields[24];

static struct http_head request_of(const char *text)
{
        struct http_head h = { .fields = request_fields, .fields_max = ARRAY_SIZE(request_fields) };
        struct http_refusal refusal;

        assert_err(h1_request_parse(str_of(text), &limits, &(size_t){ 0 }, &h, &refusal), ERR_OK);
        return h;
}

#define START     "GET /ws HTTP/1.1\r\nHost: a\r\n"
#define UPGRADE   "Connection: Upgrade\r\nUpgrade: websocket\r\n"
#define VERSION13 "Sec-WebSocket-Version: 13\r\n"
#define KEY       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define END       "\r\n"

static const struct {
        const char *why, *in;
        uint16_t status; /* 0: fine */
        const char *reason;
} requests[] = {
        { "as the RFC has it", START UPGRADE VERSION13 KEY END, 0, NULL },
        { "browser", START "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" VERSION13 KEY END, 0,
          NULL },
        { "POST", "POST /ws HTTP/1.1\r\n" UPGRADE VERSION13 KEY END, 400, "websocket_method" },
        { "HTTP/1.0", "GET /ws HTTP/1.0\r\n" UPGRADE VERSION13 KEY END, 400, "websocket_upgrade" },
        { "no Connection", START "Upgrade: websocket\r\n" VERSION13 KEY END, 400, "websocket_upgrade" },
        { "Connection says other things",
          START "Connection: close\r\nUpgrade: websocket\r\n" VERSION13 KEY END, 400, "websocket_upgrade" },
        { "two protocols", START "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n" VERSION13 KEY END, 400,
          "websocket_upgrade" },
        { "a body", START UPGRADE VERSION13 KEY "Content-Length: 1\r\n" END, 400, "websocket_body" },
        { "a chunked body", START UPGRADE VERSION13 KEY "Transfer-Encoding: chunked\r\n" END, 400,
          "websocket_body" },
        { "no version", START UPGRADE KEY END, 426, "websocket_version" },
        { "version 8", START UPGRADE KEY "Sec-WebSocket-Version: 8\r\n" END, 426, "websocket_version" },
        { "version list", START UPGRADE KEY "Sec-WebSocket-Version: 13, 8\r\n" END, 426,
          "websocket_version" },
        { "version twice", START UPGRADE KEY VERSION13 VERSION13 END, 426, "websocket_version" },
        { "version 013", START UPGRADE KEY "Sec-WebSocket-Version: 013\r\n" END, 426, "websocket_version" },
        { "no key", START UPGRADE VERSION13 END, 400, "websocket_key" },
        { "key twice", START UPGRADE VERSION13 KEY KEY END, 400, "websocket_key" },
        { "short key", START UPGRADE VERSION13 "Sec-WebSocket-Key: AAAA\r\n" END, 400, "websocket_key" },
        { "key of 17 bytes", START UPGRADE VERSION13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQA=\r\n" END,
          400, "websocket_key" },
        { "key not base64", START UPGRADE VERSION13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!==\r\n" END,
          400, "websocket_key" },
        { "empty key", START UPGRADE VERSION13 "Sec-WebSocket-Key:\r\n" END, 400, "websocket_key" },
};

static void test_requests(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
                struct http_head h = request_of(requests[i].in);
                struct http_refusal refusal = { 0 };
                enum err e = websocket_request_check(&h, &refusal);

                assert_true(websocket_is_asked(&h));
                if (e != (requests[i].status == 426 ? ERR_UNSUPPORTED
                          : requests[i].status      ? ERR_MALFORMED
                                                    : ERR_OK) ||
                    refusal.status != requests[i].status)
                        fail_msg("%s: ERR_%s %s", requests[i].why, err_name(e), refusal.reason);
                if (requests[i].reason)
                        assert_string_equal(refusal.reason, requests[i].reason);
        }
        struct http_head h = request_of(START "Connection: Upgrade\r\nUpgrade: tcp\r\n" END);
        assert_false(websocket_is_asked(&h));
        h = request_of(START END);
        assert_false(websocket_is_asked(&h));
}

#define SWITCH "HTTP/1.1 101 Switching Protocols\r\n"
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define PROTOCOLS \
        "Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"

static const struct {
        const char *why, *asked, *in, *reason;
} answers[] = {
        { "as the RFC has it", "", SWITCH UPGRADE ACCEPT END, NULL },
        { "case folds", "", SWITCH "connection: upgrade\r\nupgrade: WEBSOCKET\r\n" ACCEPT END, NULL },
        { "200", "", "HTTP/1.1 200 OK\r\n" UPGRADE ACCEPT END, "websocket_upgrade" },
        { "no Upgrade", "", SWITCH "Connection: Upgrade\r\n" ACCEPT END, "websocket_upgrade" },
        { "no Connection", "", SWITCH "Upgrade: websocket\r\n" ACCEPT END, "websocket_upgrade" },
        { "another protocol", "", SWITCH "Connection: Upgrade\r\nUpgrade: tcp\r\n" ACCEPT END,
          "websocket_upgrade" },
        { "HTTP/1.0", "", "HTTP/1.0 101 x\r\n" UPGRADE ACCEPT END, "websocket_upgrade" },
        { "no accept", "", SWITCH UPGRADE END, "websocket_accept" },
        { "wrong accept", "", SWITCH UPGRADE "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" END,
          "websocket_accept" },
        { "the key come back", "", SWITCH UPGRADE "Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ==\r\n" END,
          "websocket_accept" },
        { "accept twice", "", SWITCH UPGRADE ACCEPT ACCEPT END, "websocket_accept" },
        { "protocol offered", PROTOCOLS, SWITCH UPGRADE ACCEPT "Sec-WebSocket-Protocol: superchat\r\n" END,
          NULL },
        { "protocol not offered", PROTOCOLS, SWITCH UPGRADE ACCEPT "Sec-WebSocket-Protocol: other\r\n" END,
          "websocket_protocol" },
        { "protocol, none asked for", "", SWITCH UPGRADE ACCEPT "Sec-WebSocket-Protocol: chat\r\n" END,
          "websocket_protocol" },
        { "two protocols", PROTOCOLS, SWITCH UPGRADE ACCEPT "Sec-WebSocket-Protocol: chat, superchat\r\n" END,
          "websocket_protocol" },
        { "protocol twice", PROTOCOLS,
          SWITCH UPGRADE ACCEPT "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n" END,
          "websocket_protocol" },
        { "extension offered", PROTOCOLS,
          SWITCH UPGRADE ACCEPT "Sec-WebSocket-Extensions: permessage-deflate\r\n" END, NULL },
        { "extension not offered", PROTOCOLS,
          SWITCH UPGRADE ACCEPT "Sec-WebSocket-Extensions: permessage-deflate, x\r\n" END,
          "websocket_extension" },
        { "extension, none asked for", "",
          SWITCH UPGRADE ACCEPT "Sec-WebSocket-Extensions: permessage-deflate\r\n" END,
          "websocket_extension" },
};

static void test_answers(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                char text[1024];
                struct http_refusal refusal = { 0 };
                struct http_head answer = { .fields = answer_fields,
                                            .fields_max = ARRAY_SIZE(answer_fields) };

                text[0] = '\0';
                strncat(text, START UPGRADE VERSION13 KEY, 400);
                strncat(text, answers[i].asked, 400);
                strncat(text, END, 3);
                struct http_head request = request_of(text);
                assert_err(h1_response_parse(str_of(answers[i].in), &limits, HTTP_GET, &(size_t){ 0 },
                                             &answer, &refusal),
                           ERR_OK);
                enum err e = websocket_answer_check(&request, &answer, &refusal);
                if (e != (answers[i].reason ? ERR_MALFORMED : ERR_OK))
                        fail_msg("%s: ERR_%s %s", answers[i].why, err_name(e), refusal.reason);
                if (answers[i].reason) {
                        assert_string_equal(refusal.reason, answers[i].reason);
                        assert_int_equal(refusal.status, 502);
                }
        }
}

static void test_accept(void **state)
{
        char out[WEBSOCKET_ACCEPT_TEXT_MAX];

        /* RFC 6455 1.3 */
        assert_str(websocket_accept_format(STR("dGhlIHNhbXBsZSBub25jZQ=="), out),
                   STR("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

/* What is made passes the check of who asked. */
static void test_answers_made(void **state)
{
        static const struct {
                const char *why, *wanted, *chosen;
                enum err err;
        } cases[] = {
                { "no subprotocol", "", "", ERR_OK },
                { "the one that was asked for", "Sec-WebSocket-Protocol: a.1\r\n", "a.1", ERR_OK },
                { "one of two", "Sec-WebSocket-Protocol: a.2, a.1\r\n", "a.1", ERR_OK },
                { "asked for, not chosen", "Sec-WebSocket-Protocol: a.1\r\n", "", ERR_OK },
                { "chosen unasked: the asker refuses", "", "a.1", ERR_MALFORMED },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct http_head request, answer;
                struct http_refusal refusal;
                struct arena arena;
                char text[512];

                print_message("%s\n", cases[i].why);
                arena_init(&arena, NULL, 0, 64 * 1024);
                snprintf(text, sizeof(text), START UPGRADE VERSION13 KEY "%s" END, cases[i].wanted);
                request = request_of(text);
                assert_err(websocket_answer_make(&request, str_of(cases[i].chosen), &arena, &answer), ERR_OK);
                assert_str(http_value(&answer, HTTP_FIELD_SEC_WEBSOCKET_ACCEPT),
                           STR("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
                assert_str(answer.reason, STR("Switching Protocols"));
                assert_err(websocket_answer_check(&request, &answer, &refusal), cases[i].err);
                arena_fini(&arena);
        }
}

static void test_no_memory_for_an_answer(void **state)
{
        struct http_head request = request_of(START UPGRADE VERSION13 KEY END), answer;
        struct arena arena;

        arena_init(&arena, NULL, 0, 64);
        assert_err(websocket_answer_make(&request, STR_NULL, &arena, &answer), ERR_NO_MEMORY);
        arena_fini(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_requests),
                cmocka_unit_test(test_answers),
                cmocka_unit_test(test_accept),
                cmocka_unit_test(test_answers_made),
                cmocka_unit_test(test_no_memory_for_an_answer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
