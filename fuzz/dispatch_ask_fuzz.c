/* What callers ask to be sent: any text, read and refused without harm. */
#include <stddef.h>
#include <stdint.h>

#include "dispatch/ask.h"
#include "dispatch/result.h"
#include "json/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = { (const char *)data, size };
        const struct json_value *root;
        struct dispatch_ask ask;
        struct arena arena;
        struct buf problem;
        const char *why;

        arena_init(&arena, NULL, 0, 4 << 20);
        buf_init(&problem, 4096);
        if (json_read_strict(&arena, text, NULL, &root) == ERR_OK &&
            dispatch_ask_read(root, NULL, &arena, &ask, &problem) == ERR_OK) {
                struct dispatch_url next;
                struct str place = str_from(text, size / 2);

                if (ask.url.path.len == 0 || ask.url.path.ptr[0] != '/' || ask.url.authority.port == 0)
                        __builtin_trap();
                if (dispatch_url_resolve(&ask.url, place, &arena, &next, &why) == ERR_OK &&
                    (next.path.len == 0 || next.path.ptr[0] != '/'))
                        __builtin_trap();
        }
        buf_fini(&problem);
        arena_fini(&arena);
        return 0;
}
