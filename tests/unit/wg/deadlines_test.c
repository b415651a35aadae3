#include "wg/deadlines.h"

#include "lab.h"

enum { NODES = 200 };

static mono_ms least_of(const struct wg_deadline *nodes)
{
        mono_ms least = MONO_NEVER;

        for (size_t i = 0; i < NODES; i++)
                if (nodes[i].at)
                        least = MIN(least, nodes[i].due);
        return least;
}

static void model(void **state)
{
        static struct wg_deadline nodes[NODES];
        struct wg_deadlines h;
        struct lab_random r = { 8 };
        size_t in = 0;

        wg_deadlines_init(&h);
        assert_null(wg_deadlines_first(&h));
        assert_err(wg_deadlines_reserve(&h, NODES), ERR_OK);
        for (int i = 0; i < 50000; i++) {
                struct wg_deadline *d = &nodes[lab_below(&r, NODES)];
                bool was_in = d->at != 0;
                if (lab_below(&r, 3)) {
                        wg_deadlines_set(&h, d,
                                         lab_below(&r, 50) ? (mono_ms)lab_below(&r, 1000) : MONO_NEVER);
                        in += !was_in;
                } else {
                        wg_deadlines_remove(&h, d);
                        in -= was_in;
                }
                assert_int_equal(h.count, in);
                struct wg_deadline *first = wg_deadlines_first(&h);
                assert_true((first != NULL) == (in > 0));
                assert_true(!first || first->due == least_of(nodes));
        }
        wg_deadlines_fini(&h);
}

static void they_come_in_order(void **state)
{
        struct wg_deadline nodes[NODES] = { 0 };
        struct wg_deadlines h;
        struct lab_random r = { 4 };
        mono_ms last = 0;

        wg_deadlines_init(&h);
        assert_err(wg_deadlines_reserve(&h, NODES), ERR_OK);
        for (size_t i = 0; i < NODES; i++)
                wg_deadlines_set(&h, &nodes[i], lab_below(&r, 100));
        for (size_t i = 0; i < NODES; i++) {
                struct wg_deadline *d = wg_deadlines_first(&h);
                assert_true(d->due >= last);
                last = d->due;
                wg_deadlines_remove(&h, d);
                wg_deadlines_remove(&h, d); /* twice is fine */
        }
        assert_null(wg_deadlines_first(&h));
        wg_deadlines_fini(&h);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(model),
                cmocka_unit_test(they_come_in_order),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
