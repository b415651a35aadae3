/*
 * crypto/engine_priv.h - OpenSSL's objects, fetched once, and one set of working contexts a thread. For this room only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "base/str.h"

/* For the process: read-only once made. */
struct crypto_engine {
        EVP_MD *sha1, *sha256, *blake2s;
        EVP_MAC *blake2smac;
        EVP_CIPHER *chacha20_poly1305;
};

/* For one thread. The ciphers have been given their algorithm; only a key and a nonce are missing. */
struct crypto_scratch {
        EVP_MD_CTX *digest;
        EVP_MAC_CTX *blake2smac;
        EVP_CIPHER_CTX *seal, *open;
};

const struct crypto_engine *crypto_engine(void);
struct crypto_scratch *crypto_scratch(void);

/* Whether packets may be sealed and opened many at once: asked of aead.c, once. */
bool crypto_engine_has_wide(void);
bool crypto_wide_is_right(void);

/* The hash of the parts joined. `out` has room for the digest (20 bytes for SHA-1, 32 for the others). */
void crypto_digest(const EVP_MD *md, const struct str *parts, size_t parts_count, uint8_t *out);

/* HMAC over a digest of 32 bytes with blocks of 64. Source: RFC 2104. */
void crypto_hmac(const EVP_MD *md, struct str key, const struct str *parts, size_t parts_count,
                 uint8_t out[32]);

_Noreturn void crypto_die(const char *why);

/* For calls that fail only when memory runs out inside OpenSSL or when we misuse it. */
static inline void crypto_must(int ok)
{
        if (__builtin_expect(ok <= 0, 0))
                crypto_die("OpenSSL refused an operation that cannot fail");
}
