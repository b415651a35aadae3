/*
 * certs/seal.h - texts sealed with a key that lies outside of the store, so that a stolen store opens nothing.
 *
 * A box is "1" (the key's number), 24 bytes of nonce, and XChaCha20-Poly1305's text and tag. What it is for ("ca-key") is
 * authenticated with it, so that a box cannot be put in another's place.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "crypto/aead.h"

struct certs_seal {
        struct crypto_aead_key key; /* crypto_wipe it in the end */
};

enum { CERTS_SEAL_OVERHEAD = 1 + CRYPTO_XAEAD_NONCE_BYTES + CRYPTO_AEAD_TAG_BYTES };

/*
 * The key of `path`: 64 hexadecimal digits in a file of mode 0600. `may_make`: a new one is written where there is none.
 * ERR_NOT_FOUND; ERR_DENIED: the file can be read by others, or is not ours; ERR_MALFORMED. Blocks.
 */
MUST_USE enum err certs_seal_open(struct certs_seal *s, const char *path, bool may_make);

void certs_seal_fini(struct certs_seal *s);

/* Appends the box. */
MUST_USE enum err certs_seal_close(const struct certs_seal *s, struct str purpose, struct str text,
                                   struct buf *box);
/* Appends what is in it; `text` is a secret. ERR_MALFORMED: of another key or purpose, cut short or changed. */
MUST_USE enum err certs_unseal(const struct certs_seal *s, struct str purpose, struct str box,
                               struct buf *text);
