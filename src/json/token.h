/*
 * json/token.h - the one tokenizer: bytes in, tokens with their exact place out.
 *
 * Does:   strings (escapes, surrogate pairs, UTF-8), numbers, words, punctuation and, where allowed, comments; every
 *         token with offset, line and column. Input may come in pieces cut anywhere.
 *         Source: RFC 8259; comments as in huJSON (line and block comments of C).
 * Not:    which token may follow which (json/parser.h); it buffers no input and never allocates.
 * Thread: none; a value of its owner.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

enum json_token_type {
        JSON_TOKEN_END, /* the text is over; given again at each further call */
        JSON_TOKEN_OBJECT_BEGIN,
        JSON_TOKEN_OBJECT_END,
        JSON_TOKEN_ARRAY_BEGIN,
        JSON_TOKEN_ARRAY_END,
        JSON_TOKEN_COLON,
        JSON_TOKEN_COMMA,
        JSON_TOKEN_STRING,
        JSON_TOKEN_NUMBER,
        JSON_TOKEN_TRUE,
        JSON_TOKEN_FALSE,
        JSON_TOKEN_NULL,
        JSON_TOKEN_COMMENT_LINE, /* up to, without, the line end */
        JSON_TOKEN_COMMENT_BLOCK,
};

struct json_place {
        uint64_t offset;       /* bytes from the start of the text */
        uint32_t line, column; /* from 1; the column counts characters, not bytes */
};

struct json_token {
        enum json_token_type type;
        bool is_key;             /* set by json/parser.h */
        bool has_escapes;        /* string: what it means differs from its bytes */
        bool has_lone_surrogate; /* string, only with JSON_TOKENS_LONE_SURROGATES: it has no UTF-8 form */
        struct json_place start;
        uint64_t end; /* offset after its last byte */
};

/* What is wrong, and where: a sentence without a full stop, for a report or an answer. */
struct json_problem {
        struct json_place at;
        const char *text; /* static; NULL while all is well */
};

enum json_token_flags {
        JSON_TOKENS_COMMENTS = 1,        /* comments are tokens; otherwise they are errors */
        JSON_TOKENS_LONE_SURROGATES = 2, /* "\ud800" alone is let through (RFC 8259 8.2 leaves it open) */
        JSON_TOKENS_NO_NUL = 4,          /* "\u0000" is an error */
};

struct json_tokenizer {
        struct json_problem problem; /* set by ERR_MALFORMED */
        /*
         * Text of the string (decoded) or number in work, as far as it fits; the caller gives the room and may
         * change it between tokens. text_cut: there was more.
         */
        char *text;
        size_t text_max, text_len;
        bool text_cut;
        /* private */
        unsigned flags;
        uint8_t state, after_sequence, number, word_at;
        uint8_t sequence_left, sequence_low, sequence_high, sequence_len;
        uint8_t sequence[4];
        uint8_t hex_count;
        uint32_t hex, high_surrogate;
        const char *word;
        struct json_place escape_at;
        uint64_t offset, line_start;
        uint32_t line;
        struct json_token token;
};

void json_tokenizer_init(struct json_tokenizer *t, unsigned flags);

/*
 * Takes bytes off the front of *in up to the end of the next token.
 * ERR_OK: *out is that token. ERR_AGAIN: all of *in is taken; bring more, or say `is_last`: the text ends with *in.
 * ERR_MALFORMED: t->problem says what and where; every later call says it again.
 */
MUST_USE enum err json_token_next(struct json_tokenizer *t, struct str *in, bool is_last,
                                  struct json_token *out);

/* Where the next byte would stand. */
struct json_place json_tokenizer_place(const struct json_tokenizer *t);

/*
 * What the inside of a string token (without its quotes) means, written to `out`, which has room for inside.len bytes;
 * returns the length. Only for text a tokenizer accepted; a lone surrogate becomes U+FFFD.
 */
size_t json_unescape(struct str inside, char *out);
