#include "wg/inner.h"

#include "lab.h"

static void lengths(void **state)
{
        static const struct {
                const char *why;
                size_t given;
                uint8_t first;
                size_t said; /* total length of IPv4, payload length of IPv6 */
                enum err err;
                size_t len;
        } cases[] = {
                { "IPv4 as long as it says", 40, 0x45, 40, ERR_OK, 40 },
                { "IPv4 with padding behind", 48, 0x45, 40, ERR_OK, 40 },
                { "IPv4 header alone", 20, 0x45, 20, ERR_OK, 20 },
                { "IPv4 with options", 40, 0x4a, 40, ERR_OK, 40 },
                { "IPv4 cut short", 39, 0x45, 40, ERR_MALFORMED, 0 },
                { "IPv4 shorter than its header", 40, 0x46, 23, ERR_MALFORMED, 0 },
                { "IPv4 header shorter than any", 40, 0x44, 40, ERR_MALFORMED, 0 },
                { "IPv4 options cut", 40, 0x4f, 40, ERR_MALFORMED, 0 },
                { "IPv4 of 19 bytes", 19, 0x45, 19, ERR_MALFORMED, 0 },
                { "IPv4 length 0", 40, 0x45, 0, ERR_MALFORMED, 0 },
                { "IPv6 header alone", 40, 0x60, 0, ERR_OK, 40 },
                { "IPv6 with padding behind", 64, 0x6f, 8, ERR_OK, 48 },
                { "IPv6 cut short", 47, 0x60, 8, ERR_MALFORMED, 0 },
                { "IPv6 of 39 bytes", 39, 0x60, 0, ERR_MALFORMED, 0 },
                { "IPv6 length ffff", 60, 0x60, 0xffff, ERR_MALFORMED, 0 },
                { "version 0", 60, 0x05, 60, ERR_MALFORMED, 0 },
                { "version 15", 60, 0xff, 60, ERR_MALFORMED, 0 },
                { "nothing", 0, 0x45, 0, ERR_MALFORMED, 0 },
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint8_t *packet = malloc(cases[i].given + 1);
                struct wg_inner inner = { 0 };
                print_message("%s\n", cases[i].why);
                memset(packet, 0, cases[i].given + 1);
                packet[0] = cases[i].first;
                if (cases[i].given >= 6)
                        lab_be16(packet + (cases[i].first >> 4 == 6 ? 4 : 2), cases[i].said);
                /* Exactly as long as was given, so that the sanitizer sees a byte too far. */
                uint8_t *exact = malloc(cases[i].given ? cases[i].given : 1);
                memcpy(exact, packet, cases[i].given);
                assert_err(wg_inner_parse(exact, cases[i].given, &inner), cases[i].err);
                assert_int_equal(inner.len, cases[i].len);
                free(exact);
                free(packet);
        }
}

/* RFC 6040, figure 4, the rows where the outer says CE; a packet that cannot carry ECN passes unchanged. */
static void congestion_goes_inside(void **state)
{
        uint8_t packet[100];
        struct wg_inner inner;

        for (int v6 = 0; v6 < 2; v6++)
                for (uint8_t outer = 0; outer < 4; outer++)
                        for (uint8_t ecn = 0; ecn < 4; ecn++) {
                                size_t len = v6 ? lab_packet(packet, "fd00::1", "fd00::2", 10, 1)
                                                : lab_packet(packet, "10.0.0.1", "10.0.0.2", 10, 1);
                                uint8_t tos = (uint8_t)(0xb8 | ecn), expected = outer == 3 && ecn ? 3 : ecn;
                                if (v6) {
                                        packet[0] = (uint8_t)(0x60 | tos >> 4);
                                        packet[1] = (uint8_t)(tos << 4 | 0xf);
                                } else {
                                        packet[1] = tos;
                                        memset(packet + 10, 0, 2);
                                        wg_checksum_put(packet + 10, (uint16_t)~wg_checksum_fold(
                                                                             wg_checksum_add(0, packet, 20)));
                                }
                                wg_inner_mark_congestion(packet, (uint8_t)(0x40 | outer));
                                assert_err(wg_inner_parse(packet, len, &inner), ERR_OK);
                                assert_int_equal(inner.tos, 0xb8 | expected);
                                if (v6)
                                        assert_int_equal(packet[1] & 0xf, 0xf);
                                else
                                        assert_int_equal(wg_checksum_fold(wg_checksum_add(0, packet, 20)),
                                                         0xffff);
                        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lengths),
                cmocka_unit_test(congestion_goes_inside),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
