#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io/tls_keys_priv.h"

/*
 * Theory of operation. OpenSSL's TLS signs with what an EVP_PKEY's provider gives it. So here is a small provider: its keys
 * are the public halves, which answer every question about them (OpenSSL's own key, held inside, does), and its signature
 * asks the handshake that runs. It lives in a library context of its own: nobody who asks OpenSSL for "RSA" gets it, only
 * whoever holds one of its keys. Signatures have names of our own, so that they are not looked for elsewhere.
 *
 * Source: provider(7), provider-keymgmt(7), provider-signature(7) of OpenSSL 3.0.
 */

static const char param_inner[] = "sekisho-public-half"; /* OCTET_PTR: EVP_PKEY *, shared */

struct standin {
        const char *kind;
        EVP_PKEY *inner;
        uint8_t id[TLS_KEY_ID_BYTES];
};

/* ---- keys ---- */

static struct standin *standin_new(const char *kind)
{
        struct standin *k = calloc(1, sizeof(*k));

        if (k)
                k->kind = kind;
        return k;
}

static void standin_free(void *data)
{
        struct standin *k = data;

        if (k)
                EVP_PKEY_free(k->inner);
        free(k);
}

static int standin_has(const void *data, int selection)
{
        return data && ((const struct standin *)data)->inner; /* the private half, too: that is the point */
}

static int standin_match(const void *a, const void *b, int selection)
{
        const struct standin *ka = a, *kb = b;

        return ka->inner && kb->inner && EVP_PKEY_eq(ka->inner, kb->inner) == 1;
}

static EVP_PKEY *public_of(const char *kind, const OSSL_PARAM params[])
{
        EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
        EVP_PKEY *key = NULL;

        if (!c || EVP_PKEY_fromdata_init(c) != 1 ||
            EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)(uintptr_t)params) != 1)
                key = NULL;
        EVP_PKEY_CTX_free(c);
        return key;
}

/* Ours, or the public half of anybody's that is to be compared. */
static int standin_import(void *data, int selection, const OSSL_PARAM params[])
{
        const OSSL_PARAM *given = OSSL_PARAM_locate_const(params, param_inner);
        struct standin *k = data;
        const void *inner = NULL;
        size_t len;

        if (!given)
                k->inner = public_of(k->kind, params);
        else if (OSSL_PARAM_get_octet_ptr(given, &inner, &len) == 1 &&
                 EVP_PKEY_up_ref((EVP_PKEY *)(uintptr_t)inner) == 1)
                k->inner = (EVP_PKEY *)(uintptr_t)inner;
        return k->inner && tls_key_id(k->inner, k->id);
}

/* There is no private half to be had, and OpenSSL must not sign with the public one elsewhere. */
static int standin_export(void *data, int selection, OSSL_CALLBACK *give, void *argument)
{
        const struct standin *k = data;
        OSSL_PARAM *params = NULL;
        int ok;

        if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ||
            EVP_PKEY_todata(k->inner, EVP_PKEY_PUBLIC_KEY, &params) != 1)
                return 0;
        ok = give(params, argument);
        OSSL_PARAM_free(params);
        return ok;
}

static const OSSL_PARAM *standin_types(int selection)
{
        static const OSSL_PARAM none[] = { OSSL_PARAM_END };

        return none;
}

static int standin_get_params(void *data, OSSL_PARAM params[])
{
        return EVP_PKEY_get_params(((const struct standin *)data)->inner, params);
}

static const OSSL_PARAM *standin_gettable(void *unused)
{
        static const OSSL_PARAM some[] = {
                OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
                OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
                OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
                OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
                OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
                OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                OSSL_PARAM_END,
        };

        return some;
}

static const char signature_name[] = "SEKISHO-HANDSHAKE";

static const char *standin_operation(int operation)
{
        return operation == OSSL_OP_SIGNATURE ? signature_name : NULL;
}

#define FN(number, fn)                                           \
        {                                                        \
                OSSL_FUNC_KEYMGMT_##number, (void (*)(void))(fn) \
        }
