#include "certs/authority.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "certs/x509_priv.h"
#include "crypto/random.h"

enum { SERIAL_BYTES = 16, DNS_NAME_BYTES_MAX = 253, URI_BYTES_MAX = 512 };

struct certs_authority {
        X509 *certificate;
        EVP_PKEY *key;
        struct buf pem;
};

/* ---- parts of a certificate ---- */

static bool serial_set(X509 *c)
{
        uint8_t bytes[SERIAL_BYTES];
        BIGNUM *number;
        bool ok;

        crypto_random(bytes, sizeof(bytes));
        bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and of one length */
        number = BN_bin2bn(bytes, sizeof(bytes), NULL);
        ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(c));
        BN_free(number);
        return ok;
}

/* RFC 5280 4.1.2.5: UTCTime until 2049; the library chooses. */
static bool life_set(X509 *c, unix_ms from, unix_ms to)
{
        return ASN1_TIME_set(X509_getm_notBefore(c), (time_t)(from / 1000)) &&
               ASN1_TIME_set(X509_getm_notAfter(c), (time_t)(to / 1000));
}

static bool subject_add(X509_NAME *name, int nid, struct str text)
{
        if (text.len == 0)
                return true;
        return text.len <= CERTS_NAME_BYTES_MAX && str_is_utf8(text) && !memchr(text.ptr, 0, text.len) &&
               X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, (const unsigned char *)text.ptr,
                                          (int)text.len, -1, 0) == 1;
}

/* Takes `value`. */
static bool extension_add(X509 *c, int nid, void *value, bool is_critical)
{
        return value && X509_add1_ext_i2d(c, nid, value, is_critical, X509V3_ADD_APPEND) == 1;
}

static bool constraints_add(X509 *c, bool is_authority)
{
        BASIC_CONSTRAINTS *b = BASIC_CONSTRAINTS_new();
        bool ok = b != NULL;

        if (ok && is_authority) {
                b->ca = 0xff;
                b->pathlen = ASN1_INTEGER_new();
                ok = b->pathlen && ASN1_INTEGER_set(b->pathlen, 0) == 1; /* no authority below it */
        }
        ok = ok && extension_add(c, NID_basic_constraints, b, true);
        BASIC_CONSTRAINTS_free(b);
        return ok;
}

enum {
        USE_DIGITAL_SIGNATURE = 0,
        USE_CERT_SIGN = 5,
        USE_CRL_SIGN = 6
}; /* RFC 5280 4.2.1.3: numbers of bits */

static bool key_usage_add(X509 *c, bool is_authority)
{
        ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
        bool ok = bits != NULL;

        if (is_authority)
                ok = ok && ASN1_BIT_STRING_set_bit(bits, USE_CERT_SIGN, 1) == 1 &&
                     ASN1_BIT_STRING_set_bit(bits, USE_CRL_SIGN, 1) == 1;
        else
                ok = ok && ASN1_BIT_STRING_set_bit(bits, USE_DIGITAL_SIGNATURE, 1) == 1;
        ok = ok && extension_add(c, NID_key_usage, bits, true);
        ASN1_BIT_STRING_free(bits);
        return ok;
}

static bool purposes_add(X509 *c, bool for_servers, bool for_clients)
{
        EXTENDED_KEY_USAGE *use = sk_ASN1_OBJECT_new_null();
        bool ok = use && (!for_servers || sk_ASN1_OBJECT_push(use, OBJ_nid2obj(NID_server_auth))) &&
                  (!for_clients || sk_ASN1_OBJECT_push(use, OBJ_nid2obj(NID_client_auth))) &&
                  extension_add(c, NID_ext_key_usage, use, false);

        sk_ASN1_OBJECT_pop_free(use, ASN1_OBJECT_free);
        return ok;
}

