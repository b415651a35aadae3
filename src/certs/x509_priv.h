/*
 * certs/x509_priv.h - what the files of this room share of OpenSSL.
 */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"

enum { CERTS_PEM_BYTES_MAX = 1 << 20 };

/* A BIO that reads the text; NULL: too long or no memory. */
BIO *certs_text_bio(struct str text);

/* Appends what was written to `bio` and frees it. */
MUST_USE enum err certs_bio_take(BIO *bio, struct buf *out);

/* NULL: no PEM of a P-256 private key. Keys with a passphrase are not asked for one. */
EVP_PKEY *certs_pkey_read(struct str pem);
/* NULL: not the one encoding of a point of P-256. */
EVP_PKEY *certs_pkey_of_spki(struct str spki);

MUST_USE enum err certs_x509_write(X509 *c, struct buf *pem);

unix_ms certs_time(const ASN1_TIME *when);
