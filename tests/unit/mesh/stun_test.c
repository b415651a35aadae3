#include "../test.h"

#include "base/compiler.h"
#include "mesh/stun.h"

/* The messages of RFC 5769 2.1 to 2.3. */
static const uint8_t sample_request[] = {
        0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
        0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73,
        0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff,
        0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09,
        0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14,
        0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49,
        0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf,
};
static const uint8_t sample_answer4[] = {
        0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
        0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63,
        0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43,
        0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5, 0x99, 0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9,
        0x2a, 0xf9, 0xba, 0x53, 0xf0, 0x6b, 0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96,
};
static const uint8_t sample_answer6[] = {
        0x01, 0x01, 0x00, 0x48, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
        0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63,
        0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa,
        0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9, 0x00, 0x08, 0x00, 0x14,
        0xa3, 0x82, 0x95, 0x4e, 0x4b, 0xe6, 0x7b, 0xf1, 0x17, 0x84, 0xc9, 0x7c, 0x82, 0x92, 0xc2, 0x75,
        0xbf, 0xe3, 0xed, 0x41, 0x80, 0x28, 0x00, 0x04, 0xc8, 0xfb, 0x0b, 0x4c,
};
static const uint8_t id[MESH_STUN_ID_BYTES] = { 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
                                                0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae };

static struct str bytes_of(const void *p, size_t len)
{
        return (struct str){ p, len };
}

static struct ip ip_of(const char *text)
{
        struct ip ip;

        assert_err(ip_parse(str_of(text), &ip), ERR_OK);
        return ip;
}

static void test_answers_of_the_rfc(void **state)
{
        struct ip ip;
        uint16_t port;

        assert_err(mesh_stun_read(bytes_of(sample_answer4, sizeof(sample_answer4)), id, &ip, &port), ERR_OK);
        assert_true(ip_eq(ip, ip_of("192.0.2.1")));
        assert_int_equal(port, 32853);
        assert_err(mesh_stun_read(bytes_of(sample_answer6, sizeof(sample_answer6)), id, &ip, &port), ERR_OK);
        assert_true(ip_eq(ip, ip_of("2001:db8:1234:5678:11:2233:4455:6677")));
        assert_int_equal(port, 32853);
}

/* It holds PRIORITY, of ICE, which is to be understood and is not: 420, and which one. */
static void test_request_of_the_rfc(void **state)
{
        static const uint8_t expected[] = { 0x01, 0x11, 0x00, 0x18, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7,
                                            0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
                                            0x00, 0x09, 0x00, 0x04, 0x00, 0x00, 0x04, 0x14, 0x00, 0x0a,
                                            0x00, 0x02, 0x00, 0x24, 0x00, 0x00, 0x80, 0x28, 0x00, 0x04 };
        uint8_t out[MESH_STUN_ANSWER_MAX];
        struct ip ip;
        uint16_t port;
        size_t len;

        assert_err(mesh_stun_answer(bytes_of(sample_request, sizeof(sample_request)), ip_of("192.0.2.1"),
                                    32853, out, &len),
                   ERR_OK);
        assert_int_equal(len, 44);
        assert_memory_equal(out, expected, sizeof(expected));
        assert_err(mesh_stun_read(bytes_of(out, len), id, &ip, &port), ERR_DENIED);
}

/* Of the sample messages: lengths of attributes (a longer one may swallow the fingerprint) and the fingerprint's type. */
static bool is_framing(const uint8_t *message, size_t len, size_t at)
{
        for (size_t a = 20; a + 4 <= len; a += 4 + ((message[a + 3] + 3u) & ~3u))
                if (at == a + 2 || at == a + 3 || (message[a + 1] == 0x28 && (at == a || at == a + 1)))
                        return true;
        return false;
}

static void test_any_changed_bit_is_silence(void **state)
{
        uint8_t changed[sizeof(sample_request)], out[MESH_STUN_ANSWER_MAX];
        size_t len;

        for (size_t bit = 0; bit < 8 * sizeof(changed); bit++) {
                if (is_framing(sample_request, sizeof(sample_request), bit / 8))
                        continue;
                memcpy(changed, sample_request, sizeof(changed));
                changed[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_err(mesh_stun_answer(bytes_of(changed, sizeof(changed)), ip_of("192.0.2.1"), 1, out,
                                            &len),
                           ERR_MALFORMED);
        }
}

static void test_our_question(void **state)
{
        static const struct {
                const char *why, *from;
                size_t answer_bytes;
        } cases[] = { { "IPv4, with a fingerprint", "198.51.100.7", 40 },
                      { "IPv6, with a fingerprint", "2001:db8::7", 52 } };
        uint8_t request[MESH_STUN_REQUEST_BYTES], out[MESH_STUN_ANSWER_MAX];
        struct ip ip;
        uint16_t port;
        size_t len;

        mesh_stun_request(id, request);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_err(mesh_stun_answer(bytes_of(request, sizeof(request)), ip_of(cases[i].from), 40000,
                                            out, &len),
                           ERR_OK);
                assert_int_equal(len, cases[i].answer_bytes);
                assert_true(len <= sizeof(request));
                assert_err(mesh_stun_read(bytes_of(out, len), id, &ip, &port), ERR_OK);
                assert_true(ip_eq(ip, ip_of(cases[i].from)));
                assert_int_equal(port, 40000);
        }
}

