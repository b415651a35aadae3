#include "json/value.h"

#include <assert.h>
#include <string.h>

#include "json/parser.h"

const char *json_type_text(enum json_type type)
{
        switch (type) {
        case JSON_NULL: return "null";
        case JSON_BOOL: return "a boolean";
        case JSON_NUMBER: return "a number";
        case JSON_STRING: return "a string";
        case JSON_ARRAY: return "an array";
        case JSON_OBJECT: return "an object";
        }
        return "a value";
}

/* ---- look-ups ---- */

static const struct json_member *find_sorted(const struct json_value *object, struct str key)
{
        size_t low = 0, high = object->count; /* the first entry above key lies in [low, high] */

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (str_cmp(object->by_key[middle]->key, key) <= 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low && str_eq(object->by_key[low - 1]->key, key) ? object->by_key[low - 1] : NULL;
}

const struct json_member *json_find_member(const struct json_value *object, struct str key)
{
        if (!json_is(object, JSON_OBJECT))
                return NULL;
        if (object->by_key)
                return find_sorted(object, key);
        for (size_t i = object->count; i-- > 0;)
                if (str_eq(object->members[i].key, key))
                        return &object->members[i];
        return NULL;
}

const struct json_value *json_find(const struct json_value *object, struct str key)
{
        const struct json_member *member = json_find_member(object, key);

        return member ? &member->value : NULL;
}

const struct json_value *json_item(const struct json_value *array, size_t index)
{
        return json_is(array, JSON_ARRAY) && index < array->count ? &array->items[index] : NULL;
}

bool json_is(const struct json_value *v, enum json_type type)
{
        return v && v->type == type;
}

struct str json_str(const struct json_value *v)
{
        return json_is(v, JSON_STRING) ? v->text : STR_NULL;
}

bool json_bool(const struct json_value *v, bool otherwise)
{
        return json_is(v, JSON_BOOL) ? v->boolean : otherwise;
}

enum err json_get_int64(const struct json_value *v, int64_t *out)
{
        return json_is(v, JSON_NUMBER) ? json_number_int64(v->text, out) : ERR_MALFORMED;
}

enum err json_get_uint64(const struct json_value *v, uint64_t *out)
{
        return json_is(v, JSON_NUMBER) ? json_number_uint64(v->text, out) : ERR_MALFORMED;
}

enum err json_get_double(const struct json_value *v, double *out)
{
        return json_is(v, JSON_NUMBER) ? json_number_double(v->text, out) : ERR_MALFORMED;
}

/* ---- equality ---- */

static bool eq_within(const struct json_value *a, const struct json_value *b, unsigned depth);

static bool objects_eq(const struct json_value *a, const struct json_value *b, unsigned depth)
{
        for (size_t i = 0; i < a->count; i++) {
                const struct json_value *other = json_find(b, a->members[i].key);

                if (!other || !eq_within(&a->members[i].value, other, depth - 1))
                        return false;
        }
        return true;
}

static bool arrays_eq(const struct json_value *a, const struct json_value *b, unsigned depth)
{
        for (size_t i = 0; i < a->count; i++)
                if (!eq_within(&a->items[i], &b->items[i], depth - 1))
                        return false;
        return true;
}

/* Recursion, but no deeper than the reader lets a tree be. */
static bool eq_within(const struct json_value *a, const struct json_value *b, unsigned depth)
{
        assert(depth);
        if (a->type != b->type || a->count != b->count)
                return false;
        switch (a->type) {
        case JSON_NULL: return true;
        case JSON_BOOL: return a->boolean == b->boolean;
        case JSON_NUMBER: return json_number_eq(a->text, b->text);
        case JSON_STRING: return str_eq(a->text, b->text);
        case JSON_ARRAY: return arrays_eq(a, b, depth);
        case JSON_OBJECT: return objects_eq(a, b, depth);
        }
        return false;
}

bool json_eq(const struct json_value *a, const struct json_value *b)
{
        return eq_within(a, b, JSON_DEPTH_MAX + 1);
}
