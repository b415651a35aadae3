#include "json/reader.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/*
 * Theory of operation. Values wait in `pending`, a stack, until their container closes; then its children, the top of
 * the stack, move to the arena as one array. An open container lies on the stack as an entry whose `count` holds the
 * index of the container around it, so nesting takes no other stack and no recursion.
 */
enum { MEMBERS_SORTED_MIN = 9, PENDING_MIN = 64, NAME_SHOWN_MAX = 64 };

struct reader {
        struct arena *arena;
        struct report *report;
        struct json_options options;
        struct str text;
        struct json_parser parser;
        struct json_member *pending;
        size_t pending_count, pending_cap;
        size_t open;     /* index of the innermost open container; SIZE_MAX: none */
        bool key_is_set; /* the top entry has its key and waits for its value */
};

static size_t or_default(size_t limit, size_t otherwise)
{
        return limit ? limit : otherwise;
}

/* ---- errors ---- */

static enum err no_memory(struct reader *r)
{
        if (r->report)
                report_error(r->report, 0, 0, "the text needs more memory than it may take");
        return ERR_NO_MEMORY;
}

static enum err over_limit(struct reader *r, struct json_place at, const char *what, size_t limit)
{
        if (r->report)
                report_error(r->report, at.line, at.column, "%s than the limit of %zu", what, limit);
        return ERR_TOO_LARGE;
}

static enum err parser_failed(struct reader *r, enum err e)
{
        struct json_problem problem = r->parser.tokens.problem;

        if (e == ERR_TOO_LARGE)
                return over_limit(r, problem.at, "nested deeper", r->options.depth_max);
        if (r->report)
                report_error(r->report, problem.at.line, problem.at.column, "%s", problem.text);
        return e;
}

static enum err duplicate(struct reader *r, const struct json_member *first, const struct json_member *again)
{
        struct str name = str_sub(again->key, 0, NAME_SHOWN_MAX);

        /* Not in the middle of a character. */
        while (name.len < again->key.len && name.len &&
               ((unsigned char)again->key.ptr[name.len] & 0xc0) == 0x80)
                name.len--;
        if (r->report)
                report_error(r->report, again->key_line, again->key_column,
                             "the key \"%.*s\" stands twice in this object, first on line %u; keep one",
                             STR_FMT(name), first->key_line);
        return ERR_MALFORMED;
}

/* ---- strings ---- */

static enum err string_decode(struct reader *r, struct str raw, bool has_escapes, struct str *out)
{
        struct str inside = { raw.ptr + 1, raw.len - 2 };

        *out = inside;
        if (!has_escapes)
                return ERR_OK;
        char *text = arena_alloc(r->arena, inside.len, 1); /* decoding never makes it longer */
        if (!text)
                return no_memory(r);
        *out = (struct str){ text, json_unescape(inside, text) };
        return ERR_OK;
}

/* ---- the stack ---- */

static enum err pending_push(struct reader *r, const struct json_token *token)
{
        size_t values_max = r->options.values_max;

        if (r->pending_count == r->pending_cap) {
                size_t cap = MIN(MAX(r->pending_cap * 2, (size_t)PENDING_MIN), values_max);
                if (cap == r->pending_cap)
                        return over_limit(r, token->start, "more values", values_max);
                struct json_member *grown = realloc(r->pending, cap * sizeof(*grown));
                if (!grown)
                        return no_memory(r);
                r->pending = grown;
                r->pending_cap = cap;
        }
        memset(&r->pending[r->pending_count++], 0, sizeof(*r->pending));
        return ERR_OK;
}

static enum err key_add(struct reader *r, const struct json_token *token, struct str raw)
{
        enum err e;

        if (r->pending_count - r->open - 1 == r->options.keys_max)
                return over_limit(r, token->start, "more members in one object", r->options.keys_max);
        if ((e = pending_push(r, token)) != ERR_OK)
                return e;
        struct json_member *member = &r->pending[r->pending_count - 1];
        member->key_raw = raw;
        member->key_line = token->start.line;
        member->key_column = token->start.column;
        member->key_offset = (size_t)token->start.offset;
        r->key_is_set = true;
        return string_decode(r, raw, token->has_escapes, &member->key);
}

