/*
 * crypto/ed25519.h - signatures. Source: RFC 8032 (pure Ed25519).
 *
 * Verification is the strict kind: a non-canonical key or signature and keys of small order are refused. Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

enum {
        CRYPTO_ED25519_SEED_BYTES = 32,
        CRYPTO_ED25519_PUBLIC_BYTES = 32,
        CRYPTO_ED25519_SIGNATURE_BYTES = 64
};

/* A key pair is kept as its 32 random bytes (the seed, RFC 8032's private key). */
void crypto_ed25519_public(const uint8_t seed[CRYPTO_ED25519_SEED_BYTES],
                           uint8_t public_key[CRYPTO_ED25519_PUBLIC_BYTES]);

void crypto_ed25519_sign(const uint8_t seed[CRYPTO_ED25519_SEED_BYTES], struct str message,
                         uint8_t signature[CRYPTO_ED25519_SIGNATURE_BYTES]);

MUST_USE
bool crypto_ed25519_verify(const uint8_t public_key[CRYPTO_ED25519_PUBLIC_BYTES], struct str message,
                           const uint8_t signature[CRYPTO_ED25519_SIGNATURE_BYTES]);
