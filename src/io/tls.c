#include "io/tls.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "io/tls_priv.h"

const char *tls_last_reason(void)
{
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());

        ERR_clear_error();
        return reason ? reason : "connection lost";
}

SSL_CTX *tls_ssl_ctx_new(bool is_server)
{
        SSL_CTX *c = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());

        if (!c)
                return NULL;
        /* The socket's side never refuses a write (tls_bio.c), so partial writes are not asked for. */
        SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_options(c, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
        SSL_CTX_set_read_ahead(c, 1);
        SSL_CTX_set_max_cert_list(c, TLS_CHAIN_BYTES_MAX);
        /* AES-128 first: the suites of TLS 1.3 are all strong enough, and its hash is the cheaper one. */
        if (SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) != 1 ||
            SSL_CTX_set1_groups_list(c, "X25519:P-256:P-384") != 1 ||
            SSL_CTX_set_ciphersuites(
                    c, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") != 1 ||
            (is_server && SSL_CTX_set_cipher_list(c, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1)) {
                SSL_CTX_free(c);
                return NULL;
        }
        return c;
}

static int ticket_seal(const struct tls_ticket_key *key, unsigned char *name, unsigned char *iv,
                       EVP_CIPHER_CTX *cipher, const EVP_CIPHER *aes)
{
        memcpy(name, key->name, sizeof(key->name));
        return RAND_bytes(iv, EVP_CIPHER_get_iv_length(aes)) == 1 &&
               EVP_EncryptInit_ex2(cipher, aes, key->aes, iv, NULL) == 1;
}

/* RFC 5077 4. Gives 0 for a key we do not know (full handshake), 2 for one that is to be replaced. */
static int ticket_callback(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                           EVP_MAC_CTX *mac, int is_new)
{
        static EVP_CIPHER *aes;
        const struct tls_session *t = SSL_get_app_data(ssl);
        const struct tls_context *c = t->context;
        const struct tls_ticket_key *key = &c->ticket_keys[0];
        unsigned i = 0;

        if (!aes && !(aes = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL)))
                return -1;
        if (is_new) {
                if (!ticket_seal(key, name, iv, cipher, aes))
                        return -1;
        } else {
                while (i < c->ticket_keys_count &&
                       memcmp(name, c->ticket_keys[i].name, sizeof(key->name)) != 0)
                        i++;
                if (i == c->ticket_keys_count)
                        return 0;
                key = &c->ticket_keys[i];
                if (EVP_DecryptInit_ex2(cipher, aes, key->aes, iv, NULL) != 1)
                        return -1;
        }
        OSSL_PARAM params[] = {
                OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->hmac,
                                                  sizeof(key->hmac)),
                OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
                OSSL_PARAM_construct_end(),
        };
        if (EVP_MAC_CTX_set_params(mac, params) != 1)
                return -1;
        return i == 0 ? 1 : 2;
}

void tls_ticket_callback_set(SSL_CTX *ssl_ctx)
{
        SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl_ctx, ticket_callback);
}

void tls_ticket_key_set(struct tls_context *c, const uint8_t key[TLS_TICKET_KEY_BYTES])
{
        struct tls_ticket_key *k = &c->ticket_keys[0];

        if (c->ticket_keys_count == 0 || memcmp(k->name, key, sizeof(k->name)) != 0) {
                c->ticket_keys[1] = *k;
                c->ticket_keys_count = MIN(c->ticket_keys_count + 1, (unsigned)ARRAY_SIZE(c->ticket_keys));
        }
        memcpy(k->name, key, sizeof(k->name));
        memcpy(k->aes, key + sizeof(k->name), sizeof(k->aes));
        memcpy(k->hmac, key + sizeof(k->name) + sizeof(k->aes), sizeof(k->hmac));
}

struct tls_context *tls_context_get(struct tls_context *c)
{
        c->refs++;
        return c;
}

void tls_context_put(struct tls_context *c)
{
        if (!c)
                return;
        assert(c->refs > 0);
        if (--c->refs > 0)
                return;
        map_fini(&c->names);
        for (size_t i = 0; i < c->vhosts_count; i++)
                tls_vhost_fini(&c->vhosts[i]);
        free(c->vhosts);
        if (!c->is_server)
                SSL_CTX_free(c->ssl_ctx);
        SSL_SESSION_free(c->session);
        OPENSSL_cleanse(c->ticket_keys, sizeof(c->ticket_keys));
        free(c);
}

int64_t tls_not_after(const struct tls_context *c)
{
        return c->not_after;
}
