/* The small words of the language: names, ports, durations, conditions, hours. */
#include "../test.h"

#include "policy/alias.h"
#include "policy/period.h"
#include "policy/ports.h"
#include "policy/posture.h"
#include "policy/when.h"
#include "json/reader.h"

static struct arena arena;

static int setup(void **state)
{
        arena_init(&arena, NULL, 0, 1 << 20);
        return 0;
}

static int teardown(void **state)
{
        arena_fini(&arena);
        return 0;
}

static void test_alias(void **state)
{
        static const struct {
                const char *text;
                enum policy_alias_kind kind;
                const char *name;
        } cases[] = {
                { "*", ALIAS_ANY, "*" },
                { " tag:db\n", ALIAS_TAG, "db" },
                { "group:eng", ALIAS_GROUP, "eng" },
                { "group:eng@example.com", ALIAS_GROUP, "eng@example.com" },
                { "alice@example.com", ALIAS_USER, "alice@example.com" },
                { "alice@", ALIAS_USER, "alice@" },
                { "user:*@example.com", ALIAS_DOMAIN, "example.com" },
                { "autogroup:members", ALIAS_AUTOGROUP, "autogroup:members" },
                { "10.0.0.0/8", ALIAS_PREFIX, "10.0.0.0/8" },
                { "fd7a::1", ALIAS_PREFIX, "fd7a::1" },
                { "[fd7a::1]/64", ALIAS_PREFIX, "[fd7a::1]/64" },
                { "webserver", ALIAS_HOST, "webserver" },
                { "host:webserver", ALIAS_HOST, "webserver" },
                { "ipset:offices", ALIAS_IPSET, "offices" },
                { "svc:web", ALIAS_SVC, "web" },
                { "service:wiki", ALIAS_SERVICE, "wiki" },
                { "model:gpt-*", ALIAS_MODEL, "gpt-*" },
                { "model:team@gpt", ALIAS_MODEL, "team@gpt" },
                { "provider:openai", ALIAS_PROVIDER, "openai" },
                { "tool:github/*", ALIAS_TOOL, "github/*" },
                { "", ALIAS_INVALID, "" },
                { "tag:", ALIAS_INVALID, "" },
                { "foo:bar", ALIAS_INVALID, "foo:bar" },
                { "@example.com", ALIAS_INVALID, "@example.com" },
                { "10.0.0.0/33", ALIAS_HOST, "10.0.0.0/33" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct policy_alias a = policy_alias_parse(str_of(cases[i].text), 3, 4);

                print_message("%s\n", cases[i].text);
                assert_int_equal(a.kind, cases[i].kind);
                assert_str(a.name, str_of(cases[i].name));
                assert_int_equal(a.line, 3);
        }
        assert_int_equal(policy_alias_parse(STR("autogroup:members"), 0, 0).autogroup, AUTOGROUP_MEMBER);
        assert_int_equal(policy_alias_parse(STR("autogroup:bogus"), 0, 0).autogroup, AUTOGROUP_UNKNOWN);
}

static void test_destination(void **state)
{
        static const struct {
                const char *text, *host, *ports;
        } cases[] = {
                { "tag:db:22", "tag:db", "22" },
                { "*:*", "*", "*" },
                { "fd7a::1:22", "fd7a::1", "22" },
                { "[fd7a::1]:80,443", "[fd7a::1]", "80,443" },
                { "autogroup:self", "autogroup", "self" },
                { "webserver", NULL, NULL },
                { ":22", NULL, NULL },
                { "host:", NULL, NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct str host, ports;
                const char *why = policy_destination_split(str_of(cases[i].text), &host, &ports);

                assert_int_equal(why == NULL, cases[i].host != NULL);
                if (why)
                        continue;
                assert_str(host, str_of(cases[i].host));
                assert_str(ports, str_of(cases[i].ports));
        }
}

static void test_ports(void **state)
{
        static const struct {
                const char *text, *why;
                size_t count;
                uint16_t first, last;
        } cases[] = {
                { "*", NULL, 1, 0, 65535 },
                { "22", NULL, 1, 22, 22 },
                { "80-443,22", NULL, 2, 80, 443 },
                { "0-65535", NULL, 1, 0, 65535 },
                { "0", "first port must be >0, or use '*' for wildcard", 0, 0, 0 },
                { "", "invalid first integer", 0, 0, 0 },
                { "ssh", "invalid first integer", 0, 0, 0 },
                { "-1", "invalid first integer", 0, 0, 0 },
                { "22-", "invalid last integer", 0, 0, 0 },
                { "22,", "invalid first integer", 0, 0, 0 },
                { "65536", "invalid first integer", 0, 0, 0 },
                { "90-80", "first port is greater than last port", 0, 0, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct policy_ports p;
                const char *why = NULL;
                enum err e = policy_ports_parse(&arena, str_of(cases[i].text), &p, &why);

                print_message("%s\n", cases[i].text);
                assert_err(e, cases[i].why ? ERR_MALFORMED : ERR_OK);
                if (e != ERR_OK) {
                        assert_string_equal(why, cases[i].why);
                        continue;
                }
                assert_int_equal(p.count, cases[i].count);
                assert_int_equal(p.ranges[0].first, cases[i].first);
                assert_int_equal(p.ranges[0].last, cases[i].last);
        }
}

static void test_proto(void **state)
{
        static const struct {
                const char *text;
                int16_t number; /* -2: refused */
        } cases[] = { { "tcp", 6 },   { "TCP", 6 },      { "17", 17 },  { "ipv6-icmp", 58 },
                      { "255", 255 }, { "ip-in-ip", 4 }, { "256", -2 }, { "06", -2 },
                      { "*", -2 },    { "bogus", -2 },   { "-1", -2 } };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const char *why = NULL;
                int16_t proto = -2;

                assert_int_equal(policy_proto_parse(str_of(cases[i].text), &proto, &why) == ERR_OK,
                                 cases[i].number >= 0);
                if (cases[i].number >= 0)
                        assert_int_equal(proto, cases[i].number);
                else
                        assert_non_null(why);
        }
}

static void test_period(void **state)
{
        static const struct {
                const char *text, *out; /* canonical form, or the refusal */
        } cases[] = {
                { "12h", "12h0m0s" },
                { "-1m", "-1m0s" },
                { "168h0m1s", "168h0m1s" },
                { "1.5s", "1.5s" },
                { "1h30m", "1h30m0s" },
                { "100ms", "100ms" },
                { "1500us", "1.5ms" },
                { "7ns", "7ns" },
                { "0", "0s" },
                { "abc", "time: invalid duration \"abc\"" },
                { "", "time: invalid duration \"\"" },
                { "30", "time: missing unit in duration \"30\"" },
                { "7d", "time: unknown unit \"d\" in duration \"7d\"" },
                { "1h-", "time: unknown unit \"h-\" in duration \"1h-\"" },
                { "9999999999h", "time: invalid duration \"9999999999h\"" },
                { ".h", "time: invalid duration \".h\"" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char why[PERIOD_WHY_MAX], text[PERIOD_TEXT_MAX];
                int64_t ns;

                if (policy_period_parse(str_of(cases[i].text), &ns, why) == ERR_OK)
                        assert_str(policy_period_format(ns, text), str_of(cases[i].out));
                else
                        assert_string_equal(why, cases[i].out);
        }
}

static const struct policy_attr device[] = {
        { STR_INIT("custom:managed"), { .type = VALUE_BOOL, .boolean = true } },
        { STR_INIT("custom:score"), { .type = VALUE_NUMBER, .text = STR_INIT("87") } },
        { STR_INIT("ip:country"), { .type = VALUE_STRING, .text = STR_INIT("JP") } },
        { STR_INIT("node:os"), { .type = VALUE_STRING, .text = STR_INIT("macos") } },
        { STR_INIT("node:osVersion"), { .type = VALUE_STRING, .text = STR_INIT("13.4.1") } },
        { STR_INIT("node:tsVersion"), { .type = VALUE_STRING, .text = STR_INIT("1.40") } },
};

static void test_conditions(void **state)
{
        const struct policy_attrs attrs = { device, ARRAY_SIZE(device) };
        static const struct {
                const char *text;
                int holds; /* -1: refused */
        } cases[] = {
                { "node:os == 'macos'", 1 },
                { "node:os=='linux'", 0 },
                { "node:os != 'linux'", 1 },
                { "node:os IN ['linux', 'macos']", 1 },
                { "node:os NOT IN ['linux', 'macos']", 0 },
                { "node:os in ['linux']", 0 },
                { "node:osVersion >= '13.4'", 1 },
                { "node:osVersion < '13.10'", 1 },
                { "node:osVersion >= '14'", 0 },
                { "node:tsVersion >= '1.40.0'", 1 },
                { "custom:score >= 80", 1 },
                { "custom:score < 9", 0 },
                { "custom:score == '87'", 0 },
                { "custom:managed == true", 1 },
                { "custom:managed != true", 0 },
                { "custom:absent == 'x'", 0 },
                { "custom:absent != 'x'", 0 },
                { "custom:absent NOT IN ['x']", 0 },
                { "custom:absent NOT SET", 1 },
                { "custom:absent IS SET", 0 },
                { "ip:country IS SET", 1 },
                { "custom:managed", 1 }, /* alone: that it is true */
                { "custom:score", 0 },
                { "custom:absent", 0 },
                { "custom:managed 1", -1 },
                { "ip:country in ['JP', 'US']", 1 },
                { "os == 'macos'", -1 },
                { "node:os == macos", -1 },
                { "node:os == 'macos' && node:os == 'linux'", -1 },
                { "node:os IN []", -1 },
                { "node:os IN ['a'", -1 },
                { "node:os == 'a", -1 },
                { "", -1 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct policy_condition c;
                char why[POSTURE_WHY_MAX];
                enum err e = policy_condition_parse(&arena, str_of(cases[i].text), &c, why);

                print_message("%s\n", cases[i].text);
                assert_err(e, cases[i].holds < 0 ? ERR_MALFORMED : ERR_OK);
                if (e == ERR_OK)
                        assert_int_equal(policy_condition_holds(&c, &attrs), cases[i].holds);
        }
}

static void test_versions(void **state)
{
        static const struct {
                const char *a, *b;
                int order;
        } cases[] = { { "1.40", "1.40.0", 0 },   { "1.9", "1.10", -1 },     { "10", "9", 1 },
                      { "1.2-beta", "1.2", -1 }, { "1.2rc1", "1.2.1", -1 }, { "1.2.3", "1.2.3", 0 },
                      { "010", "10", 0 },        { "1.2-a", "1.2-b", -1 } };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_int_equal(policy_version_compare(str_of(cases[i].a), str_of(cases[i].b)),
                                 cases[i].order);
                assert_int_equal(policy_version_compare(str_of(cases[i].b), str_of(cases[i].a)),
                                 -cases[i].order);
        }
}

static void test_when(void **state)
{
        static const char office[] =
                "{\"address\": [\"203.0.113.0/24\"], \"country\": [\"jp\"], \"auth\": \"mfa\","
                " \"hours\": [{\"days\": [\"mon\", \"fri\"], \"from\": \"22:00\", \"to\": \"02:00\","
                " \"utcOffset\": \"+09:00\"}], \"before\": \"2030-01-01T00:00:00Z\"}";
        struct policy_asker good = { .country = STR("JP"), .auth = AUTH_HARDWARE }, asker;
        const struct json_value *v;
        struct report report;
        struct {
                const char *why, *time, *fails;
        } times[] = {
                { "Monday 23:00 in Japan", "2027-02-01T14:00:00Z", NULL },
                { "Tuesday 01:59 there: Monday's night", "2027-02-01T16:59:00Z", NULL },
                { "Tuesday 02:00", "2027-02-01T17:00:00Z", "hours" },
                { "Tuesday 23:00", "2027-02-02T14:00:00Z", "hours" },
                { "before its end", "2030-02-01T14:00:00Z", "before" },
        };

        report_init(&report, STR_NULL);
        assert_err(json_read_strict(&arena, str_of(office), &report, &v), ERR_OK);
        const struct policy_when *w = policy_when_read(&arena, v, &report);
        assert_non_null(w);
        assert_err(ip_parse(STR("203.0.113.9"), &good.address), ERR_OK);
        for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
                print_message("%s\n", times[i].why);
                assert_err(units_parse_time(str_of(times[i].time), &good.now), ERR_OK);
                const char *fails = policy_when_fails(w, &good);
                assert_true(fails == times[i].fails ||
                            (fails && times[i].fails && strcmp(fails, times[i].fails) == 0));
        }
        assert_err(units_parse_time(STR("2027-02-01T14:00:00Z"), &good.now), ERR_OK);
        asker = good;
        asker.auth = AUTH_SSO;
        assert_string_equal(policy_when_fails(w, &asker), "auth");
        asker = good;
        asker.country = STR("DE");
        assert_string_equal(policy_when_fails(w, &asker), "country");
        asker = good;
        asker.address.bytes[0] = 1;
        assert_string_equal(policy_when_fails(w, &asker), "address");
        report_fini(&report);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_alias),
                cmocka_unit_test(test_destination),
                cmocka_unit_test_setup_teardown(test_ports, setup, teardown),
                cmocka_unit_test(test_proto),
                cmocka_unit_test(test_period),
                cmocka_unit_test_setup_teardown(test_conditions, setup, teardown),
                cmocka_unit_test(test_versions),
                cmocka_unit_test_setup_teardown(test_when, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
