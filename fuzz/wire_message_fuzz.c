/*
 * A message of the push channel from anybody: what is read is written and read again as the same.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "wire/message.h"

enum { MEMORY_MAX = 16 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = { (const char *)data, size };
        struct wire_message m, again;
        const char *why = NULL;
        struct arena arena;
        struct buf one, two;

        arena_init(&arena, NULL, 0, MEMORY_MAX);
        enum err e = wire_message_read(&arena, text, &m, &why);
        if (e == ERR_OK && m.type != WIRE_UNKNOWN && m.type != WIRE_DOCUMENT && m.type != WIRE_CHANGE) {
                buf_init(&one, MEMORY_MAX);
                buf_init(&two, MEMORY_MAX);
                wire_message_write(&m, &one);
                /* Escapes may make it longer than a message may be. */
                if (one.len <= WIRE_SMALL_MAX) {
                        e = wire_message_read(&arena, buf_str(&one), &again, &why);
                        assert(e == ERR_OK && again.type == m.type);
                        wire_message_write(&again, &two);
                        assert(one.len == two.len && memcmp(one.ptr, two.ptr, one.len) == 0);
                }
                buf_fini(&one);
                buf_fini(&two);
        } else if (e != ERR_OK) {
                assert(why);
        }
        arena_fini(&arena);
        return 0;
}
