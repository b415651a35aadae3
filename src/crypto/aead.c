#include "crypto/aead.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include <sodium.h>

#include "crypto/engine_priv.h"
#include "crypto/secret.h"
#include "crypto/wide_priv.h"

static void seal(EVP_CIPHER_CTX *ctx, const uint8_t *key, const uint8_t *nonce, struct str ad, uint8_t *text,
                 size_t len)
{
        int n;

        assert(len <= INT_MAX && ad.len <= INT_MAX);
        /* No cipher is named, so this only loads eight words of key and three of nonce. */
        crypto_must(EVP_EncryptInit_ex2(ctx, NULL, key, nonce, NULL));
        if (ad.len > 0)
                crypto_must(EVP_EncryptUpdate(ctx, NULL, &n, (const unsigned char *)ad.ptr, (int)ad.len));
        if (len > 0)
                crypto_must(EVP_EncryptUpdate(ctx, text, &n, text, (int)len));
        crypto_must(EVP_EncryptFinal_ex(ctx, text + len, &n));
        crypto_must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, CRYPTO_AEAD_TAG_BYTES, text + len));
}

static bool open(EVP_CIPHER_CTX *ctx, const uint8_t *key, const uint8_t *nonce, struct str ad, uint8_t *text,
                 size_t sealed_len)
{
        int n;

        if (sealed_len < CRYPTO_AEAD_TAG_BYTES)
                return false;
        size_t len = sealed_len - CRYPTO_AEAD_TAG_BYTES;
        assert(len <= INT_MAX && ad.len <= INT_MAX);
        crypto_must(EVP_DecryptInit_ex2(ctx, NULL, key, nonce, NULL));
        crypto_must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, CRYPTO_AEAD_TAG_BYTES, text + len));
        if (ad.len > 0)
                crypto_must(EVP_DecryptUpdate(ctx, NULL, &n, (const unsigned char *)ad.ptr, (int)ad.len));
        if (len > 0)
                crypto_must(EVP_DecryptUpdate(ctx, text, &n, text, (int)len));
        uint8_t none[CRYPTO_AEAD_TAG_BYTES];
        if (EVP_DecryptFinal_ex(ctx, none, &n) == 1)
                return true;
        crypto_wipe(text, len);
        return false;
}

void crypto_aead_seal(const struct crypto_aead_key *key, const uint8_t nonce[CRYPTO_AEAD_NONCE_BYTES],
                      struct str ad, uint8_t *text, size_t text_len)
{
        seal(crypto_scratch()->seal, key->bytes, nonce, ad, text, text_len);
}

bool crypto_aead_open(const struct crypto_aead_key *key, const uint8_t nonce[CRYPTO_AEAD_NONCE_BYTES],
                      struct str ad, uint8_t *text, size_t sealed_len)
{
        return open(crypto_scratch()->open, key->bytes, nonce, ad, text, sealed_len);
}

static void nonce_put(uint8_t nonce[CRYPTO_AEAD_NONCE_BYTES], uint64_t counter)
{
        memset(nonce, 0, 4);
        for (size_t i = 0; i < 8; i++)
                nonce[4 + i] = (uint8_t)(counter >> 8 * i);
}

static void seal_each(const struct crypto_aead_key *key, struct crypto_aead_packet *packets,
                      size_t packets_count)
{
        EVP_CIPHER_CTX *ctx = crypto_scratch()->seal;
        uint8_t nonce[CRYPTO_AEAD_NONCE_BYTES];

        for (size_t i = 0; i < packets_count; i++) {
                nonce_put(nonce, packets[i].counter);
                seal(ctx, key->bytes, nonce, STR_NULL, packets[i].text, packets[i].len);
        }
}

static void open_each(const struct crypto_aead_key *key, struct crypto_aead_packet *packets,
                      size_t packets_count)
{
        EVP_CIPHER_CTX *ctx = crypto_scratch()->open;
        uint8_t nonce[CRYPTO_AEAD_NONCE_BYTES];

        for (size_t i = 0; i < packets_count; i++) {
                nonce_put(nonce, packets[i].counter);
                packets[i].is_authentic =
                        open(ctx, key->bytes, nonce, STR_NULL, packets[i].text, packets[i].len);
        }
}

/*
 * Many packets, of lengths around every edge, sealed both ways must be the same bytes, and open again: asked once, before the
 * wide way is used at all. A processor or compiler that gets it wrong costs us speed, not safety.
 */
