/* A node's number is found again, whatever order they came in. */
#include "../test.h"
#include "control/numbers.h"

enum { NODES = 500, STEP = 7919 }; /* a prime: every node once, in no order */

static void found_again(void **state)
{
        struct numbers all = { 0 };

        for (int64_t i = 0; i < NODES; i++) {
                struct number *n = numbers_find(&all, (i * STEP) % NODES - 3);

                assert_non_null(n);
                assert_int_equal(n->version, 0);
                n->version = (uint64_t)(i + 1);
        }
        assert_int_equal(all.count, NODES);
        for (int64_t i = 0; i < NODES; i++)
                assert_int_equal(numbers_find(&all, (i * STEP) % NODES - 3)->version, i + 1);
        assert_int_equal(all.count, NODES);
        for (size_t i = 1; i < all.count; i++)
                assert_true(all.list[i - 1].node < all.list[i].node);
        numbers_fini(&all);
        assert_null(all.list);
}

/* 1 and 2 stand for two sets of items; 0: nothing is remembered, or nothing was said. */
static const struct {
        const char *why;
        uint64_t remembered;
        uint8_t remembered_items;
        uint64_t said;
        uint8_t said_items;
        uint64_t seq;
        uint8_t items;
        uint64_t next;
} cases[] = {
        { "a new node", 0, 0, 0, 0, 7, 1, 7 },
        { "nothing has changed for it", 5, 1, 0, 0, 7, 1, 5 },
        { "something has", 5, 1, 0, 0, 7, 2, 7 },
        { "time alone has changed something", 7, 1, 0, 0, 7, 2, 8 },
        { "another control gave it the same", 0, 0, 6, 1, 7, 1, 6 },
        { "another control gave it something else", 0, 0, 6, 1, 7, 2, 7 },
        { "another control went on beyond the outbox", 0, 0, 9, 1, 7, 2, 10 },
        { "back from another control, as it was there", 5, 1, 6, 2, 7, 2, 6 },
        { "back from another control, not as it was there", 5, 1, 9, 2, 7, 1, 10 },
        { "it has not applied what was told last", 6, 2, 5, 1, 7, 2, 6 },
        { "one number, two contents: the node's counts", 6, 1, 6, 2, 6, 1, 7 },
};

static void next_number(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct number n = { .version = cases[i].remembered };
                struct wire_have have = { .is_any = true, .version = cases[i].said };
                uint8_t items[WIRE_HASH_BYTES];

                memset(n.items, cases[i].remembered_items, sizeof(n.items));
                memset(have.items, cases[i].said_items, sizeof(have.items));
                memset(items, cases[i].items, sizeof(items));
                if (numbers_next(&n, cases[i].said ? &have : NULL, cases[i].seq, items) != cases[i].next)
                        fail_msg("%s", cases[i].why);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(found_again), cmocka_unit_test(next_number) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
