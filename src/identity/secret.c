#include "identity/secret.h"

#include <string.h>

#include "crypto/random.h"
#include "crypto/secret.h"
#include "crypto/sha256.h"
#include "crypto/text.h"

enum { RANDOM_BYTES = 32, RANDOM_LEN = 43 };

static const struct str prefixes[] = { STR_INIT("skapi-"), STR_INIT("skown-"), STR_INIT("sk-") };

struct str identity_secret_make(enum identity_secret kind, char out[IDENTITY_SECRET_SIZE])
{
        uint8_t random[RANDOM_BYTES];

        crypto_random(random, sizeof(random));
        memcpy(out, prefixes[kind].ptr, prefixes[kind].len);
        crypto_base64url_format((struct str){ (const char *)random, sizeof(random) },
                                out + prefixes[kind].len);
        crypto_wipe(random, sizeof(random));
        return str_of(out);
}

bool identity_secret_is(enum identity_secret kind, struct str text)
{
        if (text.len != prefixes[kind].len + RANDOM_LEN || !str_has_prefix(text, prefixes[kind]))
                return false;
        for (size_t i = prefixes[kind].len; i < text.len; i++) {
                char c = text.ptr[i];

                if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-' && c != '_')
                        return false;
        }
        return true;
}

void identity_secret_hash(struct str text, uint8_t out[IDENTITY_HASH_BYTES])
{
        crypto_sha256(text, out);
}

struct str identity_secret_hint(struct str text)
{
        return str_sub(text, 0, IDENTITY_HINT_LEN);
}
