/* A change, its record and its outbox entries: all or nothing, and a trail that shows what was done to it. */
#include "kit.h"

#include <stdio.h>

#include "store/audit.h"
#include "store/idempotency.h"
#include "store/keys.h"
#include "store/outbox.h"
#include "store/txn_priv.h"

struct seen {
        struct arena *arena;
        struct store_audit_filter filter;
        struct store_audit *records;
        size_t records_count;
        struct store_event *events;
        size_t events_count;
        int64_t after, first, last;
};

static enum err see(struct store_txn *t, void *context)
{
        struct seen *s = context;

        assert_err(store_audit_list(t, &s->filter, s->arena, &s->records, &s->records_count), ERR_OK);
        assert_err(store_outbox_after(t, s->after, s->arena, &s->events, &s->events_count), ERR_OK);
        return store_outbox_range(t, &s->first, &s->last);
}

static struct store_key key_of(const char *name)
{
        return (struct store_key){ .org = 1,
                                   .name = str_of(name),
                                   .hash = str_of(name),
                                   .hint = STR("skapi-"),
                                   .owner = STR("owner"),
                                   .created = kit_now };
}

static enum err edit_key(struct store_txn *t, void *context)
{
        struct store_key *key = context;
        struct store_change *c = store_change_begin(t, 1, &kit_actor, "key.create");
        enum err e = store_key_add(c, key);

        if (e == ERR_OK)
                e = store_change_finish(c);
        if (e != ERR_OK)
                return e;
        c = store_change_begin(t, 1, &kit_actor, "key.edit");
        key->scopes = STR("all");
        e = store_key_update(c, key);
        return e == ERR_OK ? store_change_finish(c) : e;
}

static void test_a_change_leaves_a_record_and_a_word(void **state)
{
        struct kit *k = *state;
        struct store_key key = key_of("ci");
        struct seen s = { .arena = &k->arena };
        char expected[256];

        kit_run(k, edit_key, &key);
        kit_run(k, see, &s);
        assert_int_equal(s.records_count, 2);
        assert_int_equal(s.records[0].seq, 2);
        assert_str(s.records[0].action, STR("key.edit"));
        assert_str(s.records[0].actor, STR("owner"));
        assert_str(s.records[0].source, STR("192.0.2.7"));
        assert_int_equal(s.records[0].time, kit_now);
        snprintf(
                expected, sizeof(expected),
                "[{\"object\":\"api_keys/%lld\",\"before\":{\"scopes\":\"\"},\"after\":{\"scopes\":\"all\"}}]",
                (long long)key.id);
        assert_str(s.records[0].detail, str_of(expected));
        snprintf(
                expected, sizeof(expected),
                "[{\"object\":\"api_keys/%lld\",\"after\":{\"name\":\"ci\",\"hash\":true,\"hint\":\"skapi-\","
                "\"owner\":\"owner\",\"created\":%lld}}]",
                (long long)key.id, (long long)kit_now);
        assert_str(s.records[1].detail, str_of(expected));
        assert_int_equal(s.events_count, 2);
        assert_str(s.events[1].table, STR("api_keys"));
        assert_int_equal(s.events[1].row, key.id);
        assert_int_equal(s.events[0].operation, STORE_ADDED);
        assert_int_equal(s.events[1].operation, STORE_UPDATED);
        assert_int_equal(s.first, 1);
        assert_int_equal(s.last, 2);
}

static enum err fail_late(struct store_txn *t, void *context)
{
        enum err e = edit_key(t, context);

        return e == ERR_OK ? ERR_REFUSED : e;
}

static enum err go_on_after_an_error(struct store_txn *t, void *context)
{
        struct store_key *key = context;
        struct store_change *c = store_change_begin(t, 1, &kit_actor, "key.create");

        assert_err(store_key_add(c, key), ERR_EXISTS);
        key->name = key->hash = STR("another");
        assert_err(store_key_add(c, key), ERR_EXISTS); /* the transaction is lost */
        return ERR_OK;
}

