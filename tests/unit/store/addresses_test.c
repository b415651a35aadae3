/* Addresses: next place, wrap, rest, parts that are avoided, the end of a pool. */
#include "kit.h"

#include "store/addresses.h"
#include "store/nodes.h"

struct taking {
        struct arena *arena;
        const char *pool;
        struct ip_prefix avoid[4];
        size_t avoid_count;
        int64_t rest_ms;
        int64_t node;
        char text[IP_TEXT_MAX];
};

static enum err take(struct store_txn *t, void *context)
{
        struct taking *k = context;
        struct store_pool pool = { .avoid = k->avoid, .avoid_count = k->avoid_count, .rest_ms = k->rest_ms };
        struct store_change *c = store_change_begin(t, 1, &kit_actor, "test.take");
        struct ip ip = { 0 };
        enum err e;

        assert_err(ip_prefix_parse(str_of(k->pool), &pool.prefix), ERR_OK);
        e = store_address_take(c, 1, k->node, &pool, &ip);
        ip_format(ip, k->text);
        return e == ERR_OK ? store_change_finish(c) : e;
}

static enum err let_go(struct store_txn *t, void *context)
{
        struct taking *k = context;
        struct store_change *c = store_change_begin(t, 1, &kit_actor, "test.let_go");
        enum err e = store_address_let_go(c, 1, k->node);

        return e == ERR_OK ? store_change_finish(c) : e;
}

static enum err new_node(struct store_txn *t, void *context)
{
        struct taking *k = context;
        static uint32_t number;
        struct store_change *c = store_change_begin(t, 1, &kit_actor, "test.node");
        struct store_node node = {
                .org = 1, .settings = STR("{}"), .facts = STR("{}"), .state = STORE_NODE_ACTIVE
        };
        char name[16];
        enum err e;

        snprintf(name, sizeof(name), "n%u", ++number);
        node.name = node.tls_key = str_of(name);
        e = store_node_add(c, &node);
        k->node = node.id;
        return e == ERR_OK ? store_change_finish(c) : e;
}

static void expect(struct kit *k, struct taking *t, const char *address)
{
        kit_run(k, new_node, t);
        kit_run(k, take, t);
        assert_string_equal(t->text, address);
}

static void test_one_after_another(void **state)
{
        struct kit *k = *state;
        struct taking t = { .arena = &k->arena, .pool = "100.64.0.0/10", .rest_ms = 1000 };

        expect(k, &t, "100.64.0.1");
        expect(k, &t, "100.64.0.2");
        kit_run(k, let_go, &t);
        expect(k, &t, "100.64.0.3"); /* as late as possible */
        t.pool = "fd7a:115c:a1e0::/48";
        expect(k, &t, "fd7a:115c:a1e0::1");
        expect(k, &t, "fd7a:115c:a1e0::2");
}

static void test_a_small_pool_ends_rests_and_wraps(void **state)
{
        struct kit *k = *state;
        struct taking t = { .arena = &k->arena, .pool = "10.1.2.0/29", .rest_ms = 1000 };
        int64_t third = 0;
        char text[IP_TEXT_MAX];

        for (int i = 1; i <= 6; i++) {
                snprintf(text, sizeof(text), "10.1.2.%d", i);
                expect(k, &t, text);
                third = i == 3 ? t.node : third;
        }
        kit_run(k, new_node, &t);
        assert_err(kit_try(k->store, take, &t), ERR_TOO_LARGE);
        t.node = third;
        kit_run(k, let_go, &t);
        kit_run(k, new_node, &t);
        assert_err(kit_try(k->store, take, &t), ERR_TOO_LARGE); /* it rests */
        kit_now += 1000;
        kit_run(k, take, &t);
        assert_string_equal(t.text, "10.1.2.3");
        assert_err(kit_try(k->store, take, &t), ERR_TOO_LARGE);
}

static void test_parts_that_are_avoided(void **state)
{
        struct kit *k = *state;
        struct taking t = { .arena = &k->arena, .pool = "10.0.0.0/28", .avoid_count = 3 };

        assert_err(ip_prefix_parse(STR("10.0.0.2/31"), &t.avoid[0]), ERR_OK);
        assert_err(ip_prefix_parse(STR("10.0.0.8/29"), &t.avoid[1]), ERR_OK);
        assert_err(ip_prefix_parse(STR("10.0.0.4/32"), &t.avoid[2]), ERR_OK);
        expect(k, &t, "10.0.0.1");
        expect(k, &t, "10.0.0.5");
        expect(k, &t, "10.0.0.6");
        expect(k, &t, "10.0.0.7");
        kit_run(k, new_node, &t);
        assert_err(kit_try(k->store, take, &t), ERR_TOO_LARGE);
        assert_err(ip_prefix_parse(STR("0.0.0.0/0"), &t.avoid[0]), ERR_OK);
        t.pool = "10.7.0.0/16";
        assert_err(kit_try(k->store, take, &t), ERR_TOO_LARGE);
}

static enum err use_of_pool(struct store_txn *t, void *context)
{
        struct ip_prefix pool;
        struct store_pool_use use;

        assert_err(ip_prefix_parse(STR("10.5.0.0/24"), &pool), ERR_OK);
        assert_err(store_address_use(t, &pool, &use), ERR_OK);
        assert_int_equal(use.held, 2);
        assert_int_equal(use.resting, 1);
        return ERR_OK;
}

static void test_pools_that_overlap(void **state)
{
        struct kit *k = *state;
        struct taking t = { .arena = &k->arena, .pool = "10.5.0.0/16", .rest_ms = 1000 };

        expect(k, &t, "10.5.0.1");
        expect(k, &t, "10.5.0.2");
        kit_run(k, let_go, &t);
        t.pool = "10.5.0.0/24"; /* the operator's new choice */
        expect(k, &t, "10.5.0.3");
        kit_run(k, use_of_pool, NULL);
        t.pool = "10.4.0.0/15";
        expect(k, &t, "10.4.0.1");
        t.pool = "10.5.0.0/16";
        expect(k, &t, "10.5.0.4");
        t.pool = "fd7a::/48";
        expect(k, &t, "fd7a::1");
        t.pool = "fd7a::/96";
        expect(k, &t, "fd7a::2");
        t.pool = "fd7a:0:0:1::/64";
        expect(k, &t, "fd7a:0:0:1::1");
}

static void test_pools_without_room(void **state)
{
        struct kit *k = *state;
        static const struct {
                const char *pool;
                enum err err;
        } cases[] = { { "10.0.0.0/32", ERR_CONFIG }, { "10.0.0.0/31", ERR_CONFIG }, { "10.0.0.0/30", ERR_OK },
                      { "fd00::/128", ERR_CONFIG },  { "fd00::/127", ERR_OK },      { "fd01::/8", ERR_OK } };
        struct taking t = { .arena = &k->arena };

        kit_run(k, new_node, &t);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                t.pool = cases[i].pool;
                assert_err(kit_try(k->store, take, &t), cases[i].err);
        }
}

int addresses_tests(void)
{
        const struct CMUnitTest tests[] = {
                KIT_TEST(test_one_after_another),      KIT_TEST(test_a_small_pool_ends_rests_and_wraps),
                KIT_TEST(test_parts_that_are_avoided), KIT_TEST(test_pools_that_overlap),
                KIT_TEST(test_pools_without_room),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
