#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <time.h>

#include "base/units.h"
#include "io/tls_keys_priv.h"
#include "io/tls_priv.h"

enum { CHAIN_MAX = 20 };

static BIO *text_bio(struct str text)
{
        return BIO_new_mem_buf(text.ptr, (int)MIN(text.len, (size_t)TLS_CHAIN_BYTES_MAX * 64));
}

/* Keys with a passphrase are not asked for: a service has nobody to ask. */
static int no_passphrase(char *buf, int size, int is_new, void *asked)
{
        *(bool *)asked = true;
        return -1;
}

static int64_t unix_of(const ASN1_TIME *when)
{
        struct tm tm;

        return ASN1_TIME_to_tm(when, &tm) == 1 ? timegm(&tm) : 0;
}

static void check_dates(const X509 *certificate, struct str name, struct report *r, int64_t *not_after)
{
        int64_t from = unix_of(X509_get0_notBefore(certificate)),
                to = unix_of(X509_get0_notAfter(certificate));
        int64_t now = time(NULL);
        char text[UNITS_TIME_TEXT_MAX];

        *not_after = MIN(*not_after, to);
        if (to < now)
                report_warning(r, 0, 0,
                               "%.*s: the certificate expired on %s: clients will refuse it; renew it",
                               STR_FMT(name), units_format_time(to * 1000, text).ptr);
        else if (from > now)
                report_warning(
                        r, 0, 0,
                        "%.*s: the certificate is not valid before %s: check the clock of this machine",
                        STR_FMT(name), units_format_time(from * 1000, text).ptr);
}

static bool use_chain(SSL_CTX *ssl_ctx, BIO *pem, const struct tls_certificate *c, struct report *r,
                      int64_t *not_after)
{
        X509 *leaf = PEM_read_bio_X509_AUX(pem, NULL, NULL, NULL), *next;
        int count = 0;
        bool ok;

        if (!leaf) {
                report_error(r, 0, 0,
                             "%.*s: no certificate found; PEM text is expected (-----BEGIN CERTIFICATE-----)",
                             STR_FMT(c->cert_name));
                return false;
        }
        check_dates(leaf, c->cert_name, r, not_after);
        ok = SSL_CTX_use_certificate(ssl_ctx, leaf) == 1;
        X509_free(leaf);
        if (!ok) {
                report_error(r, 0, 0, "%.*s: the certificate cannot be used: %s", STR_FMT(c->cert_name),
                             tls_last_reason());
                return false;
        }
        while ((next = PEM_read_bio_X509(pem, NULL, NULL, NULL))) {
                if (++count > CHAIN_MAX || SSL_CTX_add0_chain_cert(ssl_ctx, next) != 1) {
                        X509_free(next);
                        report_error(r, 0, 0, "%.*s: the certificate chain is too long (more than %d)",
                                     STR_FMT(c->cert_name), CHAIN_MAX);
                        return false;
                }
        }
        ERR_clear_error(); /* the end of the text counts as one */
        return true;
}

/* Looks like a private key to OpenSSL, and asks the context's signer. */
static EVP_PKEY *standin_of(BIO *pem)
{
        EVP_PKEY *public_half = PEM_read_bio_PUBKEY(pem, NULL, NULL, NULL);
        EVP_PKEY *key = public_half ? tls_standin_new(public_half) : NULL;

        EVP_PKEY_free(public_half);
        return key;
}

static bool use_key(SSL_CTX *ssl_ctx, BIO *pem, const struct tls_certificate *c, bool is_public,
                    struct report *r)
{
        bool asked = false, ok;
        EVP_PKEY *key =
                is_public ? standin_of(pem) : PEM_read_bio_PrivateKey(pem, NULL, no_passphrase, &asked);

        if (!key) {
                report_error(
                        r, 0, 0,
                        asked ? "%.*s: the private key is protected by a passphrase; give it without one, readable by "
                                "this service only"
                              : "%.*s: no private key found; PEM text is expected (-----BEGIN PRIVATE KEY-----)",
                        STR_FMT(c->key_name));
                ERR_clear_error();
                return false;
        }
        ok = SSL_CTX_use_PrivateKey(ssl_ctx, key) == 1 && SSL_CTX_check_private_key(ssl_ctx) == 1;
        EVP_PKEY_free(key);
        if (!ok)
                report_error(r, 0, 0, "%.*s: the private key does not belong to the certificate in %.*s",
                             STR_FMT(c->key_name), STR_FMT(c->cert_name));
        ERR_clear_error();
        return ok;
}

bool tls_pem_certificate(SSL_CTX *ssl_ctx, const struct tls_certificate *c, bool is_public, struct report *r,
                         int64_t *not_after)
{
        BIO *cert = text_bio(c->cert_pem), *key = text_bio(c->key_pem);
        bool ok = cert && key && use_chain(ssl_ctx, cert, c, r, not_after) &&
                  use_key(ssl_ctx, key, c, is_public, r);

        BIO_free(cert);
        BIO_free(key);
        return ok;
}

bool tls_pem_authorities(SSL_CTX *ssl_ctx, struct str pem, const char *what, bool tell_clients,
                         struct report *r)
{
        BIO *text = text_bio(pem);
        X509_STORE *store = SSL_CTX_get_cert_store(ssl_ctx);
        X509 *ca;
        int count = 0;
        bool ok = text != NULL;

        while (ok && (ca = PEM_read_bio_X509(text, NULL, NULL, NULL))) {
                ok = X509_STORE_add_cert(store, ca) == 1 &&
                     (!tell_clients || SSL_CTX_add_client_CA(ssl_ctx, ca) == 1);
                X509_free(ca);
                count++;
        }
        if (!ok || count == 0)
                report_error(r, 0, 0,
                             "%s: no certificate found; PEM text is expected (-----BEGIN CERTIFICATE-----)",
                             what);
        /* Who is named here is trusted, a root or not. */
        X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
        ERR_clear_error();
        BIO_free(text);
        return ok && count > 0;
}

/* What a list that is past its time means is told once, here: each of its clients only sees a handshake that fails. */
static void warn_of_age(const X509_CRL *crl, const char *what, struct report *r)
{
        const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);

        if (next && X509_cmp_current_time(next) < 0)
                report_warning(r, 0, 0, "%s: a list is past its time: no client of its authority is let in",
                               what);
}

bool tls_pem_revocations(SSL_CTX *ssl_ctx, struct str pem, const char *what, struct report *r)
{
        BIO *text = text_bio(pem);
        X509_STORE *store = SSL_CTX_get_cert_store(ssl_ctx);
        X509_CRL *crl;
        int count = 0;
        bool ok = text != NULL;

        while (ok && (crl = PEM_read_bio_X509_CRL(text, NULL, NULL, NULL))) {
                warn_of_age(crl, what, r);
                ok = X509_STORE_add_crl(store, crl) == 1;
                X509_CRL_free(crl);
                count++;
        }
        if (!ok || count == 0)
                report_error(r, 0, 0, "%s: no list found; PEM text is expected (-----BEGIN X509 CRL-----)",
                             what);
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
        ERR_clear_error();
        BIO_free(text);
        return ok && count > 0;
}