static void test_a_failed_change_leaves_nothing(void **state)
{
        struct kit *k = *state;
        struct store_key key = key_of("ci");
        struct seen s = { .arena = &k->arena };

        assert_err(kit_try(k->store, fail_late, &key), ERR_REFUSED);
        kit_run(k, see, &s);
        assert_int_equal(s.records_count, 0);
        assert_int_equal(s.events_count, 0);
        assert_int_equal(s.last, 0);
        kit_run(k, edit_key, &key);
        assert_err(kit_try(k->store, go_on_after_an_error, &key), ERR_EXISTS);
        kit_run(k, see, &s);
        assert_int_equal(s.records_count, 2); /* and the numbers have no gap */
        assert_int_equal(s.records[0].seq, 2);
}

static void test_records_are_found(void **state)
{
        struct kit *k = *state;
        struct store_key a = key_of("a"), b = key_of("b");
        struct seen s = { .arena = &k->arena };

        kit_run(k, edit_key, &a);
        kit_now += 1000;
        kit_run(k, edit_key, &b);
        const struct {
                const char *why;
                struct store_audit_filter filter;
                size_t count;
        } cases[] = {
                { "all", { 0 }, 4 },
                { "by action", { .action = STR("key.edit") }, 2 },
                { "by its beginning", { .action = STR("key.*") }, 4 },
                { "a beginning is not a whole", { .action = STR("key.e") }, 0 },
                { "a percent sign is no pattern", { .action = STR("%") }, 0 },
                { "by actor", { .actor = STR("nobody") }, 0 },
                { "another organisation", { .org = 2 }, 0 },
                { "since", { .since = kit_now }, 2 },
                { "until", { .until = kit_now - 1 }, 2 },
                { "older ones", { .before_seq = 2 }, 1 },
                { "a page", { .limit = 3 }, 3 },
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                s.filter = cases[i].filter;
                kit_run(k, see, &s);
                if (s.records_count != cases[i].count)
                        fail_msg("%s: %zu", cases[i].why, s.records_count);
        }
}

struct tampering {
        const char *why, *sql;
        bool is_seen;
};

static enum err tamper(struct store_txn *t, void *context)
{
        return store_exec(t, str_of(context), NULL, 0, NULL);
}

struct verdict {
        struct report report;
        int64_t count;
};

static enum err verify(struct store_txn *t, void *context)
{
        struct verdict *v = context;

        return store_audit_verify(t, &v->report, &v->count);
}

