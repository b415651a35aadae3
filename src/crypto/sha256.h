/*
 * crypto/sha256.h - SHA-256 and HMAC-SHA256. Source: FIPS 180-4, RFC 2104.
 *
 * Thread: any; a stream belongs to one thread at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

enum { CRYPTO_SHA256_BYTES = 32 };

void crypto_sha256(struct str data, uint8_t out[CRYPTO_SHA256_BYTES]);

/* A key of any length; one longer than 64 bytes is hashed first, as the RFC says. */
void crypto_hmac_sha256(struct str key, struct str data, uint8_t out[CRYPTO_SHA256_BYTES]);

/* A hash of bytes that arrive in parts. */
struct crypto_sha256_stream {
        void *private;
};

/* ERR_NO_MEMORY: nothing to fini. */
MUST_USE
enum err crypto_sha256_init(struct crypto_sha256_stream *s);
void crypto_sha256_add(struct crypto_sha256_stream *s, struct str data);

/* Writes the hash and starts anew, so that the stream can be used again. */
void crypto_sha256_finish(struct crypto_sha256_stream *s, uint8_t out[CRYPTO_SHA256_BYTES]);
void crypto_sha256_fini(struct crypto_sha256_stream *s);
