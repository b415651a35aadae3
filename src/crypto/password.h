/*
 * crypto/password.h - stored passwords: Argon2id with a random salt. Source: RFC 9106, by libsodium.
 *
 * Each call works for tens of milliseconds and takes `memory_bytes`: call it in a helper thread, few at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

enum { CRYPTO_PASSWORD_TEXT_MAX = 128 }; /* with NUL */

struct crypto_password_cost {
        uint64_t passes;
        size_t memory_bytes;
};
/* About 80 ms on a core of 2024; what new passwords get. */
#define CRYPTO_PASSWORD_COST ((struct crypto_password_cost){ 3, 64u << 20 })

/* "$argon2id$v=19$m=...": all that verify needs. ERR_NO_MEMORY. */
MUST_USE
enum err crypto_password_hash(struct str password, struct crypto_password_cost cost,
                              char out[CRYPTO_PASSWORD_TEXT_MAX]);

/* False also when `stored` is no such text. */
MUST_USE
bool crypto_password_verify(struct str password, const char *stored);

/* Was it made at another cost? Then hash it again at the next login. */
bool crypto_password_is_outdated(const char *stored, struct crypto_password_cost cost);
