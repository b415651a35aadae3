/*
 * json/parser.h - the tokenizer with the grammar on top: which token may follow which.
 *
 * Does:   nesting up to a bound, keys told from values, huJSON's trailing commas. Input may come in pieces.
 * Not:    a tree (json/reader.h) nor duplicate keys: it remembers one bit a level and nothing else.
 * Thread: none; a value of its owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "json/token.h"

enum json_mode {
        JSON_STRICT, /* RFC 8259 */
        JSON_HUJSON, /* and comments, and a comma after the last member or element */
};

enum {
        JSON_DEPTH_MAX = 512,
        JSON_DEPTH_DEFAULT = 64
}; /* levels of nesting; the hard bound, and the usual one */

struct json_parser {
        struct json_tokenizer tokens; /* its `problem` is the grammar's too */
        uint32_t depth;               /* containers open after the last token */
        /* private */
        uint32_t depth_max;
        uint8_t expects;
        bool trailing_commas;
        uint64_t is_object[JSON_DEPTH_MAX / 64];
};

/* `token_flags` of json/token.h, besides what the mode implies. depth_max at most JSON_DEPTH_MAX; 0: the usual one. */
void json_parser_init(struct json_parser *p, enum json_mode mode, unsigned token_flags, uint32_t depth_max);

/*
 * As json_token_next, but only tokens that may stand there; strings that are keys say so in out->is_key.
 * JSON_TOKEN_END comes only after one whole value. ERR_TOO_LARGE: nested too deep. Both errors set tokens.problem.
 */
MUST_USE enum err json_parser_next(struct json_parser *p, struct str *in, bool is_last,
                                   struct json_token *out);

/* Whether the next token, comments aside, can be a key. */
bool json_parser_awaits_key(const struct json_parser *p);

/* Whether the value is complete: only white space and comments may follow. A number at the top ends with the text. */
bool json_parser_is_whole(const struct json_parser *p);
