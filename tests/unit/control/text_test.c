#include "../test.h"

#include "base/compiler.h"
#include "control/text.h"

static void test_hosts(void **state)
{
        static const struct {
                const char *text;
                bool is_host;
        } cases[] = {
                { "app.example.com", true },
                { "*.example.com", true },
                { "localhost", true },
                { "a_b.example.com", true },
                { "", false },
                { "*", false },
                { "a.*.b", false },
                { "*.", false },
                { "a..b", false },
                { "a.", false },
                { ".a", false },
                { "-a.b", false },
                { "a b", false },
                { "A.example", false },
                { "192.0.2.1", false },
                { "link.sekisho.internal", false },
                { "sekisho.internal", false },
                { "a.b/c", false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (text_is_host(str_of(cases[i].text)) != cases[i].is_host)
                        fail_msg("%s", cases[i].text);
        assert_true(text_host_fits(STR("*.example.com"), STR("a.example.com")));
        assert_false(text_host_fits(STR("*.example.com"), STR("a.b.example.com")));
        assert_false(text_host_fits(STR("*.example.com"), STR("example.com")));
        assert_true(text_host_fits(STR("a.example.com"), STR("a.example.com")));
}

static void test_targets(void **state)
{
        static const struct {
                const char *text;
                bool is_target;
        } cases[] = {
                { "http://localhost:8080", true },
                { "http://localhost", true },
                { "https://10.0.0.1:443", true },
                { "http://[::1]:8080", true },
                { "h2c://127.0.0.1:50051", true },
                { "tcp://db:5432", true },
                { "udp://dns:53", true },
                { "unix:/run/app.sock", true },
                { "tcp://db", false },
                { "http://", false },
                { "http://a:0", false },
                { "http://a:65536", false },
                { "http://a:1/x", false },
                { "http://u@a:1", false },
                { "http://a:1?x", false },
                { "ftp://a:1", false },
                { "localhost:8080", false },
                { "http://a b:1", false },
                { "http://a:1\r\nX: y", false },
                { "unix:app.sock", false },
                { "http://[::1:80", false },
                { "http://[nonsense]:80", false },
        };
        const char *why;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (text_is_target(str_of(cases[i].text), &why) != cases[i].is_target)
                        fail_msg("%s", cases[i].text);
}

static void test_listens(void **state)
{
        static const struct {
                const char *text;
                bool is_listen;
        } cases[] = {
                { "0.0.0.0:2222", true }, { "[::]:53", true },     { ":7000-7010", true },
                { ":80", true },          { "2222", false },       { "host:22", false },
                { "0.0.0.0:", false },    { ":7010-7000", false }, { ":1-2000", false },
                { ":0", false },          { "[::]", false },       { ":70000", false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (text_is_listen(str_of(cases[i].text)) != cases[i].is_listen)
                        fail_msg("%s", cases[i].text);
}

static void test_names(void **state)
{
        static const struct {
                const char *text;
                bool is_name;
        } cases[] = { { "home", true }, { "gpu-box-2", true }, { "a", true },  { "", false },
                      { "-a", false },  { "a-", false },       { "A", false }, { "a.b", false },
                      { "a b", false }, { "a/b", false } };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (text_is_name(str_of(cases[i].text)) != cases[i].is_name)
                        fail_msg("%s", cases[i].text);
}

static void test_texts(void **state)
{
        struct str items[] = { STR("a\"b"), STR("\xc3\xa4") };
        struct schema_texts texts = { items, 2 }, again;
        struct arena a;

        arena_init(&a, NULL, 0, 1 << 16);
        again = texts_of_text(&a, text_of_texts(&a, &texts));
        assert_int_equal(again.count, 2);
        assert_str(again.items[0], items[0]);
        assert_str(again.items[1], items[1]);
        assert_int_equal(texts_of_text(&a, STR("{}")).count, 0);
        assert_int_equal(texts_of_text(&a, STR("")).count, 0);
        arena_fini(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_hosts), cmocka_unit_test(test_targets),
                                            cmocka_unit_test(test_listens), cmocka_unit_test(test_names),
                                            cmocka_unit_test(test_texts) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
