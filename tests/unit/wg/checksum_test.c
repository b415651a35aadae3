#include "wg/checksum.h"

#include "lab.h"

/* Straight from RFC 1071. */
static uint16_t slow(const uint8_t *p, size_t len)
{
        uint32_t sum = 0;

        for (size_t i = 0; i < len; i++)
                sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        return (uint16_t)sum;
}

static uint16_t wire_order(uint16_t memory_order)
{
        uint8_t bytes[2];

        wg_checksum_put(bytes, memory_order);
        return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* 0 and ffff are one number. */
static bool same(uint16_t a, uint16_t b)
{
        return a == b || (a == 0 && b == 0xffff) || (a == 0xffff && b == 0);
}

static void every_length_and_alignment(void **state)
{
        static uint8_t bytes[3000], copy[3000];
        struct lab_random r = { 77 };

        for (size_t len = 0; len < 2100; len += len < 300 ? 1 : 37)
                for (size_t at = 0; at < 8; at += 3) {
                        lab_fill(&r, bytes, sizeof(bytes));
                        if (len % 5 == 0)
                                memset(bytes, 0xff, sizeof(bytes)); /* the most carries */
                        uint16_t expected = slow(bytes + at, len);
                        assert_true(same(wire_order(wg_checksum_fold(wg_checksum_add(0, bytes + at, len))),
                                         expected));
                        memset(copy, 0xee, sizeof(copy));
                        uint64_t sum = wg_checksum_copy(0, copy + 1, bytes + at, len);
                        assert_true(same(wire_order(wg_checksum_fold(sum)), expected));
                        assert_memory_equal(copy + 1, bytes + at, len);
                        assert_int_equal(copy[len + 1], 0xee);
                }
}

static void parts_add_up(void **state)
{
        static uint8_t bytes[200000];
        struct lab_random r = { 5 };
        uint64_t sum = 0;

        lab_fill(&r, bytes, sizeof(bytes));
        for (size_t at = 0; at < sizeof(bytes);) {
                size_t len = MIN(2 * (size_t)lab_below(&r, 3000), sizeof(bytes) - at);
                sum = wg_checksum_add(sum, bytes + at, len);
                at += len;
        }
        assert_true(same(wire_order(wg_checksum_fold(sum)), slow(bytes, sizeof(bytes))));
        assert_int_equal(wire_order(wg_checksum_fold(wg_checksum_be16(0x1234))), 0x1234);
        assert_int_equal(wire_order(wg_checksum_fold(wg_checksum_be32(0x12345678))), 0x1234 + 0x5678);
        assert_int_equal(wg_checksum_fold(UINT64_MAX), 0xffff);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_length_and_alignment),
                cmocka_unit_test(parts_add_up),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
