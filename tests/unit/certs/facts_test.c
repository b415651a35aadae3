#include "../test.h"

#include "certs/authority.h"
#include "certs/facts.h"
#include "crypto/p256.h"

#define NOW (INT64_C(1790000000) * 1000)

/* Another authority's, and texts that are none. */
static void test_chains(void **state)
{
        struct buf root[2], key[2], leaf_key, leaf, both;
        struct certs_authority *a[2];
        uint8_t spki[CRYPTO_P256_SPKI_BYTES];

        buf_init_secret(&leaf_key, 1 << 16);
        buf_init(&leaf, 1 << 16);
        buf_init(&both, 1 << 16);
        for (int i = 0; i < 2; i++) {
                buf_init(&root[i], 1 << 16);
                buf_init_secret(&key[i], 1 << 16);
                assert_err(certs_authority_make(STR("home"), NOW, &root[i], &key[i]), ERR_OK);
                assert_err(certs_authority_open(buf_str(&root[i]), buf_str(&key[i]), &a[i]), ERR_OK);
        }
        assert_err(crypto_p256_generate(&leaf_key), ERR_OK);
        assert_err(crypto_p256_public(buf_str(&leaf_key), spki), ERR_OK);
        struct certs_request r = { .spki = { (char *)spki, sizeof(spki) }, .from = NOW, .to = NOW + 1000000 };
        assert_err(certs_issue(a[0], &r, &leaf), ERR_OK);
        buf_add(&both, buf_str(&leaf));
        buf_add(&both, buf_str(&root[0]));

        const struct {
                const char *why;
                struct str chain, root;
                enum err err;
        } cases[] = {
                { "the leaf alone", buf_str(&leaf), buf_str(&root[0]), ERR_OK },
                { "with its root", buf_str(&both), buf_str(&root[0]), ERR_OK },
                { "another root of the same name", buf_str(&leaf), buf_str(&root[1]), ERR_DENIED },
                { "its own root sent along is not trusted", buf_str(&both), buf_str(&root[1]), ERR_DENIED },
                { "nothing", STR(""), buf_str(&root[0]), ERR_MALFORMED },
                { "no root", buf_str(&leaf), STR("-----BEGIN"), ERR_MALFORMED },
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (certs_chain_check(cases[i].chain, cases[i].root, NOW + 1000) != cases[i].err)
                        fail_msg("%s", cases[i].why);
        for (int i = 0; i < 2; i++) {
                certs_authority_free(a[i]);
                buf_fini(&root[i]);
                buf_wipe(&key[i]);
        }
        buf_fini(&leaf);
        buf_fini(&both);
        buf_wipe(&leaf_key);
}

static void test_no_facts(void **state)
{
        static const struct str cases[] = {
                STR_INIT(""), STR_INIT("hello"),
                STR_INIT("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        };
        struct certs_facts facts;
        struct arena arena;

        arena_init(&arena, NULL, 0, 1 << 16);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_err(certs_facts_read(cases[i], &arena, &facts), ERR_MALFORMED);
        arena_fini(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_chains), cmocka_unit_test(test_no_facts) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
