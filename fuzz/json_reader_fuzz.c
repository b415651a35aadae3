/*
 * The strict reader: what it reads can be written and read again, huJSON reads it too, and a text cut into pieces
 * is the same to the parser as the whole.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "json/reader.h"
#include "json/writer.h"

enum { MEMORY_MAX = 64 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void numbers_ask(const struct json_value *v)
{
        uint64_t u;
        int64_t i;
        double d;

        if (json_get_int64(v, &i) == ERR_OK && json_get_uint64(v, &u) == ERR_OK)
                assert(i >= 0 && (uint64_t)i == u);
        (void)!json_get_double(v, &d);
        for (size_t n = 0; v->type == JSON_ARRAY && n < v->count; n++)
                numbers_ask(&v->items[n]);
        for (size_t n = 0; v->type == JSON_OBJECT && n < v->count; n++) {
                assert(json_find_member(v, v->members[n].key) == &v->members[n]);
                numbers_ask(&v->members[n].value);
        }
}

static void round_trip(struct arena *arena, const struct json_value *root, unsigned indent)
{
        const struct json_value *again;
        struct json_writer w;
        struct buf b;

        buf_init(&b, MEMORY_MAX);
        json_writer_init(&w, &b, indent);
        json_write_value(&w, root);
        json_writer_finish(&w);
        assert(!b.full);
        struct json_options options = { .bytes_max = MEMORY_MAX };
        enum err e = json_read(arena, buf_str(&b), &options, NULL, &again);
        assert(e == ERR_OK && json_eq(root, again));
        buf_fini(&b);
}

static enum err parse_in_pieces(struct str text, size_t step, enum json_mode mode)
{
        struct json_token token = { .type = JSON_TOKEN_NULL };
        struct json_parser parser;
        enum err e = ERR_AGAIN;

        json_parser_init(&parser, mode, 0, 0);
        while (e == ERR_AGAIN || (e == ERR_OK && token.type != JSON_TOKEN_END)) {
                struct str piece = str_sub(text, 0, step);

                text = str_from(text, step);
                do
                        e = json_parser_next(&parser, &piece, !text.len, &token);
                while (e == ERR_OK && token.type != JSON_TOKEN_END);
        }
        return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = { (const char *)data, size };
        const struct json_value *root, *other;
        struct arena arena;

        arena_init(&arena, NULL, 0, MEMORY_MAX);
        enum err whole = parse_in_pieces(text, SIZE_MAX, JSON_STRICT);
        assert(parse_in_pieces(text, 1, JSON_STRICT) == whole);
        assert(parse_in_pieces(text, 1 + size % 7, JSON_STRICT) == whole);

        enum err e = json_read_strict(&arena, text, NULL, &root);
        if (e == ERR_OK) {
                assert(whole == ERR_OK);
                numbers_ask(root);
                round_trip(&arena, root, JSON_COMPACT);
                round_trip(&arena, root, JSON_INDENT_TAB);
                e = json_read_hujson(&arena, text, NULL, &other);
                assert(e == ERR_OK && json_eq(root, other));
        }
        arena_fini(&arena);
        return 0;
}
