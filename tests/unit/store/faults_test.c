/*
 * The disk fails: the n-th write, sync or truncation of SQLite's, for every n, once or from then on. The change says so and
 * leaves nothing half; when the disk is well again the store goes on.
 */
#include "kit.h"

#include <sqlite3.h>
#include <stdlib.h>

#include "store/copy.h"
#include "store/keys.h"
#include "store/outbox.h"
#include "store/settings.h"

/* A file of ours in front of the system's, whose methods it passes on. */
struct shim_file {
        sqlite3_file base;
        sqlite3_file *real;
};

static sqlite3_vfs *real_vfs;
static int real_file_bytes;
static unsigned calls, fail_at;
static int fail_with; /* for writes; syncs say SQLITE_IOERR_FSYNC */
static bool fails_on, has_failed;

static bool fails(void)
{
        if (!fail_at || ++calls < fail_at || (calls > fail_at && !fails_on))
                return false;
        return has_failed = true;
}

static sqlite3_file *real_of(sqlite3_file *f)
{
        return ((struct shim_file *)(void *)f)->real;
}

static int shim_close(sqlite3_file *f)
{
        sqlite3_file *real = real_of(f);
        int rc = real->pMethods ? real->pMethods->xClose(real) : SQLITE_OK;

        free(real);
        return rc;
}

static int shim_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
        return real_of(f)->pMethods->xRead(real_of(f), p, n, at);
}

static int shim_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
        return fails() ? fail_with : real_of(f)->pMethods->xWrite(real_of(f), p, n, at);
}

