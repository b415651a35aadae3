#include "../test.h"

#include "dispatch/result.h"
#include "json/reader.h"

static struct arena arena;
static struct buf out;

static int setup(void **state)
{
        arena_init(&arena, NULL, 0, 8 << 20);
        buf_init(&out, 1 << 20);
        return 0;
}

static int teardown(void **state)
{
        arena_fini(&arena);
        buf_fini(&out);
        return 0;
}

static const struct json_value *written(const struct dispatch_result *r)
{
        const struct json_value *root;

        buf_clear(&out);
        dispatch_result_write(r, &out);
        assert_false(out.full);
        assert_err(json_read_strict(&arena, buf_str(&out), NULL, &root), ERR_OK);
        return root;
}

static struct http_field field(const char *name, const char *value)
{
        return (struct http_field){ .name = str_of(name), .value = str_of(value) };
}

static void bodies_are_exact(void **state)
{
        static const struct {
                const char *type;
                struct str body;
                const char *raw, *encoding, *reason;
        } rows[] = {
                { "application/json; charset=utf-8", STR_INIT("{\"a\": 1.0}\n"), "{\"a\": 1.0}", "json",
                  "as it stands" },
                { "application/problem+json", STR_INIT("[1]"), "[1]", "json", "a kind of JSON" },
                { "application/json", STR_INIT("{\"a\""), "\"{\\\"a\\\"\"", "text", "it says so and is not" },
                { "text/plain", STR_INIT("{\"a\": 1}"), "\"{\\\"a\\\": 1}\"", "text",
                  "a text that looks like JSON" },
                { "application/octet-stream", STR_INIT("\xff\x00\x01"), "\"/wAB\"", "base64", "no text" },
                { "text/plain", STR_INIT(""), "\"\"", "text", "nothing" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct http_field f = field("content-type", rows[i].type);
                struct dispatch_result r = { .is_success = true,
                                             .status = 200,
                                             .fields = &f,
                                             .fields_count = 1,
                                             .body = rows[i].body };
                const struct json_value *root = written(&r);

                print_message("%s\n", rows[i].reason);
                assert_str(json_find(root, STR("body"))->raw, str_of(rows[i].raw));
                assert_str(json_str(json_find(root, STR("body_encoding"))), str_of(rows[i].encoding));
                assert_int_equal(json_bool(json_find(root, STR("is_json")), false),
                                 strcmp(rows[i].encoding, "json") == 0);
        }
}

static void fields_keep_number_and_order(void **state)
{
        struct http_field f[] = { field("Set-Cookie", "a=1"), field("X", "1"), field("set-cookie", "b=2"),
                                  field("Gone", "x") };
        struct dispatch_result r = {
                .is_success = true, .status = 404, .fields = f, .fields_count = ARRAY_SIZE(f)
        };

        f[3].is_removed = true;
        const struct json_value *root = written(&r), *list = json_find(root, STR("headers_list"));
        assert_str(json_find(root, STR("headers"))->raw, STR("{\"Set-Cookie\":\"a=1, b=2\",\"X\":\"1\"}"));
        assert_str(list->raw, STR("[[\"Set-Cookie\",\"a=1\"],[\"X\",\"1\"],[\"set-cookie\",\"b=2\"]]"));
        assert_str(json_find(root, STR("status_code"))->raw, STR("404"));
        assert_true(json_bool(json_find(root, STR("success")), false));
}

static void a_failure_says_why(void **state)
{
        struct dispatch_result r = { .request_id = STR("r-1"),
                                     .error = STR("timeout"),
                                     .agent_id = STR("ag-1"),
                                     .source_ip = STR("192.0.2.1"),
                                     .begun = 0,
                                     .duration_ms = 5,
                                     .attempts = 2,
                                     .url = STR("http://e.x/") };
        const struct json_value *root = written(&r), *m = json_find(root, STR("metadata"));

        assert_str(json_find(root, STR("status_code"))->raw, STR("null"));
        assert_str(json_find(root, STR("body"))->raw, STR("null"));
        assert_str(json_str(json_find(root, STR("error"))), STR("timeout"));
        assert_str(json_str(json_find(m, STR("source_ip"))), STR("192.0.2.1"));
        assert_str(json_find(m, STR("attempts"))->raw, STR("2"));
        assert_str(json_str(json_find(root, STR("request_id"))), STR("r-1"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(bodies_are_exact, setup, teardown),
                cmocka_unit_test_setup_teardown(fields_keep_number_and_order, setup, teardown),
                cmocka_unit_test_setup_teardown(a_failure_says_why, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
