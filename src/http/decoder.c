#include "http/decoder.h"

#include <brotli/decode.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum {
        OUT_BYTES = 16 * 1024,
        ZLIB_ANY_WRAPPER = 15 + 32, /* zlib's flag: gzip or zlib, by the first bytes */
        ZLIB_NO_WRAPPER = -15,
        ZSTD_WINDOW_BITS_MAX = 23, /* RFC 8878 3.1.1.1.2 */
        BROTLI_BYTES_MAX = 9 << 20,
        ALLOCATION_HEAD = 16,
};

struct decoder {
        enum http_coding coding;
        bool is_over;               /* the last member's end was read */
        bool has_begun, is_between; /* gzip: one member ended, another may follow */
        enum err error;             /* what every further call gives */
        uint64_t bytes_left;
        size_t memory_left; /* for brotli, whose window the sender chooses */
        union {
                z_stream zlib;
                BrotliDecoderState *br;
                ZSTD_DCtx *zstd;
        };
};

/* ---- memory with a bound ---- */

static void *memory_take(void *context, size_t size)
{
        struct decoder *d = context;
        char *p;

        if (size > d->memory_left || !(p = malloc(size + ALLOCATION_HEAD)))
                return NULL;
        d->memory_left -= size;
        *(size_t *)(void *)p = size;
        return p + ALLOCATION_HEAD;
}

static void memory_give(void *context, void *address)
{
        struct decoder *d = context;

        if (!address)
                return;
        char *p = (char *)address - ALLOCATION_HEAD;
        d->memory_left += *(size_t *)(void *)p;
        free(p);
}

/* ---- birth and death ---- */

static bool open(struct decoder *d)
{
        switch (d->coding) {
        case HTTP_GZIP:
        case HTTP_DEFLATE: return inflateInit2(&d->zlib, ZLIB_ANY_WRAPPER) == Z_OK;
        case HTTP_BR: return (d->br = BrotliDecoderCreateInstance(memory_take, memory_give, d)) != NULL;
        case HTTP_ZSTD:
                d->zstd = ZSTD_createDCtx();
                return d->zstd && !ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax,
                                                                       ZSTD_WINDOW_BITS_MAX));
        case HTTP_IDENTITY:
        case HTTP_CODINGS: break;
        }
        return false;
}

struct decoder *decoder_new(enum http_coding coding, uint64_t bytes_max)
{
        struct decoder *d = calloc(1, sizeof(*d));

        if (!d)
                return NULL;
        d->coding = coding;
        d->bytes_left = bytes_max;
        d->memory_left = BROTLI_BYTES_MAX;
        if (open(d))
                return d;
        if (coding == HTTP_ZSTD)
                ZSTD_freeDCtx(d->zstd);
        free(d);
        return NULL;
}

void decoder_free(struct decoder *d)
{
        if (!d)
                return;
        switch (d->coding) {
        case HTTP_GZIP:
        case HTTP_DEFLATE: inflateEnd(&d->zlib); break;
        case HTTP_BR: BrotliDecoderDestroyInstance(d->br); break;
        case HTTP_ZSTD: ZSTD_freeDCtx(d->zstd); break;
        case HTTP_IDENTITY:
        case HTTP_CODINGS: break;
        }
        free(d);
}

/* ---- one step: takes from *in, makes at most *made bytes ---- */

/* "deflate" without the wrapper it should have: its first byte cannot begin one. RFC 1950 2.2. */
static bool is_bare_deflate(const struct decoder *d, struct str in)
{
        return d->coding == HTTP_DEFLATE && !d->has_begun && in.len && (in.ptr[0] & 0x0f) != 8;
}

static enum err zlib_step(struct decoder *d, struct str *in, char *out, size_t *made)
{
        z_stream *z = &d->zlib;

