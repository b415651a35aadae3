#include "wg/allowedips.h"

#include "lab.h"

enum { OWNERS = 8 };
static struct wg_allowedips table;
static struct wg_allowedips_owner owners[OWNERS];

static int setup(void **state)
{
        wg_allowedips_init(&table);
        for (size_t i = 0; i < OWNERS; i++)
                wg_allowedips_owner_init(&owners[i]);
        return 0;
}

static int teardown(void **state)
{
        wg_allowedips_fini(&table);
        for (size_t i = 0; i < OWNERS; i++)
                assert_true(list_is_empty(&owners[i].prefixes));
        return 0;
}

static struct wg_allowedips_owner *find(struct ip ip)
{
        return ip.family == 4 ? wg_allowedips_find4(&table, ip.bytes) : wg_allowedips_find6(&table, ip.bytes);
}

static void add(const char *prefix, unsigned owner)
{
        struct ip_prefix p = lab_prefix(prefix);

        assert_err(wg_allowedips_add(&table, &p, &owners[owner]), ERR_OK);
}

static void expect(const char *ip, int owner)
{
        struct wg_allowedips_owner *found = find(lab_ip(ip)), *wanted = owner < 0 ? NULL : &owners[owner];

        if (found != wanted)
                fail_msg("%s belongs to %d, not to %d", ip, found ? (int)(found - owners) : -1, owner);
}

static void the_longest_prefix_wins(void **state)
{
        add("192.168.4.0/24", 0);
        add("192.168.4.4/32", 1);
        add("192.168.0.0/16", 2);
        add("192.95.5.64/27", 3);
        add("192.95.5.65/27", 4); /* the same prefix: host bits do not count */
        add("0.0.0.0/0", 5);
        add("10.0.0.0/25", 6);
        add("10.0.0.128/25", 7);
        expect("192.168.4.20", 0);
        expect("192.168.4.4", 1);
        expect("192.168.200.182", 2);
        expect("192.95.5.68", 4);
        expect("192.95.5.96", 5);
        expect("8.8.8.8", 5);
        expect("10.0.0.127", 6);
        expect("10.0.0.128", 7);
        expect("0.0.0.0", 5);
        expect("255.255.255.255", 5);
        assert_int_equal(table.prefixes_count, 7);
}

static void ipv6_has_a_table_of_its_own(void **state)
{
        add("2607:5300:60:6b0::/64", 0);
        add("2607:5300:60:6b0::c05f:543/128", 1);
        add("2607:5300::/29", 2);
        add("::/0", 3);
        add("0.0.0.0/0", 4);
        add("2607:5300:60:6b0:8000::/65", 5);
        expect("2607:5300:60:6b0:0:0:c02e:1ee", 0);
        expect("2607:5300:60:6b0::c05f:543", 1);
        expect("2607:5301::1", 2);
        expect("2001::1", 3);
        expect("1.2.3.4", 4);
        expect("2607:5300:60:6b0:8000::1", 5);
        expect("2607:5300:60:6b0:7fff::1", 0);
}

static void nothing_covers(void **state)
{
        expect("1.2.3.4", -1);
        expect("::1", -1);
        add("10.0.0.0/8", 0);
        add("fd00::/8", 0);
        expect("11.0.0.1", -1);
        expect("9.255.255.255", -1);
        expect("fc00::1", -1);
        expect("10.1.1.1", 0);
}

static void giving_it_to_another_takes_it_away(void **state)
{
        struct ip_prefix p = lab_prefix("10.0.0.0/8");

        add("10.0.0.0/8", 0);
        add("10.0.0.0/8", 1);
        expect("10.0.0.1", 1);
        assert_true(list_is_empty(&owners[0].prefixes));
        assert_int_equal(table.prefixes_count, 1);
        assert_err(wg_allowedips_remove(&table, &p, &owners[0]), ERR_NOT_FOUND);
        assert_err(wg_allowedips_remove(&table, &p, &owners[1]), ERR_OK);
        assert_err(wg_allowedips_remove(&table, &p, &owners[1]), ERR_NOT_FOUND);
        expect("10.0.0.1", -1);
        assert_null(table.roots[0]);
}

static void removal_uncovers_the_shorter(void **state)
{
        add("10.0.0.0/8", 0);
        add("10.1.0.0/16", 1);
        add("10.1.1.0/24", 2);
        add("10.1.2.0/24", 1);
        wg_allowedips_remove_all(&table, &owners[1]);
        expect("10.1.9.1", 0);
        expect("10.1.1.1", 2);
        expect("10.1.2.1", 0);
        wg_allowedips_remove_all(&table, &owners[0]);
        expect("10.1.9.1", -1);
        expect("10.1.1.1", 2);
        wg_allowedips_remove_all(&table, &owners[2]);
        assert_null(table.roots[0]);
        assert_int_equal(table.prefixes_count, 0);
}

