/*
 * identity/secret.h - secrets that people copy: a prefix that says what it is, and 256 random bits.
 *
 * Kept as SHA-256: with so many random bits nothing slower is of use, and the look-up by hash tells no time. Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum identity_secret {
        IDENTITY_API_KEY,    /* "skapi-" */
        IDENTITY_OWNER_LINK, /* "skown-" */
        IDENTITY_USE_KEY,    /* "sk-": for published services, shown to gateways */
};

enum {
        IDENTITY_SECRET_SIZE = 6 + 43 + 1, /* with NUL */
        IDENTITY_HASH_BYTES = 32,
        IDENTITY_HINT_LEN = 10,
};

/* A new one, with a NUL. Wipe it when it was shown. */
struct str identity_secret_make(enum identity_secret kind, char out[IDENTITY_SECRET_SIZE]);

/* The form alone: prefix, length, letters. */
bool identity_secret_is(enum identity_secret kind, struct str text);

void identity_secret_hash(struct str text, uint8_t out[IDENTITY_HASH_BYTES]);

/* Its first letters, to know it by. Borrowed. */
struct str identity_secret_hint(struct str text);
