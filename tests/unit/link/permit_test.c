#include "../test.h"

#include <stdio.h>

#include "base/compiler.h"
#include "crypto/text.h"
#include "link/permit.h"

static const char *key_text(unsigned n, char out[CRYPTO_BASE64_SIZE(LINK_KEY_BYTES)])
{
        uint8_t key[LINK_KEY_BYTES] = { (uint8_t)n };

        crypto_base64_format((struct str){ (char *)key, sizeof(key) }, out);
        return out;
}

/* "1 2\n" with numbers for keys. */
static enum err parse(const char *lines, struct link_permit **out, size_t *errors)
{
        char text[4096] = "", key[CRYPTO_BASE64_SIZE(LINK_KEY_BYTES)];
        size_t len = 0;
        struct report report;

        for (const char *p = lines; *p; p++) {
                if (*p >= '0' && *p <= '9')
                        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s",
                                                key_text((unsigned)(*p - '0'), key));
                else
                        text[len++] = *p;
        }
        report_init(&report, STR("peers.txt"));
        enum err e = link_permit_parse((struct str){ text, len }, &report, out);
        *errors = report.errors_count;
        report_fini(&report);
        return e;
}

static bool allows(const struct link_permit *p, unsigned a, unsigned b)
{
        uint8_t x[LINK_KEY_BYTES] = { (uint8_t)a }, y[LINK_KEY_BYTES] = { (uint8_t)b };

        assert_int_equal(link_permit_allows(p, x, y), link_permit_allows(p, y, x));
        return link_permit_allows(p, x, y);
}

static void test_who_may_talk(void **state)
{
        static const struct {
                const char *why, *text;
                unsigned a, b;
                bool allowed;
        } cases[] = {
                { "of one line", "1 2\n", 1, 2, true },
                { "of one line of three", "1 2 3\n", 1, 3, true },
                { "of two lines", "1 2\n3 4\n", 2, 3, false },
                { "through a third", "1 2\n2 3\n", 1, 3, false },
                { "the second of their lines", "1 4\n2 5\n1 2\n", 1, 2, true },
                { "many lines each", "1 3\n2 3\n1 4\n2 4\n5 1\n6 2\n1 6\n2 1\n", 1, 2, true },
                { "many lines each, none in common", "1 3\n2 3\n1 4\n2 4\n5 1\n6 2\n", 1, 2, false },
                { "with itself", "1 1\n", 1, 1, false },
                { "nobody", "", 1, 2, false },
                { "behind a comment", "# 1 2\n", 1, 2, false },
                { "before a comment", "1 2 # 3\n", 1, 2, true },
                { "in a comment", "1 2 # 3\n", 1, 3, false },
                { "tabs, blanks and a carriage return", " \t1 \t 2 \r\n", 1, 2, true },
                { "no line end", "1 2", 1, 2, true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct link_permit *p;
                size_t errors;
                assert_err(parse(cases[i].text, &p, &errors), ERR_OK);
                if (allows(p, cases[i].a, cases[i].b) != cases[i].allowed)
                        fail_msg("%s", cases[i].why);
                link_permit_free(p);
        }
}

static void test_who_is_known(void **state)
{
        uint8_t one[LINK_KEY_BYTES] = { 1 }, nine[LINK_KEY_BYTES] = { 9 };
        struct link_permit *p;
        size_t errors;

        assert_err(parse("1 2\n\n# 9\n3 4\n", &p, &errors), ERR_OK);
        assert_true(link_permit_knows(p, one));
        assert_false(link_permit_knows(p, nine));
        assert_int_equal(link_permit_lines_count(p), 2);
        link_permit_free(p);
}

static void test_mistakes(void **state)
{
        static const struct {
                const char *why, *text;
                size_t errors;
        } cases[] = { { "no key", "1 hello\n", 1 },
                      { "a key with one letter less", "1 AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 1 },
                      { "alone", "1\n", 1 },
                      { "three lines", "x y\n1 2\n3\n", 3 } };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct link_permit *p = NULL;
                size_t errors;
                assert_err(parse(cases[i].text, &p, &errors), ERR_CONFIG);
                if (errors != cases[i].errors)
                        fail_msg("%s: %zu errors", cases[i].why, errors);
                assert_null(p);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_who_may_talk),
                                            cmocka_unit_test(test_who_is_known),
                                            cmocka_unit_test(test_mistakes) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
