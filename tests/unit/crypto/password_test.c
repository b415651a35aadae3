#include "crypto/password.h"

#include "../test.h"

static const struct crypto_password_cost cheap = { 1, 8192 };

static void hash_and_verify(void **state)
{
        char stored[CRYPTO_PASSWORD_TEXT_MAX], again[CRYPTO_PASSWORD_TEXT_MAX];

        assert_err(crypto_password_hash(STR("correct horse"), cheap, stored), ERR_OK);
        assert_err(crypto_password_hash(STR("correct horse"), cheap, again), ERR_OK);
        assert_string_not_equal(stored, again); /* a salt each */
        assert_memory_equal(stored, "$argon2id$v=19$", 15);
        assert_true(crypto_password_verify(STR("correct horse"), stored));
        assert_false(crypto_password_verify(STR("correct horsf"), stored));
        assert_false(crypto_password_verify(STR(""), stored));
        assert_false(crypto_password_verify(STR_NULL, stored));
}

static void what_is_no_hash_verifies_nothing(void **state)
{
        static const char *const bad[] = { "", "x", "$argon2id$", "$argon2i$v=19$m=8,t=1,p=1$",
                                           "correct horse" };
        char overlong[400];

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                assert_false(crypto_password_verify(STR("correct horse"), bad[i]));
                assert_true(crypto_password_is_outdated(bad[i], cheap));
        }
        memset(overlong, '$', sizeof(overlong));
        overlong[sizeof(overlong) - 1] = '\0';
        assert_false(crypto_password_verify(STR("correct horse"), overlong));
}

static void cost_is_seen(void **state)
{
        char stored[CRYPTO_PASSWORD_TEXT_MAX];

        assert_err(crypto_password_hash(STR("x"), cheap, stored), ERR_OK);
        assert_false(crypto_password_is_outdated(stored, cheap));
        assert_true(crypto_password_is_outdated(stored, CRYPTO_PASSWORD_COST));
}

static void no_memory_is_an_error(void **state)
{
        char stored[CRYPTO_PASSWORD_TEXT_MAX];

        assert_err(crypto_password_hash(STR("x"), (struct crypto_password_cost){ 1, 1 }, stored),
                   ERR_NO_MEMORY);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(hash_and_verify),
                cmocka_unit_test(what_is_no_hash_verifies_nothing),
                cmocka_unit_test(cost_is_seen),
                cmocka_unit_test(no_memory_is_an_error),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
