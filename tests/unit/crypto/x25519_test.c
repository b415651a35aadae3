#include "crypto/x25519.h"

#include "crypto/secret.h"
#include "hex.h"

/* RFC 7748 6.1 */
static void alice_and_bob(void **state)
{
        uint8_t alice[32], bob[32], alice_public[32], bob_public[32], shared[32];
        const char *secret = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";

        unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", alice, 32);
        unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", bob, 32);
        crypto_x25519_public(alice, alice_public);
        crypto_x25519_public(bob, bob_public);
        assert_hex(alice_public, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        assert_hex(bob_public, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        assert_err(crypto_x25519(alice, bob_public, shared), ERR_OK);
        assert_hex(shared, secret);
        assert_err(crypto_x25519(bob, alice_public, shared), ERR_OK);
        assert_hex(shared, secret);
}

static void points_of_small_order_are_refused(void **state)
{
        static const char *const points[] = {
                "0000000000000000000000000000000000000000000000000000000000000000",
                "0100000000000000000000000000000000000000000000000000000000000000",
                "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        };
        uint8_t private_key[32] = { 1, 2, 3 }, point[32], out[32];

        crypto_x25519_clamp(private_key);
        for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
                unhex(points[i], point, sizeof(point));
                memset(out, 0xff, sizeof(out));
                assert_err(crypto_x25519(private_key, point, out), ERR_MALFORMED);
                assert_true(crypto_is_zero(out, sizeof(out)));
        }
}

static void clamped(void **state)
{
        uint8_t key[32], expected[32];

        memset(key, 0xff, sizeof(key));
        memset(expected, 0xff, sizeof(expected));
        expected[0] = 0xf8;
        expected[31] = 0x7f;
        crypto_x25519_clamp(key);
        assert_memory_equal(key, expected, sizeof(key));
        memset(key, 0, sizeof(key));
        crypto_x25519_clamp(key);
        assert_int_equal(key[31], 0x40);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(alice_and_bob),
                cmocka_unit_test(points_of_small_order_are_refused),
                cmocka_unit_test(clamped),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
