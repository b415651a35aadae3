/*
 * crypto/aead.h - authenticated encryption in place: ChaCha20-Poly1305 and XChaCha20-Poly1305. Source: RFC 8439,
 * draft-irtf-cfrg-xchacha.
 *
 * A key is a plain value: the cipher has no key schedule, so there is nothing to prepare for it, and what a call needs to
 * work in belongs to the thread. No call allocates after a thread's first. Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

enum {
        CRYPTO_AEAD_KEY_BYTES = 32,
        CRYPTO_AEAD_NONCE_BYTES = 12,
        CRYPTO_AEAD_TAG_BYTES = 16,
        CRYPTO_XAEAD_NONCE_BYTES = 24,
};

struct crypto_aead_key {
        uint8_t bytes[CRYPTO_AEAD_KEY_BYTES]; /* wipe with crypto_wipe */
};

/* Encrypts `text_len` bytes in place and writes the tag behind them: `text` has room for text_len + 16. */
void crypto_aead_seal(const struct crypto_aead_key *key, const uint8_t nonce[CRYPTO_AEAD_NONCE_BYTES],
                      struct str ad, uint8_t *text, size_t text_len);

/*
 * Decrypts in place; `sealed_len` counts the tag. True when authentic: the first sealed_len - 16 bytes are the text.
 * False: the bytes are worthless (wiped), and nothing of them may be used.
 */
MUST_USE
bool crypto_aead_open(const struct crypto_aead_key *key, const uint8_t nonce[CRYPTO_AEAD_NONCE_BYTES],
                      struct str ad, uint8_t *text, size_t sealed_len);

/*
 * Many packets of one key at once, without associated data, the nonce a counter (four zero bytes, then the counter
 * little-endian, as WireGuard and Noise have it).
 */
struct crypto_aead_packet {
        uint8_t *text; /* worked on in place */
        size_t len;    /* seal: of the text, with room for 16 more. open: with the tag */
        uint64_t counter;
        bool is_authentic; /* written by open */
};
void crypto_aead_seal_many(const struct crypto_aead_key *key, struct crypto_aead_packet *packets,
                           size_t packets_count);
void crypto_aead_open_many(const struct crypto_aead_key *key, struct crypto_aead_packet *packets,
                           size_t packets_count);

/* The same contracts with a 24-byte nonce, which may be drawn at random. */
void crypto_xaead_seal(const struct crypto_aead_key *key, const uint8_t nonce[CRYPTO_XAEAD_NONCE_BYTES],
                       struct str ad, uint8_t *text, size_t text_len);
MUST_USE
bool crypto_xaead_open(const struct crypto_aead_key *key, const uint8_t nonce[CRYPTO_XAEAD_NONCE_BYTES],
                       struct str ad, uint8_t *text, size_t sealed_len);
