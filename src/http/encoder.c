#include "http/encoder.h"

#include <assert.h>
#include <brotli/encode.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum {
        OUT_BYTES = 16 * 1024,
        GZIP_LEVEL = 5,
        GZIP_WINDOW_BITS = 15,
        GZIP_FORMAT = 16, /* zlib's flag: a gzip member */
        GZIP_MEMORY = 8,
        BROTLI_QUALITY = 4,
        BROTLI_WINDOW_BITS = 17,
        ZSTD_LEVEL = 3,
        ZSTD_WINDOW_BITS = 17,
};

struct encoder {
        enum http_coding coding;
        struct list node; /* waiting in the pool */
        union {
                z_stream gzip;
                BrotliEncoderState *br;
                ZSTD_CCtx *zstd;
        };
        size_t out_at, out_len; /* made and not passed on */
        char out[OUT_BYTES];
};

/* ---- gzip ---- */

static bool gzip_open(struct encoder *e)
{
        e->gzip = (z_stream){ 0 };
        return deflateInit2(&e->gzip, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS + GZIP_FORMAT, GZIP_MEMORY,
                            Z_DEFAULT_STRATEGY) == Z_OK;
}

static bool gzip_reset(struct encoder *e)
{
        return deflateReset(&e->gzip) == Z_OK;
}

static void gzip_close(struct encoder *e)
{
        deflateEnd(&e->gzip);
}

static enum err gzip_run(struct encoder *e, struct str *in, enum encoder_wish wish, char *out, size_t *room,
                         bool *is_done)
{
        static const int flushes[] = {
                [ENCODER_MORE] = Z_NO_FLUSH, [ENCODER_FLUSH] = Z_SYNC_FLUSH, [ENCODER_END] = Z_FINISH
        };
        z_stream *z = &e->gzip;
        size_t offered = MIN(in->len, (size_t)1 << 30);
        bool offers_all = offered == in->len;

        /* zlib reads through a pointer that is not const */
        z->next_in = (Bytef *)(uintptr_t)in->ptr;
        z->avail_in = (uInt)offered;
        z->next_out = (Bytef *)out;
        z->avail_out = (uInt)*room;
        int result = deflate(z, offers_all ? flushes[wish] : Z_NO_FLUSH);
        if (result == Z_STREAM_ERROR)
                return ERR_NO_MEMORY;
        *in = str_from(*in, offered - z->avail_in);
        *room = z->avail_out;
        *is_done = in->len == 0 && (wish == ENCODER_MORE ||
                                    (wish == ENCODER_END ? result == Z_STREAM_END : z->avail_out > 0));
        return ERR_OK;
}

/* ---- br ---- */

static bool br_open(struct encoder *e)
{
        e->br = BrotliEncoderCreateInstance(NULL, NULL, NULL);
        return e->br && BrotliEncoderSetParameter(e->br, BROTLI_PARAM_QUALITY, BROTLI_QUALITY) &&
               BrotliEncoderSetParameter(e->br, BROTLI_PARAM_LGWIN, BROTLI_WINDOW_BITS);
}

static void br_close(struct encoder *e)
{
        BrotliEncoderDestroyInstance(e->br);
}

static enum err br_run(struct encoder *e, struct str *in, enum encoder_wish wish, char *out, size_t *room,
                       bool *is_done)
{
        static const BrotliEncoderOperation operations[] = { [ENCODER_MORE] = BROTLI_OPERATION_PROCESS,
                                                             [ENCODER_FLUSH] = BROTLI_OPERATION_FLUSH,
                                                             [ENCODER_END] = BROTLI_OPERATION_FINISH };
        const uint8_t *next_in = (const uint8_t *)in->ptr;
        uint8_t *next_out = (uint8_t *)out;
        size_t left = in->len;

        if (!BrotliEncoderCompressStream(e->br, operations[wish], &left, &next_in, room, &next_out, NULL))
                return ERR_NO_MEMORY;
        *in = str_from(*in, in->len - left);
        *is_done = left == 0 && !BrotliEncoderHasMoreOutput(e->br) &&
                   (wish != ENCODER_END || BrotliEncoderIsFinished(e->br));
        return ERR_OK;
}

/* ---- zstd ---- */

static bool zstd_open(struct encoder *e)
{
        e->zstd = ZSTD_createCCtx();
        return e->zstd &&
               !ZSTD_isError(ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)) &&
               !ZSTD_isError(ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_windowLog, ZSTD_WINDOW_BITS));
}

static bool zstd_reset(struct encoder *e)
{
        return !ZSTD_isError(ZSTD_CCtx_reset(e->zstd, ZSTD_reset_session_only));
}

static void zstd_close(struct encoder *e)
{
        ZSTD_freeCCtx(e->zstd);
}

