/* Requests that agents sent out: history and counts. */
#include "kit.h"

#include "store/dispatches.h"

static enum err add_some(struct store_txn *t, void *context)
{
        for (int i = 0; i < 5; i++) {
                struct store_dispatch row = { .org = 1,
                                              .request = STR("r"),
                                              .caller = STR("sender"),
                                              .method = STR("GET"),
                                              .url = STR("https://example.com/"),
                                              .agent = STR("ag-1"),
                                              .source = STR("192.0.2.1"),
                                              .error = i == 4 ? STR("timeout") : STR(""),
                                              .begun = 100 + i,
                                              .status = i == 4 ? 0 : 200,
                                              .duration_ms = i,
                                              .answer_bytes = 10 * i,
                                              .attempts = 1 };

                assert_err(store_dispatch_add(t, &row, 1), ERR_OK);
                assert_int_equal(row.id, i + 1);
        }
        return ERR_OK;
}

static enum err look_at_some(struct store_txn *t, void *context)
{
        struct kit *k = context;
        struct store_dispatch *rows;
        size_t count;

        assert_err(store_dispatch_list(t, 1, 0, 2, &k->arena, &rows, &count), ERR_OK);
        assert_int_equal(count, 2);
        assert_int_equal(rows[0].id, 5);
        assert_str(rows[0].error, STR("timeout"));
        assert_int_equal(rows[1].begun, 103);
        assert_int_equal(rows[1].answer_bytes, 30);
        assert_str(rows[1].source, STR("192.0.2.1"));
        assert_err(store_dispatch_list(t, 1, rows[1].id, 1000, &k->arena, &rows, &count), ERR_OK);
        assert_int_equal(count, 3);
        assert_int_equal(rows[0].id, 3);
        assert_err(store_dispatch_list(t, 2, 0, 10, &k->arena, &rows, &count), ERR_OK);
        assert_int_equal(count, 0); /* another organisation's */
        return ERR_OK;
}

static enum err prune_some(struct store_txn *t, void *context)
{
        struct kit *k = context;
        struct store_dispatch *rows;
        int64_t removed;
        size_t count;

        assert_err(store_dispatch_prune(t, 102, 100, 1, &removed), ERR_OK);
        assert_int_equal(removed, 1); /* no more than was asked for */
        assert_err(store_dispatch_prune(t, 102, 100, 10, &removed), ERR_OK);
        assert_int_equal(removed, 1); /* by age */
        assert_err(store_dispatch_prune(t, 0, 2, 10, &removed), ERR_OK);
        assert_int_equal(removed, 1); /* by number */
        assert_err(store_dispatch_list(t, 1, 0, 10, &k->arena, &rows, &count), ERR_OK);
        assert_int_equal(count, 2);
        assert_int_equal(rows[1].id, 4);
        return ERR_OK;
}

static void test_history_is_newest_first_and_bounded(void **state)
{
        struct kit *k = *state;

        kit_run(k, add_some, NULL);
        kit_run(k, look_at_some, k);
        kit_run(k, prune_some, k);
}

/* Five requests, of which the even ones have bodies of 10 bytes together. */
static enum err add_bodies(struct store_txn *t, void *context)
{
        struct store_dispatch rows[5] = { 0 };

        for (int i = 0; i < 5; i++) {
                rows[i] = (struct store_dispatch){ .org = 1,
                                                   .request = STR("r"),
                                                   .caller = STR("sender"),
                                                   .method = STR("POST"),
                                                   .url = STR("https://example.com/"),
                                                   .agent = STR("ag-1"),
                                                   .source = STR("192.0.2.1"),
                                                   .begun = 100 + i,
                                                   .answer_bytes = 1000 };
                if (i % 2 == 0) {
                        rows[i].has_bodies = true;
                        rows[i].asked = STR("as\0ed");
                        rows[i].asked_bytes = 70;
                        rows[i].answered = i == 4 ? STR("") : STR("\xff\x00\x01\x02z");
                }
        }
        return store_dispatch_add(t, rows, ARRAY_SIZE(rows));
}

static size_t bodies_count(struct store_txn *t, struct kit *k, struct store_dispatch **rows)
{
        size_t count, with = 0;

        assert_err(store_dispatch_list(t, 1, 0, 100, &k->arena, rows, &count), ERR_OK);
        assert_err(store_dispatch_bodies(t, &k->arena, *rows, count), ERR_OK);
        for (size_t i = 0; i < count; i++)
                with += (*rows)[i].has_bodies;
        return with;
}

static enum err look_at_bodies(struct store_txn *t, void *context)
{
        struct kit *k = context;
        struct store_dispatch *rows;

