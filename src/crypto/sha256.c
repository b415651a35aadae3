#include "crypto/sha256.h"

#include <openssl/evp.h>

#include "crypto/engine_priv.h"

void crypto_sha256(struct str data, uint8_t out[CRYPTO_SHA256_BYTES])
{
        crypto_digest(crypto_engine()->sha256, &data, 1, out);
}

void crypto_hmac_sha256(struct str key, struct str data, uint8_t out[CRYPTO_SHA256_BYTES])
{
        crypto_hmac(crypto_engine()->sha256, key, &data, 1, out);
}

enum err crypto_sha256_init(struct crypto_sha256_stream *s)
{
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();

        if (!ctx)
                return ERR_NO_MEMORY;
        if (!EVP_DigestInit_ex2(ctx, crypto_engine()->sha256, NULL)) {
                EVP_MD_CTX_free(ctx);
                return ERR_NO_MEMORY;
        }
        s->private = ctx;
        return ERR_OK;
}

void crypto_sha256_add(struct crypto_sha256_stream *s, struct str data)
{
        crypto_must(EVP_DigestUpdate(s->private, data.ptr, data.len));
}

void crypto_sha256_finish(struct crypto_sha256_stream *s, uint8_t out[CRYPTO_SHA256_BYTES])
{
        crypto_must(EVP_DigestFinal_ex(s->private, out, NULL));
        crypto_must(EVP_DigestInit_ex2(s->private, NULL, NULL));
}

void crypto_sha256_fini(struct crypto_sha256_stream *s)
{
        EVP_MD_CTX_free(s->private);
        s->private = NULL;
}
