#include "json/pointer.h"

#include <assert.h>
#include <stdint.h>

#include "base/units.h"

bool json_pointer_is_valid(struct str pointer)
{
        if (pointer.len && pointer.ptr[0] != '/')
                return false;
        for (size_t i = 0; i < pointer.len; i++)
                if (pointer.ptr[i] == '~' &&
                    (i + 1 == pointer.len || (pointer.ptr[i + 1] != '0' && pointer.ptr[i + 1] != '1')))
                        return false;
        return str_is_utf8(pointer);
}

bool json_pointer_split(struct str *pointer, struct str *part)
{
        if (!pointer->len)
                return false;
        assert(pointer->ptr[0] == '/');
        struct str rest = str_from(*pointer, 1);
        size_t end = MIN(str_find_char(rest, '/'), rest.len);

        *part = str_sub(rest, 0, end);
        *pointer = str_from(rest, end);
        return true;
}

struct str json_pointer_parent(struct str pointer, struct str *last)
{
        size_t slash = pointer.len;

        do
                assert(slash);
        while (pointer.ptr[--slash] != '/');
        *last = str_from(pointer, slash + 1);
        return str_sub(pointer, 0, slash);
}

bool json_pointer_part_is(struct str part, struct str key)
{
        size_t at = 0;

        for (size_t i = 0; i < part.len; i++, at++) {
                char c = part.ptr[i];

                if (c == '~')
                        c = part.ptr[++i] == '0' ? '~' : '/';
                if (at == key.len || key.ptr[at] != c)
                        return false;
        }
        return at == key.len;
}

void json_pointer_decode(struct buf *out, struct str part)
{
        for (size_t i = 0; i < part.len; i++)
                if (part.ptr[i] == '~')
                        buf_add_char(out, part.ptr[++i] == '0' ? '~' : '/');
                else
                        buf_add_char(out, part.ptr[i]);
}

void json_pointer_encode(struct buf *out, struct str key)
{
        buf_add_char(out, '/');
        for (size_t i = 0; i < key.len; i++)
                if (key.ptr[i] == '~' || key.ptr[i] == '/')
                        buf_add(out, key.ptr[i] == '~' ? STR("~0") : STR("~1"));
                else
                        buf_add_char(out, key.ptr[i]);
}

enum err json_pointer_index(struct str part, size_t *out)
{
        uint64_t index;
        enum err e;

        if (part.len > 1 && part.ptr[0] == '0')
                return ERR_MALFORMED;
        if ((e = units_parse_u64(part, SIZE_MAX, &index)) != ERR_OK)
                return e;
        *out = (size_t)index;
        return ERR_OK;
}

static const struct json_value *member_at(const struct json_value *object, struct str part)
{
        if (str_find_char(part, '~') == STR_NONE)
                return json_find(object, part);
        for (size_t i = object->count; i-- > 0;)
                if (json_pointer_part_is(part, object->members[i].key))
                        return &object->members[i].value;
        return NULL;
}

const struct json_value *json_pointer_step(const struct json_value *v, struct str part)
{
        size_t index;

        if (json_is(v, JSON_OBJECT))
                return member_at(v, part);
        return json_pointer_index(part, &index) == ERR_OK ? json_item(v, index) : NULL;
}

const struct json_value *json_pointer_find(const struct json_value *root, struct str pointer)
{
        struct str part;

        if (!json_pointer_is_valid(pointer))
                return NULL;
        while (root && json_pointer_split(&pointer, &part))
                root = json_pointer_step(root, part);
        return root;
}
