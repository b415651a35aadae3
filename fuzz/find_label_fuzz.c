/*
 * A container as the Engine lists it: what is offered stands within its bounds, and is nothing that could end a line.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "find/label.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void is_plain(struct str s)
{
        for (size_t i = 0; i < s.len; i++)
                assert((unsigned char)s.ptr[i] > ' ' && s.ptr[i] != '"' && s.ptr[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct json_value *item;
        struct label_offer o;
        const char *why = "";
        struct arena a;

        arena_init(&a, NULL, 0, 4 << 20);
        if (json_read_strict(&a, (struct str){ (const char *)data, size }, NULL, &item) == ERR_OK &&
            label_read(item, &a, &o, &why) == LABEL_OFFER) {
                assert(o.hosts_count && o.hosts_count <= LABEL_HOSTS_MAX && o.port && o.ip.family);
                assert(o.name.len && o.name.len <= LABEL_NAME_BYTES_MAX &&
                       o.path.len <= LABEL_PATH_BYTES_MAX);
                is_plain(o.name);
                is_plain(o.path);
                is_plain(o.url);
                for (size_t i = 0; i < o.hosts_count; i++)
                        is_plain(o.hosts[i]);
        }
        arena_fini(&a);
        return 0;
}
