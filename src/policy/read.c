#include <stdarg.h>
#include <stdio.h>

#include "policy/read_priv.h"

enum { HINTS_MAX = 20, HINT_NAMES_MAX = 4096, MEMBERS_MAX = 64 };

struct policy_place policy_place_of(const struct json_value *v)
{
        return v ? (struct policy_place){ v->line, v->column } : (struct policy_place){ 0, 0 };
}

void policy_fault_at(struct policy_reader *r, struct policy_place at, const char *format, ...)
{
        char text[768];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        report_error(r->report, at.line, at.column, "%s", text);
}

void policy_fault(struct policy_reader *r, const struct json_value *v, const char *format, ...)
{
        char text[768];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        report_error(r->report, v ? v->line : 0, v ? v->column : 0, "%s", text);
}

void *policy_read_alloc(struct policy_reader *r, size_t count, size_t size, size_t align)
{
        void *memory = arena_calloc(r->arena, count ? count : 1, size, align);

        if (!memory)
                r->no_memory = true;
        return memory;
}

const char *policy_hint(const struct policy_reader *r, struct str word, const struct str *names, size_t count,
                        char out[160])
{
        struct str near = STR_NULL;

        if (r->report->errors_count + r->report->warnings_count < HINTS_MAX)
                near = report_nearest(word, names, MIN(count, (size_t)HINT_NAMES_MAX));
        out[0] = '\0';
        if (near.len)
                snprintf(out, 160, " (did you mean \"%.*s\"?)", (int)MIN(near.len, (size_t)120), near.ptr);
        return out;
}

static void member_unknown(struct policy_reader *r, const struct json_member *m, const char *what,
                           const struct policy_member *members, size_t count)
{
        struct str names[MEMBERS_MAX];
        char hint[160];

        for (size_t i = 0; i < count && i < MEMBERS_MAX; i++)
                names[i] = members[i].name;
        policy_hint(r, m->key, names, MIN(count, (size_t)MEMBERS_MAX), hint);
        policy_fault_at(r, (struct policy_place){ m->key_line, m->key_column },
                        "unknown field \"%.*s\" in %s%s", (int)MIN(m->key.len, (size_t)64), m->key.ptr, what,
                        hint);
}

void policy_read_object(struct policy_reader *r, const struct json_value *v, const char *what,
                        const struct policy_member *members, size_t members_count, void *into)
{
        bool seen[MEMBERS_MAX] = { 0 };

        if (!policy_read_is(r, v, JSON_OBJECT, what))
                return;
        for (size_t i = 0; i < v->count; i++) {
                const struct json_member *m = &v->members[i];
                size_t at = 0;

                while (at < members_count && !str_eq_nocase(m->key, members[at].name))
                        at++;
                if (at == members_count) {
                        member_unknown(r, m, what, members, members_count);
                        continue;
                }
                if (seen[at]) { /* in other capitals: JSON saw two keys; what it fills has room for one */
                        policy_fault_at(r, (struct policy_place){ m->key_line, m->key_column },
                                        "the key \"%.*s\" stands twice in %s; keep one", STR_FMT(m->key),
                                        what);
                        continue;
                }
                seen[at] = true;
                if (members[at].read && !json_is(&m->value, JSON_NULL))
                        members[at].read(r, into, &m->value);
        }
}

bool policy_read_is(struct policy_reader *r, const struct json_value *v, enum json_type type,
                    const char *what)
{
        if (!v || json_is(v, JSON_NULL))
                return false;
        if (json_is(v, type))
                return true;
        policy_fault(r, v, "%s must be %s, not %s", what, json_type_text(type), json_type_text(v->type));
        return false;
}

void policy_read_text(struct policy_reader *r, const struct json_value *v, const char *what, struct str *out)
{
        if (policy_read_is(r, v, JSON_STRING, what))
                *out = json_str(v);
}

void policy_read_flag(struct policy_reader *r, const struct json_value *v, const char *what, bool *out)
{
        if (policy_read_is(r, v, JSON_BOOL, what))
                *out = v->boolean;
}

void policy_read_texts(struct policy_reader *r, const struct json_value *v, const char *what,
                       struct str **out, size_t *count)
{
        *count = 0;
        if (!policy_read_is(r, v, JSON_ARRAY, what) || !(*out = READ_ARRAY(r, struct str, v->count)))
                return;
        for (size_t i = 0; i < v->count; i++) {
                if (json_is(&v->items[i], JSON_STRING))
                        (*out)[(*count)++] = json_str(&v->items[i]);
                else
                        policy_fault(r, &v->items[i], "%s must hold texts, not %s", what,
                                     json_type_text(v->items[i].type));
        }
}

void policy_read_aliases(struct policy_reader *r, const struct json_value *v, const char *what,
                         struct policy_aliases *out)
{
        *out = (struct policy_aliases){ 0 };
        if (!policy_read_is(r, v, JSON_ARRAY, what) ||
            !(out->items = READ_ARRAY(r, struct policy_alias, v->count)))
                return;
        for (size_t i = 0; i < v->count; i++) {
                const struct json_value *item = &v->items[i];

                if (json_is(item, JSON_STRING))
                        out->items[out->count++] =
                                policy_alias_parse(json_str(item), item->line, item->column);
                else
                        policy_fault(r, item, "%s must hold names, not %s", what, json_type_text(item->type));
        }
}
