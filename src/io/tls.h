/*
 * io/tls.h - TLS contexts: what a listener presents and what a client demands. The only door to OpenSSL's SSL side.
 *
 * TLS 1.2 and 1.3; no renegotiation, no compression, no early data. Server: several certificates chosen by the name
 * asked for (exact, then one-label wildcard). A client that names nobody, or an address, gets the first; one that asks for
 * a name nobody here has gets the alert unrecognized_name, unless there is one certificate only, which is then given to
 * all. Tickets are bound to certificate, client policy and name, so that a session of one host is never resumed at another
 * (reliability finding 10). Client: peer verified against the system's or a given CA, name checked; the last session is
 * kept for the next connection to the same name, but with light_records.
 *
 * Shared: counted, released by the last put, in one thread. Contexts are immutable once built: a reload builds new ones.
 * Reads no file but the system's authorities, at the first tls_client_new of a process that verifies by them.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"

struct tls_context;
struct tls_signer; /* io/tls_keys.h */

struct tls_certificate {
        struct str cert_pem, key_pem;   /* chain and key, PEM text; borrowed during the call */
        struct str cert_name, key_name; /* what to call them in messages: file names */
        /* Clients that ask for a name of this certificate are asked for one of theirs, by these authorities; empty: as the
         * context says. `client_required` goes with it. */
        struct str client_ca_pem;
        bool client_required;
};

struct tls_server_conf {
        const struct tls_certificate *certificates;
        size_t certificates_count;
        bool offer_h2;            /* ALPN h2 before http/1.1 */
        struct str client_ca_pem; /* empty: no client certificates asked for */
        bool client_required;
        /* With client_ca_pem: lists of revoked certificates. Whose authority has no list here, or one past its time, is not
         * let in. Empty: revocation is not looked at. */
        struct str client_crl_pem;
        /* TLS 1.3 connections leave OpenSSL after their handshake (docs/decisions/0009): a fifth of the memory, a quarter
         * less CPU, record protection of our own. Off: OpenSSL to the end. */
        bool light_records;
        /* Not NULL: each key_pem is a public half, and this signs in the private one's place. Kept. */
        struct tls_signer *signer;
};

/* Problems (unreadable PEM, key that does not fit, expired certificate as a warning) go to the report: ERR_CONFIG. */
MUST_USE
enum err tls_server_new(const struct tls_server_conf *conf, struct report *r, struct tls_context **out);

struct tls_client_conf {
        struct str ca_pem;            /* empty: the system's store */
        struct str cert_pem, key_pem; /* client certificate, or empty */
        bool offer_h2;
        bool skip_verify; /* only where the operator wrote so */
        /* Instead of ca_pem: 16 to 32 bytes with which SHA-256 of a root's DER begins. The server must send that root in its
         * chain, and then it is the one authority. */
        struct str root_sha256;
        /* Not empty: a pattern (str_match) that the certificate's one URI name must fit. It counts instead of the server
         * name, which is still sent. */
        struct str uri_name;
        /* As tls_server_conf's; no session is kept for the next connection. */
        bool light_records;
};
MUST_USE
enum err tls_client_new(const struct tls_client_conf *conf, struct report *r, struct tls_context **out);

/* Before files are out of reach: what OpenSSL reads at its first use is read, and the file of the system's authorities
 * opened (SSL_CERT_FILE names another), to be read when the first context verifies by them. */
void tls_prepare(void);

struct tls_context *tls_context_get(struct tls_context *c);
void tls_context_put(struct tls_context *c); /* NULL is fine */

/* 80 random bytes made once by the supervisor, so that any worker resumes another's session; a context begins with a key of
 * its own. The key before stays good for taking up sessions. */
enum { TLS_TICKET_KEY_BYTES = 80 };
void tls_ticket_key_set(struct tls_context *c, const uint8_t key[TLS_TICKET_KEY_BYTES]);

/* Of a server: is there a certificate for who asks for this name, in lower case? */
bool tls_context_has_name(const struct tls_context *c, struct str name);

/* Earliest notAfter of the context's own certificates, unix seconds (INT64_MAX: it has none); for metrics and warnings. */
int64_t tls_not_after(const struct tls_context *c);
