#include "control/schema.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/report.h"
#include "base/units.h"

/* ---- reading ---- */

struct reading {
        unsigned flags;
        struct arena *arena;
        struct buf *problem;
};

static enum err object_read(struct reading *r, const struct schema *s, const struct json_value *v, void *out,
                            uint64_t *given);

static const struct schema_field *field_find(const struct schema *s, struct str name)
{
        for (size_t i = 0; i < s->fields_count; i++)
                if (str_eq(str_of(s->fields[i].name), name))
                        return &s->fields[i];
        return NULL;
}

static enum err unknown_say(struct reading *r, const struct schema *s, struct str name)
{
        struct str names[SCHEMA_FIELDS_MAX];
        size_t count = 0;
        const struct schema_field *known = field_find(s, name);

        for (size_t i = 0; i < s->fields_count; i++)
                if (s->fields[i].flags & r->flags)
                        names[count++] = str_of(s->fields[i].name);
        if (known) {
                buf_addf(r->problem, "\"%s\" cannot be set here", known->name);
                return ERR_MALFORMED;
        }
        struct str near = report_nearest(name, names, count);
        buf_addf(r->problem, "there is no member \"%.*s\"", STR_FMT(str_sub(name, 0, 64)));
        if (near.len)
                buf_addf(r->problem, " (did you mean \"%.*s\"?)", STR_FMT(near));
        return ERR_MALFORMED;
}

static enum err wrong(struct reading *r, const struct schema_field *f, const char *what)
{
        buf_addf(r->problem, "\"%s\" %s", f->name, what);
        return ERR_MALFORMED;
}

static enum err words_say(struct reading *r, const struct schema_field *f, struct str text)
{
        struct str words[32];
        size_t count = 0;

        buf_addf(r->problem, "\"%s\" must be one of", f->name);
        for (; count < ARRAY_SIZE(words) && f->words[count]; count++) {
                words[count] = str_of(f->words[count]);
                buf_addf(r->problem, "%s \"%s\"", count ? "," : "", f->words[count]);
        }
        struct str near = report_nearest(text, words, count);
        if (near.len)
                buf_addf(r->problem, " (did you mean \"%.*s\"?)", STR_FMT(near));
        return ERR_MALFORMED;
}

static enum err text_read(struct reading *r, const struct schema_field *f, const struct json_value *v,
                          struct str *out)
{
        struct str text = json_str(v);

        if (v->type != JSON_STRING)
                return wrong(r, f, "must be a string");
        if (text.len > (size_t)(f->max ? f->max : SCHEMA_TEXT_MAX)) {
                buf_addf(r->problem, "\"%s\" is longer than %" PRId64 " bytes", f->name,
                         f->max ? f->max : (int64_t)SCHEMA_TEXT_MAX);
                return ERR_MALFORMED;
        }
        for (size_t i = 0; i < text.len; i++)
                if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 127)
                        if (text.ptr[i] != '\n' && text.ptr[i] != '\t')
                                return wrong(r, f, "has a control character in it");
        for (size_t i = 0; f->words; i++) {
                if (!f->words[i])
                        return words_say(r, f, text);
                if (str_eq(text, str_of(f->words[i])))
                        break;
        }
        *out = text;
        return ERR_OK;
}

static enum err number_read(struct reading *r, const struct schema_field *f, const struct json_value *v,
                            int64_t *out)
{
        int64_t number;

        if (json_get_int64(v, &number) != ERR_OK)
                return wrong(r, f, "must be a whole number");
        if (number < f->min || (f->max && number > f->max)) {
                buf_addf(r->problem, "\"%s\" must be between %" PRId64 " and %" PRId64, f->name, f->min,
                         f->max);
                return ERR_MALFORMED;
        }
        *out = number;
        return ERR_OK;
}

static enum err time_read(struct reading *r, const struct schema_field *f, const struct json_value *v,
                          unix_ms *out)
{
        if (v->type != JSON_STRING || units_parse_time(json_str(v), out) != ERR_OK)
                return wrong(r, f, "must be a time such as \"2027-01-31T00:00:00Z\"");
        return ERR_OK;
}

