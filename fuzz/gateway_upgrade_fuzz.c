#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/upgrade.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was found well-formed can be read to its very end, within the bounds the header names. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct upgrade_reader r;
        struct upgrade_entry e;
        size_t count = 0;

        if (upgrade_open(&r, (struct str){ (const char *)data, size }) != ERR_OK)
                return 0;
        while (upgrade_next(&r, &e)) {
                assert(e.fd >= 0 && e.text.len <= UPGRADE_TEXT_BYTES_MAX);
                count++;
        }
        assert(r.rest.len == 0 && count <= UPGRADE_ENTRIES_MAX);
        return 0;
}
