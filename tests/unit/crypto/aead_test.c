#include "crypto/aead.h"

#include "crypto/random.h"
#include "hex.h"

static const char sunscreen[] =
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
        "future, sunscreen would be it.";
enum { SUNSCREEN_LEN = sizeof(sunscreen) - 1 };

static struct crypto_aead_key key;

static int setup(void **state)
{
        for (size_t i = 0; i < sizeof(key.bytes); i++)
                key.bytes[i] = (uint8_t)(0x80 + i);
        return 0;
}

/* RFC 8439 2.8.2 */
static void rfc_8439(void **state)
{
        uint8_t text[SUNSCREEN_LEN + 16], nonce[12], ad[12];

        unhex("070000004041424344454647", nonce, sizeof(nonce));
        unhex("50515253c0c1c2c3c4c5c6c7", ad, sizeof(ad));
        struct str ad_str = { (char *)ad, sizeof(ad) };
        memcpy(text, sunscreen, SUNSCREEN_LEN);
        crypto_aead_seal(&key, nonce, ad_str, text, SUNSCREEN_LEN);
        assert_hex(text, "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
                         "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
                         "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
                         "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691");
        assert_true(crypto_aead_open(&key, nonce, ad_str, text, sizeof(text)));
        assert_memory_equal(text, sunscreen, SUNSCREEN_LEN);
}

static void any_changed_bit_is_seen(void **state)
{
        uint8_t sealed[40 + 16], text[sizeof(sealed)], zero[40] = { 0 };
        const uint8_t nonce[12] = { 1 };

        memset(sealed, 'x', 40);
        crypto_aead_seal(&key, nonce, STR("ad"), sealed, 40);
        for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
                memcpy(text, sealed, sizeof(text));
                text[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_false(crypto_aead_open(&key, nonce, STR("ad"), text, sizeof(text)));
                assert_memory_equal(text, zero, sizeof(zero));
        }
        for (size_t len = 0; len < sizeof(sealed); len++) {
                memcpy(text, sealed, sizeof(text));
                assert_false(crypto_aead_open(&key, nonce, STR("ad"), text, len));
        }
        memcpy(text, sealed, sizeof(text));
        assert_false(crypto_aead_open(&key, nonce, STR("Ad"), text, sizeof(text)));
        memcpy(text, sealed, sizeof(text));
        assert_false(crypto_aead_open(&key, (const uint8_t[12]){ 2 }, STR("ad"), text, sizeof(text)));
}

static void many_is_the_same_as_one_by_one(void **state)
{
        enum { N = 40, ROOM = 2100 };
        static uint8_t together[N][ROOM], alone[N][ROOM], plain[N][ROOM];
        struct crypto_aead_packet packets[N];

        for (size_t i = 0; i < N; i++) {
                size_t len = i < 20 ? i * 13 : i * 50;
                crypto_random(plain[i], len);
                memcpy(together[i], plain[i], len);
                memcpy(alone[i], plain[i], len);
                packets[i] = (struct crypto_aead_packet){ together[i], len, 0x0102030405060700 + i, false };
        }
        crypto_aead_seal_many(&key, packets, N);
        for (size_t i = 0; i < N; i++) {
                uint8_t nonce[12] = { 0, 0, 0, 0, (uint8_t)i, 7, 6, 5, 4, 3, 2, 1 };
                crypto_aead_seal(&key, nonce, STR_NULL, alone[i], packets[i].len);
                assert_memory_equal(alone[i], together[i], packets[i].len + 16);
                packets[i].len += 16;
        }
        together[7][3] ^= 1;
        packets[9].counter++;
        packets[11].len = 15;
        crypto_aead_open_many(&key, packets, N);
        for (size_t i = 0; i < N; i++) {
                assert_int_equal(packets[i].is_authentic, i != 7 && i != 9 && i != 11);
                if (packets[i].is_authentic)
                        assert_memory_equal(together[i], plain[i], packets[i].len - 16);
        }
}

static void long_nonce(void **state)
{
        uint8_t text[SUNSCREEN_LEN + 16], nonce[24];

        /* draft-irtf-cfrg-xchacha A.3.1 */
        unhex("404142434445464748494a4b4c4d4e4f5051525354555657", nonce, sizeof(nonce));
        uint8_t ad[12];
        unhex("50515253c0c1c2c3c4c5c6c7", ad, sizeof(ad));
        struct str ad_str = { (char *)ad, sizeof(ad) };
        memcpy(text, sunscreen, SUNSCREEN_LEN);
        crypto_xaead_seal(&key, nonce, ad_str, text, SUNSCREEN_LEN);
        assert_hex(text, "bd6d179d3e83d43b9576579493c0e939");
        assert_hex(text + SUNSCREEN_LEN, "c0875924c1c7987947deafd8780acf49");
        text[3] ^= 1;
        assert_false(crypto_xaead_open(&key, nonce, ad_str, text, sizeof(text)));
        memcpy(text, sunscreen, SUNSCREEN_LEN);
        crypto_xaead_seal(&key, nonce, ad_str, text, SUNSCREEN_LEN);
        assert_false(crypto_xaead_open(&key, nonce, ad_str, text, 15));
        assert_true(crypto_xaead_open(&key, nonce, ad_str, text, sizeof(text)));
        assert_memory_equal(text, sunscreen, SUNSCREEN_LEN);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(rfc_8439),
                cmocka_unit_test(any_changed_bit_is_seen),
                cmocka_unit_test(many_is_the_same_as_one_by_one),
                cmocka_unit_test(long_nonce),
        };
        return cmocka_run_group_tests(tests, setup, NULL);
}
