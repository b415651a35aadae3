#include "json/scanner.h"

#include <assert.h>
#include <string.h>

/*
 * Theory of operation. A bit stands for a watched field. While the parser is in an object at depth d (1: the top),
 * candidates[d] are the fields whose first d - 1 keys led here. A key there leaves those whose d-th key it is
 * (`matched`): the one that has no more keys waits for the value (`pending`), the others are candidates in the object
 * that may follow. A field's path is gone through at most once, a second time is an error, so one bit a depth is
 * enough to know that a key came before.
 */

static void name_split(struct json_field *f, struct str name)
{
        struct str key;

        f->name = name;
        while (str_split(&name, '.', &key)) {
                assert(f->keys_count < JSON_FIELD_DEPTH_MAX && key.len && key.len <= JSON_FIELD_KEY_MAX);
                f->keys[f->keys_count++] = key;
        }
        assert(f->keys_count);
}

void json_scanner_init(struct json_scanner *s, const struct str *names, size_t names_count, unsigned flags,
                       uint32_t depth_max)
{
        assert(names_count <= JSON_FIELDS_MAX);
        *s = (struct json_scanner){ .flags = flags, .fields_count = names_count };
        s->depth_max = depth_max ? depth_max : JSON_SCAN_DEPTH_DEFAULT;
        for (size_t i = 0; i < names_count; i++) {
                name_split(&s->fields[i], names[i]);
                for (size_t j = 0; j < i; j++)
                        assert(!str_eq(names[i], names[j]));
        }
        json_scanner_reset(s);
}

void json_scanner_reset(struct json_scanner *s)
{
        json_parser_init(&s->parser, JSON_STRICT, JSON_TOKENS_LONE_SURROGATES, s->depth_max);
        for (size_t i = 0; i < s->fields_count; i++)
                s->fields[i].is_found = false;
        s->problem = (struct json_problem){ 0 };
        s->culprit = NULL;
        s->is_object = s->is_whole = false;
        s->is_empty = true;
        s->open_end = 0;
        s->matched = 0;
        s->pending = -1;
        memset(s->candidates, 0, sizeof(s->candidates));
        memset(s->seen, 0, sizeof(s->seen));
        memset(s->open, -1, sizeof(s->open));
}

static enum err refuse(struct json_scanner *s, struct json_place at, const struct json_field *culprit,
                       const char *text)
{
        s->problem = (struct json_problem){ at, text };
        s->culprit = culprit;
        return ERR_MALFORMED;
}

/* ---- keys ---- */

/* Whether two keys are the same to a parser that ignores case: ASCII, and the two letters that fold to it. */
static bool key_eq_folded(struct str key, struct str watched)
{
        size_t at = 0;

        for (size_t i = 0; i < watched.len; i++) {
                char c = ascii_lower(watched.ptr[i]);
                struct str rest = str_from(key, at);

                if (c == 's' && str_has_prefix(rest, STR("\xc5\xbf"))) /* U+017F */
                        at += 2;
                else if (c == 'k' && str_has_prefix(rest, STR("\xe2\x84\xaa"))) /* U+212A */
                        at += 3;
                else if (rest.len && ascii_lower(rest.ptr[0]) == c)
                        at++;
                else
                        return false;
        }
        return at == key.len;
}

static enum err key_take(struct json_scanner *s, const struct json_token *token)
{
        uint32_t depth = s->parser.depth;
        struct str key = { s->key, s->parser.tokens.text_len };

        s->matched = 0;
        s->pending = -1;
        if (depth == 1)
                s->is_empty = false;
        if (depth > JSON_FIELD_DEPTH_MAX || !s->candidates[depth] || s->parser.tokens.text_cut)
                return ERR_OK;
        for (size_t i = 0; i < s->fields_count; i++) {
                struct json_field *f = &s->fields[i];
                unsigned bit = 1u << i;

                if (!(s->candidates[depth] & bit))
                        continue;
                if (!str_eq(f->keys[depth - 1], key)) {
                        if (s->flags & JSON_SCAN_CASE_STRICT && key_eq_folded(key, f->keys[depth - 1]))
                                return refuse(
                                        s, token->start, f,
                                        "this key differs from a known one only in upper and lower case");
                        continue;
                }
                if (s->seen[depth] & bit)
                        return refuse(s, token->start, f, "this key stands twice in its object");
                s->seen[depth] |= (uint8_t)bit;
                s->matched |= (uint8_t)bit;
                if (f->keys_count == depth)
                        s->pending = (int8_t)i;
        }
        return ERR_OK;
}

/* ---- values ---- */

static void container_begin(struct json_scanner *s, const struct json_token *token)
{
        uint32_t depth = s->parser.depth; /* of the new container */
        bool is_object = token->type == JSON_TOKEN_OBJECT_BEGIN;

        if (depth == 1 && is_object) {
                s->is_object = true;
                s->open_end = token->end;
                s->matched = (uint8_t)((1u << s->fields_count) - 1);
        }
        if (s->pending >= 0) {
                struct json_field *f = &s->fields[s->pending];

                s->open[depth - 1] = s->pending;
                f->type = is_object ? JSON_OBJECT : JSON_ARRAY;
                f->start = token->start.offset;
                f->text_len = 0;
                f->is_cut = false;
        }
        if (depth < ARRAY_SIZE(s->candidates))
                s->candidates[depth] = is_object ? s->matched : 0;
        s->matched = 0;
        s->pending = -1;
}

