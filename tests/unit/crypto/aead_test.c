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

/*
 * Sealed texts of one block, made so that Poly1305's number is just at an edge before the last addition: at 0, around p = 2^130 - 5,
 * where limbs are full or empty. Worked out with whole numbers of any size.
 */
static void the_edges_of_poly1305(void **state)
{
        static const struct {
                const char *number;
                uint64_t counter;
                const char *sealed, *tag;
        } edges[] = {
                { "0", 4, "320dab1fedf20109717487b375a08074", "2b5b8c5c59668fb7283f427d7f59c9e7" },
                { "1", 9, "e1c2a05c8dba011a33d058367e9eaa38", "16c69422cdaf70bce1aff92784e44fc7" },
                { "4", 10, "6a3cfd92251459847947900e1d02cc14", "1b6cee2726ba67ea211976b444ca8470" },
                { "p-1", 14, "f5cd33438679c6f4d8545c439bda65c9", "4793fc280207690a0363e90991c25c18" },
                { "p-2", 15, "2f040d9e5e76c72e52e2327b0e2e9462", "ca147a519a6aa3e2ae76b6caba91288d" },
                { "p-5", 22, "b2b1461cdd0483b728287089a84277fb", "3bddb153900c208de6e55952357f2046" },
                { "p-6", 23, "3d693d3da1d15f3de320cced7223c8c7", "e5ffbc6c93eaa060a82cb1a8c39c8347" },
                { "2^128-1", 24, "8189d7f2d3a278e94f42d9438d43db56", "fc3d15a8ce0de5d3ea96bc47c147d8e2" },
                { "2^128", 26, "dd423ce13e0d8c63aaafa5d0da3aab4f", "d1d6eaf4a6b2f890449aa25eca7de5ba" },
                { "2^129", 29, "7398e0e7f44d362fb019bd6a720dd2bf", "9ead9d9a48e711acf970af0fdc3abc51" },
                { "2^44-1 limbs", 32, "f66c842331da4f76f57831849acad56e",
                  "b5880d44b7d896388c035badf4f12b56" },
                { "2^88-1", 42, "f04c2b7e020839aa07e6041034afe6a5", "e44e2fceef11bd316eef3bb5143143f8" },
                { "2^88", 43, "4f89b6a6e8ee2bdb6ff6b775027fd01a", "a7a4332496def14d4ff1f249baca2448" },
                { "2^44", 44, "ed18bf26b81b3e55341b04d90a1688b4", "f4dca3973ff26587595e3cfdf106c414" },
                { "top limb full", 45, "08fc01cd39dead7e9ae9473b32ea56b9",
                  "afd357ebb24c0ab16c493877fcb281d5" },
                { "2^130-6 less a limb", 60, "893626dfe42f53f39452fdb9584c65c0",
                  "58989eb83b13ce90d37f7f90aa51dbb2" },
                { "low words full", 62, "95894c00b7195b1ef710a2fda56bdbfe",
                  "1e130fcb033d8327a4ff2c36e1b7b9e1" },
                { "high words full", 66, "18fa39da0ea36695c9d970951bb11f67",
                  "9f255a45ea8e415675d6877a28e19e4c" },
        };
        for (size_t count = 1; count <= 18; count += 17) /* one after the other, and side by side */
                for (size_t i = 0; i < ARRAY_SIZE(edges); i++) {
                        uint8_t sealed[18][32];
                        struct crypto_aead_packet packets[18];

                        for (size_t n = 0; n < count; n++) {
                                unhex(edges[i].sealed, sealed[n], 16);
                                unhex(edges[i].tag, sealed[n] + 16, 16);
                                packets[n] =
                                        (struct crypto_aead_packet){ sealed[n], 32, edges[i].counter, false };
                        }
                        crypto_aead_open_many(&key, packets, count);
                        for (size_t n = 0; n < count; n++)
                                if (!packets[n].is_authentic)
                                        fail_msg("%s, packet %zu of %zu", edges[i].number, n, count);
                }
}

/* Each number of packets, lengths around every edge and mixed. */
static void every_count_and_length(void **state)
{
        enum { COUNT = 70, ROOM = 400 };
        static uint8_t together[COUNT][ROOM], alone[COUNT][ROOM];
        struct crypto_aead_packet packets[COUNT];

        for (size_t count = 1; count <= COUNT; count++)
                for (size_t base = 0; base < 300; base += count < 20 ? 1 : 29) {
                        for (size_t i = 0; i < count; i++) {
                                size_t len = count % 3 ? base : (base + 61 * i) % 384;
                                memset(together[i], (int)(base + i), ROOM);
                                memset(alone[i], (int)(base + i), ROOM);
                                packets[i] = (struct crypto_aead_packet){ together[i], len,
                                                                          i + (UINT64_MAX - 20), false };
                        }
                        crypto_aead_seal_many(&key, packets, count);
                        for (size_t i = 0; i < count; i++) {
                                uint8_t nonce[12] = { 0 };
                                for (size_t n = 0; n < 8; n++)
                                        nonce[4 + n] = (uint8_t)(packets[i].counter >> 8 * n);
                                crypto_aead_seal(&key, nonce, STR_NULL, alone[i], packets[i].len);
                                assert_memory_equal(alone[i], together[i],
                                                    ROOM); /* and nothing beyond is touched */
                                packets[i].len += 16;
                        }
                        size_t bad = base % count;
                        together[bad][packets[bad].len - 1 - base % 16] ^= 0x80;
                        crypto_aead_open_many(&key, packets, count);
                        for (size_t i = 0; i < count; i++) {
                                assert_int_equal(packets[i].is_authentic, i != bad);
                                uint8_t expected = i == bad ? 0 : (uint8_t)(base + i);
                                for (size_t n = 0; n + 16 < packets[i].len; n++)
                                        assert_int_equal(together[i][n], expected);
                        }
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
                cmocka_unit_test(the_edges_of_poly1305),
                cmocka_unit_test(every_count_and_length),
                cmocka_unit_test(long_nonce),
        };
        return cmocka_run_group_tests(tests, setup, NULL);
}
