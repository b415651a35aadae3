#include "../test.h"

#include "base/compiler.h"
#include "crypto/pairbox.h"
#include "crypto/x25519.h"

static void keys(uint8_t seed, uint8_t private_key[32], uint8_t public_key[32])
{
        memset(private_key, seed, 32);
        crypto_x25519_clamp(private_key);
        crypto_x25519_public(private_key, public_key);
}

static void test_either_end_makes_and_opens(void **state)
{
        uint8_t a[32], a_public[32], b[32], b_public[32], nonce[CRYPTO_PAIRBOX_NONCE_BYTES] = { 9 };
        struct crypto_pairbox_key at_a, at_b;

        keys(1, a, a_public);
        keys(2, b, b_public);
        assert_err(crypto_pairbox_key_init(&at_a, a, b_public), ERR_OK);
        assert_err(crypto_pairbox_key_init(&at_b, b, a_public), ERR_OK);
        assert_memory_equal(at_a.bytes, at_b.bytes, sizeof(at_a.bytes));
        for (size_t len = 0; len < 70; len++) {
                uint8_t text[70], box[70 + CRYPTO_PAIRBOX_OVERHEAD], out[70];
                memset(text, (int)len, sizeof(text));
                crypto_pairbox_seal(&at_a, nonce, (struct str){ (char *)text, len }, box);
                assert_err(crypto_pairbox_open(&at_b, nonce,
                                               (struct str){ (char *)box, len + CRYPTO_PAIRBOX_OVERHEAD },
                                               out),
                           ERR_OK);
                assert_memory_equal(out, text, len);
                for (size_t bit = 0; bit < 8 * (len + CRYPTO_PAIRBOX_OVERHEAD); bit++) {
                        box[bit / 8] ^= (uint8_t)(1 << bit % 8);
                        assert_err(crypto_pairbox_open(
                                           &at_b, nonce,
                                           (struct str){ (char *)box, len + CRYPTO_PAIRBOX_OVERHEAD }, out),
                                   ERR_MALFORMED);
                        box[bit / 8] ^= (uint8_t)(1 << bit % 8);
                }
        }
}

static void test_what_is_refused(void **state)
{
        uint8_t a[32], a_public[32], zero[32] = { 0 }, box[15] = { 0 },
                                     nonce[CRYPTO_PAIRBOX_NONCE_BYTES] = { 0 }, out[1];
        struct crypto_pairbox_key k;

        keys(1, a, a_public);
        assert_err(crypto_pairbox_key_init(&k, a, zero), ERR_MALFORMED); /* a point of small order */
        assert_err(crypto_pairbox_key_init(&k, a, a_public), ERR_OK);
        assert_err(crypto_pairbox_open(&k, nonce, (struct str){ (char *)box, sizeof(box) }, out),
                   ERR_MALFORMED);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_either_end_makes_and_opens),
                                            cmocka_unit_test(test_what_is_refused) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
