#include "crypto/aead.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include <sodium.h>

#include "crypto/engine_priv.h"
#include "crypto/secret.h"

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

void crypto_aead_seal_many(const struct crypto_aead_key *key, struct crypto_aead_packet *packets,
                           size_t packets_count)
{
        EVP_CIPHER_CTX *ctx = crypto_scratch()->seal;
        uint8_t nonce[CRYPTO_AEAD_NONCE_BYTES];

        for (size_t i = 0; i < packets_count; i++) {
                nonce_put(nonce, packets[i].counter);
                seal(ctx, key->bytes, nonce, STR_NULL, packets[i].text, packets[i].len);
        }
}

void crypto_aead_open_many(const struct crypto_aead_key *key, struct crypto_aead_packet *packets,
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
