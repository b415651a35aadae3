#include "certs/seal.h"

#include <string.h>

#include "crypto/random.h"
#include "crypto/secret.h"
#include "crypto/text.h"
#include "io/file.h"

enum { KEY_NUMBER = '1', FILE_BYTES_MAX = 256, MODE_OTHERS = 077, MODE_OURS = 0600 };

static enum err key_make(struct certs_seal *s, const char *path)
{
        char text[CRYPTO_HEX_SIZE(CRYPTO_AEAD_KEY_BYTES) + 1];

        crypto_random(s->key.bytes, sizeof(s->key.bytes));
        struct str hex =
                crypto_hex_format((struct str){ (const char *)s->key.bytes, sizeof(s->key.bytes) }, text);
        text[hex.len] = '\n';
        enum err e = file_write_atomic(path, (struct str){ text, hex.len + 1 }, MODE_OURS, false);
        crypto_wipe(text, sizeof(text));
        return e;
}

enum err certs_seal_open(struct certs_seal *s, const char *path, bool may_make)
{
        struct buf text;
        unsigned mode;
        bool is_ours;
        enum err e = file_mode(path, &mode, &is_ours);

        if (e == ERR_NOT_FOUND && may_make)
                return key_make(s, path);
        if (e != ERR_OK)
                return e;
        if (!is_ours || mode & MODE_OTHERS)
                return ERR_DENIED;
        buf_init_secret(&text, FILE_BYTES_MAX);
        if ((e = file_read(path, &text)) == ERR_OK) {
                struct str hex = buf_str(&text);

                while (hex.len && (hex.ptr[hex.len - 1] == '\n' || hex.ptr[hex.len - 1] == '\r'))
                        hex.len--;
                e = crypto_hex_parse(hex, s->key.bytes, sizeof(s->key.bytes));
        }
        buf_wipe(&text);
        return e;
}

void certs_seal_fini(struct certs_seal *s)
{
        crypto_wipe(&s->key, sizeof(s->key));
}

enum err certs_seal_close(const struct certs_seal *s, struct str purpose, struct str text, struct buf *box)
{
        uint8_t *at = (uint8_t *)buf_reserve(box, text.len + CERTS_SEAL_OVERHEAD);

        if (!at)
                return ERR_NO_MEMORY;
        at[0] = KEY_NUMBER;
        crypto_random(at + 1, CRYPTO_XAEAD_NONCE_BYTES);
        memcpy(at + 1 + CRYPTO_XAEAD_NONCE_BYTES, text.ptr, text.len);
        crypto_xaead_seal(&s->key, at + 1, purpose, at + 1 + CRYPTO_XAEAD_NONCE_BYTES, text.len);
        buf_added(box, text.len + CERTS_SEAL_OVERHEAD);
        return ERR_OK;
}

enum err certs_unseal(const struct certs_seal *s, struct str purpose, struct str box, struct buf *text)
{
        const size_t head = 1 + CRYPTO_XAEAD_NONCE_BYTES;
        uint8_t *at;

        if (box.len < CERTS_SEAL_OVERHEAD || box.ptr[0] != KEY_NUMBER)
                return ERR_MALFORMED;
        if (!(at = (uint8_t *)buf_reserve(text, box.len - head)))
                return ERR_NO_MEMORY;
        memcpy(at, box.ptr + head, box.len - head);
        if (!crypto_xaead_open(&s->key, (const uint8_t *)box.ptr + 1, purpose, at, box.len - head))
                return ERR_MALFORMED;
        buf_added(text, box.len - CERTS_SEAL_OVERHEAD);
        return ERR_OK;
}
