#include "wg/index.h"

#include "lab.h"

static struct wg_peer *peer_of(uint32_t n)
{
        return (struct wg_peer *)(uintptr_t)(n + 1); /* never looked into */
}

static void add_find_remove(void **state)
{
        struct wg_index t;

        wg_index_init(&t);
        assert_null(wg_index_find(&t, 1));
        wg_index_remove(&t, 1);
        assert_err(wg_index_add(&t, 7, peer_of(7), NULL), ERR_OK);
        assert_err(wg_index_add(&t, 7, peer_of(8), NULL), ERR_EXISTS);
        assert_ptr_equal(wg_index_find(&t, 7)->peer, peer_of(7));
        assert_null(wg_index_find(&t, 0));
        wg_index_remove(&t, 7);
        assert_null(wg_index_find(&t, 7));
        assert_int_equal(t.count, 0);
        wg_index_fini(&t);
}

/* The naive reference: a flag for each number. Few numbers, so that places collide and gaps must close. */
static void model(void **state)
{
        enum { NUMBERS = 700 };
        static bool there[NUMBERS];
        struct lab_random r = { 3 };
        struct wg_index t;
        size_t count = 0;

        wg_index_init(&t);
        for (int i = 0; i < 60000; i++) {
                uint32_t n = 1 + lab_below(&r, NUMBERS - 1);
                if (lab_below(&r, 2)) {
                        assert_err(wg_index_add(&t, n, peer_of(n), NULL), there[n] ? ERR_EXISTS : ERR_OK);
                        count += !there[n];
                        there[n] = true;
                } else {
                        wg_index_remove(&t, n);
                        count -= there[n];
                        there[n] = false;
                }
                assert_int_equal(t.count, count);
                uint32_t probe = 1 + lab_below(&r, NUMBERS - 1);
                struct wg_index_entry *e = wg_index_find(&t, probe);
                assert_true((e != NULL) == there[probe]);
                assert_true(!e || e->peer == peer_of(probe));
        }
        for (uint32_t n = 1; n < NUMBERS; n++)
                assert_true((wg_index_find(&t, n) != NULL) == there[n]);
        wg_index_fini(&t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(add_find_remove),
                cmocka_unit_test(model),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
