#include "json/token.h"

#include <assert.h>
#include <string.h>

enum state {
        BETWEEN,
        STRING,
        STRING_ESCAPE,
        STRING_HEX,
        SEQUENCE, /* inside a multi-byte character of a string or comment */
        NUMBER,
        WORD,
        SLASH,
        COMMENT_LINE,
        COMMENT_BLOCK,
        COMMENT_STAR,
        BROKEN,
};

enum number { MINUS, ZERO, INTEGER, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, EXPONENT_DIGITS };

void json_tokenizer_init(struct json_tokenizer *t, unsigned flags)
{
        *t = (struct json_tokenizer){ .flags = flags, .state = BETWEEN, .line = 1 };
}

struct json_place json_tokenizer_place(const struct json_tokenizer *t)
{
        return (struct json_place){ t->offset, t->line, (uint32_t)(t->offset - t->line_start) + 1 };
}

static enum err malformed_at(struct json_tokenizer *t, struct json_place at, const char *text)
{
        t->problem = (struct json_problem){ at, text };
        t->state = BROKEN;
        return ERR_MALFORMED;
}

static enum err malformed(struct json_tokenizer *t, const char *text)
{
        return malformed_at(t, json_tokenizer_place(t), text);
}

static void advance(struct json_tokenizer *t, struct str *in, size_t n)
{
        in->ptr += n;
        in->len -= n;
        t->offset += n;
}

static void line_end(struct json_tokenizer *t, struct str *in)
{
        advance(t, in, 1);
        t->line++;
        t->line_start = t->offset;
}

/* The step of the current state is over, the token is not. */
static enum err go_on(struct json_tokenizer *t, enum state next)
{
        t->state = (uint8_t)next;
        return ERR_AGAIN;
}

static enum err token_done(struct json_tokenizer *t)
{
        t->token.end = t->offset;
        t->state = BETWEEN;
        return ERR_OK;
}

/* ---- what a token says, kept as far as the caller has room ---- */

static void text_add(struct json_tokenizer *t, const char *bytes, size_t n)
{
        size_t room = t->text_max - t->text_len;

        if (n > room) {
                t->text_cut = true;
                n = room;
        }
        if (n) {
                memcpy(t->text + t->text_len, bytes, n);
                t->text_len += n;
        }
}

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

/* ---- strings ---- */

/*
 * Length of the run at the front that needs no look: no quote, backslash, control byte or multi-byte character.
 * Eight bytes at a time: of a byte below 0x80, subtracting 0x20 sets the top bit just when it is a control, and
 * subtracting 1 from its difference to c sets it just when it is c. A borrow into the next byte only follows a hit.
 */
