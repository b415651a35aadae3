#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/tls_keys_priv.h"
#include "io/tls_priv.h"

enum { AUTHORITIES_BYTES_MAX = 16 << 20, TLS_ROOT_BYTES_MIN = 16 };

static int system_fd = -1; /* the system's authorities, opened while files could be */

static int system_open(void)
{
        static const char *const files[] = {
                "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Alpine, Arch */
                "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora */
                "/etc/ssl/ca-bundle.pem",                            /* openSUSE */
                "/etc/ssl/cert.pem",
        };
        const char *named = getenv("SSL_CERT_FILE");
        int fd = named ? open(named, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;

        for (size_t i = 0; i < ARRAY_SIZE(files) && fd < 0; i++)
                fd = open(files[i], O_RDONLY | O_CLOEXEC | O_NOCTTY);
        return fd;
}

static void store_fill(X509_STORE *store, BIO *text)
{
        X509 *ca;

        while ((ca = PEM_read_bio_X509_AUX(text, NULL, NULL, NULL))) {
                X509_STORE_add_cert(store, ca);
                X509_free(ca);
        }
        ERR_clear_error(); /* the end of the text counts as one */
}

/* The system's trusted authorities, read once a process. One file at once, because a directory of them (OpenSSL's own
 * default on Debian) would be read while verifying, in the middle of a turn. */
static X509_STORE *system_store(void)
{
        static X509_STORE *store;
        struct stat st;

        if (store)
                return store;
        if (!(store = X509_STORE_new()))
                return NULL;
        int fd = system_fd >= 0 ? system_fd : system_open();
        if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size < AUTHORITIES_BYTES_MAX) {
                void *text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
                BIO *bio = text == MAP_FAILED ? NULL : BIO_new_mem_buf(text, (int)st.st_size);
                if (bio)
                        store_fill(store, bio);
                BIO_free(bio);
                if (text != MAP_FAILED)
                        munmap(text, (size_t)st.st_size);
        }
        if (fd >= 0)
                close(fd);
        system_fd = -1;
        return store;
}

void tls_prepare(void)
{
        SSL_CTX *c = tls_ssl_ctx_new(true); /* OpenSSL reads its own configuration, and makes its tables */

        SSL_CTX_free(c);
        tls_standin_prepare();
        ERR_clear_error();
        if (system_fd < 0)
                system_fd = system_open();
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

/* The certificate has one URI name, and it is of those that we want. */
static bool is_named(const struct tls_context *c, X509 *certificate)
{
        GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
        unsigned found = 0, fitting = 0;

        for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
                const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
                if (name->type != GEN_URI)
                        continue;
                const ASN1_STRING *uri = name->d.uniformResourceIdentifier;
                struct str text = { (const char *)ASN1_STRING_get0_data(uri),
                                    (size_t)ASN1_STRING_length(uri) };
                found++;
                fitting += str_match(str_of(c->uri_name), text);
        }
        GENERAL_NAMES_free(names);
        return found == 1 && fitting == 1;
}

/* Of what the server sent, the certificate that was pinned; borrowed. */
static X509 *pinned_root(const struct tls_context *c, const STACK_OF(X509) * chain)
{
        uint8_t sha256[32];

        for (int i = 0; i < sk_X509_num(chain); i++)
                if (X509_digest(sk_X509_value(chain, i), EVP_sha256(), sha256, NULL) == 1 &&
                    CRYPTO_memcmp(sha256, c->root_sha256, c->root_len) == 0)
                        return sk_X509_value(chain, i);
        return NULL;
}

static int verify(X509_STORE_CTX *ctx, void *context)
{
        const struct tls_context *c = context;
        STACK_OF(X509) *trusted = NULL;
        int is_good;

        if (c->root_len > 0) {
                X509 *root = pinned_root(c, X509_STORE_CTX_get0_untrusted(ctx));
                trusted = root ? sk_X509_new_null() : NULL;
                if (!trusted || !sk_X509_push(trusted, root)) {
                        sk_X509_free(trusted);
                        X509_STORE_CTX_set_error(ctx, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
                        return 0;
                }
                X509_STORE_CTX_set0_trusted_stack(ctx, trusted);
        }
        is_good = X509_verify_cert(ctx) == 1;
        if (is_good && c->uri_name[0] && !is_named(c, X509_STORE_CTX_get0_cert(ctx))) {
                X509_STORE_CTX_set_error(ctx, X509_V_ERR_HOSTNAME_MISMATCH);
                is_good = 0;
        }
        X509_STORE_CTX_set0_trusted_stack(ctx, NULL);
        sk_X509_free(trusted);
        return is_good;
}

static enum err expectations_set(struct tls_context *c, const struct tls_client_conf *conf)
{
        if (conf->root_sha256.len == 0 && conf->uri_name.len == 0)
                return ERR_OK;
        if (conf->uri_name.len >= sizeof(c->uri_name) || conf->root_sha256.len > sizeof(c->root_sha256) ||
            (conf->root_sha256.len > 0 && conf->root_sha256.len < TLS_ROOT_BYTES_MIN))
                return ERR_CONFIG;
        if (conf->root_sha256.len > 0)
                memcpy(c->root_sha256, conf->root_sha256.ptr, conf->root_sha256.len);
        c->root_len = conf->root_sha256.len;
        if (conf->uri_name.len > 0)
                memcpy(c->uri_name, conf->uri_name.ptr, conf->uri_name.len);
        SSL_CTX_set_cert_verify_callback(c->ssl_ctx, verify, c);
        return ERR_OK;
}

static enum err client_init(struct tls_context *c, const struct tls_client_conf *conf, struct report *r)
{
        static const unsigned char h2_first[] = "\x02h2\x08http/1.1";

        if (!(c->ssl_ctx = tls_ssl_ctx_new(false)))
                return ERR_NO_MEMORY;
        SSL_CTX_set_session_cache_mode(c->ssl_ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(c->ssl_ctx, keep_session);
        SSL_CTX_set_keylog_callback(c->ssl_ctx, tls_light_watch);
        c->keeps_openssl = !conf->light_records;
        SSL_CTX_set_verify(c->ssl_ctx, conf->skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
        if (SSL_CTX_set_alpn_protos(c->ssl_ctx, conf->offer_h2 ? h2_first : h2_first + 3,
                                    conf->offer_h2 ? 12 : 9) != 0)
                return ERR_NO_MEMORY;
        if (expectations_set(c, conf) != ERR_OK)
                return ERR_CONFIG;
        if (conf->ca_pem.len) {
                if (!tls_pem_authorities(c->ssl_ctx, conf->ca_pem, "trusted authorities", false, r))
                        return ERR_CONFIG;
        } else if (!conf->skip_verify && !conf->root_sha256.len) {
                X509_STORE *store = system_store();
                if (!store)
                        return ERR_NO_MEMORY;
                SSL_CTX_set1_cert_store(c->ssl_ctx, store);
        }
        if (conf->cert_pem.len || conf->key_pem.len) {
                struct tls_certificate own = { conf->cert_pem, conf->key_pem, STR("client certificate"),
                                               STR("client key") };
                if (!tls_pem_certificate(c->ssl_ctx, &own, false, r, &c->not_after))
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
