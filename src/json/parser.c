#include "json/parser.h"

#include <assert.h>

enum expects {
        VALUE,        /* the text's value */
        MEMBER_VALUE, /* after a colon */
        ITEM,         /* after a comma in an array */
        ITEM_OR_END,  /* after [ */
        KEY,          /* after a comma in an object */
        KEY_OR_END,   /* after { */
        COLON,
        COMMA_OR_END,
        NOTHING, /* the value is whole */
};

void json_parser_init(struct json_parser *p, enum json_mode mode, unsigned token_flags, uint32_t depth_max)
{
        assert(depth_max <= JSON_DEPTH_MAX);
        *p = (struct json_parser){ .depth_max = depth_max ? depth_max : JSON_DEPTH_DEFAULT,
                                   .expects = VALUE };
        p->trailing_commas = mode == JSON_HUJSON;
        json_tokenizer_init(&p->tokens, token_flags | (mode == JSON_HUJSON ? JSON_TOKENS_COMMENTS : 0));
}

bool json_parser_awaits_key(const struct json_parser *p)
{
        return p->expects == KEY || p->expects == KEY_OR_END;
}

bool json_parser_is_whole(const struct json_parser *p)
{
        return p->expects == NOTHING;
}

static bool in_object(const struct json_parser *p)
{
        return p->depth && (p->is_object[(p->depth - 1) / 64] >> (p->depth - 1) % 64 & 1);
}

static enum err refuse(struct json_parser *p, const struct json_token *token, const char *text)
{
        p->tokens.problem = (struct json_problem){ token->start, text };
        return ERR_MALFORMED;
}

/* What would have been right where `token` stands. */
static const char *expected_text(const struct json_parser *p, const struct json_token *token)
{
        bool is_end = token->type == JSON_TOKEN_END;

        switch ((enum expects)p->expects) {
        case VALUE:
                return is_end ? "the text is empty; a JSON value is expected" : "a value is expected here";
        case MEMBER_VALUE: return "a value is expected after the colon";
        case ITEM:
                if (token->type == JSON_TOKEN_ARRAY_END)
                        return "strict JSON has no comma before ]; remove it";
                return is_end ? "this array is never closed; end it with ]"
                              : "a value is expected after the comma";
        case ITEM_OR_END:
                return is_end ? "this array is never closed; end it with ]" : "a value or ] is expected here";
        case KEY:
                if (token->type == JSON_TOKEN_OBJECT_END)
                        return "strict JSON has no comma before }; remove it";
                return is_end ? "this object is never closed; end it with }"
                              : "a key in double quotes is expected after the comma";
        case KEY_OR_END:
                return is_end ? "this object is never closed; end it with }"
                              : "a key in double quotes or } is expected here";
        case COLON: return "a colon is expected after the key";
        case COMMA_OR_END:
                if (in_object(p))
                        return is_end ? "this object is never closed; end it with }"
                                      : "a comma or } is missing here";
                return is_end ? "this array is never closed; end it with ]" : "a comma or ] is missing here";
        case NOTHING: break;
        }
        return "there is more text after the end of the value; remove it";
}

static enum err unexpected(struct json_parser *p, const struct json_token *token)
{
        return refuse(p, token, expected_text(p, token));
}

/* A value, or a container, is complete. */
static void value_done(struct json_parser *p)
{
        p->expects = p->depth ? COMMA_OR_END : NOTHING;
}

static bool awaits_value(const struct json_parser *p)
{
        return p->expects == VALUE || p->expects == MEMBER_VALUE || p->expects == ITEM ||
               p->expects == ITEM_OR_END;
}

static enum err container_begin(struct json_parser *p, const struct json_token *token)
{
        uint64_t bit = UINT64_C(1) << p->depth % 64;
        bool is_object = token->type == JSON_TOKEN_OBJECT_BEGIN;

        if (!awaits_value(p))
                return unexpected(p, token);
        if (p->depth == p->depth_max) {
                refuse(p, token, "nested too deep");
                return ERR_TOO_LARGE;
        }
        if (is_object)
                p->is_object[p->depth / 64] |= bit;
        else
                p->is_object[p->depth / 64] &= ~bit;
        p->depth++;
        p->expects = is_object ? KEY_OR_END : ITEM_OR_END;
        return ERR_OK;
}

static enum err container_end(struct json_parser *p, const struct json_token *token)
{
        bool is_object = token->type == JSON_TOKEN_OBJECT_END;
        enum expects after_comma = is_object ? KEY : ITEM, after_begin = is_object ? KEY_OR_END : ITEM_OR_END;

        bool fits = p->depth && in_object(p) == is_object &&
                    (p->expects == COMMA_OR_END || p->expects == after_begin ||
                     (p->expects == after_comma && p->trailing_commas));
        if (!fits)
                return unexpected(p, token);
        p->depth--;
        value_done(p);
        return ERR_OK;
}

static enum err scalar(struct json_parser *p, struct json_token *token)
{
        if (token->type == JSON_TOKEN_STRING && json_parser_awaits_key(p)) {
                token->is_key = true;
                p->expects = COLON;
                return ERR_OK;
        }
        if (!awaits_value(p))
                return unexpected(p, token);
        value_done(p);
        return ERR_OK;
}

static enum err take(struct json_parser *p, struct json_token *token)
{
        switch (token->type) {
        case JSON_TOKEN_COMMENT_LINE:
        case JSON_TOKEN_COMMENT_BLOCK: return ERR_OK;
        case JSON_TOKEN_OBJECT_BEGIN:
        case JSON_TOKEN_ARRAY_BEGIN: return container_begin(p, token);
        case JSON_TOKEN_OBJECT_END:
        case JSON_TOKEN_ARRAY_END: return container_end(p, token);
        case JSON_TOKEN_COLON:
                if (p->expects != COLON)
                        return unexpected(p, token);
                p->expects = MEMBER_VALUE;
                return ERR_OK;
        case JSON_TOKEN_COMMA:
                if (p->expects != COMMA_OR_END)
                        return unexpected(p, token);
                p->expects = in_object(p) ? KEY : ITEM;
                return ERR_OK;
        case JSON_TOKEN_STRING:
        case JSON_TOKEN_NUMBER:
        case JSON_TOKEN_TRUE:
        case JSON_TOKEN_FALSE:
        case JSON_TOKEN_NULL: return scalar(p, token);
        case JSON_TOKEN_END: break;
        }
        return p->expects == NOTHING ? ERR_OK : unexpected(p, token);
}

enum err json_parser_next(struct json_parser *p, struct str *in, bool is_last, struct json_token *out)
{
        enum err e = p->tokens.problem.text ? ERR_MALFORMED : json_token_next(&p->tokens, in, is_last, out);

        return e == ERR_OK ? take(p, out) : e;
}
