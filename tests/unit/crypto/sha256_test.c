#include "crypto/sha256.h"

#include "hex.h"

static const struct {
        const char *why, *in, *hash;
} cases[] = {
        { "FIPS 180: one block", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "empty", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
};

static void one_shot_and_stream(void **state)
{
        struct crypto_sha256_stream stream;
        uint8_t out[CRYPTO_SHA256_BYTES];

        assert_err(crypto_sha256_init(&stream), ERR_OK);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct str in = str_of(cases[i].in);
                crypto_sha256(in, out);
                assert_hex(out, cases[i].hash);
                /* The same stream, used again, byte by byte. */
                for (size_t j = 0; j < in.len; j++)
                        crypto_sha256_add(&stream, str_sub(in, j, 1));
                crypto_sha256_finish(&stream, out);
                assert_hex(out, cases[i].hash);
        }
        crypto_sha256_fini(&stream);
}

static char long_key[131];

static void hmac_of_rfc_4231(void **state)
{
        static const struct {
                const char *why;
                struct str key, data;
                const char *mac;
        } macs[] = {
                { "case 1",
                  STR_INIT(
                          "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"),
                  STR_INIT("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
                { "case 2: short key", STR_INIT("Jefe"), STR_INIT("what do ya want for nothing?"),
                  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
                { "case 6: key over a block",
                  { long_key, sizeof(long_key) },
                  STR_INIT("Test Using Larger Than Block-Size Key - Hash Key First"),
                  "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
        };
        uint8_t out[CRYPTO_SHA256_BYTES];

        memset(long_key, 0xaa, sizeof(long_key));
        for (size_t i = 0; i < ARRAY_SIZE(macs); i++) {
                print_message("%s\n", macs[i].why);
                crypto_hmac_sha256(macs[i].key, macs[i].data, out);
                assert_hex(out, macs[i].mac);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_shot_and_stream),
                cmocka_unit_test(hmac_of_rfc_4231),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
