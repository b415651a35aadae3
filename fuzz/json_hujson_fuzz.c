/*
 * huJSON: what is read can be written, laid out, minimised and standardised, each time meaning the same; the layout is
 * its own layout, and standard texts keep every offset.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "json/format.h"
#include "json/reader.h"
#include "json/writer.h"

enum { MEMORY_MAX = 64 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct json_value *root, struct str text, enum json_mode mode)
{
        struct json_options options = { .mode = mode, .bytes_max = MEMORY_MAX };
        const struct json_value *other;
        struct arena arena;

        arena_init(&arena, NULL, 0, MEMORY_MAX);
        enum err e = json_read(&arena, text, &options, NULL, &other);
        assert(e == ERR_OK && json_eq(root, other));
        arena_fini(&arena);
}

static void layout_check(const struct json_value *root, struct str text, unsigned indent)
{
        struct buf b, again;

        buf_init(&b, MEMORY_MAX);
        buf_init(&again, MEMORY_MAX);
        enum err e = json_format(text, indent, &b, NULL);
        assert(e == ERR_OK);
        same(root, buf_str(&b), JSON_HUJSON);
        e = json_format(buf_str(&b), indent, &again, NULL);
        assert(e == ERR_OK && str_eq(buf_str(&b), buf_str(&again)));
        buf_fini(&b);
        buf_fini(&again);
}

static void plain_check(const struct json_value *root, struct str text)
{
        struct json_writer w;
        struct buf b;

        buf_init(&b, MEMORY_MAX);
        json_writer_init(&w, &b, JSON_COMPACT);
        json_write_value(&w, root);
        json_writer_finish(&w);
        same(root, buf_str(&b), JSON_STRICT);
        buf_clear(&b);
        enum err e = json_minimize(text, &b, NULL);
        assert(e == ERR_OK);
        same(root, buf_str(&b), JSON_STRICT);
        buf_clear(&b);
        e = json_standardize(text, &b, NULL);
        assert(e == ERR_OK && b.len == text.len);
        same(root, buf_str(&b), JSON_STRICT);
        buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = { (const char *)data, size };
        const struct json_value *root;
        struct arena arena;

        arena_init(&arena, NULL, 0, MEMORY_MAX);
        if (json_read_hujson(&arena, text, NULL, &root) == ERR_OK) {
                layout_check(root, text, JSON_INDENT_TAB);
                layout_check(root, text, 2);
                plain_check(root, text);
        }
        arena_fini(&arena);
        return 0;
}
