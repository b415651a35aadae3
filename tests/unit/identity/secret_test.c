#include "../test.h"

#include "base/compiler.h"
#include "crypto/sha256.h"
#include "identity/secret.h"

static void test_make(void **state)
{
        static const char *const prefixes[] = { "skapi-", "skown-", "sk-" };
        char a[IDENTITY_SECRET_SIZE], b[IDENTITY_SECRET_SIZE];

        for (int kind = 0; kind < 3; kind++) {
                struct str text = identity_secret_make((enum identity_secret)kind, a);

                assert_true(str_has_prefix(text, str_of(prefixes[kind])));
                assert_int_equal(text.len, strlen(prefixes[kind]) + 43);
                assert_true(identity_secret_is((enum identity_secret)kind, text));
                assert_false(identity_secret_is((enum identity_secret)((kind + 1) % 3), text));
                identity_secret_make((enum identity_secret)kind, b);
                assert_string_not_equal(a, b);
        }
}

static void test_forms(void **state)
{
        static const struct {
                const char *why;
                struct str text;
        } cases[] = {
                { "empty", STR_INIT("") },
                { "the prefix alone", STR_INIT("skapi-") },
                { "too short", STR_INIT("skapi-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") },
                { "too long", STR_INIT("skapi-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") },
                { "a letter that is none", STR_INIT("skapi-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'a") },
                { "capitals in the prefix", STR_INIT("SKAPI-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (identity_secret_is(IDENTITY_API_KEY, cases[i].text))
                        fail_msg("%s", cases[i].why);
        assert_true(identity_secret_is(IDENTITY_API_KEY,
                                       STR("skapi-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_")));
}

static void test_hash(void **state)
{
        uint8_t a[IDENTITY_HASH_BYTES], b[CRYPTO_SHA256_BYTES];

        identity_secret_hash(STR("skapi-x"), a);
        crypto_sha256(STR("skapi-x"), b);
        assert_memory_equal(a, b, sizeof(a));
        assert_str(identity_secret_hint(STR("skapi-abcdefgh")), STR("skapi-abcd"));
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_make), cmocka_unit_test(test_forms),
                                            cmocka_unit_test(test_hash) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