/* An entry for a value that begins with `token`. */
static enum err value_add(struct reader *r, const struct json_token *token, struct json_value **out)
{
        enum err e;

        if (!r->key_is_set && (e = pending_push(r, token)) != ERR_OK)
                return e;
        r->key_is_set = false;
        struct json_value *v = &r->pending[r->pending_count - 1].value;
        v->line = token->start.line;
        v->column = token->start.column;
        v->offset = (size_t)token->start.offset;
        *out = v;
        return ERR_OK;
}

/* ---- containers ---- */

static int compare_keys(const void *a, const void *b)
{
        const struct json_member *left = *(const struct json_member *const *)a;
        const struct json_member *right = *(const struct json_member *const *)b;
        int order = str_cmp(left->key, right->key);

        return order ? order : left < right ? -1 : 1; /* members lie in the order of the text */
}

/* Sorted, so that neither the check for duplicates nor a look-up depends on which keys a stranger chose. */
static enum err keys_sort(struct reader *r, struct json_value *object)
{
        const struct json_member **by_key =
                arena_alloc(r->arena, object->count * sizeof(*by_key), _Alignof(void *));
        const struct json_member *again = NULL, *first = NULL;

        if (!by_key)
                return no_memory(r);
        for (size_t i = 0; i < object->count; i++)
                by_key[i] = &object->members[i];
        qsort(by_key, object->count, sizeof(*by_key), compare_keys);
        for (size_t i = 1; i < object->count; i++)
                if (str_eq(by_key[i - 1]->key, by_key[i]->key) && (!again || by_key[i] < again)) {
                        first = by_key[i - 1];
                        again = by_key[i];
                }
        object->by_key = by_key;
        return again && !r->options.duplicates_allowed ? duplicate(r, first, again) : ERR_OK;
}

static enum err keys_check(struct reader *r, struct json_value *object)
{
        if (object->count >= MEMBERS_SORTED_MIN)
                return keys_sort(r, object);
        for (size_t i = 1; i < object->count && !r->options.duplicates_allowed; i++)
                for (size_t j = 0; j < i; j++)
                        if (str_eq(object->members[i].key, object->members[j].key))
                                return duplicate(r, &object->members[j], &object->members[i]);
        return ERR_OK;
}

static enum err object_fill(struct reader *r, struct json_value *object, const struct json_member *children)
{
        struct json_member *members =
                arena_alloc(r->arena, object->count * sizeof(*members), _Alignof(struct json_member));

        if (!members)
                return no_memory(r);
        memcpy(members, children, object->count * sizeof(*members));
        object->members = members;
        return keys_check(r, object);
}

static enum err array_fill(struct reader *r, struct json_value *array, const struct json_member *children)
{
        struct json_value *items =
                arena_alloc(r->arena, array->count * sizeof(*items), _Alignof(struct json_value));

        if (!items)
                return no_memory(r);
        for (size_t i = 0; i < array->count; i++)
                items[i] = children[i].value;
        array->items = items;
        return ERR_OK;
}

static enum err container_begin(struct reader *r, const struct json_token *token)
{
        struct json_value *v;
        enum err e = value_add(r, token, &v);

        if (e != ERR_OK)
                return e;
        v->type = token->type == JSON_TOKEN_OBJECT_BEGIN ? JSON_OBJECT : JSON_ARRAY;
        v->count = r->open;
        r->open = r->pending_count - 1;
        return ERR_OK;
}

static enum err container_end(struct reader *r, const struct json_token *token)
{
        struct json_value *v = &r->pending[r->open].value;
        const struct json_member *children = &r->pending[r->open + 1];
        size_t around = v->count;

        v->count = r->pending_count - r->open - 1;
        v->raw = str_sub(r->text, v->offset, (size_t)token->end - v->offset);
        r->pending_count = r->open + 1;
        r->open = around;
        if (v->count == 0)
                return ERR_OK;
        return v->type == JSON_OBJECT ? object_fill(r, v, children) : array_fill(r, v, children);
}

