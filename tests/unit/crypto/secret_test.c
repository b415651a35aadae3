#include "crypto/secret.h"

#include "../test.h"

static void compare(void **state)
{
        assert_true(crypto_eq("abc", "abc", 3));
        assert_false(crypto_eq("abc", "abd", 3));
        assert_false(crypto_eq("bbc", "abc", 3));
        assert_true(crypto_eq("x", "y", 0));
        assert_true(crypto_text_eq(STR("token"), STR("token")));
        assert_false(crypto_text_eq(STR("token"), STR("tokens")));
        assert_false(crypto_text_eq(STR("token"), STR_NULL));
        assert_true(crypto_text_eq(STR(""), STR_NULL));
}

static void wipe(void **state)
{
        char secret[] = "secret!";

        assert_false(crypto_is_zero(secret, 7));
        crypto_wipe(secret, 3);
        assert_string_equal(secret + 3, "ret!");
        assert_false(crypto_is_zero(secret, 4));
        assert_true(crypto_is_zero(secret, 3));
        crypto_wipe(secret, 7);
        assert_true(crypto_is_zero(secret, 7));
        crypto_wipe(NULL, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(compare),
                cmocka_unit_test(wipe),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
