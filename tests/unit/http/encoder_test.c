#include "http/encoder.h"

#include <malloc.h>
#include <stdlib.h>

#include "base/buf.h"
#include "http/decoder.h"

#include "../test.h"

static const enum http_coding all[] = { HTTP_GZIP, HTTP_BR, HTTP_ZSTD };

/* Text that repeats, and noise that does not. */
static struct str text_make(size_t len, bool is_noise)
{
        char *p = malloc(len + 1);
        uint32_t random = 1;

        assert_non_null(p);
        for (size_t i = 0; i < len; i++) {
                random = random * 1664525 + 1013904223;
                p[i] = is_noise ? (char)(random >> 24) : "the quick brown fox "[(i + (random >> 30)) % 20];
        }
        return (struct str){ p, len };
}

static bool note(void *context, struct str bytes)
{
        buf_add(context, bytes);
        return true;
}

static void pass_all(struct encoder *e, struct buf *out)
{
        struct str made = encoder_made(e);

        buf_add(out, made);
        encoder_passed(e, made.len);
}

static void encode(struct encoder *e, struct str in, enum encoder_wish wish, struct buf *out)
{
        bool is_done = false;

        for (int i = 0; !is_done; i++) {
                assert_true(i < 10000);
                assert_err(encoder_run(e, &in, wish, &is_done), ERR_OK);
                pass_all(e, out);
        }
        assert_int_equal(in.len, 0);
}

static void assert_decodes(enum http_coding coding, struct str coded, struct str expected)
{
        struct decoder *d = decoder_new(coding, 64 << 20);
        assert_non_null(d);
        struct buf plain;

        buf_init(&plain, 64 << 20);
        assert_err(decoder_feed(d, coded, note, &plain), ERR_OK);
        assert_int_equal(plain.len, expected.len);
        if (expected.len)
                assert_memory_equal(plain.ptr, expected.ptr, expected.len);
        buf_fini(&plain);
        decoder_free(d);
}

static void codes_what_is_read_back(void **state)
{
        static const struct {
                const char *why;
                size_t len, piece;
                bool is_noise;
        } cases[] = {
                { "nothing", 0, 1, false },
                { "one byte", 1, 1, false },
                { "byte by byte", 3000, 1, false },
                { "in odd pieces", 100000, 777, false },
                { "in one piece", 1 << 20, 1 << 20, false },
                { "what does not get smaller, over the window", 1 << 20, 65536, true },
        };
        struct encoder_pool pool;

        encoder_pool_init(&pool, 32 << 20);
        for (size_t c = 0; c < ARRAY_SIZE(cases); c++)
                for (size_t k = 0; k < ARRAY_SIZE(all); k++) {
                        struct str text = text_make(cases[c].len, cases[c].is_noise);
                        struct encoder *e = encoder_take(&pool, all[k]);
                        assert_non_null(e);
                        struct buf coded;

                        print_message("%s\n", cases[c].why);
                        assert_non_null(e);
                        buf_init(&coded, 64 << 20);
                        for (size_t at = 0; at < text.len; at += cases[c].piece)
                                encode(e, str_sub(text, at, cases[c].piece), ENCODER_MORE, &coded);
                        encode(e, STR(""), ENCODER_END, &coded);
                        assert_decodes(all[k], buf_str(&coded), text);
                        if (!cases[c].is_noise && text.len > 1000)
                                assert_true(coded.len < text.len / 2);
                        buf_fini(&coded);
                        encoder_put(&pool, e);
                        free((void *)(uintptr_t)text.ptr);
                }
        encoder_pool_fini(&pool);
        assert_int_equal(pool.bytes_taken, 0);
}

/* What an event stream needs: after a flush all that was given can be read. */
static void flushes(void **state)
{
        struct encoder_pool pool;

        encoder_pool_init(&pool, 32 << 20);
        for (size_t k = 0; k < ARRAY_SIZE(all); k++) {
                struct encoder *e = encoder_take(&pool, all[k]);
                assert_non_null(e);
                struct decoder *d = decoder_new(all[k], 1 << 20);
                assert_non_null(d);
                struct buf plain;

                buf_init(&plain, 1 << 20);
                for (size_t i = 1; i <= 50; i++) {
                        struct buf coded;

                        buf_init(&coded, 1 << 20);
                        encode(e, STR("data: x\n\n"), ENCODER_MORE, &coded);
                        encode(e, STR(""), ENCODER_FLUSH, &coded);
                        assert_err(decoder_feed(d, buf_str(&coded), note, &plain), ERR_OK);
                        assert_int_equal(plain.len, i * 9);
                        buf_fini(&coded);
                }
                buf_fini(&plain);
                decoder_free(d);
                encoder_put(&pool, e);
        }
        encoder_pool_fini(&pool);
}

