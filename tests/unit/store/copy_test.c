/* Backups: made while there are changes, restored on either engine, refused when damaged, verified. */
#include "kit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/audit.h"
#include "store/copy.h"
#include "store/idempotency.h"
#include "store/nodes.h"
#include "store/outbox.h"
#include "store/settings.h"
#include "store/txn_priv.h"

enum { MANY = 1203 }; /* more than two pages of a copy */

static enum err add_many(struct store_txn *t, void *context)
{
        unsigned *number = context;
        const struct store_answer answer = { 201, STR("h"), STR("\x01\0\xff") };
        struct store_change *c = store_change_begin(t, 1, &kit_actor, "test.many");
        char name[32];

        for (int i = 0; i < MANY; i++) {
                struct store_node node = { .org = 1,
                                           .kind = STORE_AGENT,
                                           .settings = STR("{\"a\":\"\xe9\x96\xa2\"}"),
                                           .facts = STR("{}"),
                                           .created = kit_now };
                snprintf(name, sizeof(name), "node%u", (*number)++);
                node.name = node.tls_key = str_of(name);
                assert_err(store_node_add(c, &node), ERR_OK);
                assert_err(store_idempotency_keep(t, 1, STR("key/1"), str_of(name), STR("\xfe"), &answer),
                           ERR_OK);
        }
        assert_err(store_setting_put(c, 1, STR("ca"), STR("v"), STR("\x80\x81")), ERR_OK);
        return store_change_finish(c);
}

struct backup {
        struct report report;
        char path[256];
        enum err err;
};

static enum err back_up(struct store_txn *t, void *context)
{
        struct backup *b = context;

        return b->err = store_backup(t, b->path, &b->report);
}

struct census {
        struct store_verified verified;
        struct report report;
        int64_t nodes, epoch, outbox_first, outbox_last, answers;
};

static enum err take_census(struct store_txn *t, void *context)
{
        struct census *c = context;
        enum err e = store_verify(t, &c->report, &c->verified);

        if (e != ERR_OK)
                return e;
        assert_err(store_number(t, STR("SELECT count(*) FROM nodes WHERE length(settings) > 5"), NULL, 0,
                                &c->nodes),
                   ERR_OK);
        assert_err(store_number(t, STR("SELECT count(*) FROM idempotency WHERE length(body) = 3"), NULL, 0,
                                &c->answers),
                   ERR_OK);
        assert_err(store_epoch(t, &c->epoch), ERR_OK);
        return store_outbox_range(t, &c->outbox_first, &c->outbox_last);
}

static void census(struct kit *k, struct census *c)
{
        *c = (struct census){ .nodes = 0 };
        report_init(&c->report, STR_NULL);
        kit_run(k, take_census, c);
        report_fini(&c->report);
}

static void back_up_to(struct kit *k, const char *name, struct backup *b)
{
        *b = (struct backup){ .err = ERR_OK };
        report_init(&b->report, STR_NULL);
        kit_file(name, b->path);
        unlink(b->path);
        kit_run(k, back_up, b);
}

static void restore_into(struct backup *b, struct kit *k)
{
        int64_t epoch = 0;
        struct report r;

        report_init(&r, STR_NULL);
        enum err e = store_restore(b->path, str_of(k->url), &kit_actor, &r, &epoch);
        if (e != ERR_OK)
                fail_msg("%.*s", STR_FMT(r.entries[0].text));
        assert_true(epoch > 1000000000);
        assert_err(store_restore(b->path, str_of(k->url), &kit_actor, &r, &epoch), ERR_EXISTS);
        report_fini(&r);
        kit_reopen(k);
}

static void check_same(struct census *was, struct kit *k)
{
        struct census is;

        census(k, &is);
        assert_int_equal(is.nodes, was->nodes);
        assert_int_equal(is.answers, was->answers);
        assert_int_equal(is.outbox_first, was->outbox_first);
        assert_int_equal(is.outbox_last, was->outbox_last);
        assert_int_equal(is.verified.records_count,
                         was->verified.records_count + 1); /* that it was restored */
        assert_true(is.epoch > was->epoch);
}