#define KEYMGMT(word, kind)                                                                          \
        static void *word##_new(void *unused)                                                        \
        {                                                                                            \
                return standin_new(kind);                                                            \
        }                                                                                            \
        static const OSSL_DISPATCH word##_keymgmt[] = { FN(NEW, word##_new),                         \
                                                        FN(FREE, standin_free),                      \
                                                        FN(HAS, standin_has),                        \
                                                        FN(MATCH, standin_match),                    \
                                                        FN(IMPORT, standin_import),                  \
                                                        FN(IMPORT_TYPES, standin_types),             \
                                                        FN(EXPORT, standin_export),                  \
                                                        FN(EXPORT_TYPES, standin_types),             \
                                                        FN(GET_PARAMS, standin_get_params),          \
                                                        FN(GETTABLE_PARAMS, standin_gettable),       \
                                                        FN(QUERY_OPERATION_NAME, standin_operation), \
                                                        { 0, NULL } }

KEYMGMT(rsa, "RSA");
KEYMGMT(rsa_pss, "RSA-PSS");
KEYMGMT(ec, "EC");
KEYMGMT(ed25519, "ED25519");
KEYMGMT(ed448, "ED448");
#undef FN

static const OSSL_ALGORITHM keymgmts[] = {
        { "RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=sekisho", rsa_keymgmt, NULL },
        { "RSA-PSS:RSASSA-PSS:1.2.840.113549.1.1.10", "provider=sekisho", rsa_pss_keymgmt, NULL },
        { "EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=sekisho", ec_keymgmt, NULL },
        { "ED25519:1.3.101.112", "provider=sekisho", ed25519_keymgmt, NULL },
        { "ED448:1.3.101.113", "provider=sekisho", ed448_keymgmt, NULL },
        { NULL, NULL, NULL, NULL },
};

/* ---- signatures ---- */

struct signing {
        const struct standin *key;
        const char *digest; /* a scheme's name for it, or NULL */
        enum tls_padding padding;
};

static void *signing_new(void *unused, const char *properties)
{
        return calloc(1, sizeof(struct signing));
}

static void *signing_copy(void *data)
{
        struct signing *copy = malloc(sizeof(*copy));

        if (copy)
                *copy = *(const struct signing *)data;
        return copy;
}

