/*
 * Coded bodies, whole and in pieces (the first byte names the coding and the pieces' size): the same bytes
 * where both are good, and never more than the bound.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "http/decoder.h"

enum { BYTES_MAX = 1 << 18 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool note(void *context, struct str bytes)
{
        buf_add(context, bytes);
        return true;
}

static enum err decode(enum http_coding coding, struct str in, size_t piece, struct buf *out)
{
        struct decoder *d = decoder_new(coding, BYTES_MAX);
        enum err e = ERR_OK;

        assert(d);
        buf_init(out, BYTES_MAX);
        for (size_t at = 0; at < in.len && e == ERR_OK; at += piece)
                e = decoder_feed(d, str_sub(in, at, piece), note, out);
        assert(!out->full);
        decoder_free(d);
        return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const enum http_coding codings[] = { HTTP_GZIP, HTTP_DEFLATE, HTTP_BR, HTTP_ZSTD };
        struct buf whole, pieces;

        if (size < 2)
                return 0;
        struct str in = { (const char *)data + 1, size - 1 };
        enum http_coding coding = codings[data[0] & 3];
        enum err a = decode(coding, in, in.len, &whole), b = decode(coding, in, 1 + (data[0] >> 2), &pieces);
        /* A library may see in one look that a body cut short is bad, and in pieces still wait for the rest. */
        assert(a != ERR_OK || b != ERR_OK || str_eq(buf_str(&whole), buf_str(&pieces)));
        buf_fini(&whole);
        buf_fini(&pieces);
        return 0;
}
