#include "../test.h"

#include "base/compiler.h"
#include "control/objects.h"
#include "json/reader.h"

static const struct {
        const char *why, *body;
        unsigned flags;
        enum err err;
        const char *says;
} cases[] = {
        { "the least", "{\"name\":\"app\"}", SCHEMA_IN, ERR_OK, "" },
        { "a member too many", "{\"name\":\"app\",\"hots\":[]}", SCHEMA_IN, ERR_MALFORMED,
          "there is no member \"hots\" (did you mean \"hosts\"?)" },
        { "one that is the server's", "{\"name\":\"app\",\"id\":\"sv-x\"}", SCHEMA_IN, ERR_MALFORMED,
          "\"id\" cannot be set here" },
        { "the owner of others", "{\"name\":\"app\",\"owner\":\"me\"}", SCHEMA_IN, ERR_MALFORMED,
          "\"owner\" cannot be set here" },
        { "one missing", "{\"kind\":\"http\"}", SCHEMA_IN, ERR_MALFORMED, "\"name\" is missing" },
        { "nothing is missing in a change", "{}", SCHEMA_EDIT, ERR_OK, "" },
        { "what cannot be changed", "{\"kind\":\"tcp\"}", SCHEMA_EDIT, ERR_MALFORMED,
          "\"kind\" cannot be set here" },
        { "a word that is none", "{\"name\":\"app\",\"kind\":\"htp\"}", SCHEMA_IN, ERR_MALFORMED,
          "\"kind\" must be one of \"http\", \"tcp\", \"udp\", \"passthrough\", \"llm\" (did you mean \"http\"?)" },
        { "another type", "{\"name\":7}", SCHEMA_IN, ERR_MALFORMED, "\"name\" must be a string" },
        { "no array", "{\"name\":\"app\",\"hosts\":\"a\"}", SCHEMA_IN, ERR_MALFORMED,
          "\"hosts\" must be an array" },
        { "an item of another type", "{\"name\":\"app\",\"hosts\":[1]}", SCHEMA_IN, ERR_MALFORMED,
          "\"hosts\" must be a string" },
        { "an object's own members", "{\"name\":\"app\",\"access\":{\"knd\":\"public\"}}", SCHEMA_IN,
          ERR_MALFORMED, "there is no member \"knd\" (did you mean \"kind\"?)" },
        { "a list's items too", "{\"name\":\"app\",\"targets\":[{\"weight\":1001}]}", SCHEMA_IN,
          ERR_MALFORMED, "\"weight\" must be between 0 and 1000 (in \"targets\", item 1)" },
        { "a time", "{\"name\":\"app\",\"expires\":\"2027-01-31T00:00:00Z\"}", SCHEMA_IN, ERR_OK, "" },
        { "no time", "{\"name\":\"app\",\"expires\":\"soon\"}", SCHEMA_IN, ERR_MALFORMED,
          "\"expires\" must be a time such as \"2027-01-31T00:00:00Z\"" },
        { "null is no value", "{\"name\":\"app\",\"expires\":null,\"settings\":null}", SCHEMA_IN, ERR_OK,
          "" },
        { "a control character", "{\"name\":\"a\\u0007\"}", SCHEMA_IN, ERR_MALFORMED,
          "\"name\" has a control character in it" },
        { "no object", "[]", SCHEMA_IN, ERR_MALFORMED, "an object is expected" },
};

static void test_read(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct object_service o = { 0 };
                const struct json_value *root;
                struct arena a;
                struct buf problem;
                uint64_t given;

                arena_init(&a, NULL, 0, 1 << 20);
                buf_init(&problem, 4096);
                assert_err(json_read_strict(&a, str_of(cases[i].body), NULL, &root), ERR_OK);
                enum err e =
                        schema_read(&object_service_schema, cases[i].flags, root, &a, &o, &given, &problem);
                if (e != cases[i].err || !str_eq(buf_str(&problem), str_of(cases[i].says)))
                        fail_msg("%s: ERR_%s, %.*s", cases[i].why, err_name(e), STR_FMT(buf_str(&problem)));
                buf_fini(&problem);
                arena_fini(&a);
        }
}

/* A secret is written once, and never by mistake. */
static void test_secrets(void **state)
{
        struct object_token o = { .id = STR("jt-1"), .token = STR("skauth-x") };
        struct json_writer w;
        struct buf out;

        buf_init(&out, 1 << 16);
        json_writer_init(&w, &out, JSON_COMPACT);
        schema_write(&object_token_schema, &o, false, &w);
        assert_int_equal(str_find(buf_str(&out), STR("skauth-x")), STR_NONE);
        buf_clear(&out);
        json_writer_init(&w, &out, JSON_COMPACT);
        schema_write(&object_token_schema, &o, true, &w);
        assert_int_not_equal(str_find(buf_str(&out), STR("\"token\":\"skauth-x\"")), STR_NONE);
        buf_fini(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_read), cmocka_unit_test(test_secrets) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