/* OpenSSL has several names for one digest. */
static const char *digest_name(const char *name)
{
        static const struct {
                const char *theirs, *ours;
        } names[] = {
                { "SHA2-256", "SHA256" }, { "SHA256", "SHA256" },   { "SHA2-384", "SHA384" },
                { "SHA384", "SHA384" },   { "SHA2-512", "SHA512" }, { "SHA512", "SHA512" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (strcasecmp(names[i].theirs, name) == 0)
                        return names[i].ours;
        return NULL;
}

static int signing_set_params(void *data, const OSSL_PARAM params[])
{
        struct signing *s = data;
        const OSSL_PARAM *pad, *salt;
        const char *word = "";
        int number = 0;

        if (!params)
                return 1;
        if ((pad = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE))) {
                if (OSSL_PARAM_get_utf8_string_ptr(pad, &word) != 1 && OSSL_PARAM_get_int(pad, &number) != 1)
                        return 0;
                if (strcmp(word, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0 || number == 6)
                        s->padding = TLS_PAD_PSS;
                else if (strcmp(word, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0 || number == 1)
                        s->padding = TLS_PAD_PKCS1;
                else
                        return 0;
        }
        /* As long as the digest, as TLS has it; the keyring makes it so. */
        if ((salt = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN))) {
                word = "";
                number = 0;
                if (OSSL_PARAM_get_utf8_string_ptr(salt, &word) != 1 &&
                    OSSL_PARAM_get_int(salt, &number) != 1)
                        return 0;
                if (number != -1 && strcmp(word, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) != 0 &&
                    strcmp(word, "-1") != 0)
                        return 0;
        }
        return 1;
}

static const OSSL_PARAM *signing_settable(void *data, void *unused)
{
        static const OSSL_PARAM some[] = {
                OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
                OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
                OSSL_PARAM_END,
        };

        return some;
}

static int signing_begin(void *data, const char *digest, void *key, const OSSL_PARAM params[])
{
        struct signing *s = data;

        if (key)
                s->key = key;
        if (!s->key)
                return 0;
        s->digest = NULL;
        if (digest && digest[0] && !(s->digest = digest_name(digest)))
                return 0;
        s->padding = strcmp(s->key->kind, "RSA") == 0       ? TLS_PAD_PKCS1
                     : strcmp(s->key->kind, "RSA-PSS") == 0 ? TLS_PAD_PSS
                                                            : TLS_PAD_NONE;
        return signing_set_params(data, params);
}

static int signing_sign(void *data, unsigned char *out, size_t *len, size_t room,
                        const unsigned char *content, size_t content_len)
{
        const struct signing *s = data;
        size_t most = (size_t)EVP_PKEY_get_size(s->key->inner);
        const struct tls_scheme *scheme = tls_scheme_choose(s->key->kind, s->digest, s->padding);
        UNINITIALIZED uint8_t signature[TLS_SIGNATURE_BYTES_MAX];

        if (!out) {
                *len = most;
                return 1;
        }
        if (!scheme || room < most ||
            tls_handshake_sign(s->key->id, scheme->number, (struct str){ (const char *)content, content_len },
                               signature, len) != ERR_OK ||
            *len > room)
                return 0;
        memcpy(out, signature, *len);
        return 1;
}

#define FN(number, fn)                                             \
        {                                                          \
                OSSL_FUNC_SIGNATURE_##number, (void (*)(void))(fn) \
        }
static const OSSL_DISPATCH signing[] = {
        FN(NEWCTX, signing_new),
        FN(FREECTX, free),
        FN(DUPCTX, signing_copy),
        FN(DIGEST_SIGN_INIT, signing_begin),
        FN(DIGEST_SIGN, signing_sign),
        FN(SET_CTX_PARAMS, signing_set_params),
        FN(SETTABLE_CTX_PARAMS, signing_settable),
        { 0, NULL },
};
#undef FN

static const OSSL_ALGORITHM signatures[] = {
        { signature_name, "provider=sekisho", signing, NULL },
        { NULL, NULL, NULL, NULL },
};

/* ---- the provider ---- */

static const OSSL_ALGORITHM *query(void *unused, int operation, int *may_not_be_kept)
{
        *may_not_be_kept = 0;
        return operation == OSSL_OP_KEYMGMT ? keymgmts : operation == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core, const OSSL_DISPATCH **out,
                         void **context)
{
        static const OSSL_DISPATCH functions[] = {
                { OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query },
                { 0, NULL },
        };
        static char there;

        *out = functions;
        *context = &there;
        return 1;
}

/* For the life of the process. */
static OSSL_LIB_CTX *library(void)
{
        static OSSL_LIB_CTX *ready;
        OSSL_LIB_CTX *c;

        if (ready)
                return ready;
        if (!(c = OSSL_LIB_CTX_new()))
                return NULL;
        if (OSSL_PROVIDER_add_builtin(c, "sekisho", provider_init) != 1 ||
            !OSSL_PROVIDER_load(c, "sekisho")) {
                OSSL_LIB_CTX_free(c);
                return NULL;
        }
        return ready = c;
}

void tls_standin_prepare(void)
{
        library();
}

EVP_PKEY *tls_standin_new(EVP_PKEY *public_half)
{
        const char *kind = tls_key_kind(public_half);
        EVP_PKEY_CTX *c = kind && library() ? EVP_PKEY_CTX_new_from_name(library(), kind, NULL) : NULL;
        EVP_PKEY *key = NULL;
        void *inner = public_half;
        OSSL_PARAM params[] = { OSSL_PARAM_construct_octet_ptr(param_inner, &inner, sizeof(inner)),
                                OSSL_PARAM_construct_end() };

        if (!c || EVP_PKEY_fromdata_init(c) != 1 || EVP_PKEY_fromdata(c, &key, EVP_PKEY_KEYPAIR, params) != 1)
                key = NULL;
        EVP_PKEY_CTX_free(c);
        return key;
}
