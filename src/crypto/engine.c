#include "crypto/engine_priv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <sodium.h>

#include "crypto/secret.h"

static struct crypto_engine engine;
static CRYPTO_ONCE engine_once = CRYPTO_ONCE_STATIC_INIT;
static CRYPTO_THREAD_LOCAL scratch_key; /* only for its destructor at thread exit */
static _Thread_local struct crypto_scratch *scratch;

void crypto_die(const char *why)
{
        fprintf(stderr, "sekisho: crypto: %s\n", why);
        abort();
}

static void scratch_free(void *arg)
{
        struct crypto_scratch *s = arg;

        EVP_MD_CTX_free(s->digest);
        EVP_MAC_CTX_free(s->blake2smac);
        EVP_CIPHER_CTX_free(s->seal);
        EVP_CIPHER_CTX_free(s->open);
        free(s);
        scratch = NULL;
}

static void engine_init(void)
{
        engine.sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
        engine.sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
        engine.blake2s = EVP_MD_fetch(NULL, "BLAKE2S-256", NULL);
        engine.blake2smac = EVP_MAC_fetch(NULL, "BLAKE2SMAC", NULL);
        engine.chacha20_poly1305 = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
        if (!engine.sha1 || !engine.sha256 || !engine.blake2s || !engine.blake2smac ||
            !engine.chacha20_poly1305)
                crypto_die(
                        "OpenSSL lacks SHA-1, SHA-256, BLAKE2s or ChaCha20-Poly1305; is its default provider off?");
        if (sodium_init() < 0)
                crypto_die("libsodium could not start");
        if (!CRYPTO_THREAD_init_local(&scratch_key, scratch_free))
                crypto_die("no thread key left");
}

const struct crypto_engine *crypto_engine(void)
{
        crypto_must(CRYPTO_THREAD_run_once(&engine_once, engine_init));
        return &engine;
}

static bool has_wide;

static void wide_init(void)
{
        has_wide = crypto_wide_is_right();
}

bool crypto_engine_has_wide(void)
{
        static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;

        crypto_must(CRYPTO_THREAD_run_once(&once, wide_init));
        return has_wide;
}

struct crypto_scratch *crypto_scratch(void)
{
        if (__builtin_expect(scratch != NULL, 1))
                return scratch;

        const struct crypto_engine *e = crypto_engine();
        struct crypto_scratch *s = calloc(1, sizeof(*s));
        if (!s)
                crypto_die("out of memory");
        s->digest = EVP_MD_CTX_new();
        s->blake2smac = EVP_MAC_CTX_new(e->blake2smac);
        s->seal = EVP_CIPHER_CTX_new();
        s->open = EVP_CIPHER_CTX_new();
        if (!s->digest || !s->blake2smac || !s->seal || !s->open ||
            !EVP_EncryptInit_ex2(s->seal, e->chacha20_poly1305, NULL, NULL, NULL) ||
            !EVP_DecryptInit_ex2(s->open, e->chacha20_poly1305, NULL, NULL, NULL) ||
            !CRYPTO_THREAD_set_local(&scratch_key, s))
                crypto_die("out of memory");
        return scratch = s;
}

void crypto_digest(const EVP_MD *md, const struct str *parts, size_t parts_count, uint8_t *out)
{
        EVP_MD_CTX *ctx = crypto_scratch()->digest;

        crypto_must(EVP_DigestInit_ex2(ctx, md, NULL));
        for (size_t i = 0; i < parts_count; i++)
                crypto_must(EVP_DigestUpdate(ctx, parts[i].ptr, parts[i].len));
        crypto_must(EVP_DigestFinal_ex(ctx, out, NULL));
}

void crypto_hmac(const EVP_MD *md, struct str key, const struct str *parts, size_t parts_count,
                 uint8_t out[32])
{
        enum { BLOCK = 64, DIGEST = 32, PARTS_MAX = 4 };
        uint8_t pad[BLOCK] = { 0 }, inner[DIGEST];
        struct str all[PARTS_MAX + 1] = { { (const char *)pad, BLOCK } };

        assert(parts_count <= PARTS_MAX);
        if (key.len > BLOCK)
                crypto_digest(md, &key, 1, pad);
        else if (key.len > 0)
                memcpy(pad, key.ptr, key.len);

        for (size_t i = 0; i < BLOCK; i++)
                pad[i] ^= 0x36;
        for (size_t i = 0; i < parts_count; i++)
                all[i + 1] = parts[i];
        crypto_digest(md, all, parts_count + 1, inner);

        for (size_t i = 0; i < BLOCK; i++)
                pad[i] ^= 0x36 ^ 0x5c;
        all[1] = (struct str){ (const char *)inner, DIGEST };
        crypto_digest(md, all, 2, out);

        crypto_wipe(pad, sizeof(pad));
        crypto_wipe(inner, sizeof(inner));
}