/* ---- values ---- */

static enum err scalar_add(struct reader *r, const struct json_token *token, struct str raw)
{
        struct json_value *v;
        enum err e = value_add(r, token, &v);

        if (e != ERR_OK)
                return e;
        v->raw = raw;
        switch (token->type) {
        case JSON_TOKEN_STRING:
                v->type = JSON_STRING;
                return string_decode(r, raw, token->has_escapes, &v->text);
        case JSON_TOKEN_NUMBER:
                v->type = JSON_NUMBER;
                v->text = raw;
                return ERR_OK;
        case JSON_TOKEN_TRUE:
        case JSON_TOKEN_FALSE:
                v->type = JSON_BOOL;
                v->boolean = token->type == JSON_TOKEN_TRUE;
                return ERR_OK;
        default: v->type = JSON_NULL; return ERR_OK;
        }
}

static enum err token_take(struct reader *r, const struct json_token *token)
{
        struct str raw =
                str_sub(r->text, (size_t)token->start.offset, (size_t)(token->end - token->start.offset));

        switch (token->type) {
        case JSON_TOKEN_OBJECT_BEGIN:
        case JSON_TOKEN_ARRAY_BEGIN: return container_begin(r, token);
        case JSON_TOKEN_OBJECT_END:
        case JSON_TOKEN_ARRAY_END: return container_end(r, token);
        case JSON_TOKEN_STRING:
                if (token->is_key)
                        return key_add(r, token, raw);
                return scalar_add(r, token, raw);
        case JSON_TOKEN_NUMBER:
        case JSON_TOKEN_TRUE:
        case JSON_TOKEN_FALSE:
        case JSON_TOKEN_NULL: return scalar_add(r, token, raw);
        default: return ERR_OK;
        }
}

static enum err read_all(struct reader *r)
{
        struct json_token token = { .type = JSON_TOKEN_NULL };
        struct str in = r->text;
        enum err e;

        if (r->text.len > r->options.bytes_max)
                return over_limit(r, (struct json_place){ 0 }, "more bytes of text", r->options.bytes_max);
        while (token.type != JSON_TOKEN_END) {
                if ((e = json_parser_next(&r->parser, &in, true, &token)) != ERR_OK)
                        return parser_failed(r, e);
                if ((e = token_take(r, &token)) != ERR_OK)
                        return e;
        }
        return ERR_OK;
}

enum err json_read(struct arena *arena, struct str text, const struct json_options *options,
                   struct report *report, const struct json_value **root)
{
        static const struct json_options strict = { .mode = JSON_STRICT };
        struct reader r = { .arena = arena, .report = report, .text = text, .open = SIZE_MAX };

        r.options = options ? *options : strict;
        r.options.depth_max = r.options.depth_max ? r.options.depth_max : JSON_DEPTH_DEFAULT;
        r.options.bytes_max = or_default(r.options.bytes_max, JSON_BYTES_DEFAULT);
        r.options.values_max = or_default(r.options.values_max, JSON_VALUES_DEFAULT);
        r.options.keys_max = or_default(r.options.keys_max, JSON_KEYS_DEFAULT);
        json_parser_init(&r.parser, r.options.mode, r.options.nul_refused ? JSON_TOKENS_NO_NUL : 0,
                         r.options.depth_max);

        enum err e = read_all(&r);
        if (e == ERR_OK) {
                struct json_value *kept = arena_alloc(arena, sizeof(*kept), _Alignof(struct json_value));
                assert(r.pending_count == 1);
                if (kept) {
                        *kept = r.pending[0].value;
                        *root = kept;
                } else {
                        e = no_memory(&r);
                }
        }
        free(r.pending);
        return e;
}

enum err json_read_strict(struct arena *arena, struct str text, struct report *report,
                          const struct json_value **root)
{
        return json_read(arena, text, &(struct json_options){ .mode = JSON_STRICT }, report, root);
}

enum err json_read_hujson(struct arena *arena, struct str text, struct report *report,
                          const struct json_value **root)
{
        return json_read(arena, text, &(struct json_options){ .mode = JSON_HUJSON }, report, root);
}
