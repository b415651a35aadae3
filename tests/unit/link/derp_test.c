#include "../test.h"

#include "base/compiler.h"
#include "link/derp.h"

static void test_frames(void **state)
{
        static const struct {
                const char *why;
                uint8_t head[5];
                size_t len; /* of the whole input */
                enum err err;
        } cases[] = {
                { "nothing", { 0 }, 0, ERR_AGAIN },
                { "four bytes", { 4, 0, 0, 0 }, 4, ERR_AGAIN },
                { "an empty keepalive", { 6, 0, 0, 0, 0 }, 5, ERR_OK },
                { "a ping", { 0x12, 0, 0, 0, 8 }, 13, ERR_OK },
                { "a ping cut short", { 0x12, 0, 0, 0, 8 }, 12, ERR_AGAIN },
                { "a ping of nine", { 0x12, 0, 0, 0, 9 }, 14, ERR_TOO_LARGE },
                { "a ping of seven", { 0x12, 0, 0, 0, 7 }, 12, ERR_MALFORMED },
                { "a key and one byte", { 4, 0, 0, 0, 33 }, 38, ERR_OK },
                { "a key and nothing", { 4, 0, 0, 0, 32 }, 37, ERR_MALFORMED },
                { "the largest packet", { 4, 0, 1, 0, 32 }, 5, ERR_AGAIN },
                { "one more: refused before it is there", { 4, 0, 1, 0, 33 }, 5, ERR_TOO_LARGE },
                { "four gigabytes", { 4, 255, 255, 255, 255 }, 5, ERR_TOO_LARGE },
                { "an unknown type, small", { 0x77, 0, 0, 4, 0 }, 5, ERR_AGAIN },
                { "an unknown type, large", { 0x77, 0, 0, 4, 1 }, 5, ERR_TOO_LARGE },
                { "a server key cut short", { 1, 0, 0, 0, 39 }, 44, ERR_MALFORMED },
        };
        uint8_t in[64] = { 0 };
        struct link_derp_frame frame;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                memcpy(in, cases[i].head, 5);
                enum err e = link_derp_read((struct str){ (char *)in, cases[i].len }, &frame);
                if (e != cases[i].err)
                        fail_msg("%s: ERR_%s", cases[i].why, err_name(e));
                if (e == ERR_OK)
                        assert_int_equal(frame.bytes, cases[i].len);
        }
}

static void test_header_reads_back(void **state)
{
        uint8_t in[LINK_DERP_HEADER_BYTES + 300] = { 0 };
        struct link_derp_frame frame;
        const uint8_t *key;
        struct str packet;

        link_derp_header_put(in, LINK_DERP_SEND, 300);
        assert_err(link_derp_read((struct str){ (char *)in, sizeof(in) }, &frame), ERR_OK);
        assert_int_equal(frame.type, LINK_DERP_SEND);
        assert_int_equal(frame.body.len, 300);
        assert_err(link_derp_packet(frame.body, &key, &packet), ERR_OK);
        assert_ptr_equal(key, in + LINK_DERP_HEADER_BYTES);
        assert_int_equal(packet.len, 300 - LINK_KEY_BYTES);
        assert_err(link_derp_packet(str_sub(frame.body, 0, LINK_KEY_BYTES), &key, &packet), ERR_MALFORMED);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_frames),
                                            cmocka_unit_test(test_header_reads_back) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
