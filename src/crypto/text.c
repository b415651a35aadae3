#include "crypto/text.h"

#include <stdbool.h>

#include "crypto/secret.h"

/* All ones when a <= x <= b, for values in 0 to 255. */
static unsigned between(unsigned x, unsigned a, unsigned b)
{
        return 0u - (((a - 1 - x) & (x - b - 1)) >> 31);
}

static char hex_digit(unsigned value)
{
        return (char)(value + '0' + (between(value, 10, 15) & ('a' - '0' - 10)));
}

/* 0 to 15, or all ones. */
static unsigned hex_value(char c)
{
        unsigned x = (unsigned char)c;
        unsigned digit = between(x, '0', '9'), upper = between(x, 'A', 'F'), lower = between(x, 'a', 'f');

        return (digit & (x - '0')) | (upper & (x - 'A' + 10)) | (lower & (x - 'a' + 10)) |
               ~(digit | upper | lower);
}

struct str crypto_hex_format(struct str bytes, char *out)
{
        for (size_t i = 0; i < bytes.len; i++) {
                unsigned value = (unsigned char)bytes.ptr[i];
                out[2 * i] = hex_digit(value >> 4);
                out[2 * i + 1] = hex_digit(value & 15);
        }
        out[2 * bytes.len] = '\0';
        return (struct str){ out, 2 * bytes.len };
}

enum err crypto_hex_parse(struct str text, uint8_t *out, size_t out_len)
{
        unsigned bad = 0;

        if (text.len / 2 != out_len || text.len % 2 != 0)
                return ERR_MALFORMED;
        for (size_t i = 0; i < out_len; i++) {
                unsigned high = hex_value(text.ptr[2 * i]), low = hex_value(text.ptr[2 * i + 1]);
                bad |= (high | low) >> 4;
                out[i] = (uint8_t)(high << 4 | low);
        }
        if (bad) {
                crypto_wipe(out, out_len);
                return ERR_MALFORMED;
        }
        return ERR_OK;
}

struct alphabet {
        char c62, c63;
        bool is_padded;
};
static const struct alphabet standard = { '+', '/', true }, url = { '-', '_', false };

static char base64_digit(const struct alphabet *a, unsigned value)
{
        unsigned upper = between(value, 0, 25);
        unsigned lower = between(value, 26, 51), digit = between(value, 52, 61);
        unsigned is62 = between(value, 62, 62), is63 = between(value, 63, 63);

        return (char)((upper & (value + 'A')) | (lower & (value - 26 + 'a')) | (digit & (value - 52 + '0')) |
                      (is62 & (unsigned char)a->c62) | (is63 & (unsigned char)a->c63));
}

/* 0 to 63, or all ones. */
static unsigned base64_value(const struct alphabet *a, char c)
{
        unsigned x = (unsigned char)c, c62 = (unsigned char)a->c62, c63 = (unsigned char)a->c63;
        unsigned upper = between(x, 'A', 'Z'), lower = between(x, 'a', 'z'), digit = between(x, '0', '9');
        unsigned is62 = between(x, c62, c62), is63 = between(x, c63, c63);

        return (upper & (x - 'A')) | (lower & (x - 'a' + 26)) | (digit & (x - '0' + 52)) | (is62 & 62) |
               (is63 & 63) | ~(upper | lower | digit | is62 | is63);
}

static struct str base64_format(const struct alphabet *a, struct str bytes, char *out)
{
        size_t n = 0;

        for (size_t i = 0; i < bytes.len; i += 3) {
                size_t left = bytes.len - i;
                unsigned group = (unsigned)(unsigned char)bytes.ptr[i] << 16;
                if (left > 1)
                        group |= (unsigned)(unsigned char)bytes.ptr[i + 1] << 8;
                if (left > 2)
                        group |= (unsigned char)bytes.ptr[i + 2];
                out[n++] = base64_digit(a, group >> 18);
                out[n++] = base64_digit(a, group >> 12 & 63);
                if (left > 1)
                        out[n++] = base64_digit(a, group >> 6 & 63);
                if (left > 2)
                        out[n++] = base64_digit(a, group & 63);
                for (size_t pad = left; a->is_padded && pad < 3; pad++)
                        out[n++] = '=';
        }
        out[n] = '\0';
        return (struct str){ out, n };
}

static enum err base64_parse(const struct alphabet *a, struct str text, uint8_t *out, size_t out_max,
                             size_t *out_len)
{
        size_t digits = text.len, n = 0;
        unsigned bad = 0, group = 0;

        if (a->is_padded) {
                if (text.len % 4 != 0)
                        return ERR_MALFORMED;
                while (digits > 0 && text.len - digits < 2 && text.ptr[digits - 1] == '=')
                        digits--;
        }
        if (digits % 4 == 1)
                return ERR_MALFORMED;
        size_t bytes = digits / 4 * 3 + (digits % 4 ? digits % 4 - 1 : 0);
        if (bytes > out_max)
                return ERR_TOO_LARGE;
        for (size_t i = 0; i < digits; i++) {
                unsigned value = base64_value(a, text.ptr[i]);
                bad |= value >> 6;
                group = group << 6 | (value & 63);
                if (i % 4 == 0)
                        continue;
                unsigned spare =
                        6 - 2 * (unsigned)(i % 4); /* bits of the group that the next byte begins with */
                out[n++] = (uint8_t)(group >> spare);
                group &= (1u << spare) - 1;
        }
        bad |= group; /* the unused bits of the last digit */
        if (bad) {
                crypto_wipe(out, bytes);
                return ERR_MALFORMED;
        }
        *out_len = bytes;
        return ERR_OK;
}

struct str crypto_base64_format(struct str bytes, char *out)
{
        return base64_format(&standard, bytes, out);
}

struct str crypto_base64url_format(struct str bytes, char *out)
{
        return base64_format(&url, bytes, out);
}

enum err crypto_base64_parse(struct str text, uint8_t *out, size_t out_max, size_t *out_len)
{
        return base64_parse(&standard, text, out, out_max, out_len);
}

enum err crypto_base64url_parse(struct str text, uint8_t *out, size_t out_max, size_t *out_len)
{
        return base64_parse(&url, text, out, out_max, out_len);
}
