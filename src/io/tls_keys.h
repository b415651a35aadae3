/*
 * io/tls_keys.h - private keys that live in another process: what a handshake wants signed, and who signs it.
 *
 * A context that was given a signer (tls.h) holds the public halves of its keys only. When a handshake comes to its
 * signature it asks the signer and waits; the loop goes on (docs/decisions/0047). On the other side a keyring has the keys,
 * and signs what a server of TLS 1.2 or 1.3 signs in a handshake, and nothing that looks otherwise.
 *
 * Source: RFC 8446 4.2.3 (schemes), 4.4.3 (what is signed), RFC 8422 5.4 (TLS 1.2).
 */
#pragma once

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "base/report.h"

enum {
        TLS_KEY_ID_BYTES = 32,         /* SHA-256 of the public half (SubjectPublicKeyInfo, DER) */
        TLS_SIGNED_BYTES_MAX = 192,    /* what is signed in a handshake */
        TLS_SIGNATURE_BYTES_MAX = 1024 /* RSA of 8192 bits */
};

struct tls_signature;

/* Whoever can have something signed. Embedded in its owner; lives longer than the contexts that have it. */
struct tls_signer {
        /* Keeps *wanted until it calls tls_signature_done, not before this returns, or until `forget`. An error: it cannot
         * be asked now, and the handshake fails. */
        enum err (*ask)(struct tls_signer *s, struct tls_signature *wanted);
        void (*forget)(struct tls_signer *s, struct tls_signature *wanted); /* the handshake is over */
};

/* Keys that are looked at and never used: it refuses every time. */
extern struct tls_signer tls_signer_none;

/* One signature that a handshake waits for; part of it. */
struct tls_signature {
        struct tls_signer *signer;
        uint8_t key_id[TLS_KEY_ID_BYTES];
        uint16_t scheme; /* SignatureScheme of RFC 8446 4.2.3 */
        uint16_t content_len;
        uint8_t content[TLS_SIGNED_BYTES_MAX];
        /* the signer's own */
        struct list node;
        uint64_t number;
        int64_t asked_at_us;
        mono_ms deadline;
};

/* Takes the handshake up again: with the signature, or with an error, which ends it. Calls its stream's owner back, who may
 * close it: nothing of *wanted may be touched afterwards. Not from inside `ask`. */
void tls_signature_done(struct tls_signature *wanted, enum err e, struct str signature);

/* ---- where the keys are ---- */

struct tls_keyring;

MUST_USE struct tls_keyring *tls_keyring_new(void);
void tls_keyring_free(struct tls_keyring *k); /* wipes */
/* A key of PEM text. ERR_MALFORMED: none is in it. ERR_UNSUPPORTED: of a kind that TLS here has no use for. ERR_NO_MEMORY. */
MUST_USE enum err tls_keyring_add(struct tls_keyring *k, struct str key_pem);
size_t tls_keyring_count(const struct tls_keyring *k);

/*
 * ERR_NOT_FOUND: no such key. ERR_DENIED: this is nothing a server signs in a handshake with this scheme. ERR_UNSUPPORTED:
 * the key and the scheme do not go together. `out` has TLS_SIGNATURE_BYTES_MAX.
 */
MUST_USE enum err tls_keyring_sign(struct tls_keyring *k, const uint8_t key_id[TLS_KEY_ID_BYTES],
                                   uint16_t scheme, struct str content, uint8_t *out, size_t *len_out);

/* What a server signs: of TLS 1.3 with a certificate's key, or of TLS 1.2 (client's and server's random, an ephemeral key of
 * a group we offer). */
bool tls_content_is_signed(uint16_t scheme, struct str content);

/* The public half of a private key's text, as PEM, added to `out`. ERR_MALFORMED: no key is in it. ERR_UNSUPPORTED. */
MUST_USE enum err tls_public_half(struct str key_pem, struct buf *out);

/* For a process that is to hold keys, before its first one and before it is closed in: what OpenSSL reads at its first use is
 * read, and memory set apart that is not swapped. False: there is none, and keys may be swapped. */
bool tls_keys_prepare(void);
