#include "../test.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "http/websocket_message.h"

static const uint8_t mask[4] = { 1, 2, 3, 4 };

/* What a peer of the other role reads of what was written, in pieces of any size. */
static void test_round_trip(void **state)
{
        static const size_t lengths[] = { 0, 1, 125, 126, 127, 65535, 65536, 100000 };

        for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
                for (int to_server = 0; to_server < 2; to_server++)
                        for (size_t piece = 1; piece < 5000; piece = piece * 7 + 1) {
                                char *text = calloc(1, lengths[i] + 1);
                                struct websocket_reader r;
                                struct websocket_message m;
                                struct buf out;
                                size_t got = 0;

                                memset(text, 'x', lengths[i]);
                                buf_init(&out, 1 << 20);
                                websocket_write(&out, WEBSOCKET_TEXT, (struct str){ text, lengths[i] },
                                                to_server ? mask : NULL);
                                websocket_write(&out, WEBSOCKET_PING, STR("p"), to_server ? mask : NULL);
                                websocket_reader_init(&r, to_server, 1 << 18);
                                for (size_t at = 0; at < out.len; at += piece) {
                                        struct str in = str_sub(buf_str(&out), at, piece);

                                        while (websocket_read(&r, &in, &m) == ERR_OK) {
                                                assert_str(m.bytes, (got ? STR("p")
                                                                         : (struct str){ text, lengths[i] }));
                                                assert_int_equal(m.kind,
                                                                 got ? WEBSOCKET_PING : WEBSOCKET_TEXT);
                                                got++;
                                        }
                                        assert_int_equal(in.len, 0);
                                }
                                assert_int_equal(got, 2);
                                websocket_reader_fini(&r);
                                buf_fini(&out);
                                free(text);
                        }
}

#define BYTES(...)                                                                                       \
        {                                                                                                \
                (const char *)(const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }) \
        }

static void test_bad_frames(void **state)
{
        const struct {
                const char *why;
                struct str bytes; /* for a client */
                enum err err;
        } cases[] = {
                { "a text", BYTES(0x81, 1, 'a'), ERR_OK },
                { "cut short", BYTES(0x81, 2, 'a'), ERR_AGAIN },
                { "a ping between fragments", BYTES(0x01, 1, 'a', 0x89, 0), ERR_OK },
                { "a reserved bit", BYTES(0xc1, 1, 'a'), ERR_MALFORMED },
                { "an opcode nobody knows", BYTES(0x83, 1, 'a'), ERR_MALFORMED },
                { "masked by a server", BYTES(0x81, 0x81, 0, 0, 0, 0, 'a'), ERR_MALFORMED },
                { "a fragment of nothing", BYTES(0x80, 1, 'a'), ERR_MALFORMED },
                { "a message within a message", BYTES(0x01, 1, 'a', 0x81, 1, 'b'), ERR_MALFORMED },
                { "a ping in fragments", BYTES(0x09, 1, 'a'), ERR_MALFORMED },
                { "a long ping", BYTES(0x89, 126, 0, 126), ERR_MALFORMED },
                { "126 bytes' form for fewer", BYTES(0x81, 126, 0, 125), ERR_MALFORMED },
                { "the longest form for fewer", BYTES(0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff),
                  ERR_MALFORMED },
                { "larger than may be", BYTES(0x82, 127, 0, 0, 0, 0, 0, 2, 0, 0), ERR_TOO_LARGE },
                { "half the universe", BYTES(0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
                  ERR_TOO_LARGE },
                { "no UTF-8", BYTES(0x81, 1, 0xff), ERR_MALFORMED },
                { "bytes may be anything", BYTES(0x82, 1, 0xff), ERR_OK },
                { "a close", BYTES(0x88, 2, 3, 0xe8), ERR_OK },
                { "a close without a code", BYTES(0x88, 0), ERR_OK },
                { "a close with half a code", BYTES(0x88, 1, 3), ERR_MALFORMED },
                { "a close with a code that is not sent", BYTES(0x88, 2, 3, 0xed), ERR_MALFORMED },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct str in = cases[i].bytes;
                struct websocket_reader r;
                struct websocket_message m;
                enum err e;

                websocket_reader_init(&r, false, 64 * 1024);
                e = websocket_read(&r, &in, &m);
                if (e == ERR_OK && in.len)
                        e = websocket_read(&r, &in, &m);
                if (e != cases[i].err)
                        fail_msg("%s: ERR_%s", cases[i].why, err_name(e));
                websocket_reader_fini(&r);
        }
}

/* Fragments add up to the bound and no further. */
static void test_fragments(void **state)
{
        struct websocket_reader r;
        struct websocket_message m;
        struct str in = BYTES(0x01, 2, 'a', 'b', 0x00, 1, 'c', 0x80, 1, 'd', 0x01, 3, 'x', 'x', 'x', 0x00, 2,
                              'y', 'y');

        websocket_reader_init(&r, false, 4);
        assert_err(websocket_read(&r, &in, &m), ERR_OK);
        assert_str(m.bytes, STR("abcd"));
        assert_err(websocket_read(&r, &in, &m), ERR_TOO_LARGE);
        websocket_reader_fini(&r);
}

static void test_close(void **state)
{
        char long_reason[200];
        struct websocket_reader r;
        struct websocket_message m;
        struct buf out;

        memset(long_reason, 'a', sizeof(long_reason));
        memcpy(long_reason + 122, "\xc3\xa4", 2); /* cut in the middle of a letter */
        buf_init(&out, 1 << 10);
        websocket_write_close(&out, WEBSOCKET_POLICY, (struct str){ long_reason, sizeof(long_reason) }, mask);
        websocket_reader_init(&r, true, 1 << 10);
        struct str in = buf_str(&out);
        assert_err(websocket_read(&r, &in, &m), ERR_OK);
        assert_int_equal(m.code, WEBSOCKET_POLICY);
        assert_int_equal(m.bytes.len, 122);
        websocket_reader_fini(&r);
        buf_fini(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_bad_frames),
                cmocka_unit_test(test_fragments),
                cmocka_unit_test(test_close),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
