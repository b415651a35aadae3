/*
 * crypto/wide_priv.h - ChaCha20-Poly1305 of many packets at once, in the lanes of wide registers. For aead.c only.
 * Source: RFC 8439. Why it is there and what it gains: docs/decisions/0030-aead-in-batches.md.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "crypto/aead.h"

enum { CRYPTO_WIDE_PACKETS_MAX = 64 };

/* Does this processor have what it takes (AVX-512 with IFMA)? */
bool crypto_wide_is_there(void);

/* As crypto_aead_seal_many and _open_many, for at most CRYPTO_WIDE_PACKETS_MAX packets and only where it is there. */
void crypto_wide_seal(const struct crypto_aead_key *key, struct crypto_aead_packet *packets,
                      size_t packets_count);
void crypto_wide_open(const struct crypto_aead_key *key, struct crypto_aead_packet *packets,
                      size_t packets_count);
