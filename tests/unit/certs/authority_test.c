#include "../test.h"

#include "certs/authority.h"
#include "certs/facts.h"
#include "crypto/p256.h"

#define YEAR   (INT64_C(365) * 86400 * 1000)
#define NOW    (INT64_C(1790000000) * 1000)
#define MONTH  (INT64_C(30) * 86400 * 1000)
#define SECOND 1000

static struct buf root_pem, root_key, leaf_key;
static struct certs_authority *authority;
static uint8_t spki[CRYPTO_P256_SPKI_BYTES];

static int setup(void **state)
{
        buf_init(&root_pem, 1 << 16);
        buf_init_secret(&root_key, 1 << 16);
        buf_init_secret(&leaf_key, 1 << 16);
        assert_err(certs_authority_make(STR("home"), NOW, &root_pem, &root_key), ERR_OK);
        assert_err(certs_authority_open(buf_str(&root_pem), buf_str(&root_key), &authority), ERR_OK);
        assert_err(crypto_p256_generate(&leaf_key), ERR_OK);
        assert_err(crypto_p256_public(buf_str(&leaf_key), spki), ERR_OK);
        return 0;
}

static int teardown(void **state)
{
        certs_authority_free(authority);
        buf_fini(&root_pem);
        buf_wipe(&root_key);
        buf_wipe(&leaf_key);
        return 0;
}

static struct certs_request request(void)
{
        return (struct certs_request){ .spki = { (char *)spki, sizeof(spki) },
                                       .common_name = STR("ag-1"),
                                       .uri = STR("sekisho://home/agent/ag-1"),
                                       .from = NOW,
                                       .to = NOW + MONTH,
                                       .for_clients = true };
}

static void test_root(void **state)
{
        struct certs_facts facts;
        struct arena arena;
        uint8_t fingerprint[CERTS_FINGERPRINT_BYTES];

        arena_init(&arena, NULL, 0, 1 << 16);
        assert_err(certs_facts_read(buf_str(&root_pem), &arena, &facts), ERR_OK);
        assert_true(facts.is_authority);
        assert_int_equal(facts.from, NOW);
        assert_int_equal(facts.to, NOW + CERTS_AUTHORITY_LIFE_MS);
        certs_authority_fingerprint(authority, fingerprint);
        assert_memory_equal(fingerprint, facts.sha256, sizeof(fingerprint));
        assert_str(certs_authority_pem(authority), buf_str(&root_pem));
        arena_fini(&arena);
}

static void test_issue(void **state)
{
        const struct str names[] = { STR("localhost"), STR("*.example.com") };
        const struct ip addresses[] = { { 4, { 127, 0, 0, 1 } }, { 6, { [15] = 1 } } };
        struct certs_request r = request();
        struct certs_facts facts;
        struct arena arena;
        struct buf pem;

        arena_init(&arena, NULL, 0, 1 << 16);
        buf_init(&pem, 1 << 16);
        r.names = names;
        r.names_count = ARRAY_SIZE(names);
        r.addresses = addresses;
        r.addresses_count = ARRAY_SIZE(addresses);
        assert_err(certs_issue(authority, &r, &pem), ERR_OK);
        assert_err(certs_facts_read(buf_str(&pem), &arena, &facts), ERR_OK);
        assert_str(facts.uri, r.uri);
        assert_str(facts.common_name, STR("ag-1"));
        assert_int_equal(facts.names_count, 2);
        assert_str(facts.names[1], STR("*.example.com"));
        assert_false(facts.is_authority);
        assert_int_equal(facts.to, NOW + MONTH);
        assert_err(certs_chain_check(buf_str(&pem), buf_str(&root_pem), NOW + SECOND), ERR_OK);
        assert_err(certs_chain_check(buf_str(&pem), buf_str(&root_pem), NOW + MONTH + SECOND), ERR_DENIED);
        buf_fini(&pem);
        arena_fini(&arena);
}

/* The authority's end is the end of what it signs. */
static void test_life_is_cut(void **state)
{
        struct certs_request r = request();
        struct certs_facts facts;
        struct arena arena;
        struct buf pem;

        arena_init(&arena, NULL, 0, 1 << 16);
        buf_init(&pem, 1 << 16);
        r.from = NOW - YEAR;
        r.to = NOW + 100 * YEAR;
        assert_err(certs_issue(authority, &r, &pem), ERR_OK);
        assert_err(certs_facts_read(buf_str(&pem), &arena, &facts), ERR_OK);
        assert_int_equal(facts.from, NOW);
        assert_int_equal(facts.to, NOW + CERTS_AUTHORITY_LIFE_MS);
        buf_fini(&pem);
        arena_fini(&arena);
}

static void test_what_is_not_issued(void **state)
{
        const struct {
                const char *why;
                struct str name, uri, common_name;
                bool bad_key;
                int64_t life;
        } cases[] = {
                { "a name with a space", STR("a b"), STR("sekisho://x"), STR("x"), false, MONTH },
                { "a name with a NUL", STR("a\0.example"), STR("sekisho://x"), STR("x"), false, MONTH },
                { "an empty name", STR(""), STR("sekisho://x"), STR("x"), false, MONTH },
                { "an empty label", STR("a..b"), STR("sekisho://x"), STR("x"), false, MONTH },
                { "a dot at the end", STR("a."), STR("sekisho://x"), STR("x"), false, MONTH },
                { "a star within", STR("a.*.b"), STR("sekisho://x"), STR("x"), false, MONTH },
                { "a URI with a line end", STR("a"), STR("sekisho://x\n"), STR("x"), false, MONTH },
                { "a common name that is no UTF-8", STR("a"), STR("sekisho://x"), STR("\xff"), false, MONTH },
                { "a key that is none", STR("a"), STR("sekisho://x"), STR("x"), true, MONTH },
                { "no life", STR("a"), STR("sekisho://x"), STR("x"), false, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct certs_request r = request();
                struct buf pem;

                buf_init(&pem, 1 << 16);
                r.names = &cases[i].name;
                r.names_count = 1;
                r.uri = cases[i].uri;
                r.common_name = cases[i].common_name;
                r.to = r.from + cases[i].life;
                if (cases[i].bad_key)
                        r.spki = STR("not a key");
                if (certs_issue(authority, &r, &pem) != ERR_MALFORMED || pem.len)
                        fail_msg("%s: was issued", cases[i].why);
                buf_fini(&pem);
        }
}

static void test_open_refuses(void **state)
{
        struct certs_authority *a;
        struct certs_request r = request();
        struct buf pem;

        buf_init(&pem, 1 << 16);
        assert_err(certs_issue(authority, &r, &pem), ERR_OK);
        assert_err(certs_authority_open(buf_str(&root_pem), buf_str(&leaf_key), &a), ERR_MALFORMED);
        assert_err(certs_authority_open(buf_str(&pem), buf_str(&leaf_key), &a), ERR_MALFORMED);
        assert_err(certs_authority_open(STR(""), buf_str(&root_key), &a), ERR_MALFORMED);
        assert_err(certs_authority_open(buf_str(&root_pem), STR("no key"), &a), ERR_MALFORMED);
        buf_fini(&pem);
        certs_authority_free(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_root),         cmocka_unit_test(test_issue),
                cmocka_unit_test(test_life_is_cut),  cmocka_unit_test(test_what_is_not_issued),
                cmocka_unit_test(test_open_refuses),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
