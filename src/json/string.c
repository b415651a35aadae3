#include <assert.h>
#include <endian.h>

#include "json/token_priv.h"

/* The letters after a backslash, and what they mean. */
static const char escape_names[] = "\"\\/bfnrt", escape_meanings[] = "\"\\/\b\f\n\r\t";

static size_t utf8_put(uint32_t c, char out[4])
{
        if (c < 0x80) {
                out[0] = (char)c;
                return 1;
        }
        if (c < 0x800) {
                out[0] = (char)(0xc0 | c >> 6);
                out[1] = (char)(0x80 | (c & 0x3f));
                return 2;
        }
        if (c < 0x10000) {
                out[0] = (char)(0xe0 | c >> 12);
                out[1] = (char)(0x80 | (c >> 6 & 0x3f));
                out[2] = (char)(0x80 | (c & 0x3f));
                return 3;
        }
        out[0] = (char)(0xf0 | c >> 18);
        out[1] = (char)(0x80 | (c >> 12 & 0x3f));
        out[2] = (char)(0x80 | (c >> 6 & 0x3f));
        out[3] = (char)(0x80 | (c & 0x3f));
        return 4;
}

static void text_add_char(struct json_tokenizer *t, uint32_t c)
{
        char bytes[4];

        text_add(t, bytes, utf8_put(c, bytes));
}

/* ---- strings, as they come ---- */

/*
 * Length of the run at the front that needs no look: no quote, backslash, control byte or multi-byte character.
 * Eight bytes at a time: of a byte below 0x80, subtracting 0x20 sets the top bit just when it is a control, and
 * subtracting 1 from its difference to c sets it just when it is c. A borrow only goes on after a hit, so the first
 * hit, in the lowest byte, is true.
 */
static size_t plain_run(struct str s)
{
        const uint64_t ones = 0x0101010101010101u, tops = ones * 0x80;
        size_t i = 0;

        for (uint64_t x; s.len - i >= sizeof(x); i += sizeof(x)) {
                memcpy(&x, s.ptr + i, sizeof(x));
                x = le64toh(x);
                uint64_t hits =
                        x | (x - ones * 0x20) | ((x ^ ones * '"') - ones) | ((x ^ ones * '\\') - ones);
                if (hits & tops)
                        return i + (size_t)__builtin_ctzll(hits & tops) / 8;
        }
        for (; i < s.len; i++) {
                unsigned char c = (unsigned char)s.ptr[i];
                if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
                        break;
        }
        return i;
}

/*
 * How many bytes follow the first byte of a multi-byte character, and the bounds of the second one: table 3-7 of the
 * Unicode standard. 0: no character begins so.
 */
static unsigned sequence_tail(unsigned char first, uint8_t *low, uint8_t *high)
{
        *low = 0x80;
        *high = 0xbf;
        if (first >= 0xc2 && first <= 0xdf)
                return 1;
        if (first >= 0xe0 && first <= 0xef) {
                if (first == 0xe0)
                        *low = 0xa0; /* overlong */
                else if (first == 0xed)
                        *high = 0x9f; /* surrogates */
                return 2;
        }
        if (first >= 0xf0 && first <= 0xf4) {
                if (first == 0xf0)
                        *low = 0x90; /* overlong */
                else if (first == 0xf4)
                        *high = 0x8f; /* above U+10FFFF */
                return 3;
        }
        return 0;
}

/* Passes the multi-byte characters that lie whole at the front; what is cut or wrong is left to the single steps. */
static void sequences_pass(struct json_tokenizer *t, struct str *in)
{
        const unsigned char *s = (const unsigned char *)in->ptr;
        size_t at = 0, chars = 0;
        uint8_t low, high;

        while (in->len - at >= 4) {
                unsigned tail = sequence_tail(s[at], &low, &high);

                if (!tail || s[at + 1] < low || s[at + 1] > high ||
                    (tail > 1 && (s[at + 2] & 0xc0) != 0x80) || (tail > 2 && (s[at + 3] & 0xc0) != 0x80))
                        break;
                at += tail + 1;
                chars++;
        }
        text_add(t, in->ptr, at);
        t->line_start += at - chars;
        advance(t, in, at);
}

enum err json_sequence_begin(struct json_tokenizer *t, struct str *in)
{
        unsigned char c = (unsigned char)in->ptr[0];
        unsigned tail = sequence_tail(c, &t->sequence_low, &t->sequence_high);

        if (!tail)
                return malformed(t, "these bytes are not UTF-8; save the text as UTF-8");
        t->sequence_left = (uint8_t)tail;
        t->sequence[0] = c;
        t->sequence_len = 1;
        t->after_sequence = t->state;
        advance(t, in, 1);
        return go_on(t, SEQUENCE);
}

enum err json_sequence_step(struct json_tokenizer *t, struct str *in)
{
        while (in->len && t->sequence_left) {
                unsigned char c = (unsigned char)in->ptr[0];

                if (c < t->sequence_low || c > t->sequence_high)
                        return malformed(t, "these bytes are not UTF-8; save the text as UTF-8");
                t->sequence_low = 0x80;
                t->sequence_high = 0xbf;
                t->sequence[t->sequence_len++] = c;
                t->sequence_left--;
                t->line_start++; /* the column counts the character once */
                advance(t, in, 1);
        }
        if (t->sequence_left)
                return ERR_AGAIN;
        if (t->after_sequence == STRING)
                text_add(t, (const char *)t->sequence, t->sequence_len);
        return go_on(t, t->after_sequence);
}

