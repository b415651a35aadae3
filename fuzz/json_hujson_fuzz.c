/* The huJSON reader: what it reads can be written as strict JSON that means the same. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "json/reader.h"
#include "json/writer.h"

enum { MEMORY_MAX = 64 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = { (const char *)data, size };
        const struct json_value *root, *again;
        struct json_writer w;
        struct arena arena;
        struct buf b;

        arena_init(&arena, NULL, 0, MEMORY_MAX);
        buf_init(&b, MEMORY_MAX);
        if (json_read_hujson(&arena, text, NULL, &root) == ERR_OK) {
                json_writer_init(&w, &b, JSON_COMPACT);
                json_write_value(&w, root);
                json_writer_finish(&w);
                enum err e = json_read_strict(&arena, buf_str(&b), NULL, &again);
                assert(e == ERR_OK && json_eq(root, again));
        }
        buf_fini(&b);
        arena_fini(&arena);
        return 0;
}
