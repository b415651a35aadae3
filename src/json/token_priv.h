/*
 * json/token_priv.h - the state of a tokenizer and its small moves, for token.c and string.c.
 *
 * A step takes bytes off the front of *in, at least one unless it changes the state: ERR_AGAIN: go on; ERR_OK: t->token is
 * complete; ERR_MALFORMED.
 */
#pragma once

#include <string.h>

#include "json/token.h"

enum json_token_state {
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

static inline enum err malformed_at(struct json_tokenizer *t, struct json_place at, const char *text)
{
        t->problem = (struct json_problem){ at, text };
        t->state = BROKEN;
        return ERR_MALFORMED;
}

static inline enum err malformed(struct json_tokenizer *t, const char *text)
{
        return malformed_at(t, json_tokenizer_place(t), text);
}

static inline void advance(struct json_tokenizer *t, struct str *in, size_t n)
{
        in->ptr += n;
        in->len -= n;
        t->offset += n;
}

static inline void line_end(struct json_tokenizer *t, struct str *in)
{
        advance(t, in, 1);
        t->line++;
        t->line_start = t->offset;
}

/* The step of the current state is over, the token is not. */
static inline enum err go_on(struct json_tokenizer *t, enum json_token_state next)
{
        t->state = (uint8_t)next;
        return ERR_AGAIN;
}

static inline enum err token_done(struct json_tokenizer *t)
{
        t->token.end = t->offset;
        t->state = BETWEEN;
        return ERR_OK;
}

/* Keeps what a token says as far as the caller has room. */
static inline void text_add(struct json_tokenizer *t, const char *bytes, size_t n)
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

/* Inside a string, each for its state. */
enum err json_string_step(struct json_tokenizer *t, struct str *in);
enum err json_string_escape_step(struct json_tokenizer *t, struct str *in);
enum err json_string_hex_step(struct json_tokenizer *t, struct str *in);

/* A multi-byte character of a string or comment, which t->state says; it comes back to that state. */
enum err json_sequence_begin(struct json_tokenizer *t, struct str *in);
enum err json_sequence_step(struct json_tokenizer *t, struct str *in);
