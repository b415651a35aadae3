#include "base/ip.h"

#include "../test.h"

static void test_parse(void **state)
{
        static const struct {
                const char *why;
                struct str in;
                const char *text; /* NULL: refused; else the canonical form (RFC 5952) */
        } cases[] = {
                { "ordinary", STR_INIT("192.0.2.1"), "192.0.2.1" },
                { "lowest", STR_INIT("0.0.0.0"), "0.0.0.0" },
                { "highest", STR_INIT("255.255.255.255"), "255.255.255.255" },
                { "octet too large", STR_INIT("192.0.2.256"), NULL },
                { "leading zero: octal elsewhere", STR_INIT("192.0.2.010"), NULL },
                { "two zeros", STR_INIT("192.0.2.00"), NULL },
                { "hexadecimal", STR_INIT("0x7f.0.0.1"), NULL },
                { "short form", STR_INIT("127.1"), NULL },
                { "one number", STR_INIT("2130706433"), NULL },
                { "five parts", STR_INIT("1.2.3.4.5"), NULL },
                { "ends in a dot", STR_INIT("1.2.3.4."), NULL },
                { "an empty part", STR_INIT("1..3.4"), NULL },
                { "space before", STR_INIT(" 1.2.3.4"), NULL },
                { "space after", STR_INIT("1.2.3.4 "), NULL },
                { "sign", STR_INIT("+1.2.3.4"), NULL },
                { "NUL inside", STR_INIT("1.2.3.4\0.5"), NULL },
                { "empty", STR_INIT(""), NULL },
                { "a name", STR_INIT("localhost"), NULL },
                { "a prefix", STR_INIT("10.0.0.0/8"), NULL },
                { "loopback", STR_INIT("::1"), "::1" },
                { "unspecified", STR_INIT("::"), "::" },
                { "all groups", STR_INIT("2001:0db8:0000:0000:0000:ff00:0042:8329"),
                  "2001:db8::ff00:42:8329" },
                { "capitals", STR_INIT("2001:DB8::A"), "2001:db8::a" },
                { "the longer run of zeros is shortened", STR_INIT("2001:0:0:1:0:0:0:1"), "2001:0:0:1::1" },
                { "the first of equal runs is shortened", STR_INIT("2001:db8:0:0:1:0:0:1"),
                  "2001:db8::1:0:0:1" },
                { "two double colons", STR_INIT("1::2::3"), NULL },
                { "nine groups", STR_INIT("1:2:3:4:5:6:7:8:9"), NULL },
                { "seven groups", STR_INIT("1:2:3:4:5:6:7"), NULL },
                { "five digits", STR_INIT("12345::"), NULL },
                { "three colons", STR_INIT(":::"), NULL },
                { "one colon at the front", STR_INIT(":1:2:3:4:5:6:7"), NULL },
                { "zone", STR_INIT("fe80::1%eth0"), NULL },
                { "brackets", STR_INIT("[::1]"), NULL },
                { "mapped becomes IPv4", STR_INIT("::ffff:192.0.2.1"), "192.0.2.1" },
                { "mapped in hexadecimal too", STR_INIT("::ffff:c000:201"), "192.0.2.1" },
                { "mapped in full", STR_INIT("0:0:0:0:0:ffff:127.0.0.1"), "127.0.0.1" },
                { "compatible is not mapped", STR_INIT("::192.0.2.1"), "::192.0.2.1" },
                { "NAT64 is not mapped", STR_INIT("64:ff9b::c000:201"), "64:ff9b::c000:201" },
                { "the longest text", STR_INIT("0000:0000:0000:0000:0000:ffff:255.255.255.255"),
                  "255.255.255.255" },
                { "one longer", STR_INIT("00000:0000:0000:0000:0000:ffff:255.255.255.255"), NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct ip ip = { .family = 99 };
                char text[IP_TEXT_MAX];
                enum err e = ip_parse(cases[i].in, &ip);

                if (!cases[i].text) {
                        if (e != ERR_MALFORMED || ip.family != 99)
                                fail_msg("%s: accepted, or written to", cases[i].why);
                        continue;
                }
                if (e != ERR_OK)
                        fail_msg("%s: refused", cases[i].why);
                assert_str(ip_format(ip, text), str_of(cases[i].text));
        }
}

static void test_prefix_parse(void **state)
{
        static const struct {
                const char *why;
                struct str in;
                const char *text;
        } cases[] = {
                { "ordinary", STR_INIT("10.0.0.0/8"), "10.0.0.0/8" },
                { "everything", STR_INIT("0.0.0.0/0"), "0.0.0.0/0" },
                { "one address", STR_INIT("192.0.2.7/32"), "192.0.2.7/32" },
                { "a bare address", STR_INIT("192.0.2.7"), "192.0.2.7/32" },
                { "a bare IPv6 address", STR_INIT("::1"), "::1/128" },
                { "host bits stay", STR_INIT("10.1.2.3/8"), "10.1.2.3/8" },
                { "one bit too many", STR_INIT("10.0.0.0/33"), NULL },
                { "the most bits of IPv6", STR_INIT("::/128"), "::/128" },
                { "one too many of IPv6", STR_INIT("::/129"), NULL },
                { "four digits", STR_INIT("::/1280"), NULL },
                { "a wrap to a small number", STR_INIT("10.0.0.0/264"), NULL },
                { "no bits after the slash", STR_INIT("10.0.0.0/"), NULL },
                { "leading zero", STR_INIT("10.0.0.0/08"), NULL },
                { "zero alone", STR_INIT("10.0.0.0/0"), "10.0.0.0/0" },
                { "sign", STR_INIT("10.0.0.0/+8"), NULL },
                { "a mask", STR_INIT("10.0.0.0/255.0.0.0"), NULL },
                { "two slashes", STR_INIT("10.0.0.0/8/8"), NULL },
                { "no address", STR_INIT("/8"), NULL },
                { "mapped, counted from the IPv6 form", STR_INIT("::ffff:10.0.0.0/104"), "10.0.0.0/8" },
                { "all of mapped", STR_INIT("::ffff:0.0.0.0/96"), "0.0.0.0/0" },
                { "wider than mapped", STR_INIT("::ffff:0.0.0.0/95"), NULL },
                { "mapped, the most", STR_INIT("::ffff:10.0.0.1/128"), "10.0.0.1/32" },
                { "mapped, one more", STR_INIT("::ffff:10.0.0.1/129"), NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct ip_prefix p = { .bits = 99 };
                char text[IP_PREFIX_TEXT_MAX];
                enum err e = ip_prefix_parse(cases[i].in, &p);

                if (!cases[i].text) {
                        if (e != ERR_MALFORMED || p.bits != 99)
                                fail_msg("%s: accepted, or written to", cases[i].why);
                        continue;
                }
                if (e != ERR_OK)
                        fail_msg("%s: refused", cases[i].why);
                assert_str(ip_prefix_format(&p, text), str_of(cases[i].text));
        }
}

static struct ip ip(const char *text)
{
        struct ip ip;

        assert_err(ip_parse(str_of(text), &ip), ERR_OK);
        return ip;
}

static struct ip_prefix prefix(const char *text)
{
        struct ip_prefix p;

        assert_err(ip_prefix_parse(str_of(text), &p), ERR_OK);
        return p;
}

static void test_contains(void **state)
{
        static const struct {
                const char *why, *prefix, *ip;
                bool inside;
        } cases[] = {
                { "first", "100.64.0.0/10", "100.64.0.0", true },
                { "one before", "100.64.0.0/10", "100.63.255.255", false },
                { "last", "100.64.0.0/10", "100.127.255.255", true },
                { "one after", "100.64.0.0/10", "100.128.0.0", false },
                { "host bits of the prefix do not matter", "10.1.2.3/8", "10.9.9.9", true },
                { "itself", "192.0.2.7/32", "192.0.2.7", true },
                { "its neighbour", "192.0.2.7/32", "192.0.2.6", false },
                { "everything", "0.0.0.0/0", "255.255.255.255", true },
                { "but not the other family", "0.0.0.0/0", "::1", false },
                { "and not the other way round", "::/0", "10.0.0.1", false },
                { "a mapped address is IPv4", "10.0.0.0/8", "::ffff:10.0.0.1", true },
                { "so the IPv6 form of a rule does not see it", "::/0", "::ffff:10.0.0.1", false },
                { "IPv6 within", "fd7a:115c:a1e0::/48", "fd7a:115c:a1e0:ffff::1", true },
                { "IPv6 one after", "fd7a:115c:a1e0::/48", "fd7a:115c:a1e1::", false },
                { "bits not at a byte's end", "2001:db8::/33", "2001:db8:7fff::", true },
                { "one bit further", "2001:db8::/33", "2001:db8:8000::", false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct ip_prefix p = prefix(cases[i].prefix);
                if (ip_prefix_contains(&p, ip(cases[i].ip)) != cases[i].inside)
                        fail_msg("%s", cases[i].why);
        }
}

static void test_covers(void **state)
{
        static const struct {
                const char *outer, *inner;
                bool covers;
        } cases[] = {
                { "10.0.0.0/8", "10.1.0.0/16", true },  { "10.1.0.0/16", "10.0.0.0/8", false },
                { "10.0.0.0/8", "10.0.0.0/8", true },   { "10.0.0.0/8", "11.0.0.0/16", false },
                { "0.0.0.0/0", "10.0.0.0/8", true },    { "::/0", "10.0.0.0/8", false },
                { "fd00::/8", "fd7a:115c::/32", true }, { "fd00::/8", "fe80::/10", false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct ip_prefix outer = prefix(cases[i].outer), inner = prefix(cases[i].inner);
                if (ip_prefix_covers(&outer, &inner) != cases[i].covers)
                        fail_msg("%s and %s", cases[i].outer, cases[i].inner);
        }
}

static void test_first_and_last(void **state)
{
        static const struct {
                const char *ip;
                uint8_t bits;
                const char *first, *last;
        } cases[] = {
                { "10.1.2.3", 0, "0.0.0.0", "255.255.255.255" },
                { "10.1.2.3", 7, "10.0.0.0", "11.255.255.255" },
                { "10.1.2.3", 8, "10.0.0.0", "10.255.255.255" },
                { "10.1.2.3", 9, "10.0.0.0", "10.127.255.255" },
                { "10.1.2.3", 31, "10.1.2.2", "10.1.2.3" },
                { "10.1.2.3", 32, "10.1.2.3", "10.1.2.3" },
                { "2001:db8::1", 0, "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
                { "2001:db8::1", 127, "2001:db8::", "2001:db8::1" },
                { "2001:db8::1", 128, "2001:db8::1", "2001:db8::1" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct ip host = ip(cases[i].ip);
                assert_true(ip_eq(ip_masked(host, cases[i].bits), ip(cases[i].first)));
                assert_true(ip_eq(ip_last(host, cases[i].bits), ip(cases[i].last)));
        }
}

static void test_order(void **state)
{
        static const char *const sorted[] = { "0.0.0.0", "9.255.255.255", "10.0.0.0", "255.255.255.255",
                                              "::",      "::1",           "2001::",   "ff02::1" };

        for (size_t i = 0; i < ARRAY_SIZE(sorted); i++)
                for (size_t j = 0; j < ARRAY_SIZE(sorted); j++) {
                        int order = ip_cmp(ip(sorted[i]), ip(sorted[j]));
                        assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
                        assert_int_equal(ip_eq(ip(sorted[i]), ip(sorted[j])), i == j);
                }
}

static void test_kinds(void **state)
{
        static const struct {
                const char *ip;
                bool is_loopback, is_link_local;
        } cases[] = {
                { "127.0.0.1", true, false },
                { "127.255.255.255", true, false },
                { "126.255.255.255", false, false },
                { "128.0.0.0", false, false },
                { "::1", true, false },
                { "::2", false, false },
                { "::ffff:127.0.0.1", true, false },
                { "169.254.0.1", false, true },
                { "169.253.255.255", false, false },
                { "169.255.0.0", false, false },
                { "fe80::1", false, true },
                { "febf:ffff::1", false, true },
                { "fec0::1", false, false },
                { "fe7f:ffff::1", false, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                if (ip_is_loopback(ip(cases[i].ip)) != cases[i].is_loopback ||
                    ip_is_link_local(ip(cases[i].ip)) != cases[i].is_link_local)
                        fail_msg("%s", cases[i].ip);
        }
}

static void test_bytes(void **state)
{
        const uint8_t v4[4] = { 192, 0, 2, 1 };
        const uint8_t mapped[16] = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 };
        const uint8_t v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
        char text[IP_TEXT_MAX];

        assert_true(ip_eq(ip_from_bytes(4, v4), ip("192.0.2.1")));
        assert_true(ip_eq(ip_from_bytes(6, mapped), ip("192.0.2.1")));
        assert_true(ip_eq(ip_from_bytes(6, v6), ip("2001:db8::1")));
        assert_str(ip_format((struct ip){ 0 }, text), STR("")); /* no address is not "::" */
}

/* Every value of an octet, in every place, reads back as it was. */
static void test_format_ipv4(void **state)
{
        for (int place = 0; place < 4; place++)
                for (int n = 0; n < 256; n++) {
                        uint8_t bytes[4] = { 1, 22, 133, 4 };
                        char text[IP_TEXT_MAX];
                        struct ip ip, again;

                        bytes[place] = (uint8_t)n;
                        ip = ip_from_bytes(4, bytes);
                        assert_err(ip_parse(ip_format(ip, text), &again), ERR_OK);
                        assert_true(ip_eq(ip, again));
                        assert_int_equal(text[strlen(text)], '\0');
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_format_ipv4),  cmocka_unit_test(test_parse),
                cmocka_unit_test(test_prefix_parse), cmocka_unit_test(test_contains),
                cmocka_unit_test(test_covers),       cmocka_unit_test(test_first_and_last),
                cmocka_unit_test(test_order),        cmocka_unit_test(test_kinds),
                cmocka_unit_test(test_bytes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
