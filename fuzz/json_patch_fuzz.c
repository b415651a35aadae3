/*
 * Edits of huJSON. An input is a text, then, after a byte 0xff, a patch: what the patch gives must be a text. Without a
 * patch each value of the text is replaced, removed and put back, and a new one is added and taken out at each place:
 * the text must mean what it meant, and outside a replaced value not a byte may differ.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "json/patch.h"
#include "json/pointer.h"

enum { MEMORY_MAX = 64 * 1024 * 1024, EDITED_MAX = 300 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct json_options hujson = { .mode = JSON_HUJSON };

static void same(struct str a, struct str b)
{
        const struct json_value *x, *y;
        struct arena arena;

        arena_init(&arena, NULL, 0, MEMORY_MAX);
        enum err e = json_read(&arena, a, &hujson, NULL, &x);
        assert(e == ERR_OK);
        e = json_read(&arena, b, &hujson, NULL, &y);
        assert(e == ERR_OK && json_eq(x, y));
        arena_fini(&arena);
}

static void add_and_remove(struct str text, struct str pointer, struct buf *b, struct buf *c)
{
        buf_clear(b);
        buf_clear(c);
        enum err e = json_patch_add(text, &hujson, pointer, STR("{ //\n}"), b, NULL);
        if (e == ERR_TOO_LARGE) /* one level too deep now */
                return;
        assert(e == ERR_OK);
        e = json_patch_remove(buf_str(b), &hujson, pointer, c, NULL);
        assert(e == ERR_OK);
        same(text, buf_str(c));
}

static void change(struct str text, struct str pointer, const struct json_value *v, struct buf *b,
                   struct buf *c)
{
        buf_clear(b);
        enum err e = json_patch_replace(text, &hujson, pointer, STR("0"), b, NULL);
        assert(e == ERR_OK);
        assert(str_eq(str_sub(buf_str(b), 0, v->offset), str_sub(text, 0, v->offset)));
        assert(str_eq(str_from(buf_str(b), v->offset + 1), str_from(text, v->offset + v->raw.len)));

        buf_clear(b);
        buf_clear(c);
        e = json_patch_remove(text, &hujson, pointer, b, NULL);
        assert(e == ERR_OK);
        e = json_patch_add(buf_str(b), &hujson, pointer, v->raw, c, NULL);
        assert(e == ERR_OK);
        same(text, buf_str(c));
}

static void change_below(struct str text, const struct json_value *v, struct buf *pointer, struct buf *b,
                         struct buf *c)
{
        size_t len = pointer->len;

        if (v->type != JSON_ARRAY && v->type != JSON_OBJECT)
                return;
        for (size_t i = 0; i <= v->count; i++) {
                bool is_object = v->type == JSON_OBJECT;

                if (!is_object)
                        buf_addf(pointer, "/%zu", i);
                else
                        json_pointer_encode(pointer, i < v->count ? v->members[i].key : STR("new"));
                if (!is_object || (i == v->count && !json_find(v, STR("new"))))
                        add_and_remove(text, buf_str(pointer), b, c);
                if (i < v->count) {
                        const struct json_value *child = is_object ? &v->members[i].value : &v->items[i];
                        change(text, buf_str(pointer), child, b, c);
                        change_below(text, child, pointer, b, c);
                }
                pointer->len = len;
        }
}

static void change_everywhere(struct str text)
{
        const struct json_value *root;
        struct buf pointer, b, c;
        struct arena arena;

        arena_init(&arena, NULL, 0, MEMORY_MAX);
        buf_init(&pointer, MEMORY_MAX);
        buf_init(&b, MEMORY_MAX);
        buf_init(&c, MEMORY_MAX);
        if (text.len <= EDITED_MAX && json_read(&arena, text, &hujson, NULL, &root) == ERR_OK)
                change_below(text, root, &pointer, &b, &c);
        buf_fini(&pointer);
        buf_fini(&b);
        buf_fini(&c);
        arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = { (const char *)data, size };
        size_t split = str_find_char(text, '\xff');
        struct buf out;

        if (split == STR_NONE) {
                change_everywhere(text);
                return 0;
        }
        buf_init(&out, MEMORY_MAX);
        struct str patch = str_from(text, split + 1);
        if (json_patch_apply(str_sub(text, 0, split), &hujson, patch, &out, NULL) == ERR_OK)
                same(buf_str(&out), buf_str(&out));
        else
                assert(!out.len);
        buf_fini(&out);
        return 0;
}
