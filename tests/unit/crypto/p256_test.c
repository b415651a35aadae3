#include "../test.h"

#include "crypto/p256.h"
#include "crypto/text.h"

/* A key that openssl(1) made, and its public half as openssl(1) gives it. */
static const char known_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                                "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg0Y/ZYahyXjjpxyzA\n"
                                "CRlHEKd/veHT8zGUOnyUyNyLOlGhRANCAASBKYPwCl9RbbxBA4OA2gXSM6frQgrS\n"
                                "Ovowtp6UEiZ/HT5sFONhmXIE8y9Eny95UfbHcdga3Os4fO1D2hhX4J2q\n"
                                "-----END PRIVATE KEY-----\n";
static const char known_spki[] =
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEgSmD8ApfUW28QQODgNoF0jOn60IK0jr6MLaelBImfx0+bBTjYZlyBPMvRJ8veVH2x3HYGtzrOHztQ9oYV+Cdqg==";
/* openssl dgst -sha256 -sign, of "sekisho". */
static const char known_signature[] =
        "MEQCID4LrQ+ZyLxKk0ieGWQyT76Td9/7CMe/3PjGIwc3gRUeAiAAm7layN9i0abn8lrPS+MjnKuzNubkbksa9JPENysaVg==";

static const char other_curve[] = "-----BEGIN PRIVATE KEY-----\n"
                                  "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDClcoGzksgfbK8ckviZ\n"
                                  "f+gceasN0unZFgg3A+2fEx9weX3aTbGs4rE/ih6ODNkIrOihZANiAATEmXnIEyR1\n"
                                  "jKiOtrY9QYZuZsBWJr8ZskasP+HUWbguNDz6GDvqWn3AguPRP6XPHZjggAIbdYeR\n"
                                  "c4sl1i+1o7wDgM4RZpDdaoIWHqVIrbC8oFfZfsC8ZeANE+pz/tCnKBQ=\n"
                                  "-----END PRIVATE KEY-----\n";

static struct str bytes_of(const char *base64, uint8_t *out, size_t max)
{
        size_t len;

        assert_err(crypto_base64_parse(str_of(base64), out, max, &len), ERR_OK);
        return (struct str){ (char *)out, len };
}

static void as_openssl_has_it(void **state)
{
        uint8_t spki[CRYPTO_P256_SPKI_BYTES], wanted[128], signature[128];
        (void)state;

        assert_err(crypto_p256_public(str_of(known_pem), spki), ERR_OK);
        struct str w = bytes_of(known_spki, wanted, sizeof(wanted));
        assert_int_equal(w.len, CRYPTO_P256_SPKI_BYTES);
        assert_memory_equal(spki, w.ptr, w.len);
        struct str s = bytes_of(known_signature, signature, sizeof(signature));
        assert_true(crypto_p256_verify(w, STR("sekisho"), s));
        assert_false(crypto_p256_verify(w, STR("sekisha"), s));
}

static void a_new_key_signs(void **state)
{
        uint8_t spki[CRYPTO_P256_SPKI_BYTES], signature[CRYPTO_P256_SIGNATURE_MAX];
        struct buf pem;
        size_t len;
        (void)state;

        buf_init_secret(&pem, CRYPTO_P256_PEM_MAX);
        assert_err(crypto_p256_generate(&pem), ERR_OK);
        assert_err(crypto_p256_public(buf_str(&pem), spki), ERR_OK);
        assert_err(crypto_p256_sign(buf_str(&pem), STR("hello"), signature, &len), ERR_OK);
        struct str key = { (char *)spki, sizeof(spki) }, s = { (char *)signature, len };
        assert_true(crypto_p256_verify(key, STR("hello"), s));
        for (size_t i = 0; i < len; i++) {
                signature[i] ^= 0x10;
                assert_false(crypto_p256_verify(key, STR("hello"), s));
                signature[i] ^= 0x10;
        }
        assert_false(crypto_p256_verify(key, STR("hello"), str_sub(s, 0, len - 1)));
        buf_wipe(&pem);
}

static void what_is_no_key(void **state)
{
        uint8_t spki[CRYPTO_P256_SPKI_BYTES], signature[CRYPTO_P256_SIGNATURE_MAX], known[128];
        size_t len;
        struct str key = bytes_of(known_spki, known, sizeof(known));
        (void)state;

        assert_err(crypto_p256_public(STR(""), spki), ERR_MALFORMED);
        assert_err(crypto_p256_public(STR("-----BEGIN PRIVATE KEY-----\n"), spki), ERR_MALFORMED);
        assert_err(crypto_p256_public(str_of(other_curve), spki), ERR_MALFORMED);
        assert_err(crypto_p256_sign(str_of(other_curve), STR("x"), signature, &len), ERR_MALFORMED);
        assert_false(crypto_p256_verify(str_sub(key, 0, 90), STR("x"), STR("")));
        assert_false(crypto_p256_verify(STR(""), STR("x"), STR("")));
        known[60] ^= 1; /* a point that does not lie on the curve */
        assert_false(crypto_p256_verify(key, STR("x"), STR("")));
}

static void what_is_no_public_key(void **state)
{
        static const struct str pems[] = {
                STR_INIT(""),
                STR_INIT("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
                /* an Ed25519 key, which is another kind */
                STR_INIT("-----BEGIN PRIVATE KEY-----\n"
                         "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
                         "-----END PRIVATE KEY-----\n"),
        };
        uint8_t spki[CRYPTO_P256_SPKI_BYTES];
        struct buf pem;

        for (size_t i = 0; i < ARRAY_SIZE(pems); i++)
                assert_err(crypto_p256_public(pems[i], spki), ERR_MALFORMED);

        buf_init_secret(&pem, CRYPTO_P256_PEM_MAX);
        assert_err(crypto_p256_generate(&pem), ERR_OK);
        assert_err(crypto_p256_public(buf_str(&pem), spki), ERR_OK);
        assert_true(crypto_p256_spki_is_valid((struct str){ (char *)spki, sizeof(spki) }));
        for (size_t i = 0; i < sizeof(spki);
             i++) { /* any bit of it: no point, another form, or another key */
                spki[i] ^= 1;
                if (i < 27)
                        assert_false(crypto_p256_spki_is_valid((struct str){ (char *)spki, sizeof(spki) }));
                spki[i] ^= 1;
        }
        memset(spki + 27, 0, sizeof(spki) - 27);
        assert_false(crypto_p256_spki_is_valid((struct str){ (char *)spki, sizeof(spki) }));
        assert_false(crypto_p256_spki_is_valid((struct str){ (char *)spki, sizeof(spki) - 1 }));
        buf_wipe(&pem);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_no_public_key),
                cmocka_unit_test(as_openssl_has_it),
                cmocka_unit_test(a_new_key_signs),
                cmocka_unit_test(what_is_no_key),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