static enum err zstd_run(struct encoder *e, struct str *in, enum encoder_wish wish, char *out, size_t *room,
                         bool *is_done)
{
        static const ZSTD_EndDirective directives[] = {
                [ENCODER_MORE] = ZSTD_e_continue, [ENCODER_FLUSH] = ZSTD_e_flush, [ENCODER_END] = ZSTD_e_end
        };
        ZSTD_inBuffer from = { in->ptr, in->len, 0 };
        ZSTD_outBuffer to = { out, *room, 0 };
        size_t left = ZSTD_compressStream2(e->zstd, &to, &from, directives[wish]);

        if (ZSTD_isError(left))
                return ERR_NO_MEMORY;
        *in = str_from(*in, from.pos);
        *room -= to.pos;
        *is_done = in->len == 0 && (wish == ENCODER_MORE || left == 0);
        return ERR_OK;
}

/* ---- all of them ---- */

/* What one holds was measured by tests/unit/http/encoder_test.c, which fails where a library comes to need more. */
static const struct {
        size_t bytes;
        bool (*open)(struct encoder *e);
        bool (*reset)(struct encoder *e); /* NULL: the library knows no second body */
        void (*close)(struct encoder *e);
        enum err (*run)(struct encoder *e, struct str *in, enum encoder_wish wish, char *out, size_t *room,
                        bool *is_done);
} codings[HTTP_CODINGS] = {
        [HTTP_GZIP] = { 272 * 1024, gzip_open, gzip_reset, gzip_close, gzip_run },
        [HTTP_BR] = { 2304 * 1024, br_open, NULL, br_close, br_run },
        [HTTP_ZSTD] = { 1792 * 1024, zstd_open, zstd_reset, zstd_close, zstd_run },
};

void encoder_pool_init(struct encoder_pool *p, size_t bytes_max)
{
        *p = (struct encoder_pool){ .bytes_max = bytes_max };
        for (int i = 0; i < HTTP_CODINGS; i++)
                list_init(&p->idle[i]);
}

size_t encoder_cost(enum http_coding coding)
{
        return codings[coding].bytes ? codings[coding].bytes + sizeof(struct encoder) : 0;
}

static void encoder_free(struct encoder_pool *p, struct encoder *e)
{
        p->bytes_taken -= encoder_cost(e->coding);
        codings[e->coding].close(e);
        free(e);
}

void encoder_pool_fini(struct encoder_pool *p)
{
        for (int i = 0; i < HTTP_CODINGS && p->bytes_taken; i++) { /* none taken: maybe not even begun */
                struct encoder *e;

                while ((e = LIST_FIRST(&p->idle[i], struct encoder, node))) {
                        list_remove(&e->node);
                        encoder_free(p, e);
                }
        }
}

/* Those that wait give way to one that is needed. */
static bool room_make(struct encoder_pool *p, size_t cost)
{
        for (int i = 0; i < HTTP_CODINGS && p->bytes_taken + cost > p->bytes_max; i++) {
                struct encoder *e;

                while (p->bytes_taken + cost > p->bytes_max &&
                       (e = LIST_FIRST(&p->idle[i], struct encoder, node))) {
                        list_remove(&e->node);
                        encoder_free(p, e);
                }
        }
        return p->bytes_taken + cost <= p->bytes_max;
}

static struct encoder *encoder_new(struct encoder_pool *p, enum http_coding coding)
{
        struct encoder *e;

        if (!room_make(p, encoder_cost(coding)) || !(e = malloc(sizeof(*e))))
                return NULL;
        e->coding = coding;
        if (!codings[coding].open(e)) {
                if (coding == HTTP_BR && e->br)
                        br_close(e);
                else if (coding == HTTP_ZSTD)
                        zstd_close(e);
                free(e);
                return NULL;
        }
        p->bytes_taken += encoder_cost(coding);
        return e;
}

struct encoder *encoder_take(struct encoder_pool *p, enum http_coding coding)
{
        struct encoder *e;

        if (!encoder_cost(coding))
                return NULL;
        if ((e = LIST_FIRST(&p->idle[coding], struct encoder, node)))
                list_remove(&e->node);
        else if (!(e = encoder_new(p, coding)))
                return NULL;
        list_init(&e->node);
        e->out_at = e->out_len = 0;
        return e;
}

void encoder_put(struct encoder_pool *p, struct encoder *e)
{
        if (!e)
                return;
        if (codings[e->coding].reset && codings[e->coding].reset(e))
                list_add(&p->idle[e->coding], &e->node);
        else
                encoder_free(p, e);
}

enum err encoder_run(struct encoder *e, struct str *in, enum encoder_wish wish, bool *is_done)
{
        size_t start, room;
        enum err error;

        if (e->out_at == e->out_len)
                e->out_at = e->out_len = 0;
        start = e->out_len;
        room = OUT_BYTES - start;
        *is_done = false;
        if (room == 0)
                return ERR_OK;
        error = codings[e->coding].run(e, in, wish, e->out + start, &room, is_done);
        e->out_len = OUT_BYTES - room;
        return error;
}

struct str encoder_made(const struct encoder *e)
{
        return (struct str){ e->out + e->out_at, e->out_len - e->out_at };
}

void encoder_passed(struct encoder *e, size_t len)
{
        assert(len <= e->out_len - e->out_at);
        e->out_at += len;
}
