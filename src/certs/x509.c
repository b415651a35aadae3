#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <time.h>

#include "certs/x509_priv.h"
#include "crypto/p256.h"

BIO *certs_text_bio(struct str text)
{
        return text.len && text.len <= CERTS_PEM_BYTES_MAX ? BIO_new_mem_buf(text.ptr, (int)text.len) : NULL;
}

enum err certs_bio_take(BIO *bio, struct buf *out)
{
        char *bytes;
        long len = BIO_get_mem_data(bio, &bytes);

        buf_add(out, (struct str){ bytes, len > 0 ? (size_t)len : 0 });
        BIO_free(bio);
        return out->full ? ERR_NO_MEMORY : ERR_OK;
}

static bool is_p256(const EVP_PKEY *key)
{
        char name[32];
        size_t len;

        return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, name, sizeof(name), &len) == 1 &&
               strcmp(name, "prime256v1") == 0;
}

static int no_passphrase(char *out, int size, int is_new, void *context)
{
        return -1;
}

EVP_PKEY *certs_pkey_read(struct str pem)
{
        BIO *bio = certs_text_bio(pem);
        EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

        BIO_free(bio);
        if (key && !is_p256(key)) {
                EVP_PKEY_free(key);
                key = NULL;
        }
        return key;
}

EVP_PKEY *certs_pkey_of_spki(struct str spki)
{
        const unsigned char *at = (const unsigned char *)spki.ptr;
        unsigned char *again = NULL;
        EVP_PKEY *key = spki.len == CRYPTO_P256_SPKI_BYTES ? d2i_PUBKEY(NULL, &at, (long)spki.len) : NULL;
        EVP_PKEY_CTX *check = key && is_p256(key) ? EVP_PKEY_CTX_new(key, NULL) : NULL;
        bool ok = check && EVP_PKEY_public_check(check) == 1 &&
                  i2d_PUBKEY(key, &again) == CRYPTO_P256_SPKI_BYTES && memcmp(again, spki.ptr, spki.len) == 0;

        OPENSSL_free(again);
        EVP_PKEY_CTX_free(check);
        if (ok)
                return key;
        EVP_PKEY_free(key);
        return NULL;
}

enum err certs_x509_write(X509 *c, struct buf *pem)
{
        BIO *bio = BIO_new(BIO_s_mem());

        if (bio && PEM_write_bio_X509(bio, c) == 1)
                return certs_bio_take(bio, pem);
        BIO_free(bio);
        return ERR_NO_MEMORY;
}

unix_ms certs_time(const ASN1_TIME *when)
{
        struct tm tm;

        return ASN1_TIME_to_tm(when, &tm) == 1 ? (unix_ms)timegm(&tm) * 1000 : 0;
}
