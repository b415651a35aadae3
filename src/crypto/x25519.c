#include "crypto/x25519.h"

#include <openssl/evp.h>

#include "crypto/engine_priv.h"
#include "crypto/secret.h"

void crypto_x25519_clamp(uint8_t private_key[CRYPTO_X25519_BYTES])
{
        private_key[0] &= 248;
        private_key[31] = (uint8_t)((private_key[31] & 127) | 64);
}

static EVP_PKEY *private_pkey(const uint8_t private_key[CRYPTO_X25519_BYTES])
{
        EVP_PKEY *key =
                EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, private_key, CRYPTO_X25519_BYTES);

        if (!key)
                crypto_die("out of memory, or OpenSSL lacks X25519");
        return key;
}

void crypto_x25519_public(const uint8_t private_key[CRYPTO_X25519_BYTES],
                          uint8_t public_key[CRYPTO_X25519_BYTES])
{
        EVP_PKEY *key = private_pkey(private_key);
        size_t len = CRYPTO_X25519_BYTES;

        crypto_must(EVP_PKEY_get_raw_public_key(key, public_key, &len));
        EVP_PKEY_free(key);
}

enum err crypto_x25519(const uint8_t private_key[CRYPTO_X25519_BYTES],
                       const uint8_t peer_public_key[CRYPTO_X25519_BYTES], uint8_t out[CRYPTO_X25519_BYTES])
{
        EVP_PKEY *own = private_pkey(private_key);
        EVP_PKEY *peer =
                EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, peer_public_key, CRYPTO_X25519_BYTES);
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
        size_t len = CRYPTO_X25519_BYTES;

        if (!peer || !ctx)
                crypto_die("out of memory");
        crypto_must(EVP_PKEY_derive_init(ctx));
        crypto_must(EVP_PKEY_derive_set_peer(ctx, peer));
        /* OpenSSL itself refuses an all-zero result; looked at again, because everything above relies on it. */
        bool is_ok = EVP_PKEY_derive(ctx, out, &len) > 0 && !crypto_is_zero(out, CRYPTO_X25519_BYTES);
        if (!is_ok)
                crypto_wipe(out, CRYPTO_X25519_BYTES);
        EVP_PKEY_CTX_free(ctx);
        EVP_PKEY_free(peer);
        EVP_PKEY_free(own);
        return is_ok ? ERR_OK : ERR_MALFORMED;
}