#define HEAD(type, len) type, 0, len, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12

static void test_what_is_not_answered(void **state)
{
        static const struct {
                const char *why;
                uint8_t bytes[64];
                size_t len;
                enum err err;
        } cases[] = {
                { "nothing", { 0 }, 0, ERR_MALFORMED },
                { "19 bytes", { 0, HEAD(1, 0) }, 19, ERR_MALFORMED },
                { "an empty question has no room for an answer", { 0, HEAD(1, 0) }, 20, ERR_TOO_LARGE },
                { "room for the answer, to the byte", { 0, HEAD(1, 12), 0x80, 0x22, 0, 8 }, 32, ERR_OK },
                { "four bytes less", { 0, HEAD(1, 8), 0x80, 0x22, 0, 4 }, 28, ERR_TOO_LARGE },
                { "another cookie", { 0, 1, 0, 12, 0x21, 0x12, 0xa4, 0x43 }, 32, ERR_MALFORMED },
                { "the first two bits set", { 0x80, HEAD(1, 12), 0x80, 0x22, 0, 8 }, 32, ERR_MALFORMED },
                { "an indication", { 0, HEAD(0x11, 12), 0x80, 0x22, 0, 8 }, 32, ERR_MALFORMED },
                { "an answer", { 1, HEAD(1, 12), 0x80, 0x22, 0, 8 }, 32, ERR_MALFORMED },
                { "Allocate, of TURN", { 0, HEAD(3, 12), 0x80, 0x22, 0, 8 }, 32, ERR_MALFORMED },
                { "a length that is not the datagram's",
                  { 0, HEAD(1, 8), 0x80, 0x22, 0, 8 },
                  32,
                  ERR_MALFORMED },
                { "a length that is no multiple of four",
                  { 0, HEAD(1, 10), 0x80, 0x22, 0, 6 },
                  30,
                  ERR_MALFORMED },
                { "an attribute longer than the rest",
                  { 0, HEAD(1, 12), 0x80, 0x22, 0, 9 },
                  32,
                  ERR_MALFORMED },
                { "an attribute of 65535 bytes",
                  { 0, HEAD(1, 12), 0x80, 0x22, 255, 255 },
                  32,
                  ERR_MALFORMED },
                { "a fingerprint that is wrong", { 0, HEAD(1, 12), 0x80, 0x28, 0, 4 }, 32, ERR_MALFORMED },
                { "an unknown one, no room to say so", { 0, HEAD(1, 12), 0, 0x24, 0, 8 }, 32, ERR_TOO_LARGE },
                { "an unknown one, and room", { 0, HEAD(1, 16), 0, 0x24, 0, 12 }, 36, ERR_OK },
        };
        uint8_t out[MESH_STUN_ANSWER_MAX];
        size_t len;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                enum err e = mesh_stun_answer(bytes_of(cases[i].bytes, cases[i].len), ip_of("192.0.2.9"), 9,
                                              out, &len);
                if (e != cases[i].err)
                        fail_msg("%s: ERR_%s", cases[i].why, err_name(e));
                if (e == ERR_OK)
                        assert_true(len <= cases[i].len);
        }
}

static void test_many_unknown_attributes(void **state)
{
        uint8_t request[20 + 4 * 100] = { 0, HEAD(1, 0) }, out[MESH_STUN_ANSWER_MAX];
        size_t len;

        request[2] = (4 * 100) >> 8;
        request[3] = (4 * 100) & 255;
        for (size_t i = 0; i < 100; i++)
                request[20 + 4 * i + 1] = 0x30;
        assert_err(mesh_stun_answer(bytes_of(request, sizeof(request)), ip_of("192.0.2.9"), 9, out, &len),
                   ERR_OK);
        assert_int_equal(len, 20 + 8 + 4 + 16);
}

static void test_answers_that_are_none(void **state)
{
        uint8_t other[MESH_STUN_ID_BYTES], changed[sizeof(sample_answer4)];
        struct ip ip;
        uint16_t port;

        memcpy(other, id, sizeof(other));
        other[11] ^= 1;
        assert_err(mesh_stun_read(bytes_of(sample_answer4, sizeof(sample_answer4)), other, &ip, &port),
                   ERR_MALFORMED);
        for (size_t bit = 0; bit < 8 * sizeof(changed); bit++) {
                if (is_framing(sample_answer4, sizeof(sample_answer4), bit / 8))
                        continue;
                memcpy(changed, sample_answer4, sizeof(changed));
                changed[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_err(mesh_stun_read(bytes_of(changed, sizeof(changed)), id, &ip, &port), ERR_MALFORMED);
        }
}

/* WireGuard's four messages and STUN's share a port: none is taken for the other. */
static void test_not_wireguard(void **state)
{
        uint8_t message[148] = { 0 };

        for (uint8_t type = 1; type <= 4; type++) {
                message[0] = type;
                memset(message + 4, 0x21, 4);
                assert_false(mesh_stun_is(bytes_of(message, sizeof(message))));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_answers_of_the_rfc),
                cmocka_unit_test(test_request_of_the_rfc),
                cmocka_unit_test(test_any_changed_bit_is_silence),
                cmocka_unit_test(test_our_question),
                cmocka_unit_test(test_what_is_not_answered),
                cmocka_unit_test(test_many_unknown_attributes),
                cmocka_unit_test(test_answers_that_are_none),
                cmocka_unit_test(test_not_wireguard),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
