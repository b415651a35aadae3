#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "io/tls_keys_priv.h"

enum { KEYS_MAX = 10 * 1000, SECURE_BYTES = 1 << 20, SECURE_LEAST_BYTES = 32, RANDOM_BYTES = 32 };

/* RFC 8446 4.2.3; for TLS 1.2 an ECDSA scheme says nothing of the curve. */
static const struct tls_scheme schemes[] = {
        { 0x0401, "RSA", "SHA256", TLS_PAD_PKCS1, TLS_OF_1_2 },
        { 0x0501, "RSA", "SHA384", TLS_PAD_PKCS1, TLS_OF_1_2 },
        { 0x0601, "RSA", "SHA512", TLS_PAD_PKCS1, TLS_OF_1_2 },
        { 0x0804, "RSA", "SHA256", TLS_PAD_PSS, TLS_OF_BOTH },
        { 0x0805, "RSA", "SHA384", TLS_PAD_PSS, TLS_OF_BOTH },
        { 0x0806, "RSA", "SHA512", TLS_PAD_PSS, TLS_OF_BOTH },
        { 0x0809, "RSA-PSS", "SHA256", TLS_PAD_PSS, TLS_OF_BOTH },
        { 0x080a, "RSA-PSS", "SHA384", TLS_PAD_PSS, TLS_OF_BOTH },
        { 0x080b, "RSA-PSS", "SHA512", TLS_PAD_PSS, TLS_OF_BOTH },
        { 0x0403, "EC", "SHA256", TLS_PAD_NONE, TLS_OF_BOTH },
        { 0x0503, "EC", "SHA384", TLS_PAD_NONE, TLS_OF_BOTH },
        { 0x0603, "EC", "SHA512", TLS_PAD_NONE, TLS_OF_BOTH },
        { 0x0807, "ED25519", NULL, TLS_PAD_NONE, TLS_OF_BOTH },
        { 0x0808, "ED448", NULL, TLS_PAD_NONE, TLS_OF_BOTH },
};

enum { SCHEMES = ARRAY_SIZE(schemes) };

static const char *const kinds[] = { "RSA", "RSA-PSS", "EC", "ED25519", "ED448" };

struct tls_scheme_use {
        EVP_PKEY_CTX *context; /* ready to sign a digest; made at the first use */
        EVP_MD *md;
};

struct key {
        EVP_PKEY *key;
        uint8_t id[TLS_KEY_ID_BYTES];
        struct tls_scheme_use uses[SCHEMES];
};

struct tls_keyring {
        struct key *keys;
        size_t count;
};

/* ---- what TLS signs ---- */

const struct tls_scheme *tls_scheme_find(uint16_t number)
{
        for (size_t i = 0; i < SCHEMES; i++)
                if (schemes[i].number == number)
                        return &schemes[i];
        return NULL;
}

const struct tls_scheme *tls_scheme_choose(const char *kind, const char *digest, enum tls_padding padding)
{
        for (size_t i = 0; i < SCHEMES; i++)
                if (strcmp(schemes[i].kind, kind) == 0 && schemes[i].padding == padding &&
                    (schemes[i].digest && digest ? strcmp(schemes[i].digest, digest) == 0
                                                 : schemes[i].digest == digest))
                        return &schemes[i];
        return NULL;
}

/* RFC 8446 4.4.3: 64 blanks, the context, a zero, the hash of the handshake so far. */
static bool is_of_1_3(struct str content)
{
        static const struct str context = STR_INIT("TLS 1.3, server CertificateVerify");
        enum { BLANKS = 64 };
        size_t before = BLANKS + context.len + 1;

        if (content.len != before + 32 && content.len != before + 48)
                return false;
        for (size_t i = 0; i < BLANKS; i++)
                if (content.ptr[i] != ' ')
                        return false;
        return str_eq(str_sub(content, BLANKS, context.len), context) && content.ptr[before - 1] == '\0';
}

/* RFC 8422 5.4: both randoms, then the server's ephemeral key. Ours are always able to do more than TLS 1.2, so that our
 * random ends with what says so (RFC 8446 4.1.3). */