        if (is_bare_deflate(d, *in) && inflateReset2(z, ZLIB_NO_WRAPPER) != Z_OK)
                return ERR_NO_MEMORY;
        d->has_begun |= in->len > 0;
        *made = 0;
        if (d->is_between &&
            in->len) { /* RFC 1952 2.2: members follow each other; anything else is no part of it */
                d->is_between = false;
                d->is_over = (unsigned char)in->ptr[0] != 0x1f;
                if (d->is_over)
                        return ERR_OK;
        }
        size_t offered = MIN(in->len, (size_t)1 << 30);
        z->next_in = (Bytef *)(uintptr_t)in->ptr;
        z->avail_in = (uInt)offered;
        z->next_out = (Bytef *)out;
        z->avail_out = OUT_BYTES;
        int result = inflate(z, Z_SYNC_FLUSH);
        *in = str_from(*in, offered - z->avail_in);
        *made = OUT_BYTES - z->avail_out;
        if (result == Z_MEM_ERROR)
                return ERR_NO_MEMORY;
        if (result == Z_NEED_DICT || result == Z_DATA_ERROR || result == Z_STREAM_ERROR)
                return ERR_MALFORMED;
        if (result == Z_STREAM_END && d->coding == HTTP_GZIP) {
                d->is_between = true;
                return inflateReset(z) == Z_OK ? ERR_OK : ERR_NO_MEMORY;
        }
        d->is_over = result == Z_STREAM_END;
        return ERR_OK;
}

static enum err br_step(struct decoder *d, struct str *in, char *out, size_t *made)
{
        const uint8_t *next_in = (const uint8_t *)in->ptr;
        uint8_t *next_out = (uint8_t *)out;
        size_t left = in->len, room = OUT_BYTES;
        BrotliDecoderResult result =
                BrotliDecoderDecompressStream(d->br, &left, &next_in, &room, &next_out, NULL);

        *in = str_from(*in, in->len - left);
        *made = OUT_BYTES - room;
        if (result == BROTLI_DECODER_RESULT_ERROR) {
                BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(d->br);
                bool is_memory = code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
                                 code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
                return is_memory ? ERR_TOO_LARGE : ERR_MALFORMED;
        }
        d->is_over = result == BROTLI_DECODER_RESULT_SUCCESS;
        return ERR_OK;
}

static enum err zstd_step(struct decoder *d, struct str *in, char *out, size_t *made)
{
        ZSTD_inBuffer from = { in->ptr, in->len, 0 };
        ZSTD_outBuffer to = { out, OUT_BYTES, 0 };
        size_t result = ZSTD_decompressStream(d->zstd, &to, &from);

        if (ZSTD_isError(result))
                return ERR_MALFORMED; /* a window over the bound too */
        *in = str_from(*in, from.pos);
        *made = to.pos;
        return ERR_OK;
}

static enum err step(struct decoder *d, struct str *in, char *out, size_t *made)
{
        switch (d->coding) {
        case HTTP_BR: return br_step(d, in, out, made);
        case HTTP_ZSTD: return zstd_step(d, in, out, made);
        default: return zlib_step(d, in, out, made);
        }
}

enum err decoder_feed(struct decoder *d, struct str in, decoder_show *show, void *context)
{
        char out[OUT_BYTES];
        size_t made = OUT_BYTES;

        /* A full piece may have more behind it, without any further input. */
        while (d->error == ERR_OK && !d->is_over && (in.len || made == OUT_BYTES)) {
                size_t before = in.len;

                made = 0;
                d->error = step(d, &in, out, &made);
                if (d->error == ERR_OK && made > d->bytes_left)
                        d->error = ERR_TOO_LARGE;
                if (d->error != ERR_OK)
                        break;
                d->bytes_left -= made;
                if (made && !show(context, (struct str){ out, made }))
                        d->error = ERR_CLOSED;
                if (made == 0 && before == in.len)
                        break;
        }
        return d->error;
}

enum http_coding decoder_coding_of(const struct http_head *head)
{
        const struct http_field *f = http_find(head, HTTP_FIELD_CONTENT_ENCODING);

        if (!f)
                return HTTP_IDENTITY;
        if (http_find_next(head, f))
                return HTTP_CODINGS;
        if (str_eq_nocase(f->value, STR("x-gzip")))
                return HTTP_GZIP;
        for (int i = 0; i < HTTP_CODINGS; i++)
                if (str_eq_nocase(f->value, http_coding_name((enum http_coding)i)))
                        return (enum http_coding)i;
        return HTTP_CODINGS;
}
