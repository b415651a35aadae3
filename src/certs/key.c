#include "certs/key.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "certs/x509_priv.h"

enum err certs_key_new(struct buf *pem)
{
        EVP_PKEY *key = EVP_EC_gen("P-256");
        BIO *bio = BIO_new(BIO_s_secmem());
        enum err e = ERR_NO_MEMORY;

        if (key && bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1) {
                e = certs_bio_take(bio, pem);
                bio = NULL;
        }
        BIO_free(bio);
        EVP_PKEY_free(key);
        ERR_clear_error();
        return e;
}

enum err certs_key_public(struct str pem, uint8_t spki[CERTS_SPKI_BYTES])
{
        EVP_PKEY *key = certs_pkey_read(pem);
        unsigned char *der = NULL;
        int len = key ? i2d_PUBKEY(key, &der) : -1;
        enum err e = ERR_MALFORMED;

        if (len == CERTS_SPKI_BYTES) {
                memcpy(spki, der, CERTS_SPKI_BYTES);
                e = ERR_OK;
        }
        OPENSSL_free(der);
        EVP_PKEY_free(key);
        ERR_clear_error();
        return e;
}

enum err certs_spki_check(struct str spki)
{
        EVP_PKEY *key = certs_pkey_of_spki(spki);

        EVP_PKEY_free(key);
        ERR_clear_error();
        return key ? ERR_OK : ERR_MALFORMED;
}
