#include "../test.h"

#include "certs/key.h"

static void test_round_trip(void **state)
{
        uint8_t spki[CERTS_SPKI_BYTES], other[CERTS_SPKI_BYTES];
        struct buf pem, again;

        buf_init_secret(&pem, CERTS_KEY_PEM_BYTES_MAX);
        buf_init_secret(&again, CERTS_KEY_PEM_BYTES_MAX);
        assert_err(certs_key_new(&pem), ERR_OK);
        assert_err(certs_key_new(&again), ERR_OK);
        assert_err(certs_key_public(buf_str(&pem), spki), ERR_OK);
        assert_err(certs_key_public(buf_str(&again), other), ERR_OK);
        assert_memory_not_equal(spki, other, sizeof(spki));
        assert_err(certs_spki_check((struct str){ (char *)spki, sizeof(spki) }), ERR_OK);
        buf_wipe(&pem);
        buf_wipe(&again);
}

static void test_no_keys(void **state)
{
        static const struct str pems[] = {
                STR_INIT(""),
                STR_INIT("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
                /* an Ed25519 key, which is another kind */
                STR_INIT("-----BEGIN PRIVATE KEY-----\n"
                         "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
                         "-----END PRIVATE KEY-----\n"),
        };
        uint8_t spki[CERTS_SPKI_BYTES];
        struct buf pem;

        for (size_t i = 0; i < ARRAY_SIZE(pems); i++)
                assert_err(certs_key_public(pems[i], spki), ERR_MALFORMED);

        buf_init_secret(&pem, CERTS_KEY_PEM_BYTES_MAX);
        assert_err(certs_key_new(&pem), ERR_OK);
        assert_err(certs_key_public(buf_str(&pem), spki), ERR_OK);
        for (size_t i = 0; i < sizeof(spki);
             i++) { /* any bit of it: no point, another form, or another key */
                spki[i] ^= 1;
                if (i < 27)
                        assert_err(certs_spki_check((struct str){ (char *)spki, sizeof(spki) }),
                                   ERR_MALFORMED);
                spki[i] ^= 1;
        }
        memset(spki + 27, 0, sizeof(spki) - 27);
        assert_err(certs_spki_check((struct str){ (char *)spki, sizeof(spki) }), ERR_MALFORMED);
        assert_err(certs_spki_check((struct str){ (char *)spki, sizeof(spki) - 1 }), ERR_MALFORMED);
        buf_wipe(&pem);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_round_trip),
                                            cmocka_unit_test(test_no_keys) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
