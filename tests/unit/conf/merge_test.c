#include "fake.h"

#include <stdio.h>

/* What control published stands below what the operator wrote. */

struct two {
        struct conf_source source;
        struct fake own;
        const char *published;
};

static enum err two_read(struct conf_source *s, enum conf_read_kind kind, struct str name,
                         struct conf_text *out)
{
        struct two *t = CONTAINER_OF(s, struct two, source);

        if (kind != CONF_READ_PUBLISHED)
                return t->own.source.read(&t->own.source, kind, name, out);
        if (!t->published)
                return ERR_NOT_FOUND;
        buf_add(&out->bytes, str_of(t->published));
        return ERR_OK;
}

static enum err load(const char *own, const char *published, struct report *r, struct conf **out)
{
        struct two t;

        fake_init(&t.own, str_of(own));
        t.source = (struct conf_source){ .read = two_read, .file = t.own.source.file, .now = FAKE_NOW };
        t.published = published;
        report_init(r, t.source.file);
        return conf_load(&t.source, r, out);
}

#define UPSTREAM(name, url) "\"" name "\": {\"targets\": [{\"url\": \"" url "\"}]}"

static void what_comes_of_both(void **state)
{
        static const struct {
                const char *why, *own, *published;
                enum err err;
                const char *routes;    /* their names, in order */
                const char *first_url; /* of the upstream "app" */
                size_t tokens;
        } cases[] = {
                { "nothing published", "{\"gateway\":{\"auth\":false}}", NULL, ERR_OK, "", NULL, 0 },
                { "into an empty file", "{\"gateway\":{\"auth\":false}}",
                  "{\"upstreams\":{" UPSTREAM(
                          "app", "http://a:1") "},\"routes\":[{\"name\":\"r\",\"upstream\":\"app\"}]}",
                  ERR_OK, "r", "http://a:1", 0 },
                { "behind the operator's",
                  "{\"gateway\":{\"auth\":false},\"upstreams\":{" UPSTREAM(
                          "mine",
                          "http://m:1") "},"
                                        "\"routes\":[{\"name\":\"own\",\"host\":[\"a.example\"],\"upstream\":\"mine\"}]}",
                  "{\"upstreams\":{" UPSTREAM(
                          "app",
                          "http://a:1") "},"
                                        "\"routes\":[{\"name\":\"r\",\"host\":[\"b.example\"],\"upstream\":\"app\"}]}",
                  ERR_OK, "own r", "http://a:1", 0 },
                { "the operator is right about a name",
                  "{\"gateway\":{\"auth\":false},\"upstreams\":{" UPSTREAM(
                          "app", "http://mine:1") "},"
                                                  "\"routes\":[{\"name\":\"r\",\"upstream\":\"app\"}]}",
                  "{\"upstreams\":{" UPSTREAM(
                          "app",
                          "http://theirs:1") "},"
                                             "\"routes\":[{\"name\":\"r\",\"host\":[\"x.example\"],\"upstream\":\"app\"}]}",
                  ERR_OK, "r", "http://mine:1", 0 },
                { "the operator is right about a host and path",
                  "{\"gateway\":{\"auth\":false},\"upstreams\":{" UPSTREAM(
                          "mine",
                          "http://m:1") "},"
                                        "\"routes\":[{\"name\":\"own\",\"host\":[\"a.example\"],\"upstream\":\"mine\"}]}",
                  "{\"upstreams\":{" UPSTREAM(
                          "app",
                          "http://a:1") "},"
                                        "\"routes\":[{\"name\":\"r\",\"host\":[\"a.example\"],\"upstream\":\"app\"}]}",
                  ERR_OK, "own r", NULL, 0 },
                { "tokens are joined", "{\"gateway\":{\"apiTokens\":[{\"name\":\"a\",\"env\":\"TOKEN\"}]}}",
                  "{\"gateway\":{\"apiTokens\":[{\"name\":\"b\",\"sha256\":"
                  "\"1111111111111111111111111111111111111111111111111111111111111111\"}]}}",
                  ERR_OK, "", NULL, 2 },
                { "other keys of the gateway are the operator's alone", "{\"gateway\":{\"auth\":false}}",
                  "{\"gateway\":{\"auth\":true,\"workers\":9},\"log\":{\"level\":\"nonsense\"}}", ERR_OK, "",
                  NULL, 0 },
                { "a mistake of control's is one", "{\"gateway\":{\"auth\":false}}",
                  "{\"routes\":[{\"name\":\"r\",\"upstream\":\"nobody\"}]}", ERR_CONFIG, NULL, NULL, 0 },
                { "no JSON", "{\"gateway\":{\"auth\":false}}", "{", ERR_CONFIG, NULL, NULL, 0 },
                { "the wrong types change nothing", "{\"gateway\":{\"auth\":false}}",
                  "{\"routes\":{},\"upstreams\":[],\"gateway\":7}", ERR_OK, "", NULL, 0 },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct conf *c = NULL;
                struct report r;
                struct buf names;
                enum err e = load(cases[i].own, cases[i].published, &r, &c);
                if (e != cases[i].err)
                        fail_msg("%s: %s, %.*s", cases[i].why, err_name(e),
                                 r.entries_count ? (int)r.entries[0].text.len : 0,
                                 r.entries_count ? r.entries[0].text.ptr : "");
                buf_init(&names, 1024);
                for (size_t n = 0; c && n < c->routes_count; n++)
                        buf_addf(&names, "%s%.*s", n ? " " : "", STR_FMT(c->routes[n].name));
                if (c && !str_eq(buf_str(&names), str_of(cases[i].routes)))
                        fail_msg("%s: %.*s", cases[i].why, STR_FMT(buf_str(&names)));
                if (c)
                        assert_int_equal(c->gateway.tokens_count, cases[i].tokens);
                for (size_t n = 0; c && cases[i].first_url && n < c->upstreams_count; n++)
                        if (str_eq(c->upstreams[n].name, STR("app")))
                                assert_str(c->upstreams[n].targets[0].url.text, str_of(cases[i].first_url));
                buf_fini(&names);
                conf_free(c);
                report_fini(&r);
        }
}

