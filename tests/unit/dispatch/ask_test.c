#include "../test.h"

#include "dispatch/ask.h"
#include "json/reader.h"

static struct arena arena;
static struct buf problem;

static int setup(void **state)
{
        arena_init(&arena, NULL, 0, 8 << 20);
        buf_init(&problem, 4096);
        return 0;
}

static int teardown(void **state)
{
        arena_fini(&arena);
        buf_fini(&problem);
        return 0;
}

static const struct json_value *json_of(const char *text)
{
        const struct json_value *root;

        assert_err(json_read_strict(&arena, str_of(text), NULL, &root), ERR_OK);
        return root;
}

static struct dispatch_ask read_good(const char *text, const char *defaults)
{
        struct dispatch_ask ask;

        buf_clear(&problem);
        enum err e =
                dispatch_ask_read(json_of(text), defaults ? json_of(defaults) : NULL, &arena, &ask, &problem);
        if (e != ERR_OK)
                fail_msg("%s: %.*s", text, STR_FMT(buf_str(&problem)));
        return ask;
}

static void everything_is_read(void **state)
{
        struct dispatch_ask a = read_good(
                "{\"url\":\"https://example.com/x?a=1\",\"method\":\"post\",\"headers\":{\"X-A\":\"1\",\"X-B\":[\"2\",\"3\"]},"
                "\"params\":{\"q\":\"a b&c\",\"n\":1.50,\"t\":true,\"l\":[\"x\",2]},\"body\":{\"k\":[1,2]},\"timeout\":2.5,"
                "\"sourceAddress\":\"2001:db8::5\",\"agent\":\"home\",\"family\":6,\"followRedirects\":3}",
                NULL);

        assert_str(a.method, STR("POST"));
        assert_str(a.url.path, STR("/x?a=1&q=a%20b%26c&n=1.50&t=true&l=x&l=2"));
        assert_int_equal(a.fields_count, 4);
        assert_str(a.fields[0].name, STR("X-A"));
        assert_str(a.fields[2].value, STR("3"));
        assert_str(a.fields[3].name, STR("Content-Type"));
        assert_str(a.fields[3].value, STR("application/json"));
        assert_str(a.body, STR("{\"k\":[1,2]}"));
        assert_int_equal(a.timeout_ms, 2500);
        assert_int_equal(a.source.family, 6);
        assert_str(a.agent, STR("home"));
        assert_int_equal(a.family, 6);
        assert_int_equal(a.redirects_max, 3);
}

static void little_is_enough(void **state)
{
        struct dispatch_ask a = read_good("{\"url\":\"http://example.com\"}", NULL);

        assert_str(a.method, STR("GET"));
        assert_str(a.url.path, STR("/"));
        assert_int_equal(a.body.len + a.fields_count + a.redirects_max, 0);
        assert_int_equal(a.timeout_ms, DISPATCH_TIMEOUT_MS);
        a = read_good("{\"url\":\"http://example.com\",\"params\":null,\"body\":null,\"headers\":{}}", NULL);
        assert_str(a.url.path, STR("/"));
}

static void bodies_are_exact(void **state)
{
        struct dispatch_ask a = read_good("{\"url\":\"http://e.x\",\"body\":\"{\\\"a\\\": 1}\"}", NULL);

        assert_str(a.body, STR("{\"a\": 1}")); /* a text is a text, whatever it looks like */
        assert_int_equal(a.fields_count, 0);
        a = read_good("{\"url\":\"http://e.x\",\"bodyBase64\":\"AAH/\"}", NULL);
        assert_int_equal(a.body.len, 3);
        assert_memory_equal(a.body.ptr, "\0\1\377", 3);
        a = read_good(
                "{\"url\":\"http://e.x\",\"headers\":{\"content-type\":\"application/x\"},\"body\":[1.0]}",
                NULL);
        assert_int_equal(a.fields_count, 1);
        assert_str(a.body, STR("[1.0]"));
}

static void the_stored_default_stands_where_nothing_is_said(void **state)
{
        const char *defaults =
                "{\"url\":\"https://example.com/d\",\"method\":\"PUT\",\"headers\":{\"A\":\"1\"},\"timeout\":1}";
        struct dispatch_ask a = read_good("{}", defaults);

        assert_str(a.method, STR("PUT"));
        assert_str(a.url.path, STR("/d"));
        a = read_good("{\"method\":\"GET\",\"headers\":{}}", defaults);
        assert_str(a.method, STR("GET"));
        assert_int_equal(a.fields_count, 0);
        assert_int_equal(a.timeout_ms, 1000);
}