static bool is_of_1_2(struct str content)
{
        static const struct {
                uint16_t group;
                uint8_t len, first; /* 0: any */
        } groups[] = { { 29, 32, 0 }, { 23, 65, 4 }, { 24, 97, 4 } };
        static const struct str able = STR_INIT("DOWNGRD\x01");
        const uint8_t *p = (const uint8_t *)content.ptr + 2 * RANDOM_BYTES;

        if (content.len < 2 * RANDOM_BYTES + 5 ||
            !str_eq(str_sub(content, 2 * RANDOM_BYTES - able.len, able.len), able) || p[0] != 3)
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
                if (groups[i].group == (p[1] << 8 | p[2]))
                        return p[3] == groups[i].len &&
                               content.len == 2 * RANDOM_BYTES + 4U + groups[i].len &&
                               (groups[i].first == 0 || p[4] == groups[i].first);
        return false;
}

bool tls_content_is_signed(uint16_t number, struct str content)
{
        const struct tls_scheme *s = tls_scheme_find(number);

        return s && ((s->versions == TLS_OF_BOTH && is_of_1_3(content)) || is_of_1_2(content));
}

/* ---- keys ---- */

const char *tls_key_kind(const EVP_PKEY *key)
{
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (EVP_PKEY_is_a(key, kinds[i]))
                        return EVP_PKEY_get_size(key) <= TLS_SIGNATURE_BYTES_MAX ? kinds[i] : NULL;
        return NULL;
}

bool tls_key_id(const EVP_PKEY *key, uint8_t id[TLS_KEY_ID_BYTES])
{
        unsigned char *der = NULL;
        int len = i2d_PUBKEY(key, &der);
        bool ok = len > 0 && EVP_Digest(der, (size_t)len, id, NULL, EVP_sha256(), NULL) == 1;

        OPENSSL_free(der);
        return ok;
}

static int no_passphrase(char *buf, int size, int is_new, void *unused)
{
        return -1;
}

static EVP_PKEY *key_read(struct str pem)
{
        BIO *text = BIO_new_mem_buf(pem.ptr, (int)MIN(pem.len, (size_t)1 << 20));
        EVP_PKEY *key = text ? PEM_read_bio_PrivateKey(text, NULL, no_passphrase, NULL) : NULL;

        BIO_free(text);
        ERR_clear_error();
        return key;
}

enum err tls_public_half(struct str key_pem, struct buf *out)
{
        EVP_PKEY *key = key_read(key_pem);
        BIO *text = BIO_new(BIO_s_mem());
        enum err e = ERR_MALFORMED;
        char *bytes;

        if (key)
                e = tls_key_kind(key) ? ERR_NO_MEMORY : ERR_UNSUPPORTED;
        if (e == ERR_NO_MEMORY && text && PEM_write_bio_PUBKEY(text, key) == 1) {
                long len = BIO_get_mem_data(text, &bytes);

                buf_add(out, (struct str){ bytes, (size_t)MAX(len, 0L) });
                e = len > 0 && !out->full ? ERR_OK : ERR_NO_MEMORY;
        }
        BIO_free(text);
        EVP_PKEY_free(key);
        ERR_clear_error();
        return e;
}

bool tls_keys_prepare(void)
{
        OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL); /* it reads its own configuration */
        return CRYPTO_secure_malloc_init(SECURE_BYTES, SECURE_LEAST_BYTES) == 1;
}

struct tls_keyring *tls_keyring_new(void)
{
        return calloc(1, sizeof(struct tls_keyring));
}

void tls_keyring_free(struct tls_keyring *k)
{
        if (!k)
                return;
        for (size_t i = 0; i < k->count; i++) {
                for (size_t s = 0; s < SCHEMES; s++) {
                        EVP_PKEY_CTX_free(k->keys[i].uses[s].context);
                        EVP_MD_free(k->keys[i].uses[s].md);
                }
                EVP_PKEY_free(k->keys[i].key);
        }
        free(k->keys);
        free(k);
}

size_t tls_keyring_count(const struct tls_keyring *k)
{
        return k->count;
}