/* A high surrogate was not followed by a low one, or a low one came alone. */
static enum err surrogate_alone(struct json_tokenizer *t)
{
        t->high_surrogate = 0;
        if (!(t->flags & JSON_TOKENS_LONE_SURROGATES))
                return malformed_at(t, t->escape_at,
                                    "half a surrogate pair; write the character itself or both \\u escapes");
        t->token.has_lone_surrogate = true;
        text_add_char(t, 0xfffd);
        return ERR_OK;
}

static void text_pass(struct json_tokenizer *t, struct str *in)
{
        size_t len;

        do {
                size_t run = plain_run(*in);

                text_add(t, in->ptr, run);
                advance(t, in, run);
                len = in->len;
                if (len && (unsigned char)in->ptr[0] >= 0x80)
                        sequences_pass(t, in);
        } while (in->len < len);
}

enum err json_string_step(struct json_tokenizer *t, struct str *in)
{
        enum err e;

        if (t->high_surrogate && in->ptr[0] != '\\' && (e = surrogate_alone(t)) != ERR_OK)
                return e;
        text_pass(t, in);
        if (!in->len)
                return ERR_AGAIN;
        unsigned char c = (unsigned char)in->ptr[0];
        if (c == '"') {
                advance(t, in, 1);
                return token_done(t);
        }
        if (c == '\\') {
                if (!t->high_surrogate)
                        t->escape_at = json_tokenizer_place(t);
                t->token.has_escapes = true;
                advance(t, in, 1);
                return go_on(t, STRING_ESCAPE);
        }
        if (c >= 0x80)
                return json_sequence_begin(t, in);
        if (c == '\n' || c == '\r')
                return malformed_at(
                        t, t->token.start,
                        "this string is not closed on its line; end it with \" or write \\n inside");
        return malformed(t, c == '\t' ? "a tab inside a string; write \\t"
                                      : "a control character inside a string; write it as \\u00XX");
}

enum err json_string_escape_step(struct json_tokenizer *t, struct str *in)
{
        char c = in->ptr[0];
        const char *name = c ? strchr(escape_names, c) : NULL;
        enum err e;

        if (c != 'u' && t->high_surrogate && (e = surrogate_alone(t)) != ERR_OK)
                return e;
        if (c == 'u') {
                advance(t, in, 1);
                t->hex = 0;
                t->hex_count = 0;
                return go_on(t, STRING_HEX);
        }
        if (!name)
                return malformed(t,
                                 "unknown escape; known are \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX");
        text_add(t, &escape_meanings[name - escape_names], 1);
        advance(t, in, 1);
        return go_on(t, STRING);
}

static enum err unit_done(struct json_tokenizer *t)
{
        uint32_t unit = t->hex;
        enum err e;

        if (unit == 0 && (t->flags & JSON_TOKENS_NO_NUL))
                return malformed_at(t, t->escape_at,
                                    "a NUL character (\\u0000) is not allowed here; remove it");
        if (unit >= 0xdc00 && unit <= 0xdfff && t->high_surrogate) {
                text_add_char(t, 0x10000 + ((t->high_surrogate - 0xd800) << 10) + (unit - 0xdc00));
                t->high_surrogate = 0;
                return go_on(t, STRING);
        }
        if (t->high_surrogate && (e = surrogate_alone(t)) != ERR_OK)
                return e;
        if (unit >= 0xd800 && unit <= 0xdbff)
                t->high_surrogate = unit;
        else if (unit < 0xd800 || unit > 0xdfff)
                text_add_char(t, unit);
        else if ((e = surrogate_alone(t)) != ERR_OK)
                return e;
        return go_on(t, STRING);
}

enum err json_string_hex_step(struct json_tokenizer *t, struct str *in)
{
        while (in->len) {
                int digit = ascii_hex(in->ptr[0]);

                if (digit < 0)
                        return malformed(t, "a \\u escape takes four hexadecimal digits");
                t->hex = t->hex << 4 | (uint32_t)digit;
                advance(t, in, 1);
                if (++t->hex_count == 4)
                        return unit_done(t);
        }
        return ERR_AGAIN;
}

/* ---- decoding a whole string ---- */

static uint32_t hex4(const char *digits)
{
        uint32_t value = 0;

        for (int i = 0; i < 4; i++) {
                int digit = ascii_hex(digits[i]);
                assert(digit >= 0);
                value = value << 4 | (uint32_t)digit;
        }
        return value;
}

/* The code point of the escapes at the front of s, which begins with "\u"; *len is their length. */
static uint32_t escaped_char(struct str s, size_t *len)
{
        assert(s.len >= 6);
        uint32_t unit = hex4(s.ptr + 2);

        *len = 6;
        if (unit < 0xd800 || unit > 0xdfff)
                return unit;
        if (unit > 0xdbff || s.len < 12 || s.ptr[6] != '\\' || s.ptr[7] != 'u')
                return 0xfffd;
        uint32_t low = hex4(s.ptr + 8);
        if (low < 0xdc00 || low > 0xdfff)
                return 0xfffd;
        *len = 12;
        return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

size_t json_unescape(struct str inside, char *out)
{
        size_t used = 0, len;

        while (inside.len) {
                size_t run = str_find_char(inside, '\\');

                run = MIN(run, inside.len);
                if (run)
                        memmove(out + used, inside.ptr, run);
                used += run;
                inside = str_from(inside, run);
                if (!inside.len)
                        break;
                assert(inside.len >= 2);
                if (inside.ptr[1] == 'u') {
                        used += utf8_put(escaped_char(inside, &len), out + used);
                        inside = str_from(inside, len);
                        continue;
                }
                const char *name = memchr(escape_names, inside.ptr[1], sizeof(escape_names) - 1);
                assert(name);
                out[used++] = escape_meanings[name - escape_names];
                inside = str_from(inside, 2);
        }
        return used;
}
