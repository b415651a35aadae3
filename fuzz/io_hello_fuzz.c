/* A ClientHello: what is read does not change when more comes, and every shorter beginning of it waits. */
#include <assert.h>
#include <string.h>

#include "io/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str bytes = { (const char *)data, size };
        struct hello h, shorter;
        enum err e = hello_read(bytes, &h);

        if (e == ERR_OK)
                for (size_t i = 0; i < h.name_len; i++)
                        assert(h.name[i] > ' ' && h.name[i] < 0x7f &&
                               !(h.name[i] >= 'A' && h.name[i] <= 'Z'));
        for (size_t len = size; len-- > 0 && size <= HELLO_BYTES_MAX;) {
                enum err before = hello_read(str_sub(bytes, 0, len), &shorter);

                if (before != ERR_AGAIN) { /* decided: then for good */
                        assert(before == e);
                        if (e == ERR_OK)
                                assert(str_eq(hello_name(&h), hello_name(&shorter)));
                        e = before;
                } else {
                        break;
                }
        }
        return 0;
}
