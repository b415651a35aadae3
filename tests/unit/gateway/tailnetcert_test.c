/* What tailscaled may give as a certificate, and what the reader then finds of it. */
#include "../conf/pem.h"
#include "../test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "gateway/tailnetcert.h"
#include "io/mailbox.h"

#define NOW      1767225600000 /* 2026-01-01 */
#define YEAR2100 4102444800000

static const struct {
        const char *why;
        const char *parts[3];
        const char *name;
        unix_ms now;
        enum err err;
        const char *problem;
} cases[] = {
        { "a pair", { pem_a_key, pem_a_cert }, "a.example", NOW, ERR_OK, "" },
        { "with more of a chain", { pem_a_key, pem_a_cert, pem_b_cert }, "a.example", NOW, ERR_OK, "" },
        { "of another name",
          { pem_a_key, pem_a_cert },
          "b.example",
          NOW,
          ERR_MALFORMED,
          "is not for b.example" },
        { "of a part of the name",
          { pem_a_key, pem_a_cert },
          "x.a.example",
          NOW,
          ERR_MALFORMED,
          "is not for" },
        { "of no name", { pem_a_key, pem_a_cert }, "", NOW, ERR_MALFORMED, "is not for" },
        { "another's key", { pem_b_key, pem_a_cert }, "a.example", NOW, ERR_CONFIG, "cannot be used" },
        { "ended", { pem_a_key, pem_a_cert }, "a.example", YEAR2100, ERR_STALE, "ended 2081" },
        { "turned round", { pem_a_cert, pem_a_key }, "a.example", NOW, ERR_MALFORMED, "not a key and" },
        { "a second key behind",
          { pem_a_key, pem_a_cert, pem_b_key },
          "a.example",
          NOW,
          ERR_MALFORMED,
          "not a key and" },
        { "no key", { pem_a_cert }, "a.example", NOW, ERR_MALFORMED, "not a key and" },
        { "no certificate", { pem_a_key }, "a.example", NOW, ERR_MALFORMED, "not a key and" },
        { "two certificates", { pem_b_cert, pem_a_cert }, "a.example", NOW, ERR_MALFORMED, "not a key and" },
        { "text before it",
          { "hello\n", pem_a_key, pem_a_cert },
          "a.example",
          NOW,
          ERR_MALFORMED,
          "not a key and" },
        { "no certificate inside",
          { pem_a_key, "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n" },
          "a.example",
          NOW,
          ERR_CONFIG,
          "cannot be used" },
        { "nothing", { "" }, "a.example", NOW, ERR_MALFORMED, "not a key and" },
};

static enum err check(size_t i, size_t len, struct buf *problem, struct tailnetcert_pair *pair)
{
        struct buf body;

        buf_init(&body, 1 << 20);
        for (size_t n = 0; n < ARRAY_SIZE(cases[i].parts) && cases[i].parts[n]; n++)
                buf_add(&body, str_of(cases[i].parts[n]));
        enum err e = tailnetcert_check(str_sub(buf_str(&body), 0, len), str_of(cases[i].name), cases[i].now,
                                       problem, pair);
        buf_fini(&body);
        return e;
}

static void what_may_be_a_pair(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct tailnetcert_pair pair;
                struct buf problem;

                buf_init(&problem, 1024);
                enum err e = check(i, SIZE_MAX, &problem, &pair);
                if (e != cases[i].err || (pair.fd >= 0) != (e == ERR_OK) || !problem.len != (e == ERR_OK) ||
                    (e != ERR_OK && str_find(buf_str(&problem), str_of(cases[i].problem)) == STR_NONE))
                        fail_msg("%s: %s, \"%.*s\"", cases[i].why, err_text(e), STR_FMT(buf_str(&problem)));
                if (e == ERR_OK)
                        close(pair.fd);
                buf_fini(&problem);
        }
}

static void a_part_of_it_is_nothing(void **state)
{
        (void)state;
        for (size_t len = 0; len + 30 < strlen(pem_a_key) + strlen(pem_a_cert); len++) {
                struct tailnetcert_pair pair;
                struct buf problem;

                buf_init(&problem, 1024);
                assert_true(check(0, len, &problem, &pair) != ERR_OK);
                assert_int_equal(pair.fd, -1);
                buf_fini(&problem);
        }
}

/* ---- for the reader ---- */

static enum err inner_read(struct conf_source *s, enum conf_read_kind kind, struct str name,
                           struct conf_text *out)
{
        (void)s, (void)kind;
        buf_add(&out->bytes, name);
        return ERR_OK;
}

static struct conf_source inner = { .read = inner_read };

static enum err read_as(struct tailnetcert *c, enum conf_read_kind kind, struct str name, char out[4096])
{
        struct conf_text text = { 0 };

        buf_init(&text.bytes, 4095);
        enum err e = c->source.read(&c->source, kind, name, &text);

        memcpy(out, text.bytes.ptr ? text.bytes.ptr : "", text.bytes.len);
        out[text.bytes.len] = '\0';
        buf_wipe(&text.bytes);
        return e;
}

static void the_reader_finds_it(void **state)
{
        struct tailnetcert_pair pair;
        struct tailnetcert layer;
        struct buf problem;
        char text[4096];

        (void)state;
        tailnetcert_over(&layer, &inner, -1);
        assert_err(read_as(&layer, CONF_READ_FILE, CONF_TAILNET_CERT, text), ERR_NOT_FOUND);
        assert_err(read_as(&layer, CONF_READ_KEY, CONF_TAILNET_KEY, text), ERR_NOT_FOUND);
        buf_init(&problem, 1024);
        assert_err(check(1, SIZE_MAX, &problem, &pair), ERR_OK);
        buf_fini(&problem);
        tailnetcert_over(&layer, &inner, pair.fd);
        assert_err(read_as(&layer, CONF_READ_KEY, CONF_TAILNET_KEY, text), ERR_OK);
        assert_string_equal(text, pem_a_key);
        assert_err(read_as(&layer, CONF_READ_FILE, CONF_TAILNET_CERT, text), ERR_OK);
        assert_int_equal(strncmp(text, pem_a_cert, strlen(pem_a_cert)), 0);
        assert_null(strstr(text, "PRIVATE"));
        /* The key under no other kind: what is read as that is handed to everybody. */
        assert_err(read_as(&layer, CONF_READ_FILE, CONF_TAILNET_KEY, text), ERR_OK);
        assert_null(strstr(text, "PRIVATE"));
        assert_err(read_as(&layer, CONF_READ_KEY, STR("/etc/a.key"), text), ERR_OK);
        assert_string_equal(text, "/etc/a.key");
        close(pair.fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_may_be_a_pair),
                cmocka_unit_test(a_part_of_it_is_nothing),
                cmocka_unit_test(the_reader_finds_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