static int shim_truncate(sqlite3_file *f, sqlite3_int64 size)
{
        return fails() ? SQLITE_IOERR_TRUNCATE : real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int shim_sync(sqlite3_file *f, int flags)
{
        return fails() ? SQLITE_IOERR_FSYNC : real_of(f)->pMethods->xSync(real_of(f), flags);
}

static int shim_size(sqlite3_file *f, sqlite3_int64 *size)
{
        return real_of(f)->pMethods->xFileSize(real_of(f), size);
}

static int shim_lock(sqlite3_file *f, int level)
{
        return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int shim_unlock(sqlite3_file *f, int level)
{
        return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int shim_check(sqlite3_file *f, int *out)
{
        return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int shim_control(sqlite3_file *f, int op, void *arg)
{
        return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int shim_sector(sqlite3_file *f)
{
        return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int shim_device(sqlite3_file *f)
{
        return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int shim_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
        return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}

static int shim_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
        return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void shim_shm_barrier(sqlite3_file *f)
{
        real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int shim_shm_unmap(sqlite3_file *f, int is_delete)
{
        return real_of(f)->pMethods->xShmUnmap(real_of(f), is_delete);
}

static const sqlite3_io_methods methods = {
        .iVersion = 2,
        .xClose = shim_close,
        .xRead = shim_read,
        .xWrite = shim_write,
        .xTruncate = shim_truncate,
        .xSync = shim_sync,
        .xFileSize = shim_size,
        .xLock = shim_lock,
        .xUnlock = shim_unlock,
        .xCheckReservedLock = shim_check,
        .xFileControl = shim_control,
        .xSectorSize = shim_sector,
        .xDeviceCharacteristics = shim_device,
        .xShmMap = shim_shm_map,
        .xShmLock = shim_shm_lock,
        .xShmBarrier = shim_shm_barrier,
        .xShmUnmap = shim_shm_unmap,
};

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
        struct shim_file *shim = (struct shim_file *)(void *)f;
        int rc;

        shim->real = calloc(1, (size_t)real_file_bytes);
        rc = real_vfs->xOpen(real_vfs, name, shim->real, flags, out);
        f->pMethods = rc == SQLITE_OK ? &methods : NULL;
        if (rc != SQLITE_OK)
                free(shim->real);
        return rc;
}

static void shim_install(void)
{
        static sqlite3_vfs shim;

        real_vfs = sqlite3_vfs_find(NULL);
        real_file_bytes = real_vfs->szOsFile;
        shim = *real_vfs;
        shim.zName = "shim";
        shim.szOsFile = (int)sizeof(struct shim_file);
        shim.xOpen = shim_open;
        assert_int_equal(sqlite3_vfs_register(&shim, 1), SQLITE_OK);
}

enum { CHANGES = 4 };

static enum err change(struct store_txn *t, void *context)
{
        const unsigned *number = context;
        struct store_change *c = store_change_begin(t, 1, &kit_actor, "test.change");
        char name[16], value[9000];
        struct store_key key = { .org = 1, .owner = STR("o") };
        enum err e;

        snprintf(name, sizeof(name), "change%u", *number);
        memset(value, 'v', sizeof(value)); /* a few pages */
        key.name = key.hash = str_of(name);
        e = store_key_add(c, &key);
        if (e == ERR_OK)
                e = store_setting_put(c, 1, str_of(name), (struct str){ value, sizeof(value) }, STR_NULL);
        return e == ERR_OK ? store_change_finish(c) : e;
}

struct found {
        struct report *report;
        bool there[CHANGES];
};

static enum err look(struct store_txn *t, void *context)
{
        struct found *f = context;
        struct store_verified verified;
        int64_t first, last, changes = 0;
        char name[16];

        for (unsigned i = 0; i < CHANGES; i++) {
                struct arena a;
                struct store_key key;
                struct store_setting setting;
                arena_init(&a, NULL, 0, 64 * 1024);
                snprintf(name, sizeof(name), "change%u", i);
                f->there[i] = store_key_by_hash(t, str_of(name), &a, &key) == ERR_OK;
                assert_int_equal(store_setting_by_name(t, 1, str_of(name), &a, &setting) == ERR_OK,
                                 f->there[i]);
                changes += f->there[i];
                arena_fini(&a);
        }
        assert_err(store_outbox_range(t, &first, &last), ERR_OK);
        assert_int_equal(last, 2 * changes);
        assert_err(store_verify(t, f->report, &verified), ERR_OK);
        assert_int_equal(verified.records_count, changes);
        return ERR_OK;
}

static void expect_same(struct kit *k, const bool *was_done)
{
        struct found f = { .report = &k->report };

        kit_run(k, look, &f);
        for (unsigned i = 0; i < CHANGES; i++)
                assert_int_equal(f.there[i], was_done[i]);
}

/* False: fewer than n calls. */
static bool run_with_fault(unsigned n, int code, bool stays)
{
        bool was_done[CHANGES] = { false };
        struct kit k;

        kit_begin(&k);
        calls = 0;
        fail_at = n;
        fail_with = code;
        fails_on = stays;
        has_failed = false;
        for (unsigned i = 0; i + 1 < CHANGES; i++) {
                bool had_failed = has_failed;
                enum err e = kit_try(k.store, change, &i);
                was_done[i] = e == ERR_OK;
                /* A checkpoint that fails after a commit is tried again with the next; the change stands. */
                assert_true(e == ERR_OK || e == ERR_IO);
                assert_true(e == ERR_OK || (has_failed && (stays || !had_failed)));
        }
        fail_at = 0; /* the disk is well again */
        expect_same(&k, was_done);
        unsigned last = CHANGES - 1;
        kit_run(&k, change, &last);
        was_done[last] = true;
        kit_reopen(&k);
        expect_same(&k, was_done);
        kit_end(&k);
        return has_failed;
}

static void test_each_call_fails(void **state)
{
        static const struct {
                const char *why;
                int code;
                bool stays;
        } cases[] = {
                { "the disk is full for a moment", SQLITE_FULL, false },
                { "writes fail", SQLITE_IOERR_WRITE, true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                unsigned n = 1;
                while (run_with_fault(n, cases[i].code, cases[i].stays) && n < 500)
                        n++;
                print_message("%s: at %u calls\n", cases[i].why, n - 1);
                assert_true(n > 10 && n < 500);
        }
}

static void test_a_full_disk_is_called_so(void **state)
{
        struct kit k;
        struct report r;
        unsigned number = 0;
        struct store *none = NULL;
        const struct store_options options = { .clock = kit_clock };

        kit_begin(&k);
        calls = 0;
        fail_at = 1;
        fail_with = SQLITE_FULL;
        fails_on = true;
        assert_err(kit_try(k.store, change, &number), ERR_IO);
        store_close(k.store);
        k.store = NULL;
        report_init(&r, STR_NULL);
        if (store_open(str_of(k.url), &options, &r, &none) == ERR_OK)
                store_close(none); /* nothing had to be written */
        else
                assert_true(r.errors_count > 0);
        report_fini(&r);
        fail_at = 0;
        kit_reopen(&k);
        kit_run(&k, change, &number);
        kit_end(&k);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_call_fails),
                cmocka_unit_test(test_a_full_disk_is_called_so),
        };
        int failed;

        if (!kit_setup("sqlite"))
                return 77;
        shim_install();
        failed = cmocka_run_group_tests(tests, NULL, NULL);
        kit_teardown();
        return failed;
}
