/* sekisho backup, restore and store verify: exit codes, and files that are there or not. */
#include "cli/command.h"

#include <fcntl.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../test.h"

#include "store/keys.h"
#include "store/settings.h"

static char folder[64];

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
        return remove(path);
}

static int setup(void **state)
{
        snprintf(folder, sizeof(folder), "/tmp/sekisho-cli-XXXXXX");
        return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
        return nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *path_of(const char *name)
{
        static char paths[4][128];
        static unsigned next;
        char *out = paths[next++ % 4];

        snprintf(out, sizeof(paths[0]), "%s/%s", folder, name);
        return out;
}

static const char *url_of(const char *name)
{
        static char urls[4][160];
        static unsigned next;
        char *out = urls[next++ % 4];

        snprintf(out, sizeof(urls[0]), "sqlite:%s", path_of(name));
        return out;
}

/* One command line, with its output thrown away. */
static int run(const char *a, const char *b, const char *c, const char *d)
{
        const struct command table[] = { command_backup, command_restore, command_store, { NULL } };
        char *argv[] = { (char *)(uintptr_t) "sekisho", (char *)(uintptr_t)a, (char *)(uintptr_t)b,
                         (char *)(uintptr_t)c,          (char *)(uintptr_t)d, NULL };
        int argc = d ? 5 : c ? 4 : 3, out, null = open("/dev/null", O_WRONLY | O_CLOEXEC), code;

        fflush(stdout);
        out = dup(1);
        dup2(null, 1);
        code = commands_run(table, argc, argv);
        fflush(stdout);
        dup2(out, 1);
        close(out);
        close(null);
        return code;
}

static char option[200];

static const char *store_at(const char *url)
{
        snprintf(option, sizeof(option), "--store=%s", url);
        return option;
}

static enum err add(struct store_job *job, struct store_txn *t)
{
        const struct store_actor actor = { STR("owner"), STR_NULL };
        struct store_change *c = store_change_begin(t, 1, &actor, "key.create");
        struct store_key key = { .org = 1, .name = STR("ci"), .hash = STR("\xff"), .owner = STR("owner") };
        enum err e = store_key_add(c, &key);

        return e == ERR_OK ? store_change_finish(c) : e;
}

static struct store *open_store(const char *name)
{
        const struct store_options options = { .must_exist = false };
        struct store *s = NULL;
        struct report r;

        report_init(&r, STR_NULL);
        assert_int_equal(store_open(str_of(url_of(name)), &options, &r, &s), ERR_OK);
        report_fini(&r);
        return s;
}

static void make_store(const char *name)
{
        struct store_job job = { .run = add };
        struct store *s = open_store(name);

        assert_int_equal(store_run(s, &job), ERR_OK);
        store_close(s);
}

static bool is_there(const char *name)
{
        return access(path_of(name), F_OK) == 0;
}

static void test_there_and_back(void **state)
{
        make_store("a.db");
        assert_int_equal(run("store", "verify", store_at(url_of("a.db")), NULL), EXIT_OK);
        assert_int_equal(run("backup", path_of("monday"), store_at(url_of("a.db")), "--json"), EXIT_OK);
        assert_true(is_there("monday"));
        assert_int_equal(run("store", "verify", store_at(url_of("monday")), NULL), EXIT_OK);
        assert_false(is_there("monday.lock")); /* to look at a backup leaves nothing beside it */
        assert_false(is_there("monday-wal"));
        assert_int_equal(run("restore", path_of("monday"), store_at(url_of("b.db")), NULL), EXIT_OK);
        assert_int_equal(run("store", "verify", store_at(url_of("b.db")), "--json"), EXIT_OK);
        setenv("SEKISHO_STATE", folder, 1);
        assert_int_equal(run("restore", path_of("monday"), NULL, NULL), EXIT_OK);
        assert_true(is_there("control.db"));
        unsetenv("SEKISHO_STATE");
}

static void test_what_is_refused(void **state)
{
        make_store("a.db");
        assert_int_equal(run("restore", path_of("a.db"), store_at(url_of("a.db")), NULL), EXIT_CONFLICT);
        assert_int_equal(run("backup", path_of("a.db"), store_at(url_of("a.db")), NULL), EXIT_CONFLICT);
        assert_int_equal(run("store", "verify", store_at("nonsense"), NULL), EXIT_WRONG);
        assert_int_equal(run("backup", store_at(url_of("a.db")), NULL, NULL), EXIT_WRONG); /* no file */
        assert_int_equal(run("store", "verify", store_at(url_of("none.db")), NULL), EXIT_NOT_FOUND);
        assert_false(is_there("none.db"));
        assert_true(run("restore", path_of("none"), store_at(url_of("new.db")), NULL) != EXIT_OK);
        assert_false(is_there("new.db"));
}

static void test_a_store_that_is_served_is_left_alone(void **state)
{
        struct store *s = open_store("a.db");

        assert_int_equal(run("store", "verify", store_at(url_of("a.db")), NULL), EXIT_CONFLICT);
        assert_int_equal(run("backup", path_of("b"), store_at(url_of("a.db")), NULL), EXIT_CONFLICT);
        assert_false(is_there("b"));
        store_close(s);
        assert_int_equal(run("backup", path_of("b"), store_at(url_of("a.db")), NULL), EXIT_OK);
}

static void test_an_altered_trail_is_found(void **state)
{
        sqlite3 *db;

        make_store("a.db");
        assert_int_equal(sqlite3_open(path_of("a.db"), &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "UPDATE audit SET actor = 'nobody'", NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        assert_int_equal(run("store", "verify", store_at(url_of("a.db")), NULL), EXIT_FAILED);
        assert_int_equal(run("backup", path_of("b"), store_at(url_of("a.db")), NULL), EXIT_FAILED);
        assert_false(is_there("b"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_there_and_back, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_is_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_store_that_is_served_is_left_alone, setup, teardown),
                cmocka_unit_test_setup_teardown(test_an_altered_trail_is_found, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