bool crypto_wide_is_right(void)
{
        enum { COUNT = 21, LEN_MAX = 300 };
        static const uint16_t lens[] = { 0,   1,   15,  16,  17,  63,  64,  65, 127,
                                         128, 129, 191, 192, 255, 256, 257, 300 };
        struct crypto_aead_key key;
        uint8_t wide[COUNT][LEN_MAX + 16], each[COUNT][LEN_MAX + 16];
        struct crypto_aead_packet in_wide[COUNT], in_each[COUNT];
        bool is_right = true;

        if (!crypto_wide_is_there())
                return false;
        memset(&key, 0xa5, sizeof(key));
        for (size_t i = 0; i < COUNT; i++) {
                size_t len = lens[i % ARRAY_SIZE(lens)];
                memset(wide[i], (int)i * 37, sizeof(wide[i]));
                memcpy(each[i], wide[i], sizeof(each[i]));
                in_wide[i] =
                        (struct crypto_aead_packet){ wide[i], len, UINT64_C(0x0102030405060708) * i, false };
                in_each[i] = in_wide[i];
                in_each[i].text = each[i];
        }
        crypto_wide_seal(&key, in_wide, COUNT);
        seal_each(&key, in_each, COUNT);
        for (size_t i = 0; i < COUNT; i++) {
                is_right &= memcmp(wide[i], each[i], sizeof(wide[i])) == 0;
                in_wide[i].len += CRYPTO_AEAD_TAG_BYTES;
        }
        wide[3][2] ^= 1; /* one that is not to open */
        crypto_wide_open(&key, in_wide, COUNT);
        for (size_t i = 0; i < COUNT; i++) {
                is_right &= in_wide[i].is_authentic == (i != 3);
                for (size_t at = 0; i != 3 && at < in_wide[i].len - CRYPTO_AEAD_TAG_BYTES; at++)
                        is_right &= wide[i][at] == (uint8_t)(i * 37);
        }
        return is_right;
}

/* A few long ones leave so many lanes empty that one after the other is cheaper (bench/aead.c). */
static bool is_wide_cheaper(const struct crypto_aead_packet *packets, size_t packets_count)
{
        enum { LONG_PACKETS_MIN = 4, SHORT_PACKETS_MIN = 2, SHORT_BYTES_MAX = 512 };

        return packets_count >= LONG_PACKETS_MIN ||
               (packets_count >= SHORT_PACKETS_MIN && packets[0].len <= SHORT_BYTES_MAX);
}

void crypto_aead_seal_many(const struct crypto_aead_key *key, struct crypto_aead_packet *packets,
                           size_t packets_count)
{
        bool has_wide = crypto_engine_has_wide();

        for (size_t at = 0, n; at < packets_count; at += n) {
                n = MIN(packets_count - at, (size_t)CRYPTO_WIDE_PACKETS_MAX);
                if (has_wide && is_wide_cheaper(packets + at, n))
                        crypto_wide_seal(key, packets + at, n);
                else
                        seal_each(key, packets + at, n);
        }
}

void crypto_aead_open_many(const struct crypto_aead_key *key, struct crypto_aead_packet *packets,
                           size_t packets_count)
{
        bool has_wide = crypto_engine_has_wide();

        for (size_t at = 0, n; at < packets_count; at += n) {
                n = MIN(packets_count - at, (size_t)CRYPTO_WIDE_PACKETS_MAX);
                if (has_wide && is_wide_cheaper(packets + at, n))
                        crypto_wide_open(key, packets + at, n);
                else
                        open_each(key, packets + at, n);
        }
}

void crypto_xaead_seal(const struct crypto_aead_key *key, const uint8_t nonce[CRYPTO_XAEAD_NONCE_BYTES],
                       struct str ad, uint8_t *text, size_t text_len)
{
        crypto_engine();
        crypto_aead_xchacha20poly1305_ietf_encrypt(text, NULL, text, text_len, (const unsigned char *)ad.ptr,
                                                   ad.len, NULL, nonce, key->bytes);
}

bool crypto_xaead_open(const struct crypto_aead_key *key, const uint8_t nonce[CRYPTO_XAEAD_NONCE_BYTES],
                       struct str ad, uint8_t *text, size_t sealed_len)
{
        crypto_engine();
        if (sealed_len < CRYPTO_AEAD_TAG_BYTES)
                return false;
        if (crypto_aead_xchacha20poly1305_ietf_decrypt(text, NULL, NULL, text, sealed_len,
                                                       (const unsigned char *)ad.ptr, ad.len, nonce,
                                                       key->bytes) == 0)
                return true;
        crypto_wipe(text, sealed_len - CRYPTO_AEAD_TAG_BYTES);
        return false;
}
