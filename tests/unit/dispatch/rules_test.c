#include "../test.h"

#include "dispatch/rules.h"

static struct ip ip(const char *text)
{
        struct ip out;

        assert_err(ip_parse(str_of(text), &out), ERR_OK);
        return out;
}

static struct conf_allow named(const char *name, uint16_t from, uint16_t to)
{
        return (struct conf_allow){ .name = str_of(name), .port_min = from, .port_max = to };
}

static struct conf_allow prefix(const char *text, uint16_t from, uint16_t to)
{
        struct conf_allow a = { .port_min = from, .port_max = to };

        assert_err(ip_prefix_parse(str_of(text), &a.prefix), ERR_OK);
        return a;
}

static void public_addresses(void **state)
{
        static const struct {
                const char *text;
                bool is_public;
                const char *reason;
        } rows[] = {
                { "8.8.8.8", true, "somebody's" },
                { "2606:4700::1111", true, "somebody's" },
                { "127.0.0.1", false, "ourselves" },
                { "::1", false, "ourselves" },
                { "0.0.0.0", false, "any" },
                { "::", false, "any" },
                { "10.1.2.3", false, "private" },
                { "172.16.0.1", false, "private" },
                { "172.32.0.1", true, "just outside" },
                { "192.168.1.1", false, "private" },
                { "169.254.169.254", false, "where clouds keep secrets" },
                { "100.64.0.5", false, "the mesh's" },
                { "100.100.100.200", false, "another cloud's secrets" },
                { "fd00:ec2::254", false, "and another's" },
                { "fe80::1", false, "link-local" },
                { "fc00::1", false, "private" },
                { "ff02::1", false, "multicast" },
                { "224.0.0.1", false, "multicast" },
                { "255.255.255.255", false, "broadcast" },
                { "::ffff:10.0.0.1", false, "IPv4 in IPv6" },
                { "64:ff9b::a00:1", false, "translated: it may hide a private one" },
                { "2002:a00:1::", false, "6to4 of a private one" },
                { "2001:0:a00:1::", false, "Teredo" },
                { "2001:db8::1", false, "documentation" },
                { "198.18.0.1", false, "benchmarks" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                print_message("%s: %s\n", rows[i].text, rows[i].reason);
                assert_int_equal(dispatch_is_public(ip(rows[i].text)), rows[i].is_public);
        }
}

static void without_a_list_nothing_is_allowed(void **state)
{
        const struct dispatch_rules none = { NULL, 0 };

        assert_false(dispatch_may_ask(&none, STR("example.com"), 443));
        assert_false(dispatch_may_dial(&none, STR("example.com"), ip("8.8.8.8"), 443));
}

static void names_and_prefixes(void **state)
{
        const struct conf_allow list[] = { named("*.example.com", 443, 443), named("api.test", 80, 90),
                                           prefix("8.8.0.0/16", 53, 53), prefix("127.0.0.0/8", 8000, 8999),
                                           prefix("0.0.0.0/0", 1234, 1234) };
        const struct dispatch_rules r = { list, ARRAY_SIZE(list) };
        static const struct {
                const char *host, *ip;
                uint16_t port;
                bool may_ask, may_dial;
                const char *reason;
        } rows[] = {
                { "www.example.com", "8.8.8.8", 443, true, true, "named" },
                { "www.example.com", "8.8.8.8", 80, false, false, "another port" },
                { "example.org", "8.8.8.8", 443, false, false, "another name" },
                { "www.example.com", "10.0.0.1", 443, true, false, "a name that leads inside" },
                { "www.example.com", "169.254.169.254", 443, true, false, "a name that leads to secrets" },
                { "www.example.com", "::1", 443, true, false, "a name that leads here" },
                { "8.8.8.8", "8.8.8.8", 53, true, true, "a prefix" },
                { "9.9.9.9", "9.9.9.9", 53, false, false, "not of it" },
                { "any.name", "8.8.4.4", 53, true, true, "a name may lead to a prefix" },
                { "any.name", "9.9.9.9", 53, true, false, "or not" },
                { "127.0.0.1", "127.0.0.1", 8080, true, true, "a prefix that means it" },
                { "localhost", "127.0.0.1", 8080, true, true, "by name too" },
                { "127.0.0.1", "127.0.0.1", 1234, true, false, "everything is not what is special" },
                { "1.1.1.1", "1.1.1.1", 1234, true, true, "everything public is" },
                { "api.test", "1.1.1.1", 90, true, true, "the last port" },
                { "api.test", "1.1.1.1", 91, false, false, "one more" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                print_message("%s\n", rows[i].reason);
                assert_int_equal(dispatch_may_ask(&r, str_of(rows[i].host), rows[i].port), rows[i].may_ask);
                assert_int_equal(dispatch_may_dial(&r, str_of(rows[i].host), ip(rows[i].ip), rows[i].port),
                                 rows[i].may_dial);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(public_addresses),
                cmocka_unit_test(without_a_list_nothing_is_allowed),
                cmocka_unit_test(names_and_prefixes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
