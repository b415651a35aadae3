/*
 * crypto/blake2s.h - BLAKE2s plain and keyed, HMAC-BLAKE2s, and the derivation steps of Noise. Source: RFC 7693, RFC 2104, RFC 5869;
 * the names HASH, MAC, HMAC, KDF as in the WireGuard paper 5.4.
 *
 * Thread: any.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum { CRYPTO_BLAKE2S_BYTES = 32, CRYPTO_BLAKE2S_MAC_BYTES = 16 };

/* HASH: 32 bytes of the parts joined; at most 4 parts. */
void crypto_blake2s(const struct str *parts, size_t parts_count, uint8_t out[CRYPTO_BLAKE2S_BYTES]);

/* MAC: keyed, `out_len` 1 to 32 bytes; a shorter one is not a prefix of a longer one. `key` has 1 to 32 bytes. */
void crypto_blake2s_keyed(struct str key, struct str data, uint8_t *out, size_t out_len);

/* HMAC with the plain hash; the key has any length. */
void crypto_hmac_blake2s(struct str key, struct str data, uint8_t out[CRYPTO_BLAKE2S_BYTES]);

/*
 * KDF_n: one, two or three keys from a chaining key and input. out2 and out3 may be NULL, from the right. out1 may be
 * the chaining key's own memory.
 */
void crypto_blake2s_kdf(const uint8_t chaining_key[CRYPTO_BLAKE2S_BYTES], struct str input,
                        uint8_t out1[CRYPTO_BLAKE2S_BYTES], uint8_t *out2, uint8_t *out3);
