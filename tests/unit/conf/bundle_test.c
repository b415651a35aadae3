/* A worker loads from a bundle what the supervisor loaded from files; a bundle that was touched is refused. */
#include "fake.h"

static const char text[] =
        "{\"gateway\": {\"apiTokens\": [{\"name\": \"t\", \"env\": \"TOKEN\"}, {\"name\": \"f\", \"file\": \"key.txt\"}],"
        " \"tlsCert\": \"a.pem\", \"tlsKey\": \"a.key\", \"certificates\": [{\"cert\": \"a.pem\", \"key\": \"a.key\"}]},"
        " \"providers\": {\"openai\": {\"apiKey\": {\"env\": \"KEY\"}}}}";

static void the_same_comes_out(void **state)
{
        struct fake fake;
        struct conf_recorder recorder;
        struct conf_bundle bundle;
        struct report report;
        struct conf *first, *second;
        struct buf shown[2];

        fake_init(&fake, STR(text));
        report_init(&report, STR_NULL);
        conf_recorder_init(&recorder, &fake.source);
        assert_err(conf_load(&recorder.source, &report, &first), ERR_OK);
        assert_err(conf_bundle_open(&bundle, conf_recorder_bundle(&recorder)), ERR_OK);
        assert_str(bundle.source.file, fake.source.file);
        assert_true(bundle.source.now == FAKE_NOW);
        assert_err(conf_load(&bundle.source, &report, &second), ERR_OK);

        assert_str(second->version, first->version);
        assert_str(second->providers[0].api_key, STR("sk-from-the-environment"));
        /* The private key is with the one who read it, and in no bundle. */
        assert_str(first->gateway.certificates[0].key_pem, str_of(pem_a_key));
        assert_true(
                str_has_prefix(second->gateway.certificates[0].key_pem, STR("-----BEGIN PUBLIC KEY-----")));
        assert_true(str_find(conf_recorder_bundle(&recorder), STR("PRIVATE KEY")) == STR_NONE);
        struct str keys = conf_recorder_keys(&recorder), pem;
        assert_err(conf_keys_next(&keys, &pem), ERR_OK);
        assert_str(pem, str_of(pem_a_key));
        assert_err(conf_keys_next(&keys, &pem), ERR_NOT_FOUND);
        struct str name;
        size_t at = 0;
        assert_true(conf_bundle_next(&bundle, CONF_READ_KEY, &at, &name));
        assert_str(name, STR("/etc/sekisho/a.key"));
        assert_false(conf_bundle_next(&bundle, CONF_READ_KEY, &at, &name));
        assert_memory_equal(second->gateway.tokens[1].sha256, first->gateway.tokens[1].sha256,
                            CONF_SHA256_BYTES);
        struct conf *both[] = { first, second };
        for (size_t i = 0; i < 2; i++) {
                buf_init(&shown[i], 1 << 20);
                conf_show(both[i], &shown[i]);
        }
        assert_str(buf_str(&shown[0]), buf_str(&shown[1]));
        for (size_t i = 0; i < 2; i++) {
                buf_fini(&shown[i]);
                conf_free(both[i]);
        }
        conf_recorder_fini(&recorder);
        report_fini(&report);
}

static void keys_that_are_cut_short_are_refused(void **state)
{
        struct str keys, pem;
        struct buf out;

        buf_init(&out, 1024);
        conf_keys_add(&out, STR("one"));
        conf_keys_add(&out, STR("another"));
        for (size_t n = 0; n <= out.len; n++) {
                bool is_whole = n == 0 || n == 7 || n == out.len;
                enum err e;

                keys = str_sub(buf_str(&out), 0, n);
                while ((e = conf_keys_next(&keys, &pem)) == ERR_OK)
                        ;
                assert_err(e, is_whole ? ERR_NOT_FOUND : ERR_MALFORMED);
        }
        buf_fini(&out);
}

static void what_is_read_twice_is_kept_once(void **state)
{
        struct fake fake;
        struct conf_recorder recorder;
        struct conf_text out = { 0 };

        fake_init(&fake, STR(text));
        conf_recorder_init(&recorder, &fake.source);
        buf_init(&out.bytes, 1 << 20);
        assert_err(recorder.source.read(&recorder.source, CONF_READ_ENV, STR("KEY"), &out), ERR_OK);
        size_t once = conf_recorder_bundle(&recorder).len;
        assert_err(recorder.source.read(&recorder.source, CONF_READ_ENV, STR("KEY"), &out), ERR_OK);
        assert_err(recorder.source.read(&recorder.source, CONF_READ_ENV, STR("NONE"), &out), ERR_NOT_FOUND);
        assert_int_equal(conf_recorder_bundle(&recorder).len, once);
        buf_fini(&out.bytes);
        conf_recorder_fini(&recorder);
}

#define HEAD   "SKSH1\n\1\0\0\0\0\0\0\0"
#define CONFIG "\0\x80\1\1\0\0\0\2\0\0\0c{}" /* mode 0600 */

static const struct {
        const char *why;
        struct str bytes;
        enum err err;
} bundles[] = {
        { "ordinary", STR_INIT(HEAD CONFIG), ERR_OK },
        { "with a variable", STR_INIT(HEAD CONFIG "\1\0\0\1\0\0\0\1\0\0\0Kv"), ERR_OK },
        { "empty", STR_INIT(""), ERR_MALFORMED },
        { "only a head", STR_INIT(HEAD), ERR_MALFORMED },
        { "another format", STR_INIT("SKSH2\n\1\0\0\0\0\0\0\0" CONFIG), ERR_MALFORMED },
        { "cut in an entry", STR_INIT(HEAD "\0\x80\1\1\0\0\0\2\0\0\0c{"), ERR_MALFORMED },
        { "bytes after the last", STR_INIT(HEAD CONFIG "x"), ERR_MALFORMED },
        { "unknown kind", STR_INIT(HEAD CONFIG "\6\0\0\1\0\0\0\1\0\0\0Kv"), ERR_MALFORMED },
        { "impossible mode", STR_INIT(HEAD "\0\0\xf0\1\0\0\0\2\0\0\0c{}"), ERR_MALFORMED },
        { "no name", STR_INIT(HEAD "\0\x80\1\0\0\0\0\2\0\0\0{}"), ERR_MALFORMED },
        { "length beyond the end",
          STR_INIT(HEAD "\0\x80\1\1\0\0\0\xff\xff\xff\xff"
                        "c{}"),
          ERR_MALFORMED },
        { "no configuration first", STR_INIT(HEAD "\1\0\0\1\0\0\0\1\0\0\0Kv"), ERR_MALFORMED },
        { "two configurations", STR_INIT(HEAD CONFIG CONFIG), ERR_MALFORMED },
};

static void shapes(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(bundles); i++) {
                struct conf_bundle bundle;

                if (conf_bundle_open(&bundle, bundles[i].bytes) != bundles[i].err)
                        fail_msg("%s", bundles[i].why);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_same_comes_out),
                cmocka_unit_test(keys_that_are_cut_short_are_refused),
                cmocka_unit_test(what_is_read_twice_is_kept_once),
                cmocka_unit_test(shapes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
