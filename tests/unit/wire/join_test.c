#include "../test.h"

#include "crypto/sha256.h"
#include "wire/join.h"

#define SECRET "skauth-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define PRINT  "000102030405060708090a0b0c0d0e0f"

static void tokens(void **state)
{
        static const struct {
                const char *why, *text;
                enum err err;
        } cases[] = {
                { "as it is", SECRET "." PRINT, ERR_OK },
                { "no fingerprint", SECRET, ERR_MALFORMED },
                { "a cut one",
                  SECRET "."
                         "00010203",
                  ERR_MALFORMED },
                { "more behind it", SECRET "." PRINT "0", ERR_MALFORMED },
                { "another dash", SECRET "-" PRINT, ERR_MALFORMED },
                { "no base64url", "skauth-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+." PRINT,
                  ERR_MALFORMED },
                { "unused bits set", "skauth-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9." PRINT,
                  ERR_MALFORMED },
                { "another kind of token", "sekikey-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh." PRINT,
                  ERR_MALFORMED },
                { "empty", "", ERR_MALFORMED },
        };
        struct wire_token t;
        uint8_t random[WIRE_TOKEN_RANDOM_BYTES], sha256[32];
        char out[WIRE_TOKEN_SIZE];
        struct str url;
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (wire_token_parse(str_of(cases[i].text), &t) != cases[i].err)
                        fail_msg("%s", cases[i].why);
        for (size_t i = 0; i < 32; i++)
                random[i] = sha256[i] = (uint8_t)i;
        assert_str(wire_token_format(random, sha256, out), STR(SECRET "." PRINT));
        assert_err(wire_token_url_parse(STR(SECRET "." PRINT "@https://control.example.com:8000"), &t, &url),
                   ERR_OK);
        assert_str(url, STR("https://control.example.com:8000"));
        assert_str(t.secret, STR(SECRET));
        assert_true(wire_token_names(&t, sha256));
        sha256[15] ^= 1;
        assert_false(wire_token_names(&t, sha256));
        assert_err(wire_token_url_parse(STR(SECRET "." PRINT "@"), &t, &url), ERR_MALFORMED);
        assert_err(wire_token_url_parse(STR(SECRET "." PRINT), &t, &url), ERR_MALFORMED);
}

#define KEY              "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\""
#define REQUEST(members) "{" members "}"
#define KEYS             "\"keys\":{\"identity\":\"MFkw\",\"seal\":" KEY ",\"tunnel\":" KEY "}"

static void requests(void **state)
{
        static const struct {
                const char *why, *text;
                enum err err;
        } cases[] = {
                { "whole", REQUEST("\"token\":\"t\",\"kind\":\"agent\",\"name\":\"home\"," KEYS), ERR_OK },
                { "no name", REQUEST("\"token\":\"t\",\"kind\":\"gateway\"," KEYS), ERR_OK },
                { "a member we do not know", REQUEST("\"x\":1,\"token\":\"t\",\"kind\":\"agent\"," KEYS),
                  ERR_MALFORMED },
                { "twice a member", REQUEST("\"kind\":\"agent\",\"token\":\"t\",\"kind\":\"agent\"," KEYS),
                  ERR_MALFORMED },
                { "no token", REQUEST("\"kind\":\"agent\"," KEYS), ERR_MALFORMED },
                { "nobody joins as control", REQUEST("\"token\":\"t\",\"kind\":\"control\"," KEYS),
                  ERR_MALFORMED },
                { "no keys", REQUEST("\"token\":\"t\",\"kind\":\"agent\""), ERR_MALFORMED },
                { "a short key",
                  REQUEST("\"token\":\"t\",\"kind\":\"agent\",\"keys\":{\"identity\":\"MFkw\",\"seal\":\"AAAA\","
                          "\"tunnel\":" KEY "}"),
                  ERR_MALFORMED },
                { "no JSON", "token=t", ERR_MALFORMED },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct wire_join_request r, again;
                const char *why = "";
                struct arena arena;
                struct buf text;
                arena_init(&arena, NULL, 0, 1 << 20);
                enum err e = wire_join_request_read(&arena, str_of(cases[i].text), &r, &why);
                if (e != cases[i].err)
                        fail_msg("%s: %s", cases[i].why, why);
                if (e == ERR_OK) {
                        buf_init(&text, WIRE_JOIN_BODY_MAX);
                        wire_join_request_write(&r, &text);
                        assert_err(wire_join_request_read(&arena, buf_str(&text), &again, &why), ERR_OK);
                        assert_str(again.token, r.token);
                        assert_str(again.name, r.name);
                        assert_int_equal(again.kind, r.kind);
                        assert_memory_equal(again.seal, r.seal, WIRE_KEY_BYTES);
                        assert_int_equal(again.identity_len, 3);
                        buf_fini(&text);
                }
                arena_fini(&arena);
        }
}

static void answers(void **state)
{
        struct wire_join_challenge c = { .join = STR("jn-1"), .challenge = { 1, 2, 3 } }, c2;
        struct wire_join_proof p = { .signature_len = 4, .signature = { 9, 8, 7, 6 } }, p2;
        struct wire_join_result r = { .id = STR("gw-a"),
                                      .name = STR("edge"),
                                      .org = STR("default"),
                                      .certificate = STR("C\n"),
                                      .authority = STR("A\n"),
                                      .document_key = { 5 } },
                                r2;
        const char *why = "";
        struct arena arena;
        struct buf text;
        (void)state;

        arena_init(&arena, NULL, 0, 1 << 20);
        buf_init(&text, WIRE_JOIN_ANSWER_MAX);
        wire_join_challenge_write(&c, &text);
        assert_err(wire_join_challenge_read(&arena, buf_str(&text), &c2), ERR_OK);
        assert_str(c2.join, c.join);
        assert_memory_equal(c2.challenge, c.challenge, WIRE_CHALLENGE_BYTES);
        buf_clear(&text);
        wire_join_proof_write(&p, &text);
        assert_err(wire_join_proof_read(&arena, buf_str(&text), &p2, &why), ERR_OK);
        assert_int_equal(p2.signature_len, 4);
        assert_memory_equal(p2.signature, p.signature, 4);
        buf_clear(&text);
        wire_join_result_write(&r, &text);
        assert_err(wire_join_result_read(&arena, buf_str(&text), &r2), ERR_OK);
        assert_false(r2.is_pending);
        assert_str(r2.certificate, r.certificate);
        assert_memory_equal(r2.document_key, r.document_key, 32);
        buf_clear(&text);
        r.is_pending = true;
        wire_join_result_write(&r, &text);
        assert_err(wire_join_result_read(&arena, buf_str(&text), &r2), ERR_OK);
        assert_true(r2.is_pending);
        assert_str(r2.id, STR("gw-a"));
        buf_fini(&text);
        arena_fini(&arena);
}

static void what_is_signed(void **state)
{
        static const uint8_t challenge[WIRE_CHALLENGE_BYTES] = { 1, 2, 3 };
        uint8_t bytes[WIRE_PROOF_BYTES], hash[32];
        (void)state;

        wire_proof_bytes(challenge, STR("{}"), bytes);
        assert_memory_equal(bytes, "sekisho join 1\n", 15);
        assert_memory_equal(bytes + 15, challenge, WIRE_CHALLENGE_BYTES);
        crypto_sha256(STR("{}"), hash);
        assert_memory_equal(bytes + 47, hash, 32);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(tokens),
                cmocka_unit_test(requests),
                cmocka_unit_test(answers),
                cmocka_unit_test(what_is_signed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