        assert_int_equal(bodies_count(t, k, &rows), 3);
        assert_true(rows[0].has_bodies && !rows[1].has_bodies && rows[2].has_bodies);
        assert_str(rows[2].asked, STR("as\0ed"));
        assert_int_equal(rows[2].asked_bytes, 70);
        assert_str(rows[2].answered, STR("\xff\x00\x01\x02z"));
        assert_int_equal(rows[0].answered.len, 0);
        return ERR_OK;
}

static enum err prune_bodies(struct store_txn *t, void *context)
{
        static const struct {
                const char *why;
                unix_ms since;
                int64_t rows_max, bytes_max;
                size_t left;
        } cases[] = {
                { "all within all bounds", 0, 100, 100, 3 },
                { "what is exactly the bound stays", 0, 100, 25, 3 },
                { "by bytes: the oldest goes", 0, 100, 24, 2 },
                { "by age", 103, 100, 100, 1 },
                { "its request goes: so does it", 0, 0, 100, 0 },
        };
        struct kit *k = context;
        struct store_dispatch *rows;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_err(store_dispatch_bodies_prune(t, cases[i].since, cases[i].rows_max,
                                                       cases[i].bytes_max, 10),
                           ERR_OK);
                if (bodies_count(t, k, &rows) != cases[i].left)
                        fail_msg("%s: %zu", cases[i].why, bodies_count(t, k, &rows));
        }
        return ERR_OK;
}

static enum err switch_bodies_off(struct store_txn *t, void *context)
{
        struct kit *k = context;
        struct store_dispatch *rows;

        assert_err(store_dispatch_bodies_prune(t, 0, 100, 0, 2), ERR_OK);
        assert_int_equal(bodies_count(t, k, &rows), 1); /* so many at a time */
        assert_err(store_dispatch_bodies_prune(t, 0, 100, 0, 2), ERR_OK);
        assert_int_equal(bodies_count(t, k, &rows), 0);
        return ERR_OK;
}

static void test_bodies_are_bounded_by_age_and_bytes(void **state)
{
        struct kit *k = *state;

        kit_run(k, add_bodies, NULL);
        kit_reopen(k);
        kit_run(k, look_at_bodies, k);
        kit_run(k, prune_bodies, k);
        kit_run(k, add_bodies, NULL);
        kit_run(k, switch_bodies_off, k);
}

static enum err put_sources(struct store_txn *t, void *context)
{
        struct store_dispatch_source row = { 1, STR("ag-1"), STR("192.0.2.1"), 5, 1, 77 };

        assert_err(store_dispatch_source_put(t, &row), ERR_OK);
        row.requests = 9;
        assert_err(store_dispatch_source_put(t, &row), ERR_OK);
        row.address = STR("2001:db8::1");
        row.used = 70;
        assert_err(store_dispatch_source_put(t, &row), ERR_OK);
        row.agent = STR("ag-2");
        return store_dispatch_source_put(t, &row);
}

static enum err look_at_sources(struct store_txn *t, void *context)
{
        struct kit *k = context;
        struct store_dispatch_source *rows;
        size_t count;

        assert_err(store_dispatch_sources(t, 1, &k->arena, &rows, &count), ERR_OK);
        assert_int_equal(count, 3);
        assert_str(rows[0].address, STR("192.0.2.1")); /* used last */
        assert_str(rows[1].address, STR("2001:db8::1"));
        assert_int_equal(rows[0].requests, 9);
        assert_int_equal(rows[0].failures, 1);
        assert_int_equal(rows[0].used, 77);
        assert_err(store_dispatch_sources_prune(t, 1, 71), ERR_OK);
        assert_err(store_dispatch_sources(t, 1, &k->arena, &rows, &count), ERR_OK);
        assert_int_equal(count, 1);
        assert_int_equal(rows[0].used, 77);
        return ERR_OK;
}

static enum err remove_sources(struct store_txn *t, void *context)
{
        struct kit *k = context;
        struct store_dispatch_source *rows;
        size_t count;

        assert_err(store_dispatch_sources_remove(t, 1, STR("ag-1")), ERR_OK);
        assert_err(store_dispatch_sources(t, 1, &k->arena, &rows, &count), ERR_OK);
        assert_int_equal(count, 1);
        assert_str(rows[0].agent, STR("ag-2"));
        return ERR_OK;
}

static void test_counts_of_addresses_are_kept(void **state)
{
        struct kit *k = *state;

        kit_run(k, put_sources, NULL);
        kit_reopen(k);
        kit_run(k, look_at_sources, k);
        kit_run(k, put_sources, NULL);
        kit_run(k, remove_sources, k);
}

int dispatches_tests(void)
{
        const struct CMUnitTest tests[] = {
                KIT_TEST(test_history_is_newest_first_and_bounded),
                KIT_TEST(test_bodies_are_bounded_by_age_and_bytes),
                KIT_TEST(test_counts_of_addresses_are_kept),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
