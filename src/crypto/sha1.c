#include "crypto/sha1.h"

#include "crypto/engine_priv.h"

void crypto_sha1(struct str data, uint8_t out[CRYPTO_SHA1_BYTES])
{
        crypto_digest(crypto_engine()->sha1, &data, 1, out);
}
