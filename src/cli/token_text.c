#include "cli/token_text.h"

#include <string.h>

#include "crypto/random.h"
#include "crypto/text.h"

static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const struct str prefix = STR_INIT("sk-");

enum { LETTERS = 62 };

/* 6 letters hold 35 bits; the first 8 bytes of the hash, taken modulo 62^6. */
static void check_make(struct str before, char out[TOKEN_CHECK_LETTERS])
{
        uint8_t hash[CRYPTO_SHA256_BYTES];
        uint64_t number = 0;

        crypto_sha256(before, hash);
        for (size_t i = 0; i < 8; i++)
                number = number << 8 | hash[i];
        for (size_t i = 0; i < TOKEN_CHECK_LETTERS; i++, number /= LETTERS)
                out[i] = letters[number % LETTERS];
}

struct str token_text_make(char out[TOKEN_TEXT_MAX])
{
        size_t len = prefix.len;

        memcpy(out, prefix.ptr, prefix.len);
        while (len < prefix.len + TOKEN_RANDOM_LETTERS)
                out[len++] = letters[crypto_random_below(LETTERS)];
        check_make((struct str){ out, len }, out + len);
        len += TOKEN_CHECK_LETTERS;
        out[len] = '\0';
        return (struct str){ out, len };
}

bool token_text_is_ours(struct str text)
{
        char check[TOKEN_CHECK_LETTERS];

        if (text.len != TOKEN_TEXT_MAX - 1 || !str_has_prefix(text, prefix))
                return false;
        check_make(str_sub(text, 0, text.len - TOKEN_CHECK_LETTERS), check);
        return str_eq_consttime(str_from(text, text.len - TOKEN_CHECK_LETTERS),
                                (struct str){ check, sizeof(check) });
}

struct str token_text_hash(struct str text, char out[TOKEN_HASH_TEXT_MAX])
{
        uint8_t hash[CRYPTO_SHA256_BYTES];

        crypto_sha256(text, hash);
        return crypto_hex_format((struct str){ (const char *)hash, sizeof(hash) }, out);
}
