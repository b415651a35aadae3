/*
 * fuzz/http_websocket_message_fuzz.c - any bytes as WebSocket messages, whole and in pieces: both give the same.
 */
#include <stdlib.h>

#include "http/websocket_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t take(struct str all, bool is_server, size_t piece, enum err *end)
{
        struct websocket_reader r;
        struct websocket_message m;
        uint64_t sum = 0;
        enum err e = ERR_AGAIN;

        websocket_reader_init(&r, is_server, 4096);
        for (size_t at = 0; at < all.len && e == ERR_AGAIN; at += piece) {
                struct str in = str_sub(all, at, piece);

                while ((e = websocket_read(&r, &in, &m)) == ERR_OK) {
                        if (m.bytes.len > 4096)
                                abort();
                        for (size_t i = 0; i < m.bytes.len; i++)
                                sum = sum * 31 + (uint8_t)m.bytes.ptr[i];
                        sum = sum * 31 + (unsigned)m.kind + m.code;
                }
                if (e == ERR_AGAIN && in.len)
                        abort();
        }
        websocket_reader_fini(&r);
        *end = e;
        return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str all = { (const char *)data, size };

        for (int is_server = 0; is_server < 2; is_server++) {
                enum err whole, pieces;
                uint64_t a = take(all, is_server, size ? size : 1, &whole),
                         b = take(all, is_server, 3, &pieces);

                if (whole != pieces || a != b)
                        abort();
        }
        return 0;
}
