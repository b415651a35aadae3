#include "wg/batch.h"

#include "lab.h"

static struct wg_outbox o;
static uint8_t memory[WG_OUTBOX_BYTES_MIN];
static struct wg_endpoint here, there;

static int setup(void **state)
{
        wg_outbox_init(&o, memory, sizeof(memory));
        here = (struct wg_endpoint){ .ip = { 4, { 192, 0, 2, 1 } }, .port = 1 };
        there = here;
        there.port = 2;
        return 0;
}

static void what_fits_together_is_one_burst(void **state)
{
        static const struct {
                const char *why;
                bool is_there;
                uint8_t tos;
                size_t len;
                unsigned bursts;
        } steps[] = {
                { "the first", false, 0, 100, 1 },
                { "the same size", false, 0, 100, 1 },
                { "a shorter one ends it", false, 0, 60, 1 },
                { "so the next is new", false, 0, 60, 2 },
                { "a longer one", false, 0, 61, 3 },
                { "another address", true, 0, 61, 4 },
                { "another class", true, 2, 61, 5 },
                { "the same again", true, 2, 61, 5 },
        };
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                print_message("%s\n", steps[i].why);
                assert_non_null(
                        wg_outbox_add(&o, steps[i].is_there ? &there : &here, steps[i].tos, steps[i].len));
                assert_int_equal(o.bursts_count, steps[i].bursts);
        }
        assert_int_equal(o.bursts[0].len, 260);
        assert_int_equal(o.bursts[0].datagram_bytes, 100);
        assert_int_equal(o.bursts[0].datagrams_count, 3);
        assert_int_equal(o.bursts[1].offset, 260);
        assert_ptr_equal(wg_outbox_bytes(&o, &o.bursts[1]), memory + 260);
}

static void bursts_end_at_64_and_at_64_KiB(void **state)
{
        for (unsigned i = 0; i < 65; i++)
                assert_non_null(wg_outbox_add(&o, &here, 0, 100));
        assert_int_equal(o.bursts_count, 2);
        assert_int_equal(o.bursts[0].datagrams_count, 64);
        wg_outbox_clear(&o);
        for (unsigned i = 0; i < 46; i++)
                assert_non_null(wg_outbox_add(&o, &here, 0, 1452));
        assert_int_equal(o.bursts_count, 2);
        assert_int_equal(o.bursts[0].datagrams_count, 45);
        assert_true(o.bursts[0].len <= WG_BURST_BYTES_MAX);
}

/* When it says there is room there is, for every size and count. */
static void room_is_a_promise(void **state)
{
        struct lab_random r = { 6 };

        for (int i = 0; i < 3000; i++) {
                size_t len = 1 + lab_below(&r, lab_below(&r, 2) ? 1500 : 65000),
                       count = 1 + lab_below(&r, 100);
                if (!wg_outbox_has_room(&o, count, len)) {
                        wg_outbox_clear(&o);
                        continue;
                }
                for (size_t n = 0; n < count; n++)
                        assert_non_null(wg_outbox_add(&o, i % 2 ? &here : &there, 0, len));
        }
}

static void full_is_full(void **state)
{
        for (unsigned i = 0; i < WG_OUTBOX_BURSTS_MAX; i++)
                assert_non_null(wg_outbox_add(&o, i % 2 ? &here : &there, 0, 10));
        assert_null(wg_outbox_add(&o, &there, 0, 10)); /* not the last one's address */
        assert_false(wg_outbox_has_room(&o, 1, 10));
        wg_outbox_clear(&o);
        while (wg_outbox_add(&o, &here, 0, 60000))
                continue;
        assert_true(sizeof(memory) - o.used < 60000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(what_fits_together_is_one_burst, setup),
                cmocka_unit_test_setup(bursts_end_at_64_and_at_64_KiB, setup),
                cmocka_unit_test_setup(room_is_a_promise, setup),
                cmocka_unit_test_setup(full_is_full, setup),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
