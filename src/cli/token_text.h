/*
 * cli/token_text.h - what a token looks like: "sk-", 33 random letters and digits (196 bits), 6 more that check them.
 *
 * The prefix tells people and secret scanners what it is; the check tells a mistyped token from a revoked one without
 * asking anybody.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"
#include "crypto/sha256.h"

enum {
        TOKEN_RANDOM_LETTERS = 33,
        TOKEN_CHECK_LETTERS = 6,
        TOKEN_TEXT_MAX = 3 + TOKEN_RANDOM_LETTERS + TOKEN_CHECK_LETTERS + 1
};

/* A fresh one with a NUL. */
struct str token_text_make(char out[TOKEN_TEXT_MAX]);

/* False for what was mistyped, and for tokens of another make. */
bool token_text_is_ours(struct str text);

/* Its SHA-256 in hexadecimal, as the configuration holds it, with a NUL. */
enum { TOKEN_HASH_TEXT_MAX = 2 * CRYPTO_SHA256_BYTES + 1 };
struct str token_text_hash(struct str text, char out[TOKEN_HASH_TEXT_MAX]);
