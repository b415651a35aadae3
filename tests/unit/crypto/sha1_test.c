#include "crypto/sha1.h"

#include "hex.h"

static const struct {
        const char *why, *in, *hash;
} cases[] = {
        { "FIPS 180: one block", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
        { "FIPS 180: two blocks", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
        { "empty", "", "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
};

static void known_hashes(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint8_t out[CRYPTO_SHA1_BYTES];

                crypto_sha1(str_of(cases[i].in), out);
                assert_hex(out, cases[i].hash);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(known_hashes) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
