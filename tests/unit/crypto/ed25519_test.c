#include "crypto/ed25519.h"

#include "hex.h"

/* RFC 8032 7.1 */
static const struct {
        const char *why, *seed, *public_key, *message, *signature;
} cases[] = {
        { "test 1: empty message", "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
          "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
          "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe"
          "24655141438e7a100b" },
        { "test 2: one byte", "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
          "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
          "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302a"
          "eeb00d291612bb0c00" },
};

static void rfc_8032(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint8_t seed[32], public_key[32], message[8], signature[64];

                print_message("%s\n", cases[i].why);
                unhex(cases[i].seed, seed, sizeof(seed));
                struct str m = { (char *)message, unhex(cases[i].message, message, sizeof(message)) };
                crypto_ed25519_public(seed, public_key);
                assert_hex(public_key, cases[i].public_key);
                crypto_ed25519_sign(seed, m, signature);
                assert_hex(signature, cases[i].signature);
                assert_true(crypto_ed25519_verify(public_key, m, signature));
                assert_false(crypto_ed25519_verify(public_key, STR("other"), signature));
                for (size_t bit = 0; bit < 8 * sizeof(signature); bit += 5) {
                        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
                        assert_false(crypto_ed25519_verify(public_key, m, signature));
                        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
                }
        }
}

static void a_small_order_key_signs_nothing(void **state)
{
        /* The neutral point as key and R, S = 0, satisfies the equation for every message. */
        uint8_t public_key[32] = { 1 }, signature[64] = { 1 };

        assert_false(crypto_ed25519_verify(public_key, STR("anything"), signature));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(rfc_8032),
                cmocka_unit_test(a_small_order_key_signs_nothing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
