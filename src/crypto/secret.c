#include "crypto/secret.h"

#include <stdint.h>
#include <string.h>

#include <openssl/crypto.h>

#include "crypto/sha256.h"

void crypto_wipe(void *p, size_t len)
{
        if (len > 0)
                OPENSSL_cleanse(p, len);
}

bool crypto_eq(const void *a, const void *b, size_t len)
{
        return CRYPTO_memcmp(a, b, len) == 0;
}

bool crypto_is_zero(const void *p, size_t len)
{
        const volatile uint8_t *bytes = p;
        uint8_t any = 0;

        for (size_t i = 0; i < len; i++)
                any |= bytes[i];
        return any == 0;
}

bool crypto_text_eq(struct str a, struct str b)
{
        uint8_t hash_a[CRYPTO_SHA256_BYTES], hash_b[CRYPTO_SHA256_BYTES];

        crypto_sha256(a, hash_a);
        crypto_sha256(b, hash_b);
        bool same = crypto_eq(hash_a, hash_b, sizeof(hash_a));
        crypto_wipe(hash_a, sizeof(hash_a));
        crypto_wipe(hash_b, sizeof(hash_b));
        return same;
}