static enum err items_count(struct reading *r, const struct schema_field *f, const struct json_value *v)
{
        int64_t max = f->max ? f->max : SCHEMA_ITEMS_MAX;

        if (v->type != JSON_ARRAY)
                return wrong(r, f, "must be an array");
        if (v->count > (size_t)max) {
                buf_addf(r->problem, "\"%s\" has more than %" PRId64 " items", f->name, max);
                return ERR_MALFORMED;
        }
        return ERR_OK;
}

static enum err texts_read(struct reading *r, const struct schema_field *f, const struct json_value *v,
                           struct schema_texts *out)
{
        struct schema_field item = { .name = f->name, .type = SCHEMA_TEXT, .words = f->words };
        enum err e = items_count(r, f, v);

        if (e != ERR_OK)
                return e;
        *out = (struct schema_texts){ ARENA_ARRAY(r->arena, struct str, v->count + 1), v->count };
        if (!out->items)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < v->count && e == ERR_OK; i++)
                e = text_read(r, &item, json_item(v, i), &out->items[i]);
        return e;
}

static enum err list_read(struct reading *r, const struct schema_field *f, const struct json_value *v,
                          struct schema_list *out)
{
        enum err e = items_count(r, f, v);
        uint64_t given;

        if (e != ERR_OK)
                return e;
        *out = (struct schema_list){
                arena_calloc(r->arena, v->count + 1, f->schema->bytes, _Alignof(max_align_t)), v->count
        };
        if (!out->items)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < v->count && e == ERR_OK; i++) {
                e = object_read(r, f->schema, json_item(v, i), (char *)out->items + i * f->schema->bytes,
                                &given);
                if (e == ERR_MALFORMED)
                        buf_addf(r->problem, " (in \"%s\", item %zu)", f->name, i + 1);
        }
        return e;
}

/* null is the value that is no value. */
static void field_clear(const struct schema_field *f, void *at)
{
        switch (f->type) {
        case SCHEMA_TEXT:
        case SCHEMA_JSON: *(struct str *)at = STR(""); break;
        case SCHEMA_NUMBER:
        case SCHEMA_TIME: *(int64_t *)at = 0; break;
        case SCHEMA_BOOL: *(bool *)at = false; break;
        case SCHEMA_TEXTS: *(struct schema_texts *)at = (struct schema_texts){ 0 }; break;
        case SCHEMA_LIST: *(struct schema_list *)at = (struct schema_list){ 0 }; break;
        case SCHEMA_OBJECT: memset(at, 0, f->schema->bytes); break;
        }
}

static enum err field_read(struct reading *r, const struct schema_field *f, const struct json_value *v,
                           void *at)
{
        uint64_t given;

        if (v->type == JSON_NULL) {
                field_clear(f, at);
                return ERR_OK;
        }
        switch (f->type) {
        case SCHEMA_TEXT: return text_read(r, f, v, at);
        case SCHEMA_NUMBER: return number_read(r, f, v, at);
        case SCHEMA_BOOL:
                if (v->type != JSON_BOOL)
                        return wrong(r, f, "must be true or false");
                *(bool *)at = v->boolean;
                return ERR_OK;
        case SCHEMA_TIME: return time_read(r, f, v, at);
        case SCHEMA_TEXTS: return texts_read(r, f, v, at);
        case SCHEMA_JSON:
                if (v->type != JSON_OBJECT)
                        return wrong(r, f, "must be an object");
                if (v->raw.len > SCHEMA_JSON_MAX)
                        return wrong(r, f, "is larger than 32 KiB");
                *(struct str *)at = v->raw;
                return ERR_OK;
        case SCHEMA_LIST: return list_read(r, f, v, at);
        case SCHEMA_OBJECT: return object_read(r, f->schema, v, at, &given);
        }
        return ERR_MALFORMED;
}

