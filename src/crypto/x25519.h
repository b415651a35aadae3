/*
 * crypto/x25519.h - Diffie-Hellman on Curve25519. Source: RFC 7748.
 *
 * Thread: any.
 */
#pragma once

#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

enum { CRYPTO_X25519_BYTES = 32 };

/* 32 random bytes made into a private key, in the usual clamped form. */
void crypto_x25519_clamp(uint8_t private_key[CRYPTO_X25519_BYTES]);

/* Any 32 bytes are a private key. */
void crypto_x25519_public(const uint8_t private_key[CRYPTO_X25519_BYTES],
                          uint8_t public_key[CRYPTO_X25519_BYTES]);

/*
 * The shared secret. ERR_MALFORMED when it is all zero, so the peer's key was a point of small order: `out` is wiped, and
 * the caller must stop.
 */
MUST_USE
enum err crypto_x25519(const uint8_t private_key[CRYPTO_X25519_BYTES],
                       const uint8_t peer_public_key[CRYPTO_X25519_BYTES], uint8_t out[CRYPTO_X25519_BYTES]);
