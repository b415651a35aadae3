#include "certs/facts.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "certs/x509_priv.h"

enum { CHAIN_MAX = 8, COMMON_NAME_BYTES_MAX = 256 };

static struct str text_of(const ASN1_STRING *s)
{
        return (struct str){ (const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s) };
}

/* A NUL within a name has fooled others: such a name is none. */
static bool is_clean(struct str s)
{
        for (size_t i = 0; i < s.len; i++)
                if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
                        return false;
        return s.len != 0;
}

static void names_read(const GENERAL_NAMES *all, struct arena *a, struct certs_facts *out)
{
        int count = all ? sk_GENERAL_NAME_num(all) : 0;

        if (count > 0)
                out->names = ARENA_ARRAY(a, struct str, MIN((size_t)count, (size_t)CERTS_FACTS_NAMES_MAX));
        for (int i = 0; i < count && out->names; i++) {
                const GENERAL_NAME *n = sk_GENERAL_NAME_value(all, i);

                if (n->type == GEN_URI && !out->uri.len && is_clean(text_of(n->d.uniformResourceIdentifier)))
                        out->uri = arena_copy(a, text_of(n->d.uniformResourceIdentifier));
                if (n->type != GEN_DNS || !is_clean(text_of(n->d.dNSName)) ||
                    out->names_count == CERTS_FACTS_NAMES_MAX)
                        continue;
                struct str name = arena_copy(a, text_of(n->d.dNSName));

                for (size_t j = 0; name.ptr && j < name.len; j++)
                        ((char *)(uintptr_t)name.ptr)[j] = ascii_lower(name.ptr[j]);
                out->names[out->names_count++] = name;
        }
}

static void common_name_read(const X509 *c, struct arena *a, struct certs_facts *out)
{
        char text[COMMON_NAME_BYTES_MAX];
        int len = X509_NAME_get_text_by_NID(X509_get_subject_name(c), NID_commonName, text, sizeof(text));
        struct str name = { text, len > 0 ? (size_t)len : 0 };

        if (name.len && str_is_utf8(name) && !memchr(text, 0, name.len))
                out->common_name = arena_copy(a, name);
}

static bool hashes_read(const X509 *c, struct certs_facts *out)
{
        unsigned char *der = NULL;
        int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(c), &der);
        unsigned got = sizeof(out->sha256);
        bool ok = len > 0 && X509_digest(c, EVP_sha256(), out->sha256, &got) == 1 &&
                  EVP_Digest(der, (size_t)len, out->spki_sha256, NULL, EVP_sha256(), NULL) == 1;

        OPENSSL_free(der);
        return ok;
}

enum err certs_facts_read(struct str pem, struct arena *arena, struct certs_facts *out)
{
        BIO *bio = certs_text_bio(pem);
        X509 *c = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
        GENERAL_NAMES *names = c ? X509_get_ext_d2i(c, NID_subject_alt_name, NULL, NULL) : NULL;
        enum err e = ERR_MALFORMED;

        *out = (struct certs_facts){ 0 };
        if (c && hashes_read(c, out)) {
                out->from = certs_time(X509_get0_notBefore(c));
                out->to = certs_time(X509_get0_notAfter(c));
                out->is_authority = X509_check_ca(c) == 1;
                common_name_read(c, arena, out);
                names_read(names, arena, out);
                e = arena->full ? ERR_NO_MEMORY : ERR_OK;
        }
        GENERAL_NAMES_free(names);
        X509_free(c);
        BIO_free(bio);
        ERR_clear_error();
        return e;
}

/* Certificates of a PEM text; NULL: none, or too many. */
static STACK_OF(X509) * chain_read(struct str pem)
{
        STACK_OF(X509) *chain = sk_X509_new_null();
        BIO *bio = certs_text_bio(pem);
        X509 *c;

        while (chain && bio && (c = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
                if (sk_X509_num(chain) < CHAIN_MAX && sk_X509_push(chain, c))
                        continue;
                X509_free(c);
                sk_X509_pop_free(chain, X509_free);
                chain = NULL;
        }
        BIO_free(bio);
        if (chain && sk_X509_num(chain) == 0) {
                sk_X509_free(chain);
                chain = NULL;
        }
        return chain;
}

enum err certs_chain_check(struct str chain_pem, struct str root_pem, unix_ms now)
{
        STACK_OF(X509) *chain = chain_read(chain_pem), *roots = chain_read(root_pem);
        X509_STORE *store = X509_STORE_new();
        X509_STORE_CTX *check = X509_STORE_CTX_new();
        enum err e = ERR_MALFORMED;

        if (!store || !check)
                e = ERR_NO_MEMORY;
        else if (chain && roots && X509_STORE_add_cert(store, sk_X509_value(roots, 0)) == 1 &&
                 X509_STORE_CTX_init(check, store, sk_X509_value(chain, 0), chain) == 1) {
                X509_STORE_CTX_set_time(check, 0, (time_t)(now / 1000));
                e = X509_verify_cert(check) == 1 ? ERR_OK : ERR_DENIED;
        }
        X509_STORE_CTX_free(check);
        X509_STORE_free(store);
        sk_X509_pop_free(chain, X509_free);
        sk_X509_pop_free(roots, X509_free);
        ERR_clear_error();
        return e;
}
