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
                KIT_TEST(test_counts_of_addresses_are_kept),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
