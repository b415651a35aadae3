/*
 * io/tls_keys_priv.h - what the keyring and the stand-ins for its keys share.
 */
#pragma once

#include <openssl/evp.h>

#include "io/tls_keys.h"

enum tls_padding { TLS_PAD_NONE, TLS_PAD_PKCS1, TLS_PAD_PSS };
enum tls_versions { TLS_OF_1_2, TLS_OF_BOTH };

struct tls_scheme {
        uint16_t number;
        const char *kind, *digest; /* OpenSSL's names; digest NULL: the content itself is signed */
        enum tls_padding padding;
        enum tls_versions versions;
};

const struct tls_scheme *tls_scheme_find(uint16_t number);                       /* NULL: not one of ours */
const struct tls_scheme *tls_scheme_choose(const char *kind, const char *digest, /* NULL: none */
                                           enum tls_padding padding);

const char *tls_key_kind(const EVP_PKEY *key); /* a scheme's kind; static. NULL: of no use, or too large */
bool tls_key_id(const EVP_PKEY *key, uint8_t id[TLS_KEY_ID_BYTES]);

/*
 * tls_standin.c: a key that OpenSSL takes for a private one and that has the public half only. Signing with it asks the
 * handshake that runs (tls_handshake_sign). Shares `public_half`. NULL: of no use, or memory runs out.
 */
EVP_PKEY *tls_standin_new(EVP_PKEY *public_half);
void tls_standin_prepare(void); /* what OpenSSL makes at the first one is made */

/* tls_stream.c: inside a handshake's fibre; waits for the signature. ERR_UNSUPPORTED: no handshake that could wait runs. */
MUST_USE enum err tls_handshake_sign(const uint8_t key_id[TLS_KEY_ID_BYTES], uint16_t scheme,
                                     struct str content, uint8_t *out, size_t *len);