static void container_end(struct json_scanner *s, const struct json_token *token)
{
        uint32_t depth = s->parser.depth; /* of what it stood in */

        if (depth >= ARRAY_SIZE(s->open) || s->open[depth] < 0)
                return;
        struct json_field *f = &s->fields[s->open[depth]];
        f->end = token->end;
        f->is_found = true;
        s->open[depth] = -1;
}

static void text_set(struct json_field *f, struct str text)
{
        memcpy(f->text, text.ptr, text.len);
        f->text_len = text.len;
}

static enum err scalar_take(struct json_scanner *s, const struct json_token *token)
{
        const struct json_tokenizer *t = &s->parser.tokens;

        s->matched = 0;
        if (s->pending < 0)
                return ERR_OK;
        struct json_field *f = &s->fields[s->pending];
        s->pending = -1;
        f->start = token->start.offset;
        f->end = token->end;
        f->is_cut = t->text_cut;
        f->text_len = t->text_len;
        switch (token->type) {
        case JSON_TOKEN_STRING:
                if (token->has_lone_surrogate)
                        return refuse(s, token->start, NULL, "this value holds half a surrogate pair");
                f->type = JSON_STRING;
                break;
        case JSON_TOKEN_NUMBER: f->type = JSON_NUMBER; break;
        case JSON_TOKEN_TRUE:
                f->type = JSON_BOOL;
                text_set(f, STR("true"));
                break;
        case JSON_TOKEN_FALSE:
                f->type = JSON_BOOL;
                text_set(f, STR("false"));
                break;
        default:
                f->type = JSON_NULL;
                text_set(f, STR("null"));
                break;
        }
        f->is_found = true;
        return ERR_OK;
}

/* Room for the text of the next token, if it is one to look at. Says the same however often a token is resumed. */
static void text_room(struct json_scanner *s)
{
        struct json_tokenizer *t = &s->parser.tokens;
        uint32_t depth = s->parser.depth;

        t->text_max = 0;
        if (s->pending >= 0) {
                t->text = s->fields[s->pending].text;
                t->text_max = JSON_FIELD_TEXT_MAX;
        } else if (depth <= JSON_FIELD_DEPTH_MAX && s->candidates[depth] &&
                   json_parser_awaits_key(&s->parser)) {
                t->text = s->key;
                t->text_max = sizeof(s->key);
        }
}

static enum err token_take(struct json_scanner *s, const struct json_token *token)
{
        switch (token->type) {
        case JSON_TOKEN_OBJECT_BEGIN:
        case JSON_TOKEN_ARRAY_BEGIN: container_begin(s, token); return ERR_OK;
        case JSON_TOKEN_OBJECT_END:
        case JSON_TOKEN_ARRAY_END: container_end(s, token); return ERR_OK;
        case JSON_TOKEN_STRING: return token->is_key ? key_take(s, token) : scalar_take(s, token);
        case JSON_TOKEN_NUMBER:
        case JSON_TOKEN_TRUE:
        case JSON_TOKEN_FALSE:
        case JSON_TOKEN_NULL: return scalar_take(s, token);
        default: return ERR_OK;
        }
}

static enum err scan(struct json_scanner *s, struct str chunk, bool is_last)
{
        struct json_token token = { .type = JSON_TOKEN_NULL };
        enum err e = ERR_OK;

        while (e == ERR_OK && token.type != JSON_TOKEN_END) {
                text_room(s);
                e = json_parser_next(&s->parser, &chunk, is_last, &token);
                if (e != ERR_OK && e != ERR_AGAIN)
                        s->problem = s->parser.tokens.problem;
                else if (e == ERR_OK)
                        e = token_take(s, &token);
        }
        s->is_whole = json_parser_is_whole(&s->parser);
        return e == ERR_AGAIN ? ERR_OK : e;
}

enum err json_scanner_feed(struct json_scanner *s, struct str chunk)
{
        return s->problem.text ? ERR_MALFORMED : scan(s, chunk, false);
}

enum err json_scanner_end(struct json_scanner *s)
{
        return s->problem.text ? ERR_MALFORMED : scan(s, STR_NULL, true);
}

/* ---- what was found ---- */

const struct json_field *json_scanner_find(const struct json_scanner *s, struct str name)
{
        const struct json_field *f = s->fields, *end = s->fields + s->fields_count;

        while (f < end && !str_eq(f->name, name))
                f++;
        assert(f < end); /* a name that init was given */
        return f->is_found ? f : NULL;
}

struct str json_field_text(const struct json_field *f)
{
        return (struct str){ f->text, f->text_len };
}

void json_field_replace(const struct json_field *f, struct str body, struct str json, struct str out[3])
{
        assert(f->is_found && f->start < f->end && f->end <= body.len);
        out[0] = str_sub(body, 0, (size_t)f->start);
        out[1] = json;
        out[2] = str_from(body, (size_t)f->end);
}

void json_scanner_insert(const struct json_scanner *s, struct str body, struct str member, struct str out[4])
{
        assert(s->is_object && s->is_whole && s->open_end <= body.len);
        out[0] = str_sub(body, 0, (size_t)s->open_end);
        out[1] = member;
        out[2] = s->is_empty ? STR_NULL : STR(",");
        out[3] = str_from(body, (size_t)s->open_end);
}
