/*
 * tests/unit/io/certs.h - certificates made on the spot.
 */
#pragma once

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct issued {
        X509 *certificate;
        EVP_PKEY *key;
        char *cert_pem, *key_pem; /* NUL-terminated */
};

struct issue {
        const char *common_name;
        const char *alt_names;       /* "DNS:a.example,DNS:*.b.example,IP:127.0.0.1"; NULL: none */
        const struct issued *issuer; /* NULL: self-signed */
        bool is_ca, is_rsa;
        const char *
                kind; /* of key, as OpenSSL names it ("ED25519", "P-384"); NULL: P-256, or what is_rsa says */
        long from, to;     /* seconds from now; both 0: an hour ago to a day ahead */
        const char *usage; /* extendedKeyUsage, or NULL */
};

static inline char *pem_text(BIO *bio)
{
        char *data, *text;
        long len = BIO_get_mem_data(bio, &data);

        text = strndup(data, (size_t)len);
        BIO_free(bio);
        return text;
}

static inline void extend(X509 *c, X509 *issuer, int nid, const char *value)
{
        X509V3_CTX context;
        X509_EXTENSION *e;

        X509V3_set_ctx(&context, issuer, c, NULL, NULL, 0);
        e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
        assert_non_null(e);
        assert_int_equal(X509_add_ext(c, e, -1), 1);
        X509_EXTENSION_free(e);
}

static inline EVP_PKEY *key_of_kind(const char *kind)
{
        EVP_PKEY *key = NULL;

        if (strncmp(kind, "P-", 2) == 0)
                return EVP_EC_gen(kind);
        EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
        assert_int_equal(EVP_PKEY_keygen_init(c), 1); /* RSA-PSS: 2048 bits */
        assert_int_equal(EVP_PKEY_generate(c, &key), 1);
        EVP_PKEY_CTX_free(c);
        return key;
}

static inline struct issued issue(struct issue what)
{
        static long serial = 1;
        struct issued out = { .certificate = X509_new() };
        X509 *c = out.certificate, *issuer = what.issuer ? what.issuer->certificate : c;
        X509_NAME *name = X509_get_subject_name(c);
        BIO *bio;

        out.key = what.is_rsa ? EVP_RSA_gen(2048) : !what.kind ? EVP_EC_gen("P-256") : key_of_kind(what.kind);
        assert_non_null(out.key);
        X509_set_version(c, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(c), serial++);
        X509_gmtime_adj(X509_getm_notBefore(c), what.to ? what.from : -3600);
        X509_gmtime_adj(X509_getm_notAfter(c), what.to ? what.to : 86400);
        X509_set_pubkey(c, out.key);
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)what.common_name, -1, -1,
                                   0);
        X509_set_issuer_name(c, X509_get_subject_name(issuer));
        extend(c, issuer, NID_basic_constraints, what.is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
        if (what.alt_names)
                extend(c, issuer, NID_subject_alt_name, what.alt_names);
        if (what.usage)
                extend(c, issuer, NID_ext_key_usage, what.usage);
        EVP_PKEY *signs = what.issuer ? what.issuer->key : out.key;
        assert_true(X509_sign(c, signs, EVP_PKEY_is_a(signs, "ED25519") ? NULL : EVP_sha256()) > 0);
        bio = BIO_new(BIO_s_mem());
        PEM_write_bio_X509(bio, c);
        out.cert_pem = pem_text(bio);
        bio = BIO_new(BIO_s_mem());
        PEM_write_bio_PrivateKey(bio, out.key, NULL, NULL, 0, NULL, NULL);
        out.key_pem = pem_text(bio);
        return out;
}

static inline void issued_free(struct issued *i)
{
        X509_free(i->certificate);
        EVP_PKEY_free(i->key);
        free(i->cert_pem);
        free(i->key_pem);
}

/* A list of what the issuer revoked (`revoked` or NULL), good from an hour ago to `to` seconds from now; for free(). */
static inline char *revocations(const struct issued *issuer, const struct issued *revoked, long to)
{
        X509_CRL *crl = X509_CRL_new();
        ASN1_TIME *from = X509_gmtime_adj(NULL, -7200), *until = X509_gmtime_adj(NULL, to);
        BIO *bio = BIO_new(BIO_s_mem());

        X509_CRL_set_version(crl, 1);
        X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->certificate));
        X509_CRL_set1_lastUpdate(crl, from);
        X509_CRL_set1_nextUpdate(crl, until);
        if (revoked) {
                X509_REVOKED *entry = X509_REVOKED_new();

                X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->certificate));
                X509_REVOKED_set_revocationDate(entry, from);
                assert_int_equal(X509_CRL_add0_revoked(crl, entry), 1);
        }
        assert_true(X509_CRL_sign(crl, issuer->key, EVP_sha256()) > 0);
        PEM_write_bio_X509_CRL(bio, crl);
        ASN1_TIME_free(from);
        ASN1_TIME_free(until);
        X509_CRL_free(crl);
        return pem_text(bio);
}
