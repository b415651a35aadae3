#include <openssl/x509v3.h>
#include <string.h>

#include "io/tls_priv.h"

enum { SUBJECT_BYTES_MAX = 1024, NAMES_BYTES_MAX = 4096 };

/* Visible ASCII as it is; what separates, and all else, as %XX: one name cannot look like two. */
static void name_add(struct buf *out, const char *kind, struct str value)
{
        if (out->len)
                buf_add_char(out, ',');
        buf_addf(out, "%s:", kind);
        for (size_t i = 0; i < value.len; i++) {
                unsigned char c = (unsigned char)value.ptr[i];

                if (c > ' ' && c < 0x7f && c != ',' && c != '%')
                        buf_add_char(out, (char)c);
                else
                        buf_addf(out, "%%%02X", c);
        }
}

static struct str text_of(const ASN1_STRING *s)
{
        return (struct str){ (const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s) };
}

static void names_add(const X509 *certificate, struct buf *out)
{
        GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

        for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
                const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

                switch (name->type) {
                case GEN_DNS: name_add(out, "DNS", text_of(name->d.dNSName)); break;
                case GEN_URI: name_add(out, "URI", text_of(name->d.uniformResourceIdentifier)); break;
                case GEN_EMAIL: name_add(out, "email", text_of(name->d.rfc822Name)); break;
                default: break; /* addresses and directory names identify no client */
                }
        }
        GENERAL_NAMES_free(names);
}

/* RFC 4514, where everything but visible ASCII is escaped by the library. */
static bool subject_add(const X509 *certificate, struct buf *out)
{
        BIO *bio = BIO_new(BIO_s_mem());
        char *text;
        long len;

        if (!bio)
                return false;
        if (X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0 &&
            (len = BIO_get_mem_data(bio, &text)) > 0)
                for (long i = 0; i < len; i++)
                        buf_add_char(out, text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?');
        BIO_free(bio);
        return true;
}

static bool key_digest(X509 *certificate, uint8_t out[32])
{
        unsigned char *der = NULL;
        int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
        bool ok = len > 0 && EVP_Digest(der, (size_t)len, out, NULL, EVP_sha256(), NULL) == 1;

        OPENSSL_free(der);
        return ok;
}

/* No certificate: ERR_NOT_FOUND. */
static enum err identity_of(X509 *certificate, struct tls_peer_identity *out)
{
        unsigned len;
        bool ok;

        if (!certificate)
                return ERR_NOT_FOUND;
        buf_init(&out->subject, SUBJECT_BYTES_MAX);
        buf_init(&out->names, NAMES_BYTES_MAX);
        ok = X509_digest(certificate, EVP_sha256(), out->sha256, &len) == 1 &&
             key_digest(certificate, out->key_sha256) && subject_add(certificate, &out->subject);
        names_add(certificate, &out->names);
        tls_forget_errors();
        if (ok && !out->subject.full && !out->names.full)
                return ERR_OK;
        tls_peer_identity_fini(out); /* half an identity is none */
        return ERR_TOO_LARGE;
}

enum err stream_tls_peer_identity(const struct stream *s, struct tls_peer_identity *out)
{
        const unsigned char *at = s->tls ? s->tls->peer : NULL;
        X509 *certificate = at ? d2i_X509(NULL, &at, (long)s->tls->peer_len) : NULL;
        enum err e = !certificate && s->tls && s->tls->peer ? ERR_NO_MEMORY : identity_of(certificate, out);

        X509_free(certificate);
        return e;
}

enum err tls_context_identity(const struct tls_context *c, struct tls_peer_identity *out)
{
        return identity_of(SSL_CTX_get0_certificate(c->ssl_ctx), out);
}

void tls_peer_identity_fini(struct tls_peer_identity *i)
{
        buf_fini(&i->subject);
        buf_fini(&i->names);
}
