/*
 * The scanner against the reader: the same bodies are well-formed, and the watched fields are those the tree has, at
 * the same bytes and with the same text, however the body is cut. The first byte of the input chooses the cut.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "json/reader.h"
#include "json/scanner.h"

enum { MEMORY_MAX = 64 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct str names[] = { STR_INIT("model"), STR_INIT("a"), STR_INIT("a.b"), STR_INIT("a.b.c"),
                                    STR_INIT("u.t") };

static enum err scan(struct json_scanner *s, struct str body, size_t step)
{
        enum err e = ERR_OK;

        while (e == ERR_OK && body.len) {
                e = json_scanner_feed(s, str_sub(body, 0, step));
                body = str_from(body, step);
        }
        return e == ERR_OK ? json_scanner_end(s) : e;
}

/* The value at a dotted path of keys in the tree. */
static const struct json_value *tree_find(const struct json_value *v, struct str path)
{
        struct str key;

        while (v && str_split(&path, '.', &key))
                v = json_find(v, key);
        return v;
}

static void field_check(const struct json_field *f, const struct json_value *v)
{
        assert((f != NULL) == (v != NULL));
        if (!f)
                return;
        assert(f->type == v->type && f->start == v->offset && f->end - f->start == v->raw.len);
        if (v->type == JSON_STRING || v->type == JSON_NUMBER) {
                struct str kept = json_field_text(f);

                assert(f->is_cut == (v->text.len > JSON_FIELD_TEXT_MAX));
                assert(str_eq(kept, str_sub(v->text, 0, JSON_FIELD_TEXT_MAX)));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct json_scanner s;
        const struct json_value *root = NULL;
        struct arena arena;
        struct report report;

        if (!size)
                return 0;
        struct str body = { (const char *)data + 1, size - 1 };
        struct json_options options = { .duplicates_allowed = true, .depth_max = JSON_SCAN_DEPTH_DEFAULT };

        json_scanner_init(&s, names, ARRAY_SIZE(names), 0, 0);
        enum err scanned = scan(&s, body, data[0] ? data[0] : SIZE_MAX);
        arena_init(&arena, NULL, 0, MEMORY_MAX);
        report_init(&report, STR(""));
        enum err read = json_read(&arena, body, &options, &report, &root);

        if (read == ERR_OK && scanned == ERR_OK) {
                for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                        field_check(json_scanner_find(&s, names[i]), tree_find(root, names[i]));
                assert(s.is_object == (root->type == JSON_OBJECT));
                assert(!s.is_object || s.is_empty == (root->count == 0));
        } else if (read == ERR_OK) { /* only a field that comes twice is worse to the scanner */
                options.duplicates_allowed = false;
                read = json_read(&arena, body, &options, NULL, &root);
                assert(s.culprit && read == ERR_MALFORMED);
        } else if (scanned == ERR_OK && read == ERR_MALFORMED) { /* only half a pair is worse to the reader */
                assert(strstr(report.entries[0].text.ptr, "surrogate"));
        }
        report_fini(&report);
        arena_fini(&arena);
        return 0;
}
