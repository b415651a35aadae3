/*
 * crypto/pairbox.h - boxes between two key pairs: sealed by the one, opened by the other, and by nobody else.
 * Source: NaCl's crypto_box (X25519, XSalsa20-Poly1305).
 *
 * Either end of a pair can make a box, so a box proves that one of the two made it. A nonce is used once for a pair of
 * keys, both ways counted together: draw it at random. Thread: any.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

enum { CRYPTO_PAIRBOX_KEY_BYTES = 32, CRYPTO_PAIRBOX_NONCE_BYTES = 24, CRYPTO_PAIRBOX_OVERHEAD = 16 };

/* What both ends work out from their own private key and the other's public one: once, then used for each box. Wipe it. */
struct crypto_pairbox_key {
        uint8_t bytes[CRYPTO_PAIRBOX_KEY_BYTES];
};

/* Keys as of x25519.h. ERR_MALFORMED: the public key is a point of small order. */
MUST_USE enum err crypto_pairbox_key_init(struct crypto_pairbox_key *k,
                                          const uint8_t private_key[CRYPTO_PAIRBOX_KEY_BYTES],
                                          const uint8_t public_key[CRYPTO_PAIRBOX_KEY_BYTES]);

/* Writes text.len + CRYPTO_PAIRBOX_OVERHEAD bytes. */
void crypto_pairbox_seal(const struct crypto_pairbox_key *k, const uint8_t nonce[CRYPTO_PAIRBOX_NONCE_BYTES],
                         struct str text, uint8_t *out);

/* Writes box.len - CRYPTO_PAIRBOX_OVERHEAD bytes. ERR_MALFORMED: not of this pair, cut short or changed; nothing is written. */
MUST_USE enum err crypto_pairbox_open(const struct crypto_pairbox_key *k,
                                      const uint8_t nonce[CRYPTO_PAIRBOX_NONCE_BYTES], struct str box,
                                      uint8_t *out);
