#include "crypto/sealedbox.h"

#include "crypto/random.h"
#include "crypto/secret.h"
#include "crypto/x25519.h"
#include "hex.h"

static void only_the_holder_opens(void **state)
{
        uint8_t own[32], other[32], public_key[32], box[5 + CRYPTO_SEALEDBOX_OVERHEAD], text[5];
        struct str sealed = { (char *)box, sizeof(box) };

        crypto_random(own, sizeof(own));
        crypto_random(other, sizeof(other));
        crypto_x25519_public(own, public_key);
        assert_err(crypto_sealedbox_seal(public_key, STR("hello"), box), ERR_OK);
        assert_err(crypto_sealedbox_open(own, sealed, text), ERR_OK);
        assert_memory_equal(text, "hello", 5);

        assert_err(crypto_sealedbox_open(other, sealed, text), ERR_MALFORMED);
        assert_true(crypto_is_zero(text, sizeof(text)));
        for (size_t i = 0; i < sizeof(box); i++) {
                box[i] ^= 0x40;
                assert_err(crypto_sealedbox_open(own, sealed, text), ERR_MALFORMED);
                box[i] ^= 0x40;
        }
        for (size_t len = 0; len < CRYPTO_SEALEDBOX_OVERHEAD; len++)
                assert_err(crypto_sealedbox_open(own, str_sub(sealed, 0, len), text), ERR_MALFORMED);
}

static void a_key_that_is_none(void **state)
{
        const uint8_t zero[32] = { 0 };
        uint8_t box[1 + CRYPTO_SEALEDBOX_OVERHEAD];

        assert_err(crypto_sealedbox_seal(zero, STR("x"), box), ERR_MALFORMED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(only_the_holder_opens),
                cmocka_unit_test(a_key_that_is_none),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