static void test_the_trail_shows_tampering(void **state)
{
        static const struct tampering cases[] = {
                { "untouched", "UPDATE audit SET detail = detail", false },
                { "a text", "UPDATE audit SET actor = 'nobody' WHERE seq = 2", true },
                { "a time", "UPDATE audit SET time = time + 1 WHERE seq = 3", true },
                { "a letter moved from one text to the next",
                  "UPDATE audit SET actor = 'owne', source = 'r192.0.2.7' WHERE seq = 3", true },
                { "one is gone", "DELETE FROM audit WHERE seq = 2", true },
                { "the first is gone", "DELETE FROM audit WHERE seq = 1", true },
                { "the end is gone", "DELETE FROM audit WHERE seq = 4", true },
                { "numbers changed", "UPDATE audit SET seq = seq + 10", true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct kit k;
                struct store_key a = key_of("a"), b = key_of("b");
                struct verdict v = { .count = 0 };
                char sql[128];
                enum err e;
                kit_begin(&k);
                kit_run(&k, edit_key, &a);
                kit_run(&k, edit_key, &b);
                report_init(&v.report, STR_NULL);
                snprintf(sql, sizeof(sql), "%s", cases[i].sql);
                kit_run(&k, tamper, sql);
                e = kit_try(k.store, verify, &v);
                if ((e == ERR_MALFORMED) != cases[i].is_seen ||
                    (v.report.errors_count > 0) != cases[i].is_seen)
                        fail_msg("%s: ERR_%s", cases[i].why, err_name(e));
                if (!cases[i].is_seen)
                        assert_int_equal(v.count, 4);
                report_fini(&v.report);
                kit_end(&k);
        }
}

static enum err large_note(struct store_txn *t, void *context)
{
        struct store_change *c = store_change_begin(t, 1, &kit_actor, "test.large");
        char name[32];

        for (int i = 0; i < 400; i++) {
                struct store_key key = key_of("");
                snprintf(name, sizeof(name), "key%d", i);
                key.name = key.hash = str_of(name);
                key.scopes = kit_bytes(context, 1000, 'x');
                assert_err(store_key_add(c, &key), ERR_OK);
        }
        return store_change_finish(c);
}

static void test_a_record_has_a_bound(void **state)
{
        struct kit *k = *state;
        struct seen s = { .arena = &k->arena };
        struct verdict v = { .count = 0 };

        kit_run(k, large_note, &k->arena);
        kit_run(k, see, &s);
        assert_int_equal(s.records_count, 1);
        assert_true(s.records[0].detail.len <= 65 * 1024);
        assert_true(str_find(s.records[0].detail, STR("{\"leftOut\":")) != STR_NONE);
        assert_int_equal(s.events_count, 400); /* the outbox leaves none out */
        report_init(&v.report, STR_NULL);
        kit_run(k, verify, &v);
        report_fini(&v.report);
}

static enum err prune(struct store_txn *t, void *context)
{
        return store_outbox_prune(t, kit_now, 1, context);
}

static void test_the_outbox_is_pruned(void **state)
{
        struct kit *k = *state;
        struct store_key key = key_of("a");
        struct seen s = { .arena = &k->arena };
        int64_t removed = 0;

        kit_run(k, edit_key, &key);
        kit_now += 1;
        kit_run(k, prune, &removed);
        assert_int_equal(removed, 1);
        kit_run(k, see, &s);
        assert_int_equal(s.first, 2);
        assert_int_equal(s.last, 2);
        kit_run(k, prune, &removed);
        kit_run(k, see, &s);
        assert_int_equal(s.first, 0);
        assert_int_equal(s.last, 2); /* numbers go on */
}

struct once {
        struct arena *arena;
        struct str key, request;
        unix_ms since;
        bool found;
        struct store_answer answer;
};

static enum err do_once(struct store_txn *t, void *context)
{
        struct once *o = context;
        const struct store_answer answer = { 201, STR("etag: 1"), STR("{\"id\":\0 5}") };
        enum err e = store_idempotency_find(t, 1, STR("key/1"), o->key, o->request, o->since, o->arena,
                                            &o->found, &o->answer);

        if (e != ERR_OK || o->found)
                return e;
        return store_idempotency_keep(t, 1, STR("key/1"), o->key, o->request, &answer);
}

static void test_an_answer_is_kept(void **state)
{
        struct kit *k = *state;
        struct once o = { .arena = &k->arena, .key = STR("a"), .request = STR("\x01hash") };

        kit_run(k, do_once, &o);
        assert_false(o.found);
        kit_run(k, do_once, &o);
        assert_true(o.found);
        assert_int_equal(o.answer.status, 201);
        assert_str(o.answer.headers, STR("etag: 1"));
        assert_str(o.answer.body, STR("{\"id\":\0 5}"));
        o.request = STR("other");
        assert_err(kit_try(k->store, do_once, &o), ERR_EXISTS);
        o.since = kit_now + 1; /* too old to count */
        kit_run(k, do_once, &o);
        assert_false(o.found);
        o.key = kit_bytes(&k->arena, STORE_IDEMPOTENCY_KEY_MAX + 1, 'k');
        assert_err(kit_try(k->store, do_once, &o), ERR_TOO_LARGE);
}

int changes_tests(void)
{
        const struct CMUnitTest tests[] = {
                KIT_TEST(test_a_change_leaves_a_record_and_a_word),
                KIT_TEST(test_a_failed_change_leaves_nothing),
                KIT_TEST(test_records_are_found),
                cmocka_unit_test(test_the_trail_shows_tampering),
                KIT_TEST(test_a_record_has_a_bound),
                KIT_TEST(test_the_outbox_is_pruned),
                KIT_TEST(test_an_answer_is_kept),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
