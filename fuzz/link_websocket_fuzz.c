/*
 * fuzz/link_websocket_fuzz.c - any bytes as WebSocket, whole and in pieces: both give the same stream.
 */
#include <stdlib.h>
#include <string.h>

#include "link/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t take(const uint8_t *data, size_t size, bool is_client, size_t piece, enum err *end)
{
        struct link_ws w = { .is_client = is_client };
        uint8_t *in = malloc(size ? size : 1);
        size_t have = 0, given = 0;
        uint64_t sum = 0;
        enum err e = ERR_AGAIN;

        while (given < size && e == ERR_AGAIN) {
                size_t n = piece < size - given ? piece : size - given;
                struct link_ws_part part;
                memcpy(in + have, data + given, n);
                have += n;
                given += n;
                while ((e = link_ws_read(&w, in, have, &part)) == ERR_OK) {
                        if (part.consumed > have || part.consumed < part.bytes.len)
                                abort();
                        for (size_t i = 0; i < part.bytes.len; i++)
                                sum = sum * 31 + (uint8_t)part.bytes.ptr[i] + (unsigned)(part.opcode << 8);
                        memmove(in, in + part.consumed, have - part.consumed);
                        have -= part.consumed;
                }
        }
        free(in);
        *end = e;
        return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        for (int is_client = 0; is_client < 2; is_client++) {
                enum err whole, pieces;
                uint64_t a = take(data, size, is_client, size, &whole),
                         b = take(data, size, is_client, 3, &pieces);
                if (whole != pieces || a != b)
                        abort();
        }
        return 0;
}