static size_t said_of_control(const struct report *r)
{
        size_t count = 0;

        for (size_t i = 0; i < r->entries_count; i++)
                count += str_has_prefix(r->entries[i].text, STR("published by control: "));
        return count;
}

/* Listeners in force, in order; control's with a star. */
static void what_is_listened_on(void **state)
{
#define LISTEN(address) "{\"address\":\"" address "\",\"upstream\":\"s\"}"
#define OWN(keys)       "{\"gateway\":{\"auth\":false" keys "}}"
        static const struct {
                const char *why, *own, *published, *listens;
                size_t warnings;
        } cases[] = {
                { "nothing published", OWN(""), "", "127.0.0.1:3000", 0 },
                { "the default listener stays", OWN(""), LISTEN("0.0.0.0:22"), "127.0.0.1:3000 0.0.0.0:22*",
                  0 },
                { "beside the operator's list", OWN(",\"listen\":[\"127.0.0.1:80\"]"), LISTEN("127.0.0.1:22"),
                  "127.0.0.1:80 127.0.0.1:22*", 0 },
                { "an empty list is none", OWN(",\"listen\":[]"), LISTEN("127.0.0.1:22"),
                  "127.0.0.1:3000 127.0.0.1:22*", 0 },
                { "beside host and port", OWN(",\"port\":81,\"listen\":[\"127.0.0.1:80\"]"),
                  LISTEN("127.0.0.1:22"), "127.0.0.1:81 127.0.0.1:80 127.0.0.1:22*", 0 },
                { "the operator's address, others go on", OWN(",\"listen\":[\"127.0.0.1:80\"]"),
                  LISTEN("127.0.0.1:80") "," LISTEN("127.0.0.1:22"), "127.0.0.1:80 127.0.0.1:22*", 1 },
                { "his by default", OWN(""), LISTEN("127.0.0.1:3000"), "127.0.0.1:3000", 1 },
                { "wider than his", OWN(",\"listen\":[\"127.0.0.1:80\"]"), LISTEN("0.0.0.0:80"),
                  "127.0.0.1:80", 1 },
                { "narrower than his", OWN(",\"listen\":[\":80\"]"), LISTEN("192.0.2.1:80"), "[::]:80", 1 },
                { "another family's", OWN(",\"listen\":[\"0.0.0.0:80\"]"), LISTEN("[::1]:80"),
                  "0.0.0.0:80 [::1]:80*", 0 },
                { "the admin's", OWN(""), LISTEN("127.0.0.1:9400"), "127.0.0.1:3000", 1 },
                { "two of control's", OWN(""), LISTEN("127.0.0.1:22") "," LISTEN(":22"),
                  "127.0.0.1:3000 127.0.0.1:22*", 1 },
                { "an upstream of HTTP is no door", OWN(""), "{\"address\":\"127.0.0.1:22\"}",
                  "127.0.0.1:3000", 1 },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char published[1024], text[LISTEN_ADDRESS_TEXT_MAX];
                struct conf *c = NULL;
                struct report r;
                struct buf got;

                snprintf(published, sizeof(published),
                         "{\"gateway\":{\"listen\":[%s]},\"upstreams\":{" UPSTREAM("s",
                                                                                   "link://ag-1/tg-1") "}}",
                         cases[i].published);
                if (load(cases[i].own, published, &r, &c) != ERR_OK)
                        fail_msg("%s: %.*s", cases[i].why, STR_FMT(r.entries[0].text));
                buf_init(&got, 1024);
                for (size_t n = 0; n < c->gateway.listens_count; n++) {
                        const struct conf_listen *listen = &c->gateway.listens[n];
                        buf_addf(&got, "%s%s%s", n ? " " : "",
                                 listen_address_format(&listen->address, text).ptr,
                                 listen->is_published ? "*" : "");
                        assert_true(listen->is_published == (listen->upstream != NULL));
                }
                if (!str_eq(buf_str(&got), str_of(cases[i].listens)) ||
                    said_of_control(&r) != cases[i].warnings)
                        fail_msg("%s: %.*s, %zu warnings", cases[i].why, STR_FMT(buf_str(&got)),
                                 r.entries_count);
                buf_fini(&got);
                conf_free(c);
                report_fini(&r);
        }
}

