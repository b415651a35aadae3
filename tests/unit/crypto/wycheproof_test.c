/*
 * Project Wycheproof's vectors, where ../shared/vectors (or $SEKISHO_VECTORS) stands beside the checkout. Cases whose
 * nonce or signature has a length our doors do not take cannot be asked and are counted apart.
 */
#include <stdio.h>
#include <stdlib.h>

#include "crypto/aead.h"
#include "crypto/ed25519.h"
#include "crypto/secret.h"
#include "crypto/x25519.h"
#include "hex.h"
#include "json/reader.h"

enum { BYTES_MAX = 4096 };

/* The bytes of one field of a case. */
struct field {
        uint8_t bytes[BYTES_MAX];
        size_t len;
};

static struct str field_get(struct field *f, const struct json_value *test, const char *name)
{
        struct str text = json_str(json_find(test, str_of(name)));

        assert_true(text.len % 2 == 0 && text.len / 2 <= BYTES_MAX);
        f->len = text.len / 2;
        assert_err(crypto_hex_parse(text, f->bytes, f->len), ERR_OK);
        return (struct str){ (char *)f->bytes, f->len };
}

/* False when this door cannot be asked the question. */
typedef bool check_function(const struct json_value *group, const struct json_value *test, bool is_valid);

static void each(const char *file, size_t asked_min, check_function *check)
{
        const char *vectors = getenv("SEKISHO_VECTORS"), *source = getenv("SEKISHO_SOURCE_ROOT");
        char path[4400];
        size_t asked = 0, not_asked = 0;

        if (vectors)
                snprintf(path, sizeof(path), "%s/wycheproof/%s", vectors, file);
        else
                snprintf(path, sizeof(path), "%s/../shared/vectors/wycheproof/%s", source ? source : ".",
                         file);
        FILE *f = fopen(path, "rb");
        if (!f)
                leave_out("no file %s to check against", path);
        enum { FILE_MAX = 1 << 20 };
        char *text = malloc(FILE_MAX);
        size_t len = fread(text, 1, FILE_MAX, f);
        fclose(f);

        struct arena arena;
        const struct json_value *root, *group, *test;
        arena_init(&arena, NULL, 0, 32u << 20);
        assert_err(json_read_strict(&arena, (struct str){ text, len }, NULL, &root), ERR_OK);
        const struct json_value *groups = json_find(root, STR("testGroups"));
        for (size_t i = 0; (group = json_item(groups, i)); i++)
                for (size_t j = 0; (test = json_item(json_find(group, STR("tests")), j)); j++) {
                        struct str result = json_str(json_find(test, STR("result")));
                        bool was_asked = check(group, test, str_eq(result, STR("valid")));
                        asked += was_asked;
                        not_asked += !was_asked;
                }
        print_message("%s: %zu cases, %zu not askable\n", file, asked, not_asked);
        assert_true(asked >= asked_min);
        arena_fini(&arena);
        free(text);
}

static int case_id(const struct json_value *test)
{
        int64_t id;

        return json_get_int64(json_find(test, STR("tcId")), &id) == ERR_OK ? (int)id : 0;
}

static bool aead(const struct json_value *test, bool is_valid, bool has_long_nonce)
{
        struct field key_field, nonce, ad_field, text, sealed, tag, work;
        struct crypto_aead_key key;
        bool is_open;

        field_get(&key_field, test, "key");
        field_get(&nonce, test, "iv");
        struct str ad = field_get(&ad_field, test, "aad");
        field_get(&text, test, "msg");
        field_get(&sealed, test, "ct");
        field_get(&tag, test, "tag");
        if (nonce.len != (has_long_nonce ? 24 : 12) || tag.len != 16)
                return false;
        memcpy(key.bytes, key_field.bytes, sizeof(key.bytes));

        memcpy(work.bytes, sealed.bytes, sealed.len);
        memcpy(work.bytes + sealed.len, tag.bytes, 16);
        if (has_long_nonce)
                is_open = crypto_xaead_open(&key, nonce.bytes, ad, work.bytes, sealed.len + 16);
        else
                is_open = crypto_aead_open(&key, nonce.bytes, ad, work.bytes, sealed.len + 16);
        if (is_open != is_valid)
                fail_msg("case %d: open gave %d", case_id(test), is_open);
        if (!is_valid)
                return true;
        assert_memory_equal(work.bytes, text.bytes, text.len);

        if (has_long_nonce)
                crypto_xaead_seal(&key, nonce.bytes, ad, work.bytes, text.len);
        else
                crypto_aead_seal(&key, nonce.bytes, ad, work.bytes, text.len);
        assert_memory_equal(work.bytes, sealed.bytes, sealed.len);
        assert_memory_equal(work.bytes + sealed.len, tag.bytes, 16);
        return true;
}

static bool chacha_check(const struct json_value *group, const struct json_value *test, bool is_valid)
{
        return aead(test, is_valid, false);
}

static bool xchacha_check(const struct json_value *group, const struct json_value *test, bool is_valid)
{
        return aead(test, is_valid, true);
}

/* "acceptable" marks odd points; we take them all unless the shared secret would be zero. */
static bool x25519_check(const struct json_value *group, const struct json_value *test, bool is_valid)
{
        struct field public_key, private_key, shared;
        uint8_t out[32];

        field_get(&public_key, test, "public");
        field_get(&private_key, test, "private");
        field_get(&shared, test, "shared");
        if (public_key.len != 32 || private_key.len != 32)
                return false;
        enum err e = crypto_x25519(private_key.bytes, public_key.bytes, out);
        assert_err(e, crypto_is_zero(shared.bytes, 32) ? ERR_MALFORMED : ERR_OK);
        assert_memory_equal(out, shared.bytes, 32);
        assert_true(e == ERR_OK || !is_valid);
        return true;
}

static bool ed25519_check(const struct json_value *group, const struct json_value *test, bool is_valid)
{
        struct field public_key, message, signature;

        field_get(&public_key, json_find(group, STR("publicKey")), "pk");
        struct str m = field_get(&message, test, "msg");
        field_get(&signature, test, "sig");
        if (signature.len != CRYPTO_ED25519_SIGNATURE_BYTES)
                return false;
        if (crypto_ed25519_verify(public_key.bytes, m, signature.bytes) != is_valid)
                fail_msg("case %d should be %s", case_id(test), is_valid ? "valid" : "invalid");
        return true;
}

static void chacha20_poly1305(void **state)
{
        each("chacha20_poly1305_test.json", 310, chacha_check);
}

static void xchacha20_poly1305(void **state)
{
        each("xchacha20_poly1305_test.json", 300, xchacha_check);
}

static void x25519(void **state)
{
        each("x25519_test.json", 518, x25519_check);
}

static void ed25519(void **state)
{
        each("ed25519_test.json", 130, ed25519_check);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(chacha20_poly1305),
                cmocka_unit_test(xchacha20_poly1305),
                cmocka_unit_test(x25519),
                cmocka_unit_test(ed25519),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