static size_t plain_run(struct str s)
{
        const uint64_t ones = 0x0101010101010101u, tops = ones * 0x80;
        size_t i = 0;

        for (uint64_t x; s.len - i >= sizeof(x); i += sizeof(x)) {
                memcpy(&x, s.ptr + i, sizeof(x));
                uint64_t hits =
                        x | (x - ones * 0x20) | ((x ^ ones * '"') - ones) | ((x ^ ones * '\\') - ones);
                if (hits & tops)
                        break;
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

static enum err sequence_begin(struct json_tokenizer *t, struct str *in)
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

static enum err step_sequence(struct json_tokenizer *t, struct str *in)
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

static enum err step_string(struct json_tokenizer *t, struct str *in)
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
                return sequence_begin(t, in);
        if (c == '\n' || c == '\r')
                return malformed_at(
                        t, t->token.start,
                        "this string is not closed on its line; end it with \" or write \\n inside");
        return malformed(t, c == '\t' ? "a tab inside a string; write \\t"
                                      : "a control character inside a string; write it as \\u00XX");
}

static enum err step_escape(struct json_tokenizer *t, struct str *in)
{
        static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
        char c = in->ptr[0];
        const char *name = c ? strchr(names, c) : NULL;
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
        text_add(t, &meanings[name - names], 1);
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

static enum err step_hex(struct json_tokenizer *t, struct str *in)
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

/* ---- numbers ---- */

/* The state after `c`, or -1 when c does not belong to the number. */
static int number_next(enum number state, char c)
{
        bool digit = ascii_is_digit(c), e = c == 'e' || c == 'E';

        switch (state) {
        case MINUS: return digit ? (c == '0' ? ZERO : INTEGER) : -1;
        case ZERO: return c == '.' ? POINT : e ? EXPONENT : -1;
        case INTEGER: return digit ? INTEGER : c == '.' ? POINT : e ? EXPONENT : -1;
        case POINT: return digit ? FRACTION : -1;
        case FRACTION: return digit ? FRACTION : e ? EXPONENT : -1;
        case EXPONENT: return digit ? EXPONENT_DIGITS : c == '+' || c == '-' ? EXPONENT_SIGN : -1;
        case EXPONENT_SIGN:
        case EXPONENT_DIGITS: return digit ? EXPONENT_DIGITS : -1;
        }
        return -1;
}

static enum err number_end(struct json_tokenizer *t)
{
        switch ((enum number)t->number) {
        case ZERO:
        case INTEGER:
        case FRACTION:
        case EXPONENT_DIGITS: return token_done(t);
        case MINUS: return malformed(t, "a digit must follow the minus sign");
        case POINT: return malformed(t, "a digit must follow the decimal point");
        case EXPONENT:
        case EXPONENT_SIGN: break;
        }
        return malformed(t, "a digit must follow in the exponent");
}

static enum err step_number(struct json_tokenizer *t, struct str *in)
{
        size_t n = 0;
        int next = t->number;

        for (; n < in->len && (next = number_next((enum number)t->number, in->ptr[n])) >= 0; n++)
                t->number = (uint8_t)next;
        text_add(t, in->ptr, n);
        advance(t, in, n);
        if (!in->len)
                return ERR_AGAIN;
        if (t->number == ZERO && ascii_is_digit(in->ptr[0]))
                return malformed_at(t, t->token.start, "a number does not begin with 0; leave the zero out");
        return number_end(t);
}

/* ---- words and comments ---- */

static enum err step_word(struct json_tokenizer *t, struct str *in)
{
        for (; in->len && t->word[t->word_at]; t->word_at++, advance(t, in, 1))
                if (in->ptr[0] != t->word[t->word_at])
                        return malformed_at(
                                t, t->token.start,
                                "unknown word; JSON has true, false and null, and text stands in \"");
        return t->word[t->word_at] ? ERR_AGAIN : token_done(t);
}

static enum err step_slash(struct json_tokenizer *t, struct str *in)
{
        char c = in->ptr[0];

        if (c != '/' && c != '*')
                return malformed_at(t, t->token.start, "a comment begins with // or with /*");
        t->token.type = c == '/' ? JSON_TOKEN_COMMENT_LINE : JSON_TOKEN_COMMENT_BLOCK;
        advance(t, in, 1);
        return go_on(t, c == '/' ? COMMENT_LINE : COMMENT_BLOCK);
}

/* Comments are shown to people too: valid UTF-8, and no control that could move a terminal. */
static enum err step_comment(struct json_tokenizer *t, struct str *in)
{
        while (in->len) {
                unsigned char c = (unsigned char)in->ptr[0];

                if (c == '\n' && t->state == COMMENT_LINE)
                        return token_done(t);
                if (c == '\n') {
                        line_end(t, in);
                        continue;
                }
                if (c == '*' && t->state == COMMENT_BLOCK) {
                        advance(t, in, 1);
                        return go_on(t, COMMENT_STAR);
                }
                if (c >= 0x80)
                        return sequence_begin(t, in);
                if (c < 0x20 && c != '\t' && c != '\r')
                        return malformed(t, "a control character inside a comment; remove it");
                advance(t, in, 1);
        }
        return ERR_AGAIN;
}

static enum err step_star(struct json_tokenizer *t, struct str *in)
{
        if (in->ptr[0] == '/') {
                advance(t, in, 1);
                return token_done(t);
        }
        if (in->ptr[0] == '*') {
                advance(t, in, 1);
                return ERR_AGAIN;
        }
        return go_on(t, COMMENT_BLOCK);
}

/* ---- between tokens ---- */

static enum err stray(struct json_tokenizer *t, unsigned char c)
{
        if (c == 0xef && t->offset == 0)
                return malformed(t, "the text begins with a byte order mark; save it as UTF-8 without one");
        if (c == '\'' || c == '`')
                return malformed(t, "strings stand in double quotes (\")");
        if (c == '/')
                return malformed(t, "comments are not allowed in strict JSON");
        if (c == '+' || c == '.')
                return malformed(t, "a number begins with a digit or a minus sign");
        if (ascii_is_alpha((char)c) || c == '_' || c == '$')
                return malformed(t, "unknown word; JSON has true, false and null, and text stands in \"");
        if (c == 0)
                return malformed(t, "a NUL byte; this is not a JSON text");
        return malformed(t, c >= 0x80 ? "an unexpected character; text stands in double quotes (\")"
                                      : "an unexpected character");
}

static enum err word_begin(struct json_tokenizer *t, enum json_token_type type, const char *word)
{
        t->token.type = type;
        t->word = word;
        t->word_at = 0;
        return go_on(t, WORD);
}

static enum err number_begin(struct json_tokenizer *t, struct str *in)
{
        char c = in->ptr[0];

        t->token.type = JSON_TOKEN_NUMBER;
        t->number = c == '-' ? MINUS : c == '0' ? ZERO : INTEGER;
        text_add(t, in->ptr, 1);
        advance(t, in, 1);
        return go_on(t, NUMBER);
}

static enum err punctuation(struct json_tokenizer *t, struct str *in, enum json_token_type type)
{
        t->token.type = type;
        advance(t, in, 1);
        return token_done(t);
}

static enum err token_begin(struct json_tokenizer *t, struct str *in)
{
        char c = in->ptr[0];

        t->token = (struct json_token){ .start = json_tokenizer_place(t) };
        t->text_len = 0;
        t->text_cut = false;
        switch (c) {
        case '{': return punctuation(t, in, JSON_TOKEN_OBJECT_BEGIN);
        case '}': return punctuation(t, in, JSON_TOKEN_OBJECT_END);
        case '[': return punctuation(t, in, JSON_TOKEN_ARRAY_BEGIN);
        case ']': return punctuation(t, in, JSON_TOKEN_ARRAY_END);
        case ':': return punctuation(t, in, JSON_TOKEN_COLON);
        case ',': return punctuation(t, in, JSON_TOKEN_COMMA);
        case 't': return word_begin(t, JSON_TOKEN_TRUE, "true");
        case 'f': return word_begin(t, JSON_TOKEN_FALSE, "false");
        case 'n': return word_begin(t, JSON_TOKEN_NULL, "null");
        case '"':
                t->token.type = JSON_TOKEN_STRING;
                advance(t, in, 1);
                return go_on(t, STRING);
        case '/':
                if (!(t->flags & JSON_TOKENS_COMMENTS))
                        break;
                advance(t, in, 1);
                return go_on(t, SLASH);
        default:
                if (c == '-' || ascii_is_digit(c))
                        return number_begin(t, in);
                break;
        }
        return stray(t, (unsigned char)c);
}

static enum err step_between(struct json_tokenizer *t, struct str *in)
{
        while (in->len) {
                char c = in->ptr[0];

                if (c == '\n')
                        line_end(t, in);
                else if (c == ' ' || c == '\t' || c == '\r')
                        advance(t, in, 1);
                else
                        return token_begin(t, in);
        }
        return ERR_AGAIN;
}

static enum err step(struct json_tokenizer *t, struct str *in)
{
        switch ((enum state)t->state) {
        case BETWEEN: return step_between(t, in);
        case STRING: return step_string(t, in);
        case STRING_ESCAPE: return step_escape(t, in);
        case STRING_HEX: return step_hex(t, in);
        case SEQUENCE: return step_sequence(t, in);
        case NUMBER: return step_number(t, in);
        case WORD: return step_word(t, in);
        case SLASH: return step_slash(t, in);
        case COMMENT_LINE:
        case COMMENT_BLOCK: return step_comment(t, in);
        case COMMENT_STAR: return step_star(t, in);
        case BROKEN: break;
        }
        return ERR_MALFORMED;
}

/* The text ends here: some tokens may end with it, others are cut short. */
static enum err text_end(struct json_tokenizer *t)
{
        enum state state = t->state == SEQUENCE ? t->after_sequence : t->state;

        switch (state) {
        case BETWEEN:
                t->token = (struct json_token){ .type = JSON_TOKEN_END, .start = json_tokenizer_place(t) };
                return token_done(t);
        case NUMBER: return number_end(t);
        case COMMENT_LINE:
                if (t->state == COMMENT_LINE)
                        return token_done(t);
                return malformed(t, "the text ends inside a character");
        case STRING:
        case STRING_ESCAPE:
        case STRING_HEX:
                return malformed_at(t, t->token.start, "this string is never closed; end it with \"");
        case WORD: return malformed_at(t, t->token.start, "the text ends inside a word");
        case SLASH: return malformed_at(t, t->token.start, "a comment begins with // or with /*");
        case COMMENT_BLOCK:
        case COMMENT_STAR:
                return malformed_at(t, t->token.start, "this comment is never closed; end it with */");
        case SEQUENCE:
        case BROKEN: break;
        }
        return ERR_MALFORMED;
}

enum err json_token_next(struct json_tokenizer *t, struct str *in, bool is_last, struct json_token *out)
{
        enum err e = t->state == BROKEN ? ERR_MALFORMED : ERR_AGAIN;

        while (e == ERR_AGAIN && in->len)
                e = step(t, in);
        if (e == ERR_AGAIN && is_last)
                e = text_end(t);
        if (e == ERR_OK)
                *out = t->token;
        return e;
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
        static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
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
                const char *name = memchr(names, inside.ptr[1], sizeof(names) - 1);
                assert(name);
                out[used++] = meanings[name - names];
                inside = str_from(inside, 2);
        }
        return used;
}
