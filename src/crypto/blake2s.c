#include "crypto/blake2s.h"

#include <assert.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "crypto/engine_priv.h"
#include "crypto/secret.h"

void crypto_blake2s(const struct str *parts, size_t parts_count, uint8_t out[CRYPTO_BLAKE2S_BYTES])
{
        crypto_digest(crypto_engine()->blake2s, parts, parts_count, out);
}

void crypto_blake2s_keyed(struct str key, struct str data, uint8_t *out, size_t out_len)
{
        EVP_MAC_CTX *ctx = crypto_scratch()->blake2smac;
        /* The length goes into BLAKE2's parameter block, so it must be known before the first byte. */
        OSSL_PARAM params[] = { OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &out_len),
                                OSSL_PARAM_construct_end() };
        size_t written;

        assert(key.len > 0 && key.len <= 32 && out_len > 0 && out_len <= 32);
        crypto_must(EVP_MAC_init(ctx, (const unsigned char *)key.ptr, key.len, params));
        crypto_must(EVP_MAC_update(ctx, (const unsigned char *)data.ptr, data.len));
        crypto_must(EVP_MAC_final(ctx, out, &written, out_len));
        assert(written == out_len);
}

void crypto_hmac_blake2s(struct str key, struct str data, uint8_t out[CRYPTO_BLAKE2S_BYTES])
{
        crypto_hmac(crypto_engine()->blake2s, key, &data, 1, out);
}

void crypto_blake2s_kdf(const uint8_t chaining_key[CRYPTO_BLAKE2S_BYTES], struct str input,
                        uint8_t out1[CRYPTO_BLAKE2S_BYTES], uint8_t *out2, uint8_t *out3)
{
        const EVP_MD *md = crypto_engine()->blake2s;
        uint8_t secret[CRYPTO_BLAKE2S_BYTES];
        struct str secret_str = { (const char *)secret, sizeof(secret) };

        crypto_hmac(md, (struct str){ (const char *)chaining_key, CRYPTO_BLAKE2S_BYTES }, &input, 1, secret);
        crypto_hmac(md, secret_str, &STR("\x01"), 1, out1);
        if (out2)
                crypto_hmac(md, secret_str,
                            (const struct str[]){ { (const char *)out1, CRYPTO_BLAKE2S_BYTES }, STR("\x02") },
                            2, out2);
        if (out3)
                crypto_hmac(md, secret_str,
                            (const struct str[]){ { (const char *)out2, CRYPTO_BLAKE2S_BYTES }, STR("\x03") },
                            2, out3);
        crypto_wipe(secret, sizeof(secret));
}
