#include "http/decoder.h"

#include <string.h>

#include "base/buf.h"
#include "http/encoder.h"

#include "../test.h"

#define BYTES(lit)                     \
        {                              \
                (lit), sizeof(lit) - 1 \
        }

static bool note(void *context, struct str bytes)
{
        buf_add(context, bytes);
        return true;
}

static bool one_piece(void *context, struct str bytes)
{
        return false;
}

#define HI_GZIP "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\xc8\x04\x00\xac\x2a\x93\xd8\x02\x00\x00\x00"

static const struct {
        const char *why;
        enum http_coding coding;
        struct str in;
        enum err err;
        const char *out;
} cases[] = {
        { "a gzip member", HTTP_GZIP, BYTES(HI_GZIP), ERR_OK, "hi" },
        { "members follow each other", HTTP_GZIP, BYTES(HI_GZIP HI_GZIP), ERR_OK, "hihi" },
        { "what is behind is no part of it", HTTP_GZIP, BYTES(HI_GZIP "\0\0\0"), ERR_OK, "hi" },
        { "no gzip at all", HTTP_GZIP, BYTES("<html>"), ERR_MALFORMED, "" },
        { "a wrong checksum", HTTP_GZIP,
          BYTES("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\xc8\x04\x00\xac\x2a\x93\xd9\x02\x00\x00\x00"),
          ERR_MALFORMED, NULL },
        { "deflate as it should be", HTTP_DEFLATE, BYTES("\x78\x9c\xcb\xc8\x04\x00\x01\x3b\x00\xd2"), ERR_OK,
          "hi" },
        { "deflate as some send it", HTTP_DEFLATE, BYTES("\xcb\xc8\x04\x00"), ERR_OK, "hi" },
        { "a dictionary nobody has", HTTP_DEFLATE, BYTES("\x78\xbb\x01\x02\x03\x04\xcb\xc8\x04\x00"),
          ERR_MALFORMED, "" },
        { "br", HTTP_BR, BYTES("\x8f\x00\x80\x68\x69\x03"), ERR_OK, "hi" },
        { "no br", HTTP_BR, BYTES("\xff\xff\xff\xff"), ERR_MALFORMED, "" },
        { "zstd", HTTP_ZSTD, BYTES("\x28\xb5\x2f\xfd\x20\x02\x11\x00\x00\x68\x69"), ERR_OK, "hi" },
        { "two frames of zstd", HTTP_ZSTD,
          BYTES("\x28\xb5\x2f\xfd\x20\x02\x11\x00\x00\x68\x69\x28\xb5\x2f\xfd\x20\x02\x11\x00\x00\x68\x69"),
          ERR_OK, "hihi" },
        { "a window of 2 GiB", HTTP_ZSTD, BYTES("\x28\xb5\x2f\xfd\x00\xa8\x11\x00\x00\x68\x69"),
          ERR_MALFORMED, "" },
        { "no zstd", HTTP_ZSTD, BYTES("abcdefgh"), ERR_MALFORMED, "" },
};

static void reads(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                for (size_t piece = 1; piece <= cases[i].in.len; piece++) {
                        struct decoder *d = decoder_new(cases[i].coding, 1000);
                        assert_non_null(d);
                        enum err e = ERR_OK;
                        struct buf out;

                        buf_init(&out, 1000);
                        for (size_t at = 0; at < cases[i].in.len && e == ERR_OK; at += piece)
                                e = decoder_feed(d, str_sub(cases[i].in, at, piece), note, &out);
                        if (e != cases[i].err)
                                print_error("%s, by %zu\n", cases[i].why, piece);
                        assert_err(e, cases[i].err);
                        if (cases[i].out) {
                                assert_int_equal(out.len, strlen(cases[i].out));
                                assert_memory_equal(out.len ? out.ptr : "", cases[i].out, out.len);
                        }
                        if (e != ERR_OK) /* and it stays so */
                                assert_err(decoder_feed(d, STR("x"), note, &out), e);
                        buf_fini(&out);
                        decoder_free(d);
                }
}

/* 64 MiB of nothing in a few kilobytes: no more than the bound is ever made. */
static void bombs_stop_at_the_bound(void **state)
{
        static const enum http_coding all[] = { HTTP_GZIP, HTTP_BR, HTTP_ZSTD };
        static char zeros[1 << 16];
        struct encoder_pool pool;

        encoder_pool_init(&pool, 32 << 20);
        for (size_t k = 0; k < ARRAY_SIZE(all); k++) {
                struct encoder *e = encoder_take(&pool, all[k]);
                assert_non_null(e);
                struct buf bomb, out;
                bool is_done = false;

                buf_init(&bomb, 8 << 20);
                buf_init(&out, 8 << 20);
                for (int i = 0; i <= 1024; i++) {
                        struct str in = { zeros, i < 1024 ? sizeof(zeros) : 0 };

                        do {
                                assert_err(
                                        encoder_run(e, &in, i < 1024 ? ENCODER_MORE : ENCODER_END, &is_done),
                                        ERR_OK);
                                buf_add(&bomb, encoder_made(e));
                                encoder_passed(e, encoder_made(e).len);
                        } while (!is_done);
                }
                assert_true(bomb.len < 100000);
                struct decoder *d = decoder_new(all[k], 1 << 20);
                assert_non_null(d);
                assert_err(decoder_feed(d, buf_str(&bomb), note, &out), ERR_TOO_LARGE);
                assert_true(out.len <= 1 << 20);
                decoder_free(d);
                d = decoder_new(all[k], 1 << 20);
                assert_non_null(d);
                assert_err(decoder_feed(d, buf_str(&bomb), one_piece, NULL), ERR_CLOSED);
                decoder_free(d);
                buf_fini(&bomb);
                buf_fini(&out);
                encoder_put(&pool, e);
        }
        encoder_pool_fini(&pool);
}

static void names_of_codings(void **state)
{
        static const struct {
                const char *a, *b;
                enum http_coding coding;
        } names[] = {
                { NULL, NULL, HTTP_IDENTITY },      { "gzip", NULL, HTTP_GZIP },
                { "X-GZip", NULL, HTTP_GZIP },      { "BR", NULL, HTTP_BR },
                { "zstd", NULL, HTTP_ZSTD },        { "deflate", NULL, HTTP_DEFLATE },
                { "compress", NULL, HTTP_CODINGS }, { "gzip, br", NULL, HTTP_CODINGS },
                { "gzip", "gzip", HTTP_CODINGS },   { "identity", NULL, HTTP_IDENTITY },
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct http_field fields[2];
                struct http_head head = { .fields = fields, .fields_max = 2 };

                if (names[i].a)
                        assert_err(http_add(&head, STR("Content-Encoding"), str_of(names[i].a)), ERR_OK);
                if (names[i].b)
                        assert_err(http_add(&head, STR("Content-Encoding"), str_of(names[i].b)), ERR_OK);
                assert_int_equal(decoder_coding_of(&head), names[i].coding);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads),
                cmocka_unit_test(bombs_stop_at_the_bound),
                cmocka_unit_test(names_of_codings),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