static void test_a_backup_comes_back_on_either_engine(void **state)
{
        struct kit *k = *state, here, file;
        struct backup b, again;
        struct census was;
        unsigned number = 0;
        struct stat st;

        kit_run(k, add_many, &number);
        census(k, &was);
        assert_int_equal(was.nodes, MANY);
        back_up_to(k, "one.backup", &b);
        assert_int_equal(stat(b.path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        kit_run(k, add_many, &number); /* not in it any more */
        kit_place(&here);
        restore_into(&b, &here);
        check_same(&was, &here);
        kit_place_sqlite(&file);
        restore_into(&b, &file);
        check_same(&was, &file);
        kit_run(&file, add_many, &number); /* it lives: numbers go on */
        back_up_to(&file, "two.backup", &again);
        kit_end(&file);
        kit_place(&file);
        restore_into(&again, &file);
        report_fini(&again.report);
        report_fini(&b.report);
        kit_end(&file);
        kit_end(&here);
}

static void test_a_backup_replaces_nothing(void **state)
{
        struct kit *k = *state;
        struct backup b;

        back_up_to(k, "three.backup", &b);
        assert_err(kit_try(k->store, back_up, &b), ERR_EXISTS);
        assert_true(b.report.errors_count > 0);
        snprintf(b.path, sizeof(b.path), "/nonexistent/folder/backup");
        assert_true(kit_try(k->store, back_up, &b) != ERR_OK);
        report_fini(&b.report);
}

/* Bytes of a backup turned over, one run after the other: a restore says so, or restores what is right. */
static void test_a_damaged_backup_is_refused(void **state)
{
        struct kit *k = *state;
        struct backup b;
        unsigned number = 0, refused = 0, tried = 0;
        struct stat st;

        kit_run(k, add_many, &number);
        back_up_to(k, "four.backup", &b);
        assert_int_equal(stat(b.path, &st), 0);
        int fd = open(b.path, O_RDWR | O_CLOEXEC);
        for (off_t at = 0; at < st.st_size; at += MAX(st.st_size / 12, 1)) {
                struct kit place;
                struct report r;
                char bytes[64], flipped[64];
                int64_t epoch;
                ssize_t n = pread(fd, bytes, sizeof(bytes), at);
                for (size_t i = 0; i < sizeof(bytes); i++)
                        flipped[i] = (char)~bytes[i];
                assert_int_equal(pwrite(fd, flipped, (size_t)n, at), n);
                kit_place_sqlite(&place);
                report_init(&r, STR_NULL);
                enum err e = store_restore(b.path, str_of(place.url), &kit_actor, &r, &epoch);
                assert_int_equal(e != ERR_OK, r.errors_count > 0);
                assert_int_equal(e != ERR_OK, access(place.path, F_OK) != 0); /* nothing half */
                refused += e != ERR_OK;
                tried++;
                report_fini(&r);
                kit_end(&place);
                assert_int_equal(pwrite(fd, bytes, (size_t)n, at), n);
        }
        close(fd);
        assert_true(refused * 2 > tried);
        assert_int_equal(truncate(b.path, st.st_size / 2), 0);
        struct kit place;
        struct report r;
        int64_t epoch;
        kit_place(&place);
        report_init(&r, STR_NULL);
        assert_true(store_restore(b.path, str_of(place.url), &kit_actor, &r, &epoch) != ERR_OK);
        assert_true(store_restore("/nonexistent", str_of(place.url), &kit_actor, &r, &epoch) != ERR_OK);
        report_fini(&r);
        kit_end(&place);
        report_fini(&b.report);
}

static enum err set_back(struct store_txn *t, void *context)
{
        return store_exec(t, STR("UPDATE counters SET value = 3 WHERE name = 'id'"), NULL, 0, NULL);
}

static void test_a_counter_that_was_set_back_is_seen(void **state)
{
        struct kit *k = *state;
        struct census c = { .nodes = 0 };
        unsigned number = 0;

        kit_run(k, add_many, &number);
        kit_run(k, set_back, NULL);
        report_init(&c.report, STR_NULL);
        assert_err(kit_try(k->store, take_census, &c), ERR_MALFORMED);
        assert_int_equal(c.report.errors_count, 1);
        report_fini(&c.report);
}

int copy_tests(void)
{
        const struct CMUnitTest tests[] = {
                KIT_TEST(test_a_backup_comes_back_on_either_engine),
                KIT_TEST(test_a_backup_replaces_nothing),
                KIT_TEST(test_a_damaged_backup_is_refused),
                KIT_TEST(test_a_counter_that_was_set_back_is_seen),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
