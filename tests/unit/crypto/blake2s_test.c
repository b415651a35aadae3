#include "crypto/blake2s.h"

#include "hex.h"

static uint8_t counting[32]; /* 0, 1, 2 ... 31 */

static int setup(void **state)
{
        for (size_t i = 0; i < sizeof(counting); i++)
                counting[i] = (uint8_t)i;
        return 0;
}

static void plain(void **state)
{
        uint8_t out[CRYPTO_BLAKE2S_BYTES];
        const char *abc = "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"; /* RFC 7693 B */

        crypto_blake2s(&STR("abc"), 1, out);
        assert_hex(out, abc);
        crypto_blake2s((const struct str[]){ STR("a"), STR_NULL, STR("bc") }, 3, out);
        assert_hex(out, abc);
}

/* The expected values are those of Python's hashlib and hmac, an implementation of its own. */
static void keyed(void **state)
{
        static const struct {
                const char *why;
                size_t key_len, out_len;
                struct str data;
                const char *mac;
        } cases[] = {
                { "mac1: 32-byte key, 16 out", 32, 16, STR_INIT("abc"), "61ba5f165c194692e09d12520cc4c74a" },
                { "full length differs, not a prefix", 32, 32, STR_INIT("abc"),
                  "a281f725754969a702f6fe36fc591b7def866e4b70173ece402fc01c064d6b65" },
                { "mac2: 16-byte key", 16, 16, STR_INIT("abc"), "75296c2d2c0f51210b383f386bc8b1ff" },
                { "no data", 32, 16, STR_INIT(""), "9536f9b267655743dee97b8a670f9f53" },
                { "as the first, after other sizes", 32, 16, STR_INIT("abc"),
                  "61ba5f165c194692e09d12520cc4c74a" },
        };
        uint8_t out[32];

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                print_message("%s\n", cases[i].why);
                crypto_blake2s_keyed((struct str){ (char *)counting, cases[i].key_len }, cases[i].data, out,
                                     cases[i].out_len);
                assert_hex(out, cases[i].mac);
        }
}

static void hmac(void **state)
{
        uint8_t out[CRYPTO_BLAKE2S_BYTES];
        char key[100];

        crypto_hmac_blake2s(STR("key"), STR("The quick brown fox"), out);
        assert_hex(out, "8717096fc5e7ac53d11d990acd4380c9ddd7bd8da5d8b5bc29855e6c98a866a4");
        memset(key, 'k', sizeof(key));
        crypto_hmac_blake2s((struct str){ key, sizeof(key) }, STR("The quick brown fox"), out);
        assert_hex(out, "3b047936034e099ea6edf643eb0da5b48ff071809fd95191fefb3fcecf4ad9e5");
}

static void kdf(void **state)
{
        uint8_t a[32], b[32], c[32];

        crypto_blake2s_kdf(counting, STR("input"), a, b, c);
        assert_hex(a, "87b7f70b24183c6db5dc4f6d9f4c47cdb203321aa2a0bef714896adb3107a040");
        assert_hex(b, "538a02e1eb2e31b7e4d4b82476d1fe2acf50085d3fb584537279195f5d1f5824");
        assert_hex(c, "9ad858025593be88de0f9442a589cfe84a88dc19e4753d93684d1c5efc4837f9");

        /* In place, fewer outputs, no input. */
        memcpy(a, counting, sizeof(a));
        crypto_blake2s_kdf(a, STR_NULL, a, NULL, NULL);
        assert_hex(a, "7a38c34bf2b8738d7374ca77c44ecb309a11d2b2528304fa86052c365e722624");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(plain),
                cmocka_unit_test(keyed),
                cmocka_unit_test(hmac),
                cmocka_unit_test(kdf),
        };
        return cmocka_run_group_tests(tests, setup, NULL);
}
