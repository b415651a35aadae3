#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/tls_priv.h"

/* The system's trusted authorities, read once a process. Files at once, because a directory of them (OpenSSL's own
 * default on Debian) would be read while verifying, in the middle of a turn. */
static X509_STORE *system_store(void)
{
        static const char *const files[] = {
                "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Alpine, Arch */
                "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora */
                "/etc/ssl/ca-bundle.pem",                            /* openSUSE */
                "/etc/ssl/cert.pem",
        };
        static X509_STORE *store;
        const char *named = getenv("SSL_CERT_FILE");

        if (store)
                return store;
        if (!(store = X509_STORE_new()))
                return NULL;
        if (named && X509_STORE_load_file(store, named) == 1)
                return store;
        for (size_t i = 0; i < ARRAY_SIZE(files); i++)
                if (access(files[i], R_OK) == 0 && X509_STORE_load_file(store, files[i]) == 1)
                        return store;
        X509_STORE_set_default_paths(store);
        ERR_clear_error();
        return store;
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
        struct tls_session *t = SSL_get_app_data(ssl);
        struct tls_context *c = t->context;

        if (!t->server_name || !SSL_SESSION_is_resumable(session))
                return 0;
        SSL_SESSION_free(c->session);
        c->session = session;
        memcpy(c->session_name, t->server_name, strlen(t->server_name) + 1);
        return 1; /* its reference is ours */
}

static enum err client_init(struct tls_context *c, const struct tls_client_conf *conf, struct report *r)
{
        static const unsigned char h2_first[] = "\x02h2\x08http/1.1";

        if (!(c->ssl_ctx = tls_ssl_ctx_new(false)))
                return ERR_NO_MEMORY;
        SSL_CTX_set_session_cache_mode(c->ssl_ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(c->ssl_ctx, keep_session);
        SSL_CTX_set_verify(c->ssl_ctx, conf->skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
        if (SSL_CTX_set_alpn_protos(c->ssl_ctx, conf->offer_h2 ? h2_first : h2_first + 3,
                                    conf->offer_h2 ? 12 : 9) != 0)
                return ERR_NO_MEMORY;
        if (conf->ca_pem.len) {
                if (!tls_pem_authorities(c->ssl_ctx, conf->ca_pem, "trusted authorities", false, r))
                        return ERR_CONFIG;
        } else if (!conf->skip_verify) {
                X509_STORE *store = system_store();
                if (!store)
                        return ERR_NO_MEMORY;
                SSL_CTX_set1_cert_store(c->ssl_ctx, store);
        }
        if (conf->cert_pem.len || conf->key_pem.len) {
                struct tls_certificate own = { conf->cert_pem, conf->key_pem, STR("client certificate"),
                                               STR("client key") };
                if (!tls_pem_certificate(c->ssl_ctx, &own, r, &c->not_after))
                        return ERR_CONFIG;
        }
        return ERR_OK;
}

enum err tls_client_new(const struct tls_client_conf *conf, struct report *r, struct tls_context **out)
{
        struct tls_context *c = calloc(1, sizeof(*c));
        enum err e;

        if (!c)
                return ERR_NO_MEMORY;
        c->refs = 1;
        c->skip_verify = conf->skip_verify;
        c->offer_h2 = conf->offer_h2;
        c->not_after = INT64_MAX;
        e = client_init(c, conf, r);
        if (e != ERR_OK) {
                tls_context_put(c);
                return e;
        }
        *out = c;
        return ERR_OK;
}