/* RFC 5280 4.2.1.2 (1): SHA-1 of the key's bits names it, and protects nothing. */
static bool key_ids_add(X509 *c, X509 *issuer)
{
        unsigned char id[EVP_MAX_MD_SIZE];
        unsigned len;
        ASN1_OCTET_STRING *own = ASN1_OCTET_STRING_new();
        AUTHORITY_KEYID *of = AUTHORITY_KEYID_new();
        bool ok = own && of && X509_pubkey_digest(c, EVP_sha1(), id, &len) == 1 &&
                  ASN1_OCTET_STRING_set(own, id, (int)len) == 1 &&
                  extension_add(c, NID_subject_key_identifier, own, false) &&
                  X509_pubkey_digest(issuer, EVP_sha1(), id, &len) == 1 &&
                  (of->keyid = ASN1_OCTET_STRING_new()) &&
                  ASN1_OCTET_STRING_set(of->keyid, id, (int)len) == 1 &&
                  extension_add(c, NID_authority_key_identifier, of, false);

        ASN1_OCTET_STRING_free(own);
        AUTHORITY_KEYID_free(of);
        return ok;
}

/* ---- names ---- */

static bool is_dns_name(struct str s)
{
        bool begins = true;

        if (s.len == 0 || s.len > DNS_NAME_BYTES_MAX)
                return false;
        if (str_has_prefix(s, STR("*.")))
                s = str_from(s, 2);
        for (size_t i = 0; i < s.len; i++) {
                char c = s.ptr[i];

                if (c == '.' ? begins : !ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-' && c != '_')
                        return false;
                begins = c == '.';
        }
        return !begins;
}

static bool is_uri(struct str s)
{
        for (size_t i = 0; i < s.len; i++)
                if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
                        return false;
        return s.len && s.len <= URI_BYTES_MAX;
}

/* Takes the value whether it is added or not. */
static bool name_add(GENERAL_NAMES *names, int type, ASN1_STRING *value, struct str bytes)
{
        GENERAL_NAME *name =
                value && ASN1_STRING_set(value, bytes.ptr, (int)bytes.len) == 1 ? GENERAL_NAME_new() : NULL;

        if (!name) {
                ASN1_STRING_free(value);
                return false;
        }
        GENERAL_NAME_set0_value(name, type, value);
        if (sk_GENERAL_NAME_push(names, name))
                return true;
        GENERAL_NAME_free(name);
        return false;
}

static bool names_fill(GENERAL_NAMES *names, const struct certs_request *r)
{
        if (r->uri.len && !(is_uri(r->uri) && name_add(names, GEN_URI, ASN1_IA5STRING_new(), r->uri)))
                return false;
        for (size_t i = 0; i < r->names_count; i++)
                if (!is_dns_name(r->names[i]) || !name_add(names, GEN_DNS, ASN1_IA5STRING_new(), r->names[i]))
                        return false;
        for (size_t i = 0; i < r->addresses_count; i++) {
                const struct ip *ip = &r->addresses[i];
                struct str bytes = { (const char *)ip->bytes, ip->family == 4 ? 4 : 16 };

                if (!ip->family || !name_add(names, GEN_IPADD, ASN1_OCTET_STRING_new(), bytes))
                        return false;
        }
        return true;
}

static bool names_add(X509 *c, const struct certs_request *r)
{
        GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
        bool ok = names && names_fill(names, r) &&
                  (sk_GENERAL_NAME_num(names) == 0 ||
                   extension_add(c, NID_subject_alt_name, names, r->common_name.len == 0));

        sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
        return ok;
}

/* ---- the authority ---- */

static X509 *root_make(struct str org, unix_ms now, EVP_PKEY *key)
{
        X509 *c = X509_new();
        X509_NAME *name = c ? X509_get_subject_name(c) : NULL;

        if (c && X509_set_version(c, X509_VERSION_3) == 1 && serial_set(c) &&
            life_set(c, now, now + CERTS_AUTHORITY_LIFE_MS) && subject_add(name, NID_organizationName, org) &&
            subject_add(name, NID_commonName, STR("Sekisho authority")) &&
            X509_set_issuer_name(c, name) == 1 && X509_set_pubkey(c, key) == 1 && constraints_add(c, true) &&
            key_usage_add(c, true) && key_ids_add(c, c) && X509_sign(c, key, EVP_sha256()) > 0)
                return c;
        X509_free(c);
        return NULL;
}

enum err certs_authority_make(struct str org, unix_ms now, struct buf *cert_pem, struct buf *key_pem)
{
        EVP_PKEY *key = EVP_EC_gen("P-256");
        X509 *root = key ? root_make(org, now, key) : NULL;
        BIO *bio = BIO_new(BIO_s_secmem());
        enum err e = ERR_NO_MEMORY;

        if (root && bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1) {
                e = certs_bio_take(bio, key_pem);
                bio = NULL;
                if (e == ERR_OK)
                        e = certs_x509_write(root, cert_pem);
        }
        BIO_free(bio);
        X509_free(root);
        EVP_PKEY_free(key);
        ERR_clear_error();
        return e;
}

enum err certs_authority_open(struct str cert_pem, struct str key_pem, struct certs_authority **out)
{
        struct certs_authority *a = calloc(1, sizeof(*a));
        BIO *bio = certs_text_bio(cert_pem);
        enum err e = ERR_MALFORMED;

        if (!a) {
                BIO_free(bio);
                return ERR_NO_MEMORY;
        }
        buf_init(&a->pem, CERTS_PEM_BYTES_MAX);
        a->certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
        a->key = certs_pkey_read(key_pem);
        if (a->certificate && a->key && X509_check_ca(a->certificate) == 1 &&
            X509_check_private_key(a->certificate, a->key) == 1)
                e = certs_x509_write(a->certificate, &a->pem);
        BIO_free(bio);
        ERR_clear_error();
        if (e == ERR_OK)
                *out = a;
        else
                certs_authority_free(a);
        return e;
}

void certs_authority_free(struct certs_authority *a)
{
        if (!a)
                return;
        X509_free(a->certificate);
        EVP_PKEY_free(a->key);
        buf_fini(&a->pem);
        free(a);
}

struct str certs_authority_pem(const struct certs_authority *a)
{
        return buf_str(&a->pem);
}

void certs_authority_fingerprint(const struct certs_authority *a, uint8_t out[CERTS_FINGERPRINT_BYTES])
{
        unsigned len = CERTS_FINGERPRINT_BYTES;

        if (X509_digest(a->certificate, EVP_sha256(), out, &len) != 1)
                memset(out, 0, CERTS_FINGERPRINT_BYTES);
}

/* ---- issuing ---- */

static bool leaf_fill(X509 *c, struct certs_authority *a, const struct certs_request *r, EVP_PKEY *key)
{
        unix_ms from = MAX(r->from, certs_time(X509_get0_notBefore(a->certificate)));
        unix_ms to = MIN(r->to, certs_time(X509_get0_notAfter(a->certificate)));

        return from < to && X509_set_version(c, X509_VERSION_3) == 1 && serial_set(c) &&
               life_set(c, from, to) &&
               subject_add(X509_get_subject_name(c), NID_commonName, r->common_name) &&
               X509_set_issuer_name(c, X509_get_subject_name(a->certificate)) == 1 &&
               X509_set_pubkey(c, key) == 1 && constraints_add(c, false) && key_usage_add(c, false) &&
               purposes_add(c, r->for_servers, r->for_clients) && names_add(c, r) &&
               key_ids_add(c, a->certificate);
}

enum err certs_issue(struct certs_authority *a, const struct certs_request *request, struct buf *pem)
{
        EVP_PKEY *key = certs_pkey_of_spki(request->spki);
        X509 *c = X509_new();
        enum err e = ERR_MALFORMED;

        if (!c)
                e = ERR_NO_MEMORY;
        else if (key && leaf_fill(c, a, request, key))
                e = X509_sign(c, a->key, EVP_sha256()) > 0 ? certs_x509_write(c, pem) : ERR_NO_MEMORY;
        X509_free(c);
        EVP_PKEY_free(key);
        ERR_clear_error();
        return e;
}
