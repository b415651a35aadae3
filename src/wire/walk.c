#include "wire/walk_priv.h"

#include <string.h>

#include "json/value.h"

void wire_walk_init(struct wire_walk *w, struct str text)
{
        json_parser_init(&w->parser, JSON_STRICT, 0, 0);
        w->text = w->rest = text;
        w->is_open = false;
}

static enum err next_token(struct wire_walk *w, struct json_token *out)
{
        bool is_key = w->parser.depth == 1 && json_parser_awaits_key(&w->parser); /* ours, not a value's */

        w->parser.tokens.text = is_key ? w->key : NULL;
        w->parser.tokens.text_max = is_key ? sizeof(w->key) : 0;
        return json_parser_next(&w->parser, &w->rest, true, out) == ERR_OK ? ERR_OK : ERR_MALFORMED;
}

/* The whole of a value, whatever it holds. */
static enum err take_value(struct wire_walk *w, struct str *out)
{
        uint32_t depth = w->parser.depth;
        struct json_token token;

        if (next_token(w, &token) != ERR_OK)
                return ERR_MALFORMED;
        size_t start = (size_t)token.start.offset;
        while (w->parser.depth > depth)
                if (next_token(w, &token) != ERR_OK)
                        return ERR_MALFORMED;
        *out = str_sub(w->text, start, (size_t)token.end - start);
        return ERR_OK;
}

enum err wire_walk_next(struct wire_walk *w, struct wire_member *out)
{
        struct json_token token;

        if (!w->is_open) {
                if (next_token(w, &token) != ERR_OK || token.type != JSON_TOKEN_OBJECT_BEGIN)
                        return ERR_MALFORMED;
                w->is_open = true;
        }
        do
                if (next_token(w, &token) != ERR_OK)
                        return ERR_MALFORMED;
        while (token.type == JSON_TOKEN_COMMA);
        if (token.type == JSON_TOKEN_OBJECT_END)
                return next_token(w, &token) == ERR_OK && token.type == JSON_TOKEN_END ? ERR_NOT_FOUND
                                                                                       : ERR_MALFORMED;
        out->is_long = w->parser.tokens.text_cut;
        out->key = out->is_long ? STR("") : (struct str){ w->key, w->parser.tokens.text_len };
        if (next_token(w, &token) != ERR_OK || token.type != JSON_TOKEN_COLON)
                return ERR_MALFORMED;
        return take_value(w, &out->value);
}

bool wire_raw_text(struct str raw, struct str *out)
{
        if (raw.len < 2 || raw.ptr[0] != '"')
                return false;
        *out = str_sub(raw, 1, raw.len - 2);
        return str_find_char(*out, '\\') == STR_NONE;
}

bool wire_raw_uint(struct str raw, uint64_t max, uint64_t *out)
{
        return raw.len > 0 && ascii_is_digit(raw.ptr[0]) && json_number_uint64(raw, out) == ERR_OK &&
               *out <= max;
}
