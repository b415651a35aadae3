#include "gateway/overlay.h"

#include "../test.h"

struct given {
        struct conf_source source;
        struct str text;
};

static enum err given_read(struct conf_source *s, enum conf_read_kind kind, struct str name,
                           struct conf_text *out)
{
        buf_add(&out->bytes, CONTAINER_OF(s, struct given, source)->text);
        return ERR_OK;
}

static const struct {
        const char *why, *auth, *before, *after;
} cases[] = {
        { "nothing said", "", "{\"gateway\":{\"auth\":true}}", "{\"gateway\":{\"auth\":true}}" },
        { "replaced where it stands", "false", "{\"gateway\":{\"port\":1, \"auth\": true // why\n}}",
          "{\"gateway\":{\"port\":1, \"auth\": false // why\n}}" },
        { "put first", "false", "{\n  \"gateway\": {\n    \"port\": 1,\n  },\n}",
          "{\n  \"gateway\": {\"auth\":false,\n    \"port\": 1,\n  },\n}" },
        { "into an empty object", "true", "{\"gateway\":{}}", "{\"gateway\":{\"auth\":true}}" },
        { "no gateway: the file is wrong anyway", "true", "{}", "{}" },
        { "not JSON: left for the reader to say", "true", "{\"gateway\"", "{\"gateway\"" },
};

static void puts_the_word_over_the_file(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct given given = { { given_read, STR("f"), 0 }, str_of(cases[i].before) };
                struct conf_text text = { 0 };
                struct overlay o;

                overlay_init(&o, &given.source, str_of(cases[i].auth));
                buf_init(&text.bytes, 4096);
                assert_err(o.source.read(&o.source, CONF_READ_CONFIG, STR("f"), &text), ERR_OK);
                if (!str_eq(buf_str(&text.bytes), str_of(cases[i].after)))
                        fail_msg("%s: got %.*s", cases[i].why, STR_FMT(buf_str(&text.bytes)));
                buf_fini(&text.bytes);
        }
}

#define ENTRY "{\"address\":\"127.0.0.1:3443\",\"tls\":true}"

static const struct {
        const char *why, *before, *after;
} listens[] = {
        { "behind the others", "{\"gateway\":{\"port\":1,\"listen\":[\"[::1]:2\", // why\n]}}",
          "{\"gateway\":{\"port\":1,\"listen\":[\"[::1]:2\"," ENTRY ", // why\n]}}" },
        { "host and port are written", "{\"gateway\":{\"port\":1}}",
          "{\"gateway\":{\"listen\":[" ENTRY "],\"port\":1}}" },
        { "defaults of host and port stay", "{\"gateway\":{}}",
          "{\"gateway\":{\"host\":\"127.0.0.1\",\"port\":3000,\"listen\":[" ENTRY "]}}" },
        { "an empty list", "{\"gateway\":{\"auth\":true,\"listen\":[]}}",
          "{\"gateway\":{\"host\":\"127.0.0.1\",\"port\":3000,\"auth\":true,\"listen\":[" ENTRY "]}}" },
        { "a list has switched the defaults off", "{\"gateway\":{\"listen\":[\":80\"]}}",
          "{\"gateway\":{\"listen\":[\":80\"," ENTRY "]}}" },
        { "it is there", "{\"gateway\":{\"listen\":[\"127.0.0.1:3443\"]}}",
          "{\"gateway\":{\"listen\":[\"127.0.0.1:3443\"]}}" },
        { "it is there with more to it", "{\"gateway\":{\"listen\":[{\"address\":\"127.0.0.1:3443\"}]}}",
          "{\"gateway\":{\"listen\":[{\"address\":\"127.0.0.1:3443\"}]}}" },
        { "no list: the file is wrong", "{\"gateway\":{\"listen\":1}}", "{\"gateway\":{\"listen\":1}}" },
};

static void adds_an_address(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(listens); i++) {
                struct given given = { { given_read, STR("f"), 0 }, str_of(listens[i].before) };
                struct conf_text text = { 0 };
                struct overlay o;

                overlay_init(&o, &given.source, STR(""));
                overlay_listen(&o, STR("127.0.0.1:3443"));
                buf_init(&text.bytes, 4096);
                assert_err(o.source.read(&o.source, CONF_READ_CONFIG, STR("f"), &text), ERR_OK);
                if (!str_eq(buf_str(&text.bytes), str_of(listens[i].after)))
                        fail_msg("%s: got %.*s", listens[i].why, STR_FMT(buf_str(&text.bytes)));
                buf_fini(&text.bytes);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(puts_the_word_over_the_file),
                                            cmocka_unit_test(adds_an_address) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
