/*
 * crypto/p256.h - ECDSA over P-256 with SHA-256: identities of nodes and what they sign.
 * Source: FIPS 186-4; RFC 5480 (public keys), RFC 5958 (private keys).
 *
 * Keys are texts here: a private one PKCS#8 in PEM, a public one the DER of its SubjectPublicKeyInfo with the uncompressed
 * point. Signatures are DER. Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

enum {
        CRYPTO_P256_SPKI_BYTES = 91, /* always */
        CRYPTO_P256_SIGNATURE_MAX = 72,
        CRYPTO_P256_PEM_MAX = 512,
};

/* A new private key, appended. `pem` is a secret (buf_init_secret). ERR_NO_MEMORY. */
MUST_USE enum err crypto_p256_generate(struct buf *pem);

/* Its public half. ERR_MALFORMED: no PEM of a P-256 key without a passphrase. */
MUST_USE enum err crypto_p256_public(struct str pem, uint8_t spki[CRYPTO_P256_SPKI_BYTES]);

/* Whether these bytes are the one encoding of a public key, a point of the curve. */
MUST_USE bool crypto_p256_spki_is_valid(struct str spki);

/* ERR_MALFORMED as above. */
MUST_USE enum err crypto_p256_sign(struct str pem, struct str message,
                                   uint8_t signature[CRYPTO_P256_SIGNATURE_MAX], size_t *len);

/* False also for a key that is not the one encoding of a point of the curve. */
MUST_USE bool crypto_p256_verify(struct str spki, struct str message, struct str signature);