static void what_is_wrong_is_named(void **state)
{
        static const struct {
                const char *text, *says, *reason;
        } rows[] = {
                { "[]", "object", "no object" },
                { "{}", "\"url\"", "no URL" },
                { "{\"url\":5}", "\"url\"", "no text" },
                { "{\"url\":\"ftp://e.x/\"}", "http://", "another scheme" },
                { "{\"url\":\"http://e.x\",\"methd\":\"GET\"}", "methd", "a slip of the pen" },
                { "{\"url\":\"http://e.x\",\"method\":\"TRACE\"}", "\"method\"", "not passed on" },
                { "{\"url\":\"http://e.x\",\"method\":\"CONNECT\"}", "\"method\"", "a tunnel" },
                { "{\"url\":\"http://e.x\",\"method\":\"G T\"}", "\"method\"", "no method" },
                { "{\"url\":\"http://e.x\",\"headers\":{\"Host\":\"other\"}}", "Host",
                  "whom it is for is the URL's" },
                { "{\"url\":\"http://e.x\",\"headers\":{\"Transfer-Encoding\":\"chunked\"}}",
                  "Transfer-Encoding", "framing" },
                { "{\"url\":\"http://e.x\",\"headers\":{\"content-length\":\"5\"}}", "content-length",
                  "framing" },
                { "{\"url\":\"http://e.x\",\"headers\":{\"Connection\":\"x\"}}", "Connection",
                  "one connection's" },
                { "{\"url\":\"http://e.x\",\"headers\":{\"Sekisho-Source\":\"x\"}}", "Sekisho-Source",
                  "ours" },
                { "{\"url\":\"http://e.x\",\"headers\":{\"A\":\"b\\r\\nC: d\"}}", "not valid",
                  "a line of its own" },
                { "{\"url\":\"http://e.x\",\"headers\":{\"A b\":\"c\"}}", "not valid", "no name" },
                { "{\"url\":\"http://e.x\",\"headers\":{\"A\":{}}}", "string", "no text" },
                { "{\"url\":\"http://e.x\",\"headers\":[]}", "object", "no object" },
                { "{\"url\":\"http://e.x\",\"params\":{\"a\":{}}}", "\"params\"", "no text" },
                { "{\"url\":\"http://e.x\",\"body\":1,\"bodyBase64\":\"AA==\"}", "two bodies", "which?" },
                { "{\"url\":\"http://e.x\",\"bodyBase64\":\"!\"}", "base64", "no base64" },
                { "{\"url\":\"http://e.x\",\"timeout\":0}", "\"timeout\"", "no time at all" },
                { "{\"url\":\"http://e.x\",\"timeout\":301}", "300", "too long" },
                { "{\"url\":\"http://e.x\",\"timeout\":\"5\"}", "\"timeout\"", "no number" },
                { "{\"url\":\"http://e.x\",\"sourceAddress\":\"eth0\"}", "IP address", "no address" },
                { "{\"url\":\"http://e.x\",\"family\":5}", "4 or 6", "no family" },
                { "{\"url\":\"http://e.x\",\"agent\":\"\"}", "agent", "no name" },
                { "{\"url\":\"http://e.x\",\"followRedirects\":11}", "up to 10", "too many" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct dispatch_ask a;

                buf_clear(&problem);
                print_message("%s\n", rows[i].reason);
                assert_err(dispatch_ask_read(json_of(rows[i].text), NULL, &arena, &a, &problem),
                           ERR_MALFORMED);
                if (str_find(buf_str(&problem), str_of(rows[i].says)) == STR_NONE)
                        fail_msg("%.*s does not say %s", STR_FMT(buf_str(&problem)), rows[i].says);
        }
}

static void fields_are_bounded(void **state)
{
        struct dispatch_ask a;
        struct buf text;

        buf_init(&text, 1 << 16);
        buf_add(&text, STR("{\"url\":\"http://e.x\",\"headers\":{\"A\":[\"0\""));
        for (int i = 0; i < DISPATCH_FIELDS_MAX; i++)
                buf_add(&text, STR(",\"1\""));
        buf_add(&text, STR("]}}"));
        buf_add_char(&text, '\0');
        assert_err(dispatch_ask_read(json_of(text.ptr), NULL, &arena, &a, &problem), ERR_MALFORMED);
        buf_fini(&text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(everything_is_read, setup, teardown),
                cmocka_unit_test_setup_teardown(little_is_enough, setup, teardown),
                cmocka_unit_test_setup_teardown(bodies_are_exact, setup, teardown),
                cmocka_unit_test_setup_teardown(the_stored_default_stands_where_nothing_is_said, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(what_is_wrong_is_named, setup, teardown),
                cmocka_unit_test_setup_teardown(fields_are_bounded, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
