#include "crypto/password.h"

#include <string.h>

#include <sodium.h>

#include "crypto/engine_priv.h"

_Static_assert(CRYPTO_PASSWORD_TEXT_MAX >= crypto_pwhash_STRBYTES, "libsodium's text is longer");

enum err crypto_password_hash(struct str password, struct crypto_password_cost cost,
                              char out[CRYPTO_PASSWORD_TEXT_MAX])
{
        crypto_engine();
        return crypto_pwhash_str_alg(out, password.ptr ? password.ptr : "", password.len, cost.passes,
                                     cost.memory_bytes, crypto_pwhash_ALG_ARGON2ID13) == 0
                       ? ERR_OK
                       : ERR_NO_MEMORY;
}

/* libsodium reads the whole array, not up to the NUL. */
static bool stored_copy(const char *stored, char copy[crypto_pwhash_STRBYTES])
{
        size_t len = strnlen(stored, crypto_pwhash_STRBYTES);

        memset(copy, 0, crypto_pwhash_STRBYTES);
        if (len >= crypto_pwhash_STRBYTES)
                return false;
        memcpy(copy, stored, len);
        return true;
}

bool crypto_password_verify(struct str password, const char *stored)
{
        char copy[crypto_pwhash_STRBYTES];

        crypto_engine();
        return stored_copy(stored, copy) &&
               crypto_pwhash_str_verify(copy, password.ptr ? password.ptr : "", password.len) == 0;
}

bool crypto_password_is_outdated(const char *stored, struct crypto_password_cost cost)
{
        char copy[crypto_pwhash_STRBYTES];

        crypto_engine();
        return !stored_copy(stored, copy) ||
               crypto_pwhash_str_needs_rehash(copy, cost.passes, cost.memory_bytes) != 0;
}
