#include <assert.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "io/tls_priv.h"

enum { NAMES_MAX = 100 * 1000, CHAIN_DEPTH_MAX = 10, VHOST_BYTES = 16 };

struct tls_vhost *tls_vhost_find(const struct tls_context *c, struct str name)
{
        char wildcard[TLS_NAME_BYTES_MAX + 2];
        struct tls_vhost *v = map_find(&c->names, name);
        size_t dot = str_find_char(name, '.');

        if (v || dot == STR_NONE || dot == 0 || name.len > TLS_NAME_BYTES_MAX)
                return v;
        /* RFC 6125 6.4.3: the star stands for one whole label, the first. */
        wildcard[0] = '*';
        memcpy(wildcard + 1, name.ptr + dot, name.len - dot);
        return map_find(&c->names, (struct str){ wildcard, name.len - dot + 1 });
}

/* RFC 6066 3. *out is empty when there is no such extension. */
static bool parse_server_name(SSL *ssl, struct str *out)
{
        const unsigned char *p;
        size_t len;

        *out = STR_NULL;
        if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &len))
                return true;
        if (len < 5 || (size_t)(p[0] << 8 | p[1]) != len - 2 || p[2] != TLSEXT_NAMETYPE_host_name ||
            (size_t)(p[3] << 8 | p[4]) != len - 5 || len - 5 == 0 || len - 5 > TLS_NAME_BYTES_MAX ||
            memchr(p + 5, 0, len - 5))
                return false;
        *out = (struct str){ (const char *)p + 5, len - 5 };
        return true;
}

/*
 * A session may be taken up again only where certificate, client policy and name are the same (CVE-2025-23419 was a
 * ticket of one name used at another).
 */
static bool bind_session(SSL *ssl, const struct tls_vhost *v, struct str name)
{
        uint8_t bound[VHOST_BYTES + 8];
        struct hash_key key;
        uint64_t h;

        memcpy(&key, v->id + VHOST_BYTES, sizeof(key));
        h = hash_str(key, name);
        memcpy(bound, v->id, VHOST_BYTES);
        memcpy(bound + VHOST_BYTES, &h, sizeof(h));
        return SSL_set_session_id_context(ssl, bound, sizeof(bound)) == 1;
}

/* Before anything else of the hello is looked at, so that resumption is judged by the host asked for. */
static int choose_vhost(SSL *ssl, int *alert, void *unused)
{
        struct tls_session *t = SSL_get_app_data(ssl);
        struct tls_context *c = t->context;
        struct tls_vhost *v = &c->vhosts[0];
        struct str asked;
        struct ip ip;

        *alert = SSL_AD_DECODE_ERROR;
        if (!parse_server_name(ssl, &asked))
                return SSL_CLIENT_HELLO_ERROR;
        *alert = SSL_AD_INTERNAL_ERROR;
        if (asked.len && !t->server_name) { /* not yet: a second hello comes after HelloRetryRequest */
                if (!(t->server_name = strndup(asked.ptr, asked.len)))
                        return SSL_CLIENT_HELLO_ERROR;
                for (char *p = t->server_name; *p; p++)
                        *p = ascii_lower(*p);
        }
        /* An address is no name (RFC 6066 3), though some clients send it. */
        if (asked.len && c->vhosts_count > 1 && ip_parse(asked, &ip) != ERR_OK) {
                v = tls_vhost_find(c, str_of(t->server_name));
                if (!v) {
                        *alert = SSL_AD_UNRECOGNIZED_NAME;
                        return SSL_CLIENT_HELLO_ERROR;
                }
        }
        if (SSL_get_SSL_CTX(ssl) != v->ssl_ctx && SSL_set_SSL_CTX(ssl, v->ssl_ctx) != v->ssl_ctx)
                return SSL_CLIENT_HELLO_ERROR;
        /* The change takes certificate and authorities along, not what is asked of the client. */
        SSL_set_verify(ssl, SSL_CTX_get_verify_mode(v->ssl_ctx), NULL);
        SSL_set_verify_depth(ssl, CHAIN_DEPTH_MAX);
        return bind_session(ssl, v, str_of(t->server_name)) ? SSL_CLIENT_HELLO_SUCCESS
                                                            : SSL_CLIENT_HELLO_ERROR;
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                       unsigned in_len, void *unused)
{
        static const unsigned char h2_first[] = "\x02h2\x08http/1.1";
        const struct tls_session *t = SSL_get_app_data(ssl);
        const unsigned char *ours = t->context->offer_h2 ? h2_first : h2_first + 3;
        unsigned ours_len = t->context->offer_h2 ? 12 : 9;
        unsigned char *chosen;

        if (SSL_select_next_proto(&chosen, out_len, ours, ours_len, in, in_len) != OPENSSL_NPN_NEGOTIATED)
                return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol */
        *out = chosen;
        return SSL_TLSEXT_ERR_OK;
}