/* Names whose TLS is passed on, in order; control's with a star. */
static void what_is_passed_on(void **state)
{
#define PASSED(host) "{\"host\":[\"" host "\"],\"upstream\":\"s\"}"
#define PASS_OWN(keys) \
        "{\"gateway\":{\"auth\":false},\"upstreams\":{" UPSTREAM("mine", "tcp://a:1") "}" keys "}"
        static const struct {
                const char *why, *own, *published, *names;
                size_t warnings;
        } cases[] = {
                { "nothing", PASS_OWN(""), "", "", 0 },
                { "a name", PASS_OWN(""), PASSED("a.example"), "a.example*", 0 },
                { "twice: the first", PASS_OWN(""), PASSED("a.example") "," PASSED("a.example"), "a.example*",
                  1 },
                { "a route of the operator's has it",
                  PASS_OWN(",\"routes\":[{\"host\":[\"a.example\"],\"respond\":{\"body\":\"x\"}}]"),
                  PASSED("a.example") "," PASSED("b.example"), "b.example*", 1 },
                { "a route of a wildcard has not",
                  PASS_OWN(",\"routes\":[{\"host\":[\"*.example\"],\"respond\":{\"body\":\"x\"}}]"),
                  PASSED("a.example"), "a.example*", 0 },
                { "every name is too many", PASS_OWN(""), PASSED("*"), "", 1 },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct conf *c = NULL;
                char published[1024];
                struct report r;
                struct buf got;

                snprintf(published, sizeof(published),
                         "{\"gateway\":{\"passThrough\":[%s]},\"upstreams\":{" UPSTREAM(
                                 "s", "link://ag-1/tg-1") "}}",
                         cases[i].published);
                if (load(cases[i].own, published, &r, &c) != ERR_OK)
                        fail_msg("%s: %.*s", cases[i].why, STR_FMT(r.entries[0].text));
                buf_init(&got, 1024);
                for (size_t n = 0; n < c->gateway.passes_count; n++)
                        for (size_t h = 0; h < c->gateway.passes[n].hosts.count; h++)
                                buf_addf(&got, "%s%.*s%s", got.len ? " " : "",
                                         STR_FMT(c->gateway.passes[n].hosts.items[h]),
                                         c->gateway.passes[n].is_published ? "*" : "");
                if (!str_eq(buf_str(&got), str_of(cases[i].names)) ||
                    said_of_control(&r) != cases[i].warnings)
                        fail_msg("%s: %.*s, %zu said", cases[i].why, STR_FMT(buf_str(&got)), r.entries_count);
                buf_fini(&got);
                conf_free(c);
                report_fini(&r);
        }
}

