/*
 * wire/join.h - how a machine becomes a node: the token people copy, the bytes that are signed, the bodies.
 *
 * Does:   text and JSON both ways, for both sides. Source: docs/protocol/nodes.md 2.
 * Not:    HTTP, keys, signatures (crypto/p256.h), who may join (control).
 * Thread: any; plain functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "wire/name.h"

enum {
        WIRE_TOKEN_RANDOM_BYTES = 32,
        WIRE_TOKEN_SECRET_LEN = 50,        /* "skauth-" and 43 characters */
        WIRE_TOKEN_SIZE = 50 + 1 + 32 + 1, /* with ".", fingerprint and NUL */
        WIRE_FINGERPRINT_BYTES = 16,       /* the first of SHA-256 of the authority's DER */
        WIRE_CHALLENGE_BYTES = 32,
        WIRE_PROOF_BYTES = 15 + 32 + 32, /* what is signed */
        WIRE_KEY_BYTES = 32,             /* X25519 */
        WIRE_SPKI_MAX = 256,
        WIRE_SIGNATURE_MAX = 160, /* DER of an ECDSA signature, with room */
        WIRE_JOIN_BODY_MAX = 8 * 1024,
        WIRE_JOIN_ANSWER_MAX = 64 * 1024,
        WIRE_TEXT_MAX = 256, /* names, programs, reasons */
};

/* The two parts of a token; `secret` ("skauth-...", all before the dot) is what control is sent and hashes. */
struct wire_token {
        struct str secret;
        uint8_t fingerprint[WIRE_FINGERPRINT_BYTES];
};

/* "skauth-….0123…". Borrows the text. ERR_MALFORMED. */
MUST_USE enum err wire_token_parse(struct str text, struct wire_token *out);
/* "skauth-….0123…@https://control.example.com:8000": `url` is what stands behind the @, not looked into. */
MUST_USE enum err wire_token_url_parse(struct str text, struct wire_token *out, struct str *url);
/* Writes token and NUL. `authority_sha256` is of the whole DER. */
struct str wire_token_format(const uint8_t random[WIRE_TOKEN_RANDOM_BYTES],
                             const uint8_t authority_sha256[32], char out[WIRE_TOKEN_SIZE]);
/* What control keeps: SHA-256 of the secret's text. */
void wire_token_hash(struct str secret, uint8_t out[32]);
/* Whether the authority (SHA-256 of its DER) is the token's. */
bool wire_token_names(const struct wire_token *token, const uint8_t authority_sha256[32]);

/* "sekisho join 1\n" + challenge + SHA-256 of the body of the first request. */
void wire_proof_bytes(const uint8_t challenge[WIRE_CHALLENGE_BYTES], struct str body,
                      uint8_t out[WIRE_PROOF_BYTES]);

/* POST /api/v1/join */
struct wire_join_request {
        struct str token; /* the secret */
        enum wire_kind kind;
        struct str name; /* wanted; may be empty: control's choice */
        struct str program;
        size_t identity_len;
        uint8_t identity[WIRE_SPKI_MAX]; /* SubjectPublicKeyInfo of an EC P-256 key, DER */
        uint8_t seal[WIRE_KEY_BYTES], tunnel[WIRE_KEY_BYTES];
};
/* Strict: an unknown member, a missing one, one of another type is ERR_MALFORMED and *why a sentence. Texts lie in `arena`
 * or the body. */
MUST_USE enum err wire_join_request_read(struct arena *arena, struct str body, struct wire_join_request *out,
                                         const char **why);
void wire_join_request_write(const struct wire_join_request *r, struct buf *out);

/* Its answer. */
struct wire_join_challenge {
        struct str join; /* an id */
        uint8_t challenge[WIRE_CHALLENGE_BYTES];
};
MUST_USE enum err wire_join_challenge_read(struct arena *arena, struct str body,
                                           struct wire_join_challenge *out);
void wire_join_challenge_write(const struct wire_join_challenge *c, struct buf *out);

/* POST /api/v1/join/ID */
struct wire_join_proof {
        size_t signature_len;
        uint8_t signature[WIRE_SIGNATURE_MAX]; /* DER */
};
MUST_USE enum err wire_join_proof_read(struct arena *arena, struct str body, struct wire_join_proof *out,
                                       const char **why);
void wire_join_proof_write(const struct wire_join_proof *p, struct buf *out);

/* Its answer. Pending: certificate and authority are empty. */
struct wire_join_result {
        struct str id, name, org;
        bool is_pending;
        struct str certificate, authority; /* PEM */
        uint8_t document_key[32];          /* Ed25519 */
};
MUST_USE enum err wire_join_result_read(struct arena *arena, struct str body, struct wire_join_result *out);
void wire_join_result_write(const struct wire_join_result *r, struct buf *out);
