#include "crypto/ed25519.h"

#include <sodium.h>

#include "crypto/engine_priv.h"
#include "crypto/secret.h"

void crypto_ed25519_public(const uint8_t seed[CRYPTO_ED25519_SEED_BYTES],
                           uint8_t public_key[CRYPTO_ED25519_PUBLIC_BYTES])
{
        uint8_t expanded[crypto_sign_SECRETKEYBYTES];

        crypto_engine();
        crypto_sign_seed_keypair(public_key, expanded, seed);
        crypto_wipe(expanded, sizeof(expanded));
}

void crypto_ed25519_sign(const uint8_t seed[CRYPTO_ED25519_SEED_BYTES], struct str message,
                         uint8_t signature[CRYPTO_ED25519_SIGNATURE_BYTES])
{
        uint8_t expanded[crypto_sign_SECRETKEYBYTES], public_key[CRYPTO_ED25519_PUBLIC_BYTES];

        crypto_engine();
        /* The public half is computed again each time: a signer handed a wrong one leaks its key. */
        crypto_sign_seed_keypair(public_key, expanded, seed);
        crypto_sign_detached(signature, NULL, (const unsigned char *)message.ptr, message.len, expanded);
        crypto_wipe(expanded, sizeof(expanded));
}

bool crypto_ed25519_verify(const uint8_t public_key[CRYPTO_ED25519_PUBLIC_BYTES], struct str message,
                           const uint8_t signature[CRYPTO_ED25519_SIGNATURE_BYTES])
{
        crypto_engine();
        return crypto_sign_verify_detached(signature, (const unsigned char *)message.ptr, message.len,
                                           public_key) == 0;
}
