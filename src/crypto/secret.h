/*
 * crypto/secret.h - handling secret bytes: wiping and comparing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/* Overwrites with zero in a way the compiler keeps. `p` may be NULL when len is 0. */
void crypto_wipe(void *p, size_t len);

/* Same bytes? No branch and no early exit depends on the contents. */
bool crypto_eq(const void *a, const void *b, size_t len);

/* All zero? No branch depends on the contents. */
bool crypto_is_zero(const void *p, size_t len);

/*
 * Same text of unknown length, for tokens: both sides are hashed first (SHA-256), so that not even the place of a
 * difference or the length of the expected text shows in the time.
 */
bool crypto_text_eq(struct str a, struct str b);
