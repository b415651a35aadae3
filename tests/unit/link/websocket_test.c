#include "../test.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "link/websocket.h"

static void test_what_is_refused(void **state)
{
        static const struct {
                const char *why;
                bool is_client;
                uint8_t bytes[16];
                size_t len;
                enum err err;
        } cases[] = {
                { "nothing", true, { 0 }, 0, ERR_AGAIN },
                { "half a header", true, { 0x82 }, 1, ERR_AGAIN },
                { "an empty message", true, { 0x82, 0 }, 2, ERR_OK },
                { "a masked one to a client", true, { 0x82, 0x80, 1, 2, 3, 4 }, 6, ERR_MALFORMED },
                { "one without a mask to a server", false, { 0x82, 0 }, 2, ERR_MALFORMED },
                { "a masked one to a server", false, { 0x82, 0x80, 1, 2, 3, 4 }, 6, ERR_OK },
                { "text", true, { 0x81, 1, 'x' }, 3, ERR_UNSUPPORTED },
                { "compressed", true, { 0xc2, 1, 'x' }, 3, ERR_UNSUPPORTED },
                { "an unknown opcode", true, { 0x83, 0 }, 2, ERR_MALFORMED },
                { "an unknown control frame", true, { 0x8b, 0 }, 2, ERR_MALFORMED },
                { "a continuation of nothing", true, { 0x80, 1, 'x' }, 3, ERR_MALFORMED },
                { "a fragmented ping", true, { 0x09, 0 }, 2, ERR_MALFORMED },
                { "a ping of 126", true, { 0x89, 126, 0, 126 }, 4, ERR_MALFORMED },
                { "a ping cut short", true, { 0x89, 2, 'x' }, 3, ERR_AGAIN },
                { "125 written as 16 bits", true, { 0x82, 126, 0, 125 }, 4, ERR_MALFORMED },
                { "126 written as 16 bits", true, { 0x82, 126, 0, 126 }, 4, ERR_OK },
                { "65535 written as 64 bits",
                  true,
                  { 0x82, 127, 0, 0, 0, 0, 0, 0, 255, 255 },
                  10,
                  ERR_MALFORMED },
                { "2^63", true, { 0x82, 127, 128, 0, 0, 0, 0, 0, 0, 0 }, 10, ERR_MALFORMED },
                { "2^62: it need not come at once",
                  true,
                  { 0x82, 127, 64, 0, 0, 0, 0, 0, 0, 0 },
                  10,
                  ERR_OK },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct link_ws w = { .is_client = cases[i].is_client };
                struct link_ws_part part;
                uint8_t in[16];
                memcpy(in, cases[i].bytes, sizeof(in));
                enum err e = link_ws_read(&w, in, cases[i].len, &part);
                if (e != cases[i].err)
                        fail_msg("%s: ERR_%s", cases[i].why, err_name(e));
        }
}

static void test_a_new_message_inside_another(void **state)
{
        uint8_t in[] = { 0x02, 1, 'a', 0x82, 1, 'b' };
        struct link_ws w = { .is_client = true };
        struct link_ws_part part;

        assert_err(link_ws_read(&w, in, sizeof(in), &part), ERR_OK);
        assert_err(link_ws_read(&w, in + part.consumed, sizeof(in) - part.consumed, &part), ERR_MALFORMED);
}

/* A stream in messages of all lengths around the borders, with pings between, read in pieces of any size. */
static void test_a_stream_in_pieces(void **state)
{
        static const size_t lens[] = { 0, 1, 5, 125, 126, 127, 1000, 65535, 65536, 70000 };
        static const uint8_t mask[LINK_WS_MASK_BYTES] = { 0xde, 0xad, 0xbe, 0xef };
        uint8_t *wire = malloc(400000), *in = malloc(400000);
        size_t wire_len = 0, sum = 0;

        for (int as_client = 0; as_client < 2; as_client++) {
                struct link_ws sender = { .is_client = as_client };
                wire_len = sum = 0;
                for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
                        wire_len +=
                                link_ws_header_put(&sender, LINK_WS_BINARY, lens[i], mask, wire + wire_len);
                        for (size_t n = 0; n < lens[i]; n++)
                                wire[wire_len + n] = (uint8_t)((sum + n) * 7);
                        if (as_client)
                                link_ws_mask(mask, 0, wire + wire_len, lens[i]);
                        sum += lens[i];
                        wire_len += lens[i];
                        wire_len += link_ws_header_put(&sender, LINK_WS_PING, 3, mask, wire + wire_len);
                        memcpy(wire + wire_len, "abc", 3);
                        if (as_client)
                                link_ws_mask(mask, 0, wire + wire_len, 3);
                        wire_len += 3;
                }
                for (size_t piece = 1; piece < 100000; piece = piece * 3 + 1) {
                        struct link_ws w = { .is_client = !as_client };
                        size_t have = 0, given = 0, got = 0, pings = 0;
                        while (given < wire_len) {
                                size_t n = MIN(piece, wire_len - given);
                                memcpy(in + have, wire + given, n);
                                have += n;
                                given += n;
                                struct link_ws_part part;
                                enum err e;
                                while ((e = link_ws_read(&w, in, have, &part)) == ERR_OK) {
                                        if (part.opcode == LINK_WS_PING) {
                                                assert_str(part.bytes, STR("abc"));
                                                pings++;
                                        } else {
                                                for (size_t k = 0; k < part.bytes.len; k++)
                                                        assert_int_equal((uint8_t)part.bytes.ptr[k],
                                                                         (uint8_t)((got + k) * 7));
                                                got += part.bytes.len;
                                        }
                                        memmove(in, in + part.consumed, have - part.consumed);
                                        have -= part.consumed;
                                }
                                assert_err(e, ERR_AGAIN);
                        }
                        assert_int_equal(have, 0);
                        assert_int_equal(got, sum);
                        assert_int_equal(pings, ARRAY_SIZE(lens));
                }
        }
        free(wire);
        free(in);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_what_is_refused),
                                            cmocka_unit_test(test_a_new_message_inside_another),
                                            cmocka_unit_test(test_a_stream_in_pieces) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
