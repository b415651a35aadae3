#include "crypto/pairbox.h"

#include <sodium/crypto_box.h>

#include "crypto/engine_priv.h"

_Static_assert(CRYPTO_PAIRBOX_KEY_BYTES == crypto_box_BEFORENMBYTES &&
                       CRYPTO_PAIRBOX_NONCE_BYTES == crypto_box_NONCEBYTES &&
                       CRYPTO_PAIRBOX_OVERHEAD == crypto_box_MACBYTES,
               "libsodium's box has other sizes");

enum err crypto_pairbox_key_init(struct crypto_pairbox_key *k,
                                 const uint8_t private_key[CRYPTO_PAIRBOX_KEY_BYTES],
                                 const uint8_t public_key[CRYPTO_PAIRBOX_KEY_BYTES])
{
        crypto_engine();
        return crypto_box_beforenm(k->bytes, public_key, private_key) == 0 ? ERR_OK : ERR_MALFORMED;
}

void crypto_pairbox_seal(const struct crypto_pairbox_key *k, const uint8_t nonce[CRYPTO_PAIRBOX_NONCE_BYTES],
                         struct str text, uint8_t *out)
{
        (void)crypto_box_easy_afternm(out, (const unsigned char *)text.ptr, text.len, nonce, k->bytes);
}

enum err crypto_pairbox_open(const struct crypto_pairbox_key *k,
                             const uint8_t nonce[CRYPTO_PAIRBOX_NONCE_BYTES], struct str box, uint8_t *out)
{
        if (box.len < CRYPTO_PAIRBOX_OVERHEAD ||
            crypto_box_open_easy_afternm(out, (const unsigned char *)box.ptr, box.len, nonce, k->bytes) != 0)
                return ERR_MALFORMED;
        return ERR_OK;
}
