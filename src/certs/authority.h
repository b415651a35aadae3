/*
 * certs/authority.h - an authority of our own: ECDSA P-256, ten years, no authority below it.
 *
 * Does:   make one, issue certificates for public keys it is given. Source: RFC 5280.
 * Not:    proof that somebody holds the private half (the join's signature is that), storing, revoking: lives are short and
 *         control refuses who is removed.
 * Thread: any number may issue from an open authority: it is only read.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/ip.h"

enum {
        CERTS_FINGERPRINT_BYTES = 32, /* SHA-256 of a certificate's DER */
        CERTS_NAME_BYTES_MAX =
                64, /* of a common name or an organisation (RFC 5280 appendix A: ub-common-name) */
};
#define CERTS_AUTHORITY_LIFE_MS (INT64_C(3650) * 86400 * 1000)

struct certs_authority;

/* Appends a new authority's certificate and private key. `org` is its organisation, up to 64 bytes of UTF-8. */
MUST_USE enum err certs_authority_make(struct str org, unix_ms now, struct buf *cert_pem,
                                       struct buf *key_pem);

/* ERR_MALFORMED: no such texts, the key is another's, or the certificate is no authority's. */
MUST_USE enum err certs_authority_open(struct str cert_pem, struct str key_pem, struct certs_authority **out);
void certs_authority_free(struct certs_authority *a); /* NULL is fine */

struct str certs_authority_pem(const struct certs_authority *a); /* its certificate; borrowed */
void certs_authority_fingerprint(const struct certs_authority *a, uint8_t out[CERTS_FINGERPRINT_BYTES]);

struct certs_request {
        struct str spki;         /* of the key it is for (crypto/p256.h) */
        struct str common_name;  /* up to 64 bytes of UTF-8 */
        struct str uri;          /* "sekisho://ORG/agent/ID"; empty: none */
        const struct str *names; /* DNS names, a first label may be "*" */
        size_t names_count;
        const struct ip *addresses;
        size_t addresses_count;
        unix_ms from, to; /* whole seconds; cut to the authority's own life */
        bool for_servers, for_clients;
};

/* Appends the certificate, PEM, without the authority's. ERR_MALFORMED: a key that is none, or a name that cannot be one. */
MUST_USE enum err certs_issue(struct certs_authority *a, const struct certs_request *request,
                              struct buf *pem);