/* A client that takes nothing: no more is taken in than the output's room and the encoder's own buffer allow. */
static void holds_back(void **state)
{
        struct encoder_pool pool;
        struct str noise = text_make(4 << 20, true);

        encoder_pool_init(&pool, 32 << 20);
        for (size_t k = 0; k < ARRAY_SIZE(all); k++) {
                struct encoder *e = encoder_take(&pool, all[k]);
                assert_non_null(e);
                struct str rest = noise;
                bool is_done;

                for (int i = 0; i < 1000; i++)
                        assert_err(encoder_run(e, &rest, ENCODER_MORE, &is_done), ERR_OK);
                assert_false(is_done);
                assert_true(noise.len - rest.len <= 512 * 1024);
                encoder_put(&pool, e);
        }
        encoder_pool_fini(&pool);
        free((void *)(uintptr_t)noise.ptr);
}

static void a_body_left_half_way_leaves_nothing_to_the_next(void **state)
{
        struct encoder_pool pool;

        encoder_pool_init(&pool, 32 << 20);
        for (size_t k = 0; k < ARRAY_SIZE(all); k++) {
                struct encoder *e = encoder_take(&pool, all[k]);
                assert_non_null(e);
                struct buf coded;

                buf_init(&coded, 1 << 20);
                encode(e, STR("a secret of somebody else"), ENCODER_FLUSH, &coded);
                buf_clear(&coded);
                encoder_put(&pool, e);
                e = encoder_take(&pool, all[k]);
                encode(e, STR("mine"), ENCODER_END, &coded);
                assert_decodes(all[k], buf_str(&coded), STR("mine"));
                buf_fini(&coded);
                encoder_put(&pool, e);
        }
        encoder_pool_fini(&pool);
}

static void the_pool_is_bounded(void **state)
{
        size_t cost = encoder_cost(HTTP_GZIP);
        struct encoder_pool pool;
        struct encoder *a, *b;

        encoder_pool_init(&pool, 2 * cost);
        a = encoder_take(&pool, HTTP_GZIP);
        b = encoder_take(&pool, HTTP_GZIP);
        assert_true(a && b);
        assert_null(encoder_take(&pool, HTTP_GZIP));
        assert_int_equal(pool.bytes_taken, 2 * cost);
        encoder_put(&pool, b);
        b = encoder_take(&pool, HTTP_GZIP);
        assert_non_null(b);
        encoder_put(&pool, a);
        encoder_put(&pool, b);
        assert_null(encoder_take(&pool, HTTP_ZSTD)); /* costs more than all there is */
        assert_null(encoder_take(&pool, HTTP_IDENTITY));
        encoder_pool_fini(&pool);

        encoder_pool_init(&pool, encoder_cost(HTTP_ZSTD) + cost - 1);
        encoder_put(&pool, encoder_take(&pool, HTTP_GZIP));
        a = encoder_take(&pool, HTTP_ZSTD); /* the idle one gives way */
        assert_non_null(a);
        assert_int_equal(pool.bytes_taken, encoder_cost(HTTP_ZSTD));
        encoder_put(&pool, a);
        encoder_pool_fini(&pool);
}

/* What the pool reckons with is no less than what the libraries take. AddressSanitizer's malloc counts as well. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t allocated(void)
{
        if (__sanitizer_get_current_allocated_bytes)
                return __sanitizer_get_current_allocated_bytes();
        struct mallinfo2 info = mallinfo2();
        return info.uordblks + info.hblkhd;
}

static void costs_no_more_than_said(void **state)
{
        struct str noise = text_make(2 << 20, true), words = text_make(2 << 20, false);

        for (size_t k = 0; k < ARRAY_SIZE(all); k++) {
                struct encoder_pool pool;
                struct buf coded;

                buf_init(&coded, 8 << 20);
                assert_non_null(buf_reserve(&coded, 6 << 20));
                encoder_pool_init(&pool, 32 << 20);
                size_t before = allocated(), most = 0;
                struct encoder *e = encoder_take(&pool, all[k]);
                assert_non_null(e);
                for (size_t at = 0; at < noise.len; at += 32768) {
                        encode(e, str_sub(words, at, 32768), ENCODER_MORE, &coded);
                        encode(e, str_sub(noise, at, 32768), ENCODER_MORE, &coded);
                        most = MAX(most, allocated() - before);
                }
                encode(e, STR(""), ENCODER_END, &coded);
                most = MAX(most, allocated() - before);
                print_message("%.*s: %zu KiB of %zu\n", STR_FMT(http_coding_name(all[k])), most / 1024,
                              encoder_cost(all[k]) / 1024);
                assert_true(most <= encoder_cost(all[k]));
                encoder_put(&pool, e);
                encoder_pool_fini(&pool);
                buf_fini(&coded);
        }
        free((void *)(uintptr_t)noise.ptr);
        free((void *)(uintptr_t)words.ptr);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(codes_what_is_read_back),
                cmocka_unit_test(flushes),
                cmocka_unit_test(holds_back),
                cmocka_unit_test(a_body_left_half_way_leaves_nothing_to_the_next),
                cmocka_unit_test(the_pool_is_bounded),
                cmocka_unit_test(costs_no_more_than_said),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
