/*
 * certs/key.h - P-256 keys as text: private halves in PKCS#8 PEM, public ones as the DER of a SubjectPublicKeyInfo.
 * Source: RFC 5208, RFC 5480.
 *
 * Thread: any.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"

/* Of an uncompressed P-256 key: always so many. */
enum { CERTS_SPKI_BYTES = 91, CERTS_KEY_PEM_BYTES_MAX = 1024 };

/* A new private key, appended as PEM. `pem` is a secret (buf_init_secret). */
MUST_USE enum err certs_key_new(struct buf *pem);

/* The public half. ERR_MALFORMED: no PEM of a P-256 key. */
MUST_USE enum err certs_key_public(struct str pem, uint8_t spki[CERTS_SPKI_BYTES]);

/* Whether these bytes are the one encoding of a P-256 key that is a point of the curve. ERR_MALFORMED. */
MUST_USE enum err certs_spki_check(struct str spki);
