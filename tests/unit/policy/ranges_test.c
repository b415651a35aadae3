#include "policy/ranges.h"

#include <stdio.h>

#include "../test.h"

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

/* "10.0.0.0/8 192.0.2.1-192.0.2.9" as a set; "" is empty. */
static struct policy_ranges ranges_of(const char *text)
{
        struct policy_ranges set = { 0 };
        struct str rest = str_of(text), part;

        while (rest.len && str_split(&rest, ' ', &part)) {
                size_t dash = str_find_char(part, '-');
                struct ip_prefix prefix;
                struct policy_range r;

                if (dash != STR_NONE) {
                        assert_err(ip_parse(str_sub(part, 0, dash), &r.first), ERR_OK);
                        assert_err(ip_parse(str_from(part, dash + 1), &r.last), ERR_OK);
                } else {
                        assert_err(ip_prefix_parse(part, &prefix), ERR_OK);
                        r = policy_range_of(prefix);
                }
                assert_true(policy_ranges_add(&arena, &set, r));
        }
        policy_ranges_seal(&set);
        return set;
}

static void assert_ranges(const struct policy_ranges *set, const char *expected)
{
        char text[POLICY_RANGE_TEXT_MAX], all[1024] = "";

        for (size_t i = 0; i < set->count; i++) {
                struct str one = policy_range_format(set->items[i], text);

                snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%.*s", i ? " " : "", STR_FMT(one));
        }
        assert_string_equal(all, expected);
}

static void test_union(void **state)
{
        static const struct {
                const char *why, *in, *out;
        } cases[] = {
                { "nothing", "", "" },
                { "sorted, IPv4 before IPv6", "fd00::1 10.0.0.2 10.0.0.9", "10.0.0.2 10.0.0.9 fd00::1" },
                { "what touches becomes one", "10.0.0.2 10.0.0.3", "10.0.0.2/31" },
                { "an inner part is absorbed", "10.0.0.0/8 10.33.0.0/16", "10.0.0.0/8" },
                { "twice is once", "10.0.0.1 10.0.0.1", "10.0.0.1" },
                { "overlap that is no prefix", "10.0.0.1-10.0.0.4 10.0.0.3-10.0.0.9", "10.0.0.1-10.0.0.9" },
                { "the last address has no next", "255.255.255.255 0.0.0.0", "0.0.0.0 255.255.255.255" },
                { "families do not touch", "255.255.255.255 ::", "255.255.255.255 ::" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct policy_ranges set = ranges_of(cases[i].in);

                print_message("%s\n", cases[i].why);
                assert_ranges(&set, cases[i].out);
        }
}

static void test_difference(void **state)
{
        static const struct {
                const char *why, *set, *less, *out;
        } cases[] = {
                { "nothing taken", "10.0.0.0/24", "", "10.0.0.0/24" },
                { "a hole", "10.0.0.0/30", "10.0.0.1", "10.0.0.0 10.0.0.2/31" },
                { "the front", "10.0.0.0/30", "10.0.0.0", "10.0.0.1-10.0.0.3" },
                { "the end", "10.0.0.0/30", "10.0.0.3", "10.0.0.0-10.0.0.2" },
                { "all", "10.0.0.0/30", "10.0.0.0/8", "" },
                { "two holes", "10.0.0.0/29", "10.0.0.1 10.0.0.5", "10.0.0.0 10.0.0.2-10.0.0.4 10.0.0.6/31" },
                { "one cut across two", "10.0.0.0/30 10.0.1.0/30", "10.0.0.3-10.0.1.1",
                  "10.0.0.0-10.0.0.2 10.0.1.2/31" },
                { "up to the last address", "255.255.255.254/31", "255.255.255.255", "255.255.255.254" },
                { "another family", "10.0.0.0/30", "::/0", "10.0.0.0/30" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct policy_ranges set = ranges_of(cases[i].set), less = ranges_of(cases[i].less);

                print_message("%s\n", cases[i].why);
                assert_true(policy_ranges_remove(&arena, &set, &less));
                assert_ranges(&set, cases[i].out);
        }
}

static void test_asking(void **state)
{
        struct policy_ranges set = ranges_of("10.0.0.0/30 10.0.0.8 fd00::/16");
        static const struct {
                const char *range;
                bool contains, overlaps;
        } cases[] = {
                { "10.0.0.3", true, true },
                { "10.0.0.4", false, false },
                { "10.0.0.2-10.0.0.4", false, true },
                { "fd00::5", true, true },
                { "10.0.0.4-10.0.0.7", false, false },
                { "10.0.0.0/8", false, true },
                { "fe00::", false, false },
                { "10.0.0.8", true, true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct policy_ranges one = ranges_of(cases[i].range);

                assert_int_equal(policy_ranges_contain_range(&set, one.items[0]), cases[i].contains);
                assert_int_equal(policy_ranges_overlap(&set, one.items[0]), cases[i].overlaps);
        }
}

static void test_texts(void **state)
{
        const struct policy_ranges *internet = policy_ranges_internet(), *tailnet = policy_ranges_tailnet();
        char text[POLICY_RANGE_TEXT_MAX];
        struct ip ip;

        assert_str(policy_range_format(tailnet->items[0], text), STR("100.64.0.0-100.115.91.255"));
        assert_str(policy_range_format(tailnet->items[1], text), STR("100.115.94.0-100.127.255.255"));
        assert_str(policy_range_format(tailnet->items[2], text), STR("fd7a:115c:a1e0::/48"));
        assert_str(policy_range_format_ends(internet->items[6], text),
                   STR("2000::-3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
        assert_err(ip_parse(STR("100.115.92.7"), &ip), ERR_OK);
        assert_false(policy_ranges_contain(tailnet, ip));
        assert_err(ip_parse(STR("8.8.8.8"), &ip), ERR_OK);
        assert_true(policy_ranges_contain(internet, ip));
        assert_err(ip_parse(STR("172.20.0.1"), &ip), ERR_OK);
        assert_false(policy_ranges_contain(internet, ip));
}

static void test_prefixes(void **state)
{
        struct policy_ranges set = ranges_of("10.0.0.1-10.0.0.10");
        const char *const expected[] = { "10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/30", "10.0.0.8/31",
                                         "10.0.0.10/32" };
        struct policy_range rest = set.items[0];
        char text[IP_PREFIX_TEXT_MAX];
        struct ip_prefix p;
        size_t n = 0;
        bool more = true;

        for (; more; n++) {
                more = policy_range_take_prefix(rest, &p, &rest);
                assert_true(n < ARRAY_SIZE(expected));
                assert_str(ip_prefix_format(&p, text), str_of(expected[n]));
        }
        assert_int_equal(n, ARRAY_SIZE(expected));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_union, setup, teardown),
                cmocka_unit_test_setup_teardown(test_difference, setup, teardown),
                cmocka_unit_test_setup_teardown(test_asking, setup, teardown),
                cmocka_unit_test(test_texts),
                cmocka_unit_test_setup_teardown(test_prefixes, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
