/*
 * fuzz/link_derp_fuzz.c - any bytes as frames: whatever is taken lies in the input and within its type's bounds.
 */
#include <stdlib.h>

#include "link/derp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = { (const char *)data, size };
        struct link_derp_frame frame;
        const uint8_t *key;
        struct str packet;

        while (link_derp_read(in, &frame) == ERR_OK) {
                if (frame.bytes > in.len || frame.bytes < LINK_DERP_HEADER_BYTES ||
                    frame.bytes > LINK_DERP_FRAME_MAX ||
                    frame.body.ptr + frame.body.len != in.ptr + frame.bytes)
                        abort();
                if (frame.type == LINK_DERP_SEND &&
                    (link_derp_packet(frame.body, &key, &packet) != ERR_OK || packet.len == 0))
                        abort();
                in = str_from(in, frame.bytes);
        }
        return 0;
}