/* A name the vhost answers to; the first vhost with it has it. */
static enum err add_name(struct tls_context *c, struct tls_vhost *v, struct str name)
{
        struct str *grown = realloc(v->names, (v->names_count + 1) * sizeof(*grown));
        char *copy = NULL;
        enum err e;

        if (!grown)
                return ERR_NO_MEMORY;
        v->names = grown;
        if (name.len == 0 || name.len > TLS_NAME_BYTES_MAX || memchr(name.ptr, 0, name.len))
                return ERR_OK; /* nobody can ask for it */
        if (!(copy = strndup(name.ptr, name.len)))
                return ERR_NO_MEMORY;
        for (char *p = copy; *p; p++)
                *p = ascii_lower(*p);
        v->names[v->names_count++] = (struct str){ copy, name.len };
        e = map_add(&c->names, v->names[v->names_count - 1], v);
        return e == ERR_EXISTS ? ERR_OK : e;
}

/* The DNS names of the subjectAltName; the common name where there is none. */
static enum err add_names(struct tls_context *c, struct tls_vhost *v)
{
        X509 *leaf = SSL_CTX_get0_certificate(v->ssl_ctx);
        GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
        enum err e = ERR_OK;

        for (int i = 0; names && i < sk_GENERAL_NAME_num(names) && e == ERR_OK; i++) {
                const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
                if (name->type == GEN_DNS)
                        e = add_name(c, v,
                                     (struct str){ (const char *)ASN1_STRING_get0_data(name->d.dNSName),
                                                   (size_t)ASN1_STRING_length(name->d.dNSName) });
        }
        if (!names) {
                char text[TLS_NAME_BYTES_MAX + 1];
                int len = X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, text,
                                                    sizeof(text));
                if (len > 0)
                        e = add_name(c, v, (struct str){ text, (size_t)len });
        }
        GENERAL_NAMES_free(names);
        return e;
}

/* Whom clients of a certificate's names are verified by, and whether they must show something. */
struct client_policy {
        struct str ca_pem, crl_pem;
        bool is_required;
};

static struct client_policy client_policy_of(const struct tls_server_conf *conf,
                                             const struct tls_certificate *certificate)
{
        if (certificate->client_ca_pem.len)
                return (struct client_policy){ certificate->client_ca_pem, STR_NULL,
                                               certificate->client_required };
        return (struct client_policy){ conf->client_ca_pem, conf->client_crl_pem, conf->client_required };
}

static bool make_id(struct tls_vhost *v, const struct client_policy *policy)
{
        EVP_MD_CTX *md = EVP_MD_CTX_new();
        unsigned char *der = NULL;
        int len = i2d_X509(SSL_CTX_get0_certificate(v->ssl_ctx), &der);
        bool ok = md && len > 0 && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
                  EVP_DigestUpdate(md, der, (size_t)len) == 1 &&
                  EVP_DigestUpdate(md, policy->ca_pem.ptr, policy->ca_pem.len) == 1 &&
                  EVP_DigestUpdate(md, policy->crl_pem.ptr, policy->crl_pem.len) == 1 &&
                  EVP_DigestUpdate(md, &policy->is_required, sizeof(policy->is_required)) == 1 &&
                  EVP_DigestFinal_ex(md, v->id, NULL) == 1;

        OPENSSL_free(der);
        EVP_MD_CTX_free(md);
        return ok;
}

void tls_vhost_fini(struct tls_vhost *v)
{
        for (size_t i = 0; i < v->names_count; i++)
                free((char *)(uintptr_t)v->names[i].ptr);
        free(v->names);
        SSL_CTX_free(v->ssl_ctx);
}

