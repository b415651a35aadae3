#include "http/proxy_protocol.h"

#include "../test.h"

#include <stdlib.h>

#define SIG   "\r\n\r\n\0\r\nQUIT\n"
#define ADDR4 "\xc0\x00\x02\x01\x0a\x00\x00\x01\x12\x34\x01\xbb" /* 192.0.2.1:4660 to 10.0.0.1:443 */
#define ADDR6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x12\x34\x01\xbb"
#define MAPPED6 \
        "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x00\x00\x01\x12\x34\x01\xbb"

#define TEN     "0123456789"
#define UNIX216 TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "012345"

static const struct {
        const char *why;
        struct str in;
        size_t behind;                    /* bytes after the header */
        const char *source, *destination; /* NULL: no addresses */
} accepted[] = {
        { "v1, IPv4", STR_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n"), 0, "192.0.2.1", "10.0.0.1" },
        { "v1, bytes behind", STR_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\nGET /"), 5, "192.0.2.1",
          "10.0.0.1" },
        { "v1, IPv6", STR_INIT("PROXY TCP6 2001:db8::1 fd00::2 4660 443\r\n"), 0, "2001:db8::1", "fd00::2" },
        { "v1, mapped", STR_INIT("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:10.0.0.1 4660 443\r\n"), 0, "192.0.2.1",
          "10.0.0.1" },
        { "v1, unknown", STR_INIT("PROXY UNKNOWN\r\n"), 0, NULL, NULL },
        { "v1, unknown and whatever", STR_INIT("PROXY UNKNOWN ffff:f 1 2 3\r\nx"), 1, NULL, NULL },
        { "v2, IPv4", STR_INIT(SIG "\x21\x11\x00\x0c" ADDR4), 0, "192.0.2.1", "10.0.0.1" },
        { "v2, bytes behind", STR_INIT(SIG "\x21\x11\x00\x0c" ADDR4 "\x16\x03"), 2, "192.0.2.1", "10.0.0.1" },
        { "v2, IPv6", STR_INIT(SIG "\x21\x21\x00\x24" ADDR6), 0, "2001:db8::1", "fd00::2" },
        { "v2, mapped", STR_INIT(SIG "\x21\x21\x00\x24" MAPPED6), 0, "192.0.2.1", "10.0.0.1" },
        { "v2, local", STR_INIT(SIG "\x20\x00\x00\x00"), 0, NULL, NULL },
        { "v2, local with a block to skip", STR_INIT(SIG "\x20\x11\x00\x0c" ADDR4), 0, NULL, NULL },
        { "v2, Unix sockets", STR_INIT(SIG "\x21\x31\x00\xd8" UNIX216), 0, NULL, NULL },
        { "v2, unspecified family", STR_INIT(SIG "\x21\x00\x00\x03xyz"), 0, NULL, NULL },
        { "v2, TLVs",
          STR_INIT(SIG "\x21\x11\x00\x1c" ADDR4 "\x01\x00\x02h2\x02\x00\x03"
                       "a.b\x04\x00\x02zz"),
          0, "192.0.2.1", "10.0.0.1" },
};

static const struct {
        const char *why;
        struct str in;
        const char *reason;
        enum err err;
} refused[] = {
        { "HTTP", STR_INIT("GET / HTTP/1.1\r\n"), "proxy_signature", ERR_MALFORMED },
        { "TLS", STR_INIT("\x16\x03\x01"), "proxy_signature", ERR_MALFORMED },
        { "lower case", STR_INIT("proxy TCP4 "), "proxy_signature", ERR_MALFORMED },
        { "v1, leading blank", STR_INIT(" PROXY TCP4"), "proxy_signature", ERR_MALFORMED },
        { "v1, bare LF", STR_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n"), "proxy_line_end", ERR_MALFORMED },
        { "v1, CR inside", STR_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 1\r2\r\n"), "proxy_line_end",
          ERR_MALFORMED },
        { "v1, other family", STR_INIT("PROXY UDP4 192.0.2.1 10.0.0.1 1 2\r\n"), "proxy_family",
          ERR_MALFORMED },
        { "v1, no family", STR_INIT("PROXY \r\n"), "proxy_family", ERR_MALFORMED },
        { "v1, two blanks", STR_INIT("PROXY TCP4  192.0.2.1 10.0.0.1 1 2\r\n"), "proxy_fields",
          ERR_MALFORMED },
        { "v1, too few", STR_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n"), "proxy_fields", ERR_MALFORMED },
        { "v1, too many", STR_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 1 2 3\r\n"), "proxy_fields",
          ERR_MALFORMED },
        { "v1, blank at the end", STR_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 1 2 \r\n"), "proxy_fields",
          ERR_MALFORMED },
        { "v1, IPv6 in TCP4", STR_INIT("PROXY TCP4 ::1 ::1 1 2\r\n"), "proxy_address", ERR_MALFORMED },
        { "v1, IPv4 in TCP6", STR_INIT("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n"), "proxy_address",
          ERR_MALFORMED },
        { "v1, short IPv4", STR_INIT("PROXY TCP4 127.1 10.0.0.1 1 2\r\n"), "proxy_address", ERR_MALFORMED },
        { "v1, a name", STR_INIT("PROXY TCP4 localhost 10.0.0.1 1 2\r\n"), "proxy_address", ERR_MALFORMED },
        { "v1, port too large", STR_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 65536 2\r\n"), "proxy_port",
          ERR_MALFORMED },
        { "v1, zero before the port", STR_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 01 2\r\n"), "proxy_port",
          ERR_MALFORMED },
        { "v1, signed port", STR_INIT("PROXY TCP4 192.0.2.1 10.0.0.1 +1 2\r\n"), "proxy_port",
          ERR_MALFORMED },
        { "v1, endless",
          STR_INIT("PROXY UNKNOWN "
                   "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234"
                   "5678901234567890"),
          "proxy_too_long", ERR_TOO_LARGE },
        { "v2, version 1", STR_INIT(SIG "\x11\x11\x00\x0c" ADDR4), "proxy_version", ERR_MALFORMED },
        { "v2, command 2", STR_INIT(SIG "\x22\x11\x00\x0c" ADDR4), "proxy_command", ERR_MALFORMED },
        { "v2, family 4", STR_INIT(SIG "\x21\x41\x00\x0c" ADDR4), "proxy_family", ERR_MALFORMED },
        { "v2, transport 3", STR_INIT(SIG "\x21\x13\x00\x0c" ADDR4), "proxy_family", ERR_MALFORMED },
        { "v2, block too short", STR_INIT(SIG "\x21\x21\x00\x0c" ADDR4), "proxy_length", ERR_MALFORMED },
        { "v2, Unix block too short", STR_INIT(SIG "\x21\x31\x00\x0c" ADDR4), "proxy_length", ERR_MALFORMED },
        { "v2, no block", STR_INIT(SIG "\x21\x11\x00\x00"), "proxy_length", ERR_MALFORMED },
        { "v2, longest", STR_INIT(SIG "\x21\x11\xff\xff"), "proxy_too_long", ERR_TOO_LARGE },
        { "v2, TLV past the end", STR_INIT(SIG "\x21\x11\x00\x10" ADDR4 "\x01\x00\x02h"), "proxy_tlv",
          ERR_MALFORMED },
        { "v2, half a TLV", STR_INIT(SIG "\x21\x11\x00\x0e" ADDR4 "\x01\x00"), "proxy_tlv", ERR_MALFORMED },
        { "v2, short SSL TLV", STR_INIT(SIG "\x21\x11\x00\x10" ADDR4 "\x20\x00\x01\x01"), "proxy_tlv",
          ERR_MALFORMED },
        { "v2, wrong checksum", STR_INIT(SIG "\x21\x11\x00\x13" ADDR4 "\x03\x00\x04\x01\x02\x03\x04"),
          "proxy_checksum", ERR_MALFORMED },
        { "v2, short checksum", STR_INIT(SIG "\x21\x11\x00\x12" ADDR4 "\x03\x00\x03\x01\x02\x03"),
          "proxy_checksum", ERR_MALFORMED },
};

/* Every prefix in a copy of its own size: too little is waited with, never judged otherwise than the whole. */
static void check(const char *why, struct str in, enum err expected, const char *wanted, size_t header_bytes)
{
        for (size_t n = 0; n <= in.len; n++) {
                char *copy = malloc(n ? n : 1);
                struct proxy_header h;
                const char *reason = NULL;

                memcpy(copy, in.ptr, n);
                enum err e = proxy_header_parse((struct str){ copy, n }, &h, &reason);
                bool may_wait = n < in.len && (expected != ERR_OK || n < header_bytes);
                if (e != expected && !(e == ERR_AGAIN && may_wait))
                        fail_msg("%s, first %zu: ERR_%s", why, n, err_name(e));
                if (e == ERR_OK)
                        assert_int_equal(h.bytes, header_bytes);
                if (e != ERR_OK && e != ERR_AGAIN && strcmp(reason, wanted) != 0)
                        fail_msg("%s, first %zu: %s", why, n, reason);
                free(copy);
        }
}

static void test_accepted(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
                struct proxy_header h;
                const char *reason;
                char text[IP_TEXT_MAX];

                check(accepted[i].why, accepted[i].in, ERR_OK, NULL, accepted[i].in.len - accepted[i].behind);
                assert_err(proxy_header_parse(accepted[i].in, &h, &reason), ERR_OK);
                assert_int_equal(h.has_addresses, accepted[i].source != NULL);
                if (!h.has_addresses)
                        continue;
                assert_str(ip_format(h.source, text), str_of(accepted[i].source));
                assert_str(ip_format(h.destination, text), str_of(accepted[i].destination));
                assert_int_equal(h.source_port, 4660);
                assert_int_equal(h.destination_port, 443);
        }
}

static void test_refused(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
                check(refused[i].why, refused[i].in, refused[i].err, refused[i].reason, 0);
}

static void test_tlvs(void **state)
{
        /* The checksum is of the whole header with its own four bytes zero; computed apart from the code under test. */
        struct str in = STR(SIG "\x21\x12\x00\x2f" ADDR4 "\x01\x00\x02h2\x02\x00\x03"
                                "a.b\x05\x00\x02id\x20\x00\x05\x01\0\0\0\0\x03\x00\x04\x00\x00\x00\x00"
                                "\xee\x00\x01x");
        struct proxy_header h;
        const char *reason;
        char text[128];

        memcpy(text, in.ptr, in.len);
        uint32_t crc = UINT32_MAX;
        for (size_t i = 0; i < in.len; i++)
                for (int bit = 0; bit < 8; bit++) {
                        uint32_t one = (crc ^ (uint32_t)((uint8_t)text[i] >> bit)) & 1;

                        crc = one ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
                }
        crc = ~crc;
        for (int i = 0; i < 4; i++)
                text[in.len - 8 + (size_t)i] = (char)(crc >> (24 - 8 * i));
        assert_err(proxy_header_parse((struct str){ text, in.len }, &h, &reason), ERR_OK);
        assert_str(h.alpn, STR("h2"));
        assert_str(h.authority, STR("a.b"));
        assert_str(h.unique_id, STR("id"));
        assert_true(h.is_tls);
        assert_true(h.is_udp);
        text[20] = (char)(text[20] ^ 1); /* an address changed on the way */
        assert_err(proxy_header_parse((struct str){ text, in.len }, &h, &reason), ERR_MALFORMED);
        assert_string_equal(reason, "proxy_checksum");
}

static void test_unique_id(void **state)
{
        for (size_t n = 128; n <= 129; n++) {
                char text[256] = SIG "\x21\x11\x00\x00" ADDR4 "\x05";
                struct proxy_header h;
                const char *reason;

                text[15] = (char)(12 + 3 + n);
                text[30] = (char)n;
                assert_err(proxy_header_parse((struct str){ text, 31 + n }, &h, &reason),
                           n == 128 ? ERR_OK : ERR_MALFORMED);
        }
}

static void test_format(void **state)
{
        static const struct {
                const char *why, *source, *destination, *v1;
                size_t v2_bytes;
        } cases[] = {
                { "IPv4", "192.0.2.1", "10.0.0.1", "PROXY TCP4 192.0.2.1 10.0.0.1 1 65535\r\n", 28 },
                { "IPv6", "2001:db8::1", "::1", "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", 52 },
                { "one of each", "192.0.2.1", "::1", "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 65535\r\n", 52 },
                { "longest", "2001:db8:1111:2222:3333:4444:5555:6666",
                  "2001:db8:1111:2222:3333:4444:5555:7777",
                  "PROXY TCP6 2001:db8:1111:2222:3333:4444:5555:6666 2001:db8:1111:2222:3333:4444:5555:7777 1 65535\r\n",
                  52 },
                { "none", NULL, NULL, "PROXY UNKNOWN\r\n", 16 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct proxy_header h = { .source_port = 1, .destination_port = 65535 }, again;
                char out[PROXY_WRITE_MAX];
                const char *reason;

                if (cases[i].source) {
                        h.has_addresses = true;
                        assert_err(ip_parse(str_of(cases[i].source), &h.source), ERR_OK);
                        assert_err(ip_parse(str_of(cases[i].destination), &h.destination), ERR_OK);
                }
                assert_str(proxy_header_format(&h, 1, out), str_of(cases[i].v1));
                for (uint8_t version = 1; version <= 2; version++) {
                        struct str text = proxy_header_format(&h, version, out);

                        if (version == 2)
                                assert_int_equal(text.len, cases[i].v2_bytes);
                        assert_err(proxy_header_parse(text, &again, &reason), ERR_OK);
                        assert_int_equal(again.version, version);
                        assert_int_equal(again.bytes, text.len);
                        assert_int_equal(again.has_addresses, h.has_addresses);
                        if (!h.has_addresses)
                                continue;
                        assert_true(ip_eq(again.source, h.source) && ip_eq(again.destination, h.destination));
                        assert_int_equal(again.source_port, 1);
                        assert_int_equal(again.destination_port, 65535);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_accepted),  cmocka_unit_test(test_refused), cmocka_unit_test(test_tlvs),
                cmocka_unit_test(test_unique_id), cmocka_unit_test(test_format),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
