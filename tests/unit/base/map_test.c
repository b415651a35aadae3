#include "base/map.h"

#include <stdio.h>

#include "../alloc.h"
#include "../test.h"

static const struct hash_key key = { 1, 2 };

/* `n` distinct keys that live as long as the program. */
static struct str name(int n)
{
        static char text[2000][8];

        snprintf(text[n], sizeof(text[n]), "k%d", n);
        return str_of(text[n]);
}

static void test_add_find_remove(void **state)
{
        struct map m;
        int a, b;

        map_init(&m, key, 10);
        assert_null(map_find(&m, STR("a"))); /* in a table that has no memory yet */
        assert_null(map_remove(&m, STR("a")));
        assert_err(map_add(&m, STR("a"), &a), ERR_OK);
        assert_err(map_add(&m, STR(""), &b), ERR_OK); /* an empty key is a key */
        assert_ptr_equal(map_find(&m, STR("a")), &a);
        assert_ptr_equal(map_find(&m, STR_NULL), &b);
        assert_null(map_find(&m, STR("A")));
        assert_err(map_add(&m, STR("a"), &b), ERR_EXISTS);
        assert_ptr_equal(map_find(&m, STR("a")), &a);
        assert_int_equal(m.count, 2);
        assert_ptr_equal(map_remove(&m, STR("a")), &a);
        assert_null(map_find(&m, STR("a")));
        assert_null(map_remove(&m, STR("a")));
        assert_int_equal(m.count, 1);
        map_fini(&m);
        assert_null(map_find(&m, STR("")));
}

static void test_bound_edges(void **state)
{
        static const size_t bounds[] = { 0, 1, 11, 12, 13, 100 };

        for (size_t i = 0; i < ARRAY_SIZE(bounds); i++) {
                struct map m;
                int value;

                map_init(&m, key, bounds[i]);
                for (size_t n = 0; n < bounds[i]; n++)
                        assert_err(map_add(&m, name((int)n), &value), ERR_OK);
                assert_err(map_add(&m, name(999), &value), ERR_TOO_LARGE);
                assert_int_equal(m.count, bounds[i]);
                assert_null(map_find(&m, name(999)));
                if (bounds[i]) { /* a place that became free is usable again */
                        assert_non_null(map_remove(&m, name(0)));
                        assert_err(map_add(&m, name(999), &value), ERR_OK);
                }
                map_fini(&m);
        }
}

static void test_walk(void **state)
{
        bool seen[100] = { false };
        struct map m;
        int values[100];
        size_t at = 0, count = 0;

        map_init(&m, key, 100);
        assert_null(map_next(&m, &at));
        for (int n = 0; n < 100; n++) {
                values[n] = n;
                assert_err(map_add(&m, name(n), &values[n]), ERR_OK);
        }
        for (int n = 0; n < 100; n += 3)
                assert_ptr_equal(map_remove(&m, name(n)), &values[n]);
        at = 0;
        for (const struct map_entry *entry; (entry = map_next(&m, &at)); count++) {
                int n = *(int *)entry->value;

                assert_false(seen[n]);
                assert_str(entry->key, name(n));
                seen[n] = true;
        }
        assert_int_equal(count, m.count);
        for (int n = 0; n < 100; n++)
                assert_int_equal(seen[n], n % 3 != 0);
        map_fini(&m);
}

/* Random steps against a plain array; removal must never hide a key that was displaced past the hole. */
static void test_random_steps_against_a_model(void **state)
{
        enum { KEYS = 60 };
        uint64_t random = 42;

        for (int round = 0; round < 50; round++) {
                bool in[KEYS] = { false };
                int values[KEYS];
                struct map m;

                map_init(&m, (struct hash_key){ (uint64_t)round, 7 }, KEYS);
                for (int step = 0; step < 400; step++) {
                        random = hash_u64(random + 1);
                        int n = (int)(random % KEYS);

                        if (random >> 63) {
                                assert_err(map_add(&m, name(n), &values[n]), in[n] ? ERR_EXISTS : ERR_OK);
                                in[n] = true;
                        } else {
                                assert_ptr_equal(map_remove(&m, name(n)), in[n] ? &values[n] : NULL);
                                in[n] = false;
                        }
                        for (int k = 0; k < KEYS; k++)
                                assert_ptr_equal(map_find(&m, name(k)), in[k] ? &values[k] : NULL);
                }
                map_fini(&m);
        }
}

static void test_no_memory(void **state)
{
        unsigned n = 1;

        for (;; n++) {
                struct map m;
                int value;
                int added = 0;
                enum err e = ERR_OK;

                map_init(&m, key, 200);
                alloc_fail_at(n);
                while (added < 100 && (e = map_add(&m, name(added), &value)) == ERR_OK)
                        added++;
                bool failed = alloc_failed();
                alloc_fail_at(0);
                assert_err(e, failed ? ERR_NO_MEMORY : ERR_OK);
                for (int k = 0; k < added; k++) /* what was in stays in */
                        assert_non_null(map_find(&m, name(k)));
                map_fini(&m);
                if (!failed)
                        break;
        }
        assert_true(n > 3);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_add_find_remove),
                cmocka_unit_test(test_bound_edges),
                cmocka_unit_test(test_walk),
                cmocka_unit_test(test_random_steps_against_a_model),
                cmocka_unit_test(test_no_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
