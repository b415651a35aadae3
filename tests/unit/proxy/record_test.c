/* The Combined form of the access log: exact lines, and no byte of a stranger's that could begin another one. */
#include "proxy/record_combined.h"

#include <stdio.h>
#include <string.h>

#include "../test.h"
#include "proxy/access.h"

static void times(void **state)
{
        static const struct {
                unix_ms at;
                const char *text;
        } cases[] = {
                { 0, "01/Jan/1970:00:00:00 +0000" },
                { 1793265133999, "29/Oct/2026:09:12:13 +0000" },
                { 951782400000, "29/Feb/2000:00:00:00 +0000" },
                { 4102444799000, "31/Dec/2099:23:59:59 +0000" },
        };
        char out[RECORD_COMBINED_TIME_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_string_equal(record_combined_time(cases[i].at, out), cases[i].text);
}

static void quoting(void **state)
{
        static const struct {
                const char *why;
                struct str text, shown;
        } cases[] = {
                { "ordinary", STR_INIT("curl/7.88 (x)"), STR_INIT("\"curl/7.88 (x)\"") },
                { "nothing", STR_INIT(""), STR_INIT("\"-\"") },
                { "a quote does not end it", STR_INIT("a\" 200 1"), STR_INIT("\"a\\x22 200 1\"") },
                { "a backslash is no escape", STR_INIT("\\\""), STR_INIT("\"\\x5C\\x22\"") },
                { "a line end begins no line", STR_INIT("a\r\nb"), STR_INIT("\"a\\x0D\\x0Ab\"") },
                { "controls, NUL, DEL", STR_INIT("\0\x1b[2J\x7f"), STR_INIT("\"\\x00\\x1B[2J\\x7F\"") },
                { "above ASCII", STR_INIT("\xc3\xa9\xff"), STR_INIT("\"\\xC3\\xA9\\xFF\"") },
        };
        struct buf out;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                buf_init(&out, 1000);
                record_combined_quote(&out, cases[i].text);
                assert_str(buf_str(&out), cases[i].shown);
                buf_fini(&out);
        }
}

static void requests(void **state)
{
        struct http_field fields[2] = {
                { .name = STR("Referer"), .value = STR("https://a.example/p?token=s#x") },
                { .name = STR("User-Agent"), .value = STR("curl"), .id = HTTP_FIELD_USER_AGENT }
        };
        static struct exchange x;
        const struct token token = { .name = STR("ali ce\"") };
        const struct exchange_origin origin = { .peer = { .family = 0 } };
        struct buf out;

        memset(&x, 0, sizeof(x));
        x.origin = &origin;
        assert_err(ip_parse(STR("2001:db8::1"), &x.client.ip), ERR_OK);
        x.token = &token;
        x.request = (struct http_head){ .method = HTTP_GET,
                                        .method_text = STR("GET"),
                                        .target = STR("/a%zz?secret"),
                                        .version_minor = 1,
                                        .fields = fields,
                                        .fields_count = 2 };
        x.request.first[HTTP_FIELD_USER_AGENT] = 2;
        x.target.path = STR("/a");
        x.status = 200;
        x.answer_bytes = 18446744073709551615u;
        buf_init(&out, 10000);
        record_combined_request(&out, &x, "T");
        assert_str(buf_str(&out),
                   STR("2001:db8::1 - ali\\x20ce\\x22 [T] \"GET /a HTTP/1.1\" 200 18446744073709551615 "
                       "\"https://a.example/p\" \"curl\"\n"));
        buf_clear(&out);
        x.token = NULL;
        x.client.ip.family = 0;
        x.target.path = STR_NULL; /* it could not be made canonical */
        x.request.fields_count = 0;
        x.request.first[HTTP_FIELD_USER_AGENT] = 0;
        x.request.version_minor = 0;
        x.status = 400;
        x.answer_bytes = 0;
        record_combined_request(&out, &x, "T");
        record_combined_refused(&out, x.client.ip, 408, "T");
        assert_str(buf_str(&out), STR("- - - [T] \"GET /a%zz HTTP/1.0\" 400 0 \"-\" \"-\"\n"
                                      "- - - [T] \"-\" 408 0 \"-\" \"-\"\n"));
        buf_fini(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(times),
                cmocka_unit_test(quoting),
                cmocka_unit_test(requests),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
