#include "json/token.h"

#include "json/token_priv.h"

enum number { MINUS, ZERO, INTEGER, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, EXPONENT_DIGITS };

void json_tokenizer_init(struct json_tokenizer *t, unsigned flags)
{
        *t = (struct json_tokenizer){ .flags = flags, .state = BETWEEN, .line = 1 };
}

struct json_place json_tokenizer_place(const struct json_tokenizer *t)
{
        return (struct json_place){ t->offset, t->line, (uint32_t)(t->offset - t->line_start) + 1 };
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
                        return json_sequence_begin(t, in);
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
        switch ((enum json_token_state)t->state) {
        case BETWEEN: return step_between(t, in);
        case STRING: return json_string_step(t, in);
        case STRING_ESCAPE: return json_string_escape_step(t, in);
        case STRING_HEX: return json_string_hex_step(t, in);
        case SEQUENCE: return json_sequence_step(t, in);
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
        enum json_token_state state = t->state == SEQUENCE ? t->after_sequence : t->state;

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