static enum err object_read(struct reading *r, const struct schema *s, const struct json_value *v, void *out,
                            uint64_t *given)
{
        assert(s->fields_count <= SCHEMA_FIELDS_MAX);
        *given = 0;
        if (v->type != JSON_OBJECT) {
                buf_add(r->problem, STR("an object is expected"));
                return ERR_MALFORMED;
        }
        for (size_t i = 0; i < v->count; i++) {
                const struct json_member *m = &v->members[i];
                const struct schema_field *f = field_find(s, m->key);
                enum err e;

                if (!f || !(f->flags & r->flags))
                        return unknown_say(r, s, m->key);
                if ((e = field_read(r, f, &m->value, (char *)out + f->offset)) != ERR_OK)
                        return e;
                *given |= UINT64_C(1) << (f - s->fields);
        }
        for (size_t i = 0; r->flags & SCHEMA_IN && i < s->fields_count; i++)
                if (s->fields[i].flags & SCHEMA_NEEDED && !(*given & UINT64_C(1) << i)) {
                        buf_addf(r->problem, "\"%s\" is missing", s->fields[i].name);
                        return ERR_MALFORMED;
                }
        return ERR_OK;
}

enum err schema_read(const struct schema *s, unsigned flags, const struct json_value *object,
                     struct arena *arena, void *out, uint64_t *given, struct buf *problem)
{
        struct reading r = { flags, arena, problem };

        return object_read(&r, s, object, out, given);
}

bool schema_has(const struct schema *s, uint64_t given, const char *name)
{
        const struct schema_field *f = field_find(s, str_of(name));

        assert(f);
        return given & UINT64_C(1) << (f - s->fields);
}

/* ---- writing ---- */

static void time_write(struct json_writer *w, unix_ms when)
{
        char text[UNITS_TIME_TEXT_MAX];

        if (when)
                json_write_str(w, units_format_time(when, text));
        else
                json_write_null(w);
}

static void field_write(const struct schema_field *f, const void *at, bool with_secrets,
                        struct json_writer *w)
{
        const struct schema_texts *texts = at;
        const struct schema_list *list = at;

        switch (f->type) {
        case SCHEMA_TEXT: json_write_str(w, *(const struct str *)at); break;
        case SCHEMA_NUMBER: json_write_int(w, *(const int64_t *)at); break;
        case SCHEMA_BOOL: json_write_bool(w, *(const bool *)at); break;
        case SCHEMA_TIME: time_write(w, *(const unix_ms *)at); break;
        case SCHEMA_TEXTS:
                json_write_array_begin(w);
                for (size_t i = 0; i < texts->count; i++)
                        json_write_str(w, texts->items[i]);
                json_write_array_end(w);
                break;
        case SCHEMA_JSON:
                json_write_raw(w, ((const struct str *)at)->len ? *(const struct str *)at : STR("{}"));
                break;
        case SCHEMA_LIST:
                json_write_array_begin(w);
                for (size_t i = 0; i < list->count; i++)
                        schema_write(f->schema, (const char *)list->items + i * f->schema->bytes,
                                     with_secrets, w);
                json_write_array_end(w);
                break;
        case SCHEMA_OBJECT: schema_write(f->schema, at, with_secrets, w); break;
        }
}

void schema_write_members(const struct schema *s, const void *in, bool with_secrets, struct json_writer *w)
{
        for (size_t i = 0; i < s->fields_count; i++) {
                const struct schema_field *f = &s->fields[i];
                const void *at = (const char *)in + f->offset;

                if (!(f->flags & SCHEMA_OUT) && !(with_secrets && f->flags & SCHEMA_ONCE))
                        continue;
                if (f->flags & SCHEMA_ONCE && (!with_secrets || !((const struct str *)at)->len))
                        continue;
                json_write_key(w, str_of(f->name));
                field_write(f, at, with_secrets, w);
        }
}