static void more_than_can_be_listened_on(void **state)
{
        struct conf *c = NULL;
        struct buf published;
        struct report r;
        (void)state;

        buf_init(&published, 1 << 16);
        buf_addf(&published, "{\"upstreams\":{" UPSTREAM("s", "link://a/t") "},\"gateway\":{\"listen\":[");
        for (unsigned i = 0; i < 300; i++)
                buf_addf(&published, "%s{\"address\":\"127.0.0.1:%u\",\"upstream\":\"s\"}", i ? "," : "",
                         5000 + i);
        buf_add(&published, (struct str){ "]}}", 4 }); /* with its NUL */
        assert_err(load("{\"gateway\":{\"auth\":false}}", buf_str(&published).ptr, &r, &c), ERR_OK);
        assert_int_equal(c->gateway.listens_count + 1, CONF_LISTENS_MAX);
        assert_int_equal(said_of_control(&r), 300 - (CONF_LISTENS_MAX - 2));
        buf_fini(&published);
        conf_free(c);
        report_fini(&r);
}

/* With auth off in the operator's file, what control publishes for some must not be open to all. */
static void what_needs_a_token_does_not_become_public(void **state)
{
        static const char published[] = "{\"upstreams\":{" UPSTREAM(
                "app",
                "http://a:1") "},\"routes\":["
                              "{\"name\":\"open\",\"host\":[\"a.example\"],\"upstream\":\"app\",\"access\":{\"token\":\"public\"}},"
                              "{\"name\":\"some\",\"host\":[\"b.example\"],\"upstream\":\"app\",\"access\":{\"token\":\"proxy\"}}]}";
        struct conf *c;
        struct report r;
        (void)state;

        assert_err(load("{\"gateway\":{\"auth\":false}}", published, &r, &c), ERR_OK);
        assert_int_equal(c->routes[0].action, CONF_TO_UPSTREAM);
        assert_int_equal(c->routes[1].action, CONF_RESPOND);
        assert_int_equal(c->routes[1].status, 503);
        assert_null(c->routes[1].upstream);
        conf_free(c);
        report_fini(&r);
        assert_err(
                load("{\"gateway\":{\"apiTokens\":[{\"name\":\"a\",\"env\":\"TOKEN\"}]}}", published, &r, &c),
                ERR_OK);
        assert_int_equal(c->routes[1].action, CONF_TO_UPSTREAM);
        assert_true(c->routes[1].access.needs_token);
        conf_free(c);
        report_fini(&r);
}

/* Its number tells that something was published, and workers build the very same from the bundle. */
static void a_bundle_has_it_too(void **state)
{
        static const char own[] = "{\"gateway\":{\"auth\":false}}";
        static const char published[] = "{\"upstreams\":{" UPSTREAM(
                "app", "http://a:1") "},\"routes\":[{\"name\":\"r\",\"upstream\":\"app\"}]}";
        struct conf *with, *without, *again;
        struct conf_recorder recorder;
        struct conf_bundle bundle;
        struct report r;
        struct two t;
        (void)state;

        fake_init(&t.own, str_of(own));
        t.source = (struct conf_source){ .read = two_read, .file = t.own.source.file, .now = FAKE_NOW };
        t.published = published;
        report_init(&r, t.source.file);
        conf_recorder_init(&recorder, &t.source);
        assert_err(conf_load(&recorder.source, &r, &with), ERR_OK);
        assert_err(conf_bundle_open(&bundle, conf_recorder_bundle(&recorder)), ERR_OK);
        assert_err(conf_load(&bundle.source, &r, &again), ERR_OK);
        assert_str(again->version, with->version);
        assert_int_equal(again->routes_count, 1);
        report_fini(&r);
        assert_err(load(own, NULL, &r, &without), ERR_OK);
        assert_false(str_eq(with->version, without->version));
        conf_recorder_fini(&recorder);
        conf_free(with);
        conf_free(again);
        conf_free(without);
        report_fini(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_comes_of_both),
                cmocka_unit_test(what_is_listened_on),
                cmocka_unit_test(what_is_passed_on),
                cmocka_unit_test(more_than_can_be_listened_on),
                cmocka_unit_test(what_needs_a_token_does_not_become_public),
                cmocka_unit_test(a_bundle_has_it_too),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