static void an_owner_lists_its_own(void **state)
{
        static const char *const expected[] = { "10.0.0.0/8", "fd00::/8", "0.0.0.0/0", "10.1.2.3/32",
                                                "::/0" };
        const struct list *at = NULL;
        struct ip_prefix p;
        size_t n = 0;

        add("10.0.0.0/8", 0);
        add("11.0.0.0/8", 1);
        add("fd00::1/8", 0);
        add("0.0.0.0/0", 0);
        add("10.1.2.3", 0);
        add("::/0", 0);
        for (; wg_allowedips_next(&owners[0], &at, &p); n++) {
                char text[IP_PREFIX_TEXT_MAX];
                assert_true(n < ARRAY_SIZE(expected));
                assert_str(ip_prefix_format(&p, text), str_of(expected[n]));
        }
        assert_int_equal(n, ARRAY_SIZE(expected));
}

/* The naive reference: a list, searched whole. */
enum { MODEL_MAX = 400 };
static struct {
        struct ip_prefix p;
        int owner;
} list[MODEL_MAX];
static size_t list_count;

static void list_set(struct ip_prefix p, int owner)
{
        p.ip = ip_masked(p.ip, p.bits);
        for (size_t i = 0; i < list_count; i++)
                if (list[i].p.bits == p.bits && ip_eq(list[i].p.ip, p.ip)) {
                        if (owner < 0)
                                list[i] = list[--list_count];
                        else
                                list[i].owner = owner;
                        return;
                }
        if (owner >= 0 && list_count < MODEL_MAX) {
                list[list_count].p = p;
                list[list_count++].owner = owner;
        }
}

static int list_find(struct ip ip)
{
        int best = -1, owner = -1;

        for (size_t i = 0; i < list_count; i++)
                if (ip_prefix_contains(&list[i].p, ip) && list[i].p.bits > best) {
                        best = list[i].p.bits;
                        owner = list[i].owner;
                }
        return owner;
}

/* Addresses close to each other, so that prefixes nest and part at every depth. */
static struct ip near(struct lab_random *r, int family)
{
        uint8_t bytes[16];
        size_t len = family == 4 ? 4 : 16;

        memset(bytes, 0x55, sizeof(bytes));
        bytes[0] = 0x20;
        for (int flips = 0; flips < 6; flips++) {
                uint32_t bit = lab_below(r, (uint32_t)(8 * len));
                bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
        }
        return ip_from_bytes(family, bytes);
}

static void model(void **state)
{
        for (uint64_t seed = 1; seed <= 6; seed++) {
                struct lab_random r = { seed * 77 + 1 };
                int family = seed % 2 ? 4 : 6;
                uint32_t bits_max = family == 4 ? 32 : 128;

                list_count = 0;
                for (int round = 0; round < 4000; round++) {
                        struct ip_prefix p = { near(&r, family), (uint8_t)lab_below(&r, bits_max + 1) };
                        uint32_t what = lab_below(&r, 20), owner = lab_below(&r, OWNERS);
                        if (what == 0) {
                                wg_allowedips_remove_all(&table, &owners[owner]);
                                for (size_t i = list_count; i-- > 0;)
                                        if (list[i].owner == (int)owner)
                                                list[i] = list[--list_count];
                        } else if (what < 8 && list_count > 0) {
                                size_t i = lab_below(&r, (uint32_t)list_count);
                                p = list[i].p;
                                assert_err(wg_allowedips_remove(&table, &p, &owners[list[i].owner]), ERR_OK);
                                list_set(p, -1);
                        } else if (list_count < MODEL_MAX) {
                                assert_err(wg_allowedips_add(&table, &p, &owners[owner]), ERR_OK);
                                list_set(p, (int)owner);
                        }
                        assert_int_equal(table.prefixes_count, list_count);
                        for (int i = 0; i < 8; i++) {
                                struct ip ip = near(&r, family);
                                struct wg_allowedips_owner *found = find(ip);
                                assert_int_equal(found ? (int)(found - owners) : -1, list_find(ip));
                        }
                }
                for (size_t i = 0; i < OWNERS; i++)
                        wg_allowedips_remove_all(&table, &owners[i]);
                assert_null(table.roots[0]);
                assert_null(table.roots[1]);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(the_longest_prefix_wins, setup, teardown),
                cmocka_unit_test_setup_teardown(ipv6_has_a_table_of_its_own, setup, teardown),
                cmocka_unit_test_setup_teardown(nothing_covers, setup, teardown),
                cmocka_unit_test_setup_teardown(giving_it_to_another_takes_it_away, setup, teardown),
                cmocka_unit_test_setup_teardown(removal_uncovers_the_shorter, setup, teardown),
                cmocka_unit_test_setup_teardown(an_owner_lists_its_own, setup, teardown),
                cmocka_unit_test_setup_teardown(model, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