static enum err vhost_init(struct tls_context *c, struct tls_vhost *v, const struct tls_server_conf *conf,
                           const struct tls_certificate *certificate, struct report *r)
{
        struct client_policy policy = client_policy_of(conf, certificate);

        v->context = c;
        if (!(v->ssl_ctx = tls_ssl_ctx_new(true)))
                return ERR_NO_MEMORY;
        SSL_CTX_set_session_cache_mode(v->ssl_ctx, SSL_SESS_CACHE_OFF); /* tickets only */
        SSL_CTX_set_num_tickets(v->ssl_ctx, 1);
        SSL_CTX_set_client_hello_cb(v->ssl_ctx, choose_vhost, NULL);
        SSL_CTX_set_alpn_select_cb(v->ssl_ctx, choose_alpn, NULL);
        SSL_CTX_set_keylog_callback(v->ssl_ctx, tls_light_watch);
        tls_ticket_callback_set(v->ssl_ctx);
        if (!tls_pem_certificate(v->ssl_ctx, certificate, c->signer != NULL, r, &c->not_after))
                return ERR_CONFIG;
        if (policy.ca_pem.len) {
                if (!tls_pem_authorities(v->ssl_ctx, policy.ca_pem, "client authorities", true, r))
                        return ERR_CONFIG;
                if (policy.crl_pem.len &&
                    !tls_pem_revocations(v->ssl_ctx, policy.crl_pem, "clients' revocation lists", r))
                        return ERR_CONFIG;
                SSL_CTX_set_verify(
                        v->ssl_ctx,
                        SSL_VERIFY_PEER | (policy.is_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
                SSL_CTX_set_verify_depth(v->ssl_ctx, CHAIN_DEPTH_MAX);
        }
        if (!make_id(v, &policy))
                return ERR_NO_MEMORY;
        return add_names(c, v);
}

/* A second certificate for just the names of an earlier one, with another kind of key (RSA beside ECDSA), joins it: the
 * client's abilities then choose. True when it did; `v` is then not needed. */
static bool join_earlier(struct tls_context *c, const struct tls_vhost *v,
                         const struct tls_certificate *certificate)
{
        struct tls_vhost *earlier = v->names_count ? map_find(&c->names, v->names[0]) : NULL;
        struct report unused;
        bool ok;

        if (!earlier || earlier == v || earlier->names_count != v->names_count)
                return false;
        for (size_t i = 0; i < v->names_count; i++)
                if (map_find(&c->names, v->names[i]) != earlier)
                        return false;
        if (EVP_PKEY_get_base_id(SSL_CTX_get0_privatekey(earlier->ssl_ctx)) ==
            EVP_PKEY_get_base_id(SSL_CTX_get0_privatekey(v->ssl_ctx)))
                return false;
        report_init(&unused, STR_NULL); /* it was read once without an error */
        ok = tls_pem_certificate(earlier->ssl_ctx, certificate, c->signer != NULL, &unused, &c->not_after);
        report_fini(&unused);
        return ok;
}

enum err tls_server_new(const struct tls_server_conf *conf, struct report *r, struct tls_context **out)
{
        struct tls_context *c = calloc(1, sizeof(*c));
        uint8_t key[TLS_TICKET_KEY_BYTES];
        struct hash_key hash_key;
        enum err e = ERR_NO_MEMORY;

        if (!c)
                return ERR_NO_MEMORY;
        c->refs = 1;
        c->is_server = true;
        c->offer_h2 = conf->offer_h2;
        c->keeps_openssl = !conf->light_records;
        c->signer = conf->signer;
        c->not_after = INT64_MAX;
        if (conf->certificates_count == 0) {
                report_error(r, 0, 0, "TLS is asked for but no certificate is given");
                free(c);
                return ERR_CONFIG;
        }
        if (RAND_bytes(key, sizeof(key)) != 1 ||
            RAND_bytes((unsigned char *)&hash_key, sizeof(hash_key)) != 1) {
                free(c);
                return ERR_IO;
        }
        map_init(&c->names, hash_key, NAMES_MAX);
        tls_ticket_key_set(c, key);
        OPENSSL_cleanse(key, sizeof(key));
        if (!(c->vhosts = calloc(conf->certificates_count, sizeof(*c->vhosts))))
                goto fail;
        for (size_t i = 0; i < conf->certificates_count; i++) {
                struct tls_vhost *v =
                        &c->vhosts[c->vhosts_count++]; /* counted first: on an error it is freed too */
                e = vhost_init(c, v, conf, &conf->certificates[i], r);
                if (e != ERR_OK)
                        goto fail;
                if (join_earlier(c, v, &conf->certificates[i])) {
                        tls_vhost_fini(v);
                        memset(v, 0, sizeof(*v));
                        c->vhosts_count--;
                }
        }
        c->ssl_ctx = c->vhosts[0].ssl_ctx;
        *out = c;
        return ERR_OK;

fail:
        tls_context_put(c);
        return e;
}

bool tls_context_has_name(const struct tls_context *c, struct str name)
{
        return tls_vhost_find(c, name) != NULL;
}
