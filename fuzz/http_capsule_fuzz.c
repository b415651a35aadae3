/* Datagrams out of capsules: the same whatever pieces they come in, and what is written again is read alike. */
#include <assert.h>

#include "http/capsule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each datagram with its length before it. */
static enum err read_all(struct str bytes, size_t step, struct buf *got)
{
        struct capsule_reader r;
        enum err e = ERR_AGAIN;

        capsule_init(&r);
        for (size_t at = 0; at < bytes.len && e == ERR_AGAIN; at += step) {
                struct str in = str_sub(bytes, at, step), out;

                while ((e = capsule_read(&r, &in, &out)) == ERR_OK) {
                        uint8_t head[CAPSULE_HEAD_MAX];

                        assert(out.len <= CAPSULE_DATAGRAM_BYTES_MAX);
                        buf_add(got, capsule_head(out.len, head));
                        buf_add(got, out);
                }
                assert(e != ERR_AGAIN || in.len == 0);
        }
        capsule_fini(&r);
        return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str bytes = { (const char *)data, size };
        struct buf whole, pieces, again;
        enum err e;

        buf_init(&whole, 1 << 20);
        buf_init(&pieces, 1 << 20);
        buf_init(&again, 1 << 20);
        e = read_all(bytes, size + 1, &whole);
        enum err other = read_all(bytes, size ? 1 + data[0] % 7 : 1, &pieces);
        if (e != ERR_NO_MEMORY && other != ERR_NO_MEMORY && !whole.full && !pieces.full) {
                assert(e == other && str_eq(buf_str(&whole), buf_str(&pieces)));
                e = read_all(buf_str(&whole), 1000, &again);
                assert(again.full || e == ERR_NO_MEMORY ||
                       (e == ERR_AGAIN && str_eq(buf_str(&whole), buf_str(&again))));
        }
        buf_fini(&whole);
        buf_fini(&pieces);
        buf_fini(&again);
        return 0;
}
