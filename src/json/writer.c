#include "json/writer.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/escape.h"

void json_writer_init(struct json_writer *w, struct buf *out, unsigned indent)
{
        assert(indent <= JSON_INDENT_TAB);
        *w = (struct json_writer){ .out = out, .indent = indent };
}

void json_writer_finish(struct json_writer *w)
{
        assert(w->is_whole && !w->depth);
        w->out = NULL;
}

static bool in_object(const struct json_writer *w)
{
        return w->depth && (w->is_object[(w->depth - 1) / 64] >> (w->depth - 1) % 64 & 1);
}

static void new_line(struct json_writer *w)
{
        static const char spaces[] = "                ";

        if (w->indent == JSON_COMPACT)
                return;
        buf_add_char(w->out, '\n');
        if (w->indent == JSON_INDENT_TAB) {
                for (unsigned i = 0; i < w->depth; i++)
                        buf_add_char(w->out, '\t');
                return;
        }
        for (size_t left = (size_t)w->indent * w->depth; left;) {
                size_t n = MIN(left, sizeof(spaces) - 1);

                buf_add(w->out, (struct str){ spaces, n });
                left -= n;
        }
}

static void separate(struct json_writer *w)
{
        if (!w->is_first)
                buf_add_char(w->out, ',');
        w->is_first = false;
        new_line(w);
}

/* What comes before a value, wherever it stands. */
static void value_begin(struct json_writer *w)
{
        assert(!w->is_whole);
        if (in_object(w)) {
                assert(w->has_key);
                w->has_key = false;
        } else if (w->depth) {
                separate(w);
        }
        w->is_whole = w->depth == 0;
}

static void container_begin(struct json_writer *w, bool is_object)
{
        uint64_t bit = UINT64_C(1) << w->depth % 64;

        assert(w->depth < JSON_WRITE_DEPTH_MAX);
        value_begin(w);
        w->is_whole = false;
        if (is_object)
                w->is_object[w->depth / 64] |= bit;
        else
                w->is_object[w->depth / 64] &= ~bit;
        w->depth++;
        w->is_first = true;
        buf_add_char(w->out, is_object ? '{' : '[');
}

static void container_end(struct json_writer *w, bool is_object)
{
        assert(w->depth && in_object(w) == is_object && !w->has_key);
        w->depth--;
        if (!w->is_first)
                new_line(w);
        buf_add_char(w->out, is_object ? '}' : ']');
        w->is_first = false;
        w->is_whole = w->depth == 0;
}

void json_write_object_begin(struct json_writer *w)
{
        container_begin(w, true);
}

void json_write_object_end(struct json_writer *w)
{
        container_end(w, true);
}

void json_write_array_begin(struct json_writer *w)
{
        container_begin(w, false);
}

void json_write_array_end(struct json_writer *w)
{
        container_end(w, false);
}

static void quoted(struct json_writer *w, struct str text)
{
        buf_add_char(w->out, '"');
        escape_json(w->out, text);
        buf_add_char(w->out, '"');
}

void json_write_key(struct json_writer *w, struct str key)
{
        assert(in_object(w) && !w->has_key);
        separate(w);
        quoted(w, key);
        buf_add(w->out, w->indent == JSON_COMPACT ? STR(":") : STR(": "));
        w->has_key = true;
}

void json_write_raw(struct json_writer *w, struct str json)
{
        assert(json.len);
        value_begin(w);
        buf_add(w->out, json);
}

void json_write_null(struct json_writer *w)
{
        json_write_raw(w, STR("null"));
}

void json_write_bool(struct json_writer *w, bool value)
{
        json_write_raw(w, value ? STR("true") : STR("false"));
}

void json_write_str(struct json_writer *w, struct str value)
{
        value_begin(w);
        quoted(w, value);
}

void json_write_int(struct json_writer *w, int64_t value)
{
        value_begin(w);
        buf_addf(w->out, "%lld", (long long)value);
}

void json_write_uint(struct json_writer *w, uint64_t value)
{
        value_begin(w);
        buf_addf(w->out, "%llu", (unsigned long long)value);
}

/* The program never sets a locale, so the decimal point is a point. */
void json_write_double(struct json_writer *w, double value)
{
        char text[40];

        if (!isfinite(value)) {
                json_write_null(w);
                return;
        }
        for (int digits = 15; digits <= 17; digits++) {
                snprintf(text, sizeof(text), "%.*g", digits, value);
                double again = strtod(text, NULL);
                if (!(again < value) && !(again > value))
                        break;
        }
        json_write_raw(w, str_of(text));
}

/* Recursion no deeper than the reader let the tree be. */
static void object_write(struct json_writer *w, const struct json_value *object)
{
        json_write_object_begin(w);
        for (size_t i = 0; i < object->count; i++) {
                json_write_key(w, object->members[i].key);
                json_write_value(w, &object->members[i].value);
        }
        json_write_object_end(w);
}

static void array_write(struct json_writer *w, const struct json_value *array)
{
        json_write_array_begin(w);
        for (size_t i = 0; i < array->count; i++)
                json_write_value(w, &array->items[i]);
        json_write_array_end(w);
}

void json_write_value(struct json_writer *w, const struct json_value *value)
{
        switch (value->type) {
        case JSON_NULL: json_write_null(w); break;
        case JSON_BOOL: json_write_bool(w, value->boolean); break;
        case JSON_NUMBER: json_write_raw(w, value->text); break;
        case JSON_STRING: json_write_str(w, value->text); break;
        case JSON_ARRAY: array_write(w, value); break;
        case JSON_OBJECT: object_write(w, value); break;
        }
}

void json_write_member_null(struct json_writer *w, struct str key)
{
        json_write_key(w, key);
        json_write_null(w);
}

void json_write_member_bool(struct json_writer *w, struct str key, bool value)
{
        json_write_key(w, key);
        json_write_bool(w, value);
}

void json_write_member_str(struct json_writer *w, struct str key, struct str value)
{
        json_write_key(w, key);
        json_write_str(w, value);
}

void json_write_member_int(struct json_writer *w, struct str key, int64_t value)
{
        json_write_key(w, key);
        json_write_int(w, value);
}

void json_write_member_uint(struct json_writer *w, struct str key, uint64_t value)
{
        json_write_key(w, key);
        json_write_uint(w, value);
}

void json_write_member_double(struct json_writer *w, struct str key, double value)
{
        json_write_key(w, key);
        json_write_double(w, value);
}

void json_write_member_raw(struct json_writer *w, struct str key, struct str json)
{
        json_write_key(w, key);
        json_write_raw(w, json);
}

void json_write_member_object_begin(struct json_writer *w, struct str key)
{
        json_write_key(w, key);
        json_write_object_begin(w);
}

void json_write_member_array_begin(struct json_writer *w, struct str key)
{
        json_write_key(w, key);
        json_write_array_begin(w);
}