void schema_write(const struct schema *s, const void *in, bool with_secrets, struct json_writer *w)
{
        json_write_object_begin(w);
        schema_write_members(s, in, with_secrets, w);
        json_write_object_end(w);
}

/* ---- describing ---- */

static void words_describe(const struct schema_field *f, struct json_writer *w)
{
        if (!f->words)
                return;
        json_write_member_array_begin(w, STR("enum"));
        for (size_t i = 0; f->words[i]; i++)
                json_write_str(w, str_of(f->words[i]));
        json_write_array_end(w);
}

static void type_describe(const struct schema_field *f, unsigned flags, struct json_writer *w)
{
        switch (f->type) {
        case SCHEMA_TEXT:
                json_write_member_str(w, STR("type"), STR("string"));
                if (flags != SCHEMA_OUT)
                        json_write_member_int(w, STR("maxLength"), f->max ? f->max : SCHEMA_TEXT_MAX);
                words_describe(f, w);
                break;
        case SCHEMA_NUMBER:
                json_write_member_str(w, STR("type"), STR("integer"));
                if (flags != SCHEMA_OUT)
                        json_write_member_int(w, STR("minimum"), f->min);
                if (flags != SCHEMA_OUT && f->max)
                        json_write_member_int(w, STR("maximum"), f->max);
                break;
        case SCHEMA_BOOL: json_write_member_str(w, STR("type"), STR("boolean")); break;
        case SCHEMA_TIME:
                json_write_member_raw(w, STR("type"), STR("[\"string\",\"null\"]"));
                json_write_member_str(w, STR("format"), STR("date-time"));
                break;
        case SCHEMA_TEXTS:
                json_write_member_str(w, STR("type"), STR("array"));
                json_write_member_object_begin(w, STR("items"));
                json_write_member_str(w, STR("type"), STR("string"));
                words_describe(f, w);
                json_write_object_end(w);
                break;
        case SCHEMA_JSON: json_write_member_str(w, STR("type"), STR("object")); break;
        case SCHEMA_LIST:
                json_write_member_str(w, STR("type"), STR("array"));
                json_write_key(w, STR("items"));
                schema_describe(f->schema, flags, w);
                break;
        case SCHEMA_OBJECT: break;
        }
}

static void field_describe(const struct schema_field *f, unsigned flags, struct json_writer *w)
{
        json_write_key(w, str_of(f->name));
        if (f->type == SCHEMA_OBJECT) {
                schema_describe(f->schema, flags, w);
                return;
        }
        json_write_object_begin(w);
        type_describe(f, flags, w);
        if (f->doc)
                json_write_member_str(w, STR("description"), str_of(f->doc));
        json_write_object_end(w);
}

static bool is_shown(const struct schema_field *f, unsigned flags)
{
        return (f->flags & flags) != 0 || (flags & SCHEMA_OUT && f->flags & SCHEMA_ONCE);
}

void schema_describe(const struct schema *s, unsigned flags, struct json_writer *w)
{
        bool has_needed = false;

        json_write_object_begin(w);
        json_write_member_str(w, STR("type"), STR("object"));
        if (s->doc)
                json_write_member_str(w, STR("description"), str_of(s->doc));
        json_write_member_object_begin(w, STR("properties"));
        for (size_t i = 0; i < s->fields_count; i++) {
                if (is_shown(&s->fields[i], flags))
                        field_describe(&s->fields[i], flags, w);
                has_needed |= (s->fields[i].flags & SCHEMA_NEEDED) != 0;
        }
        json_write_object_end(w);
        if (flags != SCHEMA_OUT)
                json_write_member_bool(w, STR("additionalProperties"), false);
        if (flags & SCHEMA_IN && has_needed) {
                json_write_member_array_begin(w, STR("required"));
                for (size_t i = 0; i < s->fields_count; i++)
                        if (s->fields[i].flags & SCHEMA_NEEDED)
                                json_write_str(w, str_of(s->fields[i].name));
                json_write_array_end(w);
        }
        json_write_object_end(w);
}
