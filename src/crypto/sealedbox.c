#include "crypto/sealedbox.h"

#include <sodium.h>

#include "crypto/engine_priv.h"
#include "crypto/secret.h"

_Static_assert(CRYPTO_SEALEDBOX_OVERHEAD == crypto_box_SEALBYTES, "libsodium's box has another size");

enum err crypto_sealedbox_seal(const uint8_t public_key[CRYPTO_SEALEDBOX_KEY_BYTES], struct str text,
                               uint8_t *out)
{
        crypto_engine();
        return crypto_box_seal(out, (const unsigned char *)text.ptr, text.len, public_key) == 0
                       ? ERR_OK
                       : ERR_MALFORMED;
}

enum err crypto_sealedbox_open(const uint8_t private_key[CRYPTO_SEALEDBOX_KEY_BYTES], struct str box,
                               uint8_t *out)
{
        uint8_t public_key[CRYPTO_SEALEDBOX_KEY_BYTES];

        crypto_engine();
        if (box.len < CRYPTO_SEALEDBOX_OVERHEAD)
                return ERR_MALFORMED;
        crypto_scalarmult_base(public_key, private_key);
        if (crypto_box_seal_open(out, (const unsigned char *)box.ptr, box.len, public_key, private_key) == 0)
                return ERR_OK;
        crypto_wipe(out, box.len - CRYPTO_SEALEDBOX_OVERHEAD);
        return ERR_MALFORMED;
}
