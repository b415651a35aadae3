#include "crypto/p256.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "crypto/engine_priv.h"
#include "crypto/secret.h"

static int no_passphrase(char *out, int size, int is_writing, void *context)
{
        (void)out, (void)size, (void)is_writing, (void)context;
        return -1;
}

static bool is_p256(const EVP_PKEY *key)
{
        char group[32] = "";
        size_t len;

        return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
               EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1 &&
               strcmp(group, "prime256v1") == 0;
}

static EVP_PKEY *key_read(struct str pem)
{
        BIO *bio =
                pem.len && pem.len <= 4 * CRYPTO_P256_PEM_MAX ? BIO_new_mem_buf(pem.ptr, (int)pem.len) : NULL;
        EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

        BIO_free(bio);
        ERR_clear_error();
        if (key && !is_p256(key)) {
                EVP_PKEY_free(key);
                key = NULL;
        }
        return key;
}

/* Whether the key, written again, is these bytes: no compressed point, nothing behind it. */
static bool is_canonical(EVP_PKEY *key, struct str spki)
{
        unsigned char *again = NULL;
        int len = i2d_PUBKEY(key, &again);
        bool is = len == CRYPTO_P256_SPKI_BYTES && spki.len == (size_t)len &&
                  memcmp(again, spki.ptr, spki.len) == 0;

        OPENSSL_free(again);
        return is;
}

static EVP_PKEY *key_of_spki(struct str spki)
{
        const unsigned char *at = (const unsigned char *)spki.ptr;
        EVP_PKEY *key = spki.len == CRYPTO_P256_SPKI_BYTES ? d2i_PUBKEY(NULL, &at, (long)spki.len) : NULL;

        ERR_clear_error();
        if (key && (!is_p256(key) || !is_canonical(key, spki))) {
                EVP_PKEY_free(key);
                key = NULL;
        }
        return key;
}

enum err crypto_p256_generate(struct buf *pem)
{
        EVP_PKEY *key = EVP_EC_gen("P-256");
        BIO *bio = key ? BIO_new(BIO_s_secmem()) : NULL;
        enum err e = ERR_NO_MEMORY;
        char *text;

        if (bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1) {
                long len = BIO_get_mem_data(bio, &text);
                buf_add(pem, (struct str){ text, (size_t)len });
                crypto_wipe(text, (size_t)len);
                e = pem->full ? ERR_NO_MEMORY : ERR_OK;
        }
        BIO_free(bio);
        EVP_PKEY_free(key);
        return e;
}

enum err crypto_p256_public(struct str pem, uint8_t spki[CRYPTO_P256_SPKI_BYTES])
{
        EVP_PKEY *key = key_read(pem);
        unsigned char *der = NULL;
        enum err e = ERR_MALFORMED;

        if (!key)
                return ERR_MALFORMED;
        if (EVP_PKEY_set_utf8_string_param(key, "point-format", "uncompressed") == 1 &&
            i2d_PUBKEY(key, &der) == CRYPTO_P256_SPKI_BYTES) {
                memcpy(spki, der, CRYPTO_P256_SPKI_BYTES);
                e = ERR_OK;
        }
        OPENSSL_free(der);
        EVP_PKEY_free(key);
        ERR_clear_error();
        return e;
}

bool crypto_p256_spki_is_valid(struct str spki)
{
        EVP_PKEY *key = key_of_spki(spki);

        EVP_PKEY_free(key);
        return key != NULL;
}

enum err crypto_p256_sign(struct str pem, struct str message, uint8_t signature[CRYPTO_P256_SIGNATURE_MAX],
                          size_t *len)
{
        EVP_PKEY *key = key_read(pem);
        EVP_MD_CTX *ctx = key ? EVP_MD_CTX_new() : NULL;
        enum err e = key ? ERR_NO_MEMORY : ERR_MALFORMED;
        size_t n = CRYPTO_P256_SIGNATURE_MAX;

        if (ctx && EVP_DigestSignInit(ctx, NULL, crypto_engine()->sha256, NULL, key) == 1 &&
            EVP_DigestSign(ctx, signature, &n, (const unsigned char *)message.ptr, message.len) == 1) {
                *len = n;
                e = ERR_OK;
        }
        EVP_MD_CTX_free(ctx);
        EVP_PKEY_free(key);
        ERR_clear_error();
        return e;
}

bool crypto_p256_verify(struct str spki, struct str message, struct str signature)
{
        EVP_PKEY *key = key_of_spki(spki);
        EVP_MD_CTX *ctx = key ? EVP_MD_CTX_new() : NULL;
        bool is = ctx && EVP_DigestVerifyInit(ctx, NULL, crypto_engine()->sha256, NULL, key) == 1 &&
                  EVP_DigestVerify(ctx, (const unsigned char *)signature.ptr, signature.len,
                                   (const unsigned char *)message.ptr, message.len) == 1;

        EVP_MD_CTX_free(ctx);
        EVP_PKEY_free(key);
        ERR_clear_error();
        return is;
}