static struct key *key_find(const struct tls_keyring *k, const uint8_t id[TLS_KEY_ID_BYTES])
{
        for (size_t i = 0; i < k->count; i++)
                if (memcmp(k->keys[i].id, id, TLS_KEY_ID_BYTES) == 0)
                        return &k->keys[i];
        return NULL;
}

enum err tls_keyring_add(struct tls_keyring *k, struct str key_pem)
{
        struct key added = { .key = key_read(key_pem) }, *grown;
        enum err e = ERR_NO_MEMORY;

        if (!added.key)
                return ERR_MALFORMED;
        if (!tls_key_kind(added.key)) {
                e = ERR_UNSUPPORTED;
        } else if (tls_key_id(added.key, added.id) && key_find(k, added.id)) {
                e = ERR_OK; /* two certificates with one key */
        } else if (k->count < KEYS_MAX && (grown = realloc(k->keys, (k->count + 1) * sizeof(*grown)))) {
                k->keys = grown;
                k->keys[k->count++] = added;
                return ERR_OK;
        }
        EVP_PKEY_free(added.key);
        ERR_clear_error();
        return e;
}

/* ---- signing ---- */

/* What goes before each signature is done once: a context signs any number of digests. */
static bool use_prepare(struct tls_scheme_use *use, const struct tls_scheme *s, EVP_PKEY *key)
{
        EVP_PKEY_CTX *c = NULL;

        if (use->context)
                return true;
        if ((use->md || (use->md = EVP_MD_fetch(NULL, s->digest, NULL))) &&
            (c = EVP_PKEY_CTX_new(key, NULL)) && EVP_PKEY_sign_init(c) == 1 &&
            EVP_PKEY_CTX_set_signature_md(c, use->md) == 1 &&
            (s->padding == TLS_PAD_NONE ||
             EVP_PKEY_CTX_set_rsa_padding(c, s->padding == TLS_PAD_PSS ? RSA_PKCS1_PSS_PADDING
                                                                       : RSA_PKCS1_PADDING) == 1) &&
            (s->padding != TLS_PAD_PSS || EVP_PKEY_CTX_set_rsa_pss_saltlen(c, RSA_PSS_SALTLEN_DIGEST) == 1)) {
                use->context = c;
                return true;
        }
        EVP_PKEY_CTX_free(c);
        return false;
}

static bool sign_digest(struct key *key, const struct tls_scheme *s, struct str content, uint8_t *out,
                        size_t *len)
{
        struct tls_scheme_use *use = &key->uses[s - schemes];
        uint8_t digest[EVP_MAX_MD_SIZE];
        unsigned digest_len;

        return use_prepare(use, s, key->key) &&
               EVP_Digest(content.ptr, content.len, digest, &digest_len, use->md, NULL) == 1 &&
               EVP_PKEY_sign(use->context, out, len, digest, digest_len) == 1;
}

/* EdDSA signs the content itself. */
static bool sign_content(EVP_PKEY *key, struct str content, uint8_t *out, size_t *len)
{
        EVP_MD_CTX *md = EVP_MD_CTX_new();
        bool ok = md && EVP_DigestSignInit_ex(md, NULL, NULL, NULL, NULL, key, NULL) == 1 &&
                  EVP_DigestSign(md, out, len, (const uint8_t *)content.ptr, content.len) == 1;

        EVP_MD_CTX_free(md);
        return ok;
}

enum err tls_keyring_sign(struct tls_keyring *k, const uint8_t key_id[TLS_KEY_ID_BYTES], uint16_t number,
                          struct str content, uint8_t *out, size_t *len_out)
{
        const struct tls_scheme *s = tls_scheme_find(number);
        struct key *key = key_find(k, key_id);
        size_t len = TLS_SIGNATURE_BYTES_MAX;

        if (!key)
                return ERR_NOT_FOUND;
        if (!tls_content_is_signed(number, content))
                return ERR_DENIED;
        if (!EVP_PKEY_is_a(key->key, s->kind))
                return ERR_UNSUPPORTED;
        bool ok = s->digest ? sign_digest(key, s, content, out, &len)
                            : sign_content(key->key, content, out, &len);
        if (!ok) {
                ERR_clear_error();
                return ERR_UNSUPPORTED;
        }
        *len_out = len;
        return ERR_OK;
}
