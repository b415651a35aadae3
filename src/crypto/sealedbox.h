/*
 * crypto/sealedbox.h - sealing bytes to a public key, so that only the holder of the private key reads them.
 * Source: libsodium's crypto_box_seal (X25519, XSalsa20-Poly1305, a fresh key pair a box).
 *
 * The sender stays anonymous: a box proves nothing about who made it. Thread: any.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

enum { CRYPTO_SEALEDBOX_KEY_BYTES = 32, CRYPTO_SEALEDBOX_OVERHEAD = 48 };

/* A pair as of x25519.h. Writes text.len + CRYPTO_SEALEDBOX_OVERHEAD bytes. ERR_MALFORMED: the key is no key. */
MUST_USE
enum err crypto_sealedbox_seal(const uint8_t public_key[CRYPTO_SEALEDBOX_KEY_BYTES], struct str text,
                               uint8_t *out);

/* Writes box.len - CRYPTO_SEALEDBOX_OVERHEAD bytes. ERR_MALFORMED: not for this key, cut short or changed; out is wiped. */
MUST_USE
enum err crypto_sealedbox_open(const uint8_t private_key[CRYPTO_SEALEDBOX_KEY_BYTES], struct str box,
                               uint8_t *out);
