/* Opening: what is refused, and with which words; how long it takes; schemas of earlier versions. */
#include "kit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/copy.h"
#include "store/dispatches.h"
#include "store/nodes.h"
#include "store/schema_priv.h"
#include "store/table_priv.h"

/* Opening must fail with `e` and a report that says `words`. */
static void refuse(const char *url, bool must_exist, enum err e, const char *words)
{
        const struct store_options options = { .clock = kit_clock, .must_exist = must_exist };
        struct store *s = NULL;
        struct report r;
        struct buf text;

        report_init(&r, STR_NULL);
        buf_init(&text, 16 * 1024);
        assert_err(store_open(str_of(url), &options, &r, &s), e);
        assert_null(s);
        report_format(&r, &text);
        if (str_find(buf_str(&text), str_of(words)) == STR_NONE)
                fail_msg("\"%.*s\" does not say \"%s\"", STR_FMT(buf_str(&text)), words);
        buf_fini(&text);
        report_fini(&r);
}

static void test_urls(void **state)
{
        static const struct {
                const char *why, *url, *words;
        } cases[] = {
                { "empty", "", "a store is sqlite:PATH or postgresql://" },
                { "another scheme", "mysql://x", "a store is sqlite:PATH or postgresql://" },
                { "no path", "sqlite:", "needs the path of a file" },
                { "a folder", "sqlite:/tmp/", "needs the path of a file" },
                { "in memory: lost at once", "sqlite::memory:", "needs the path of a file" },
                { "slashes", "sqlite:///var/lib/x", "with no // before the path" },
                { "a line end", "sqlite:a\nb", "printable text" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                refuse(cases[i].url, false, ERR_CONFIG, cases[i].words);
        refuse("sqlite:/nonexistent/folder/x", false, ERR_NOT_FOUND, "/nonexistent/folder/x");
        refuse("postgresql:///x?host=/nonexistent", false, ERR_UNREACHABLE, "cannot open the store");
}

static void test_urls_are_shown_without_passwords(void **state)
{
        static const struct {
                const char *url, *shown;
        } cases[] = {
                { "sqlite:/var/lib/a:b@c", "sqlite:/var/lib/a:b@c" },
                { "postgresql://u:secret@h:5/db", "postgresql://u@h:5/db" },
                { "postgresql://u:se@cr/et@h/db", "postgresql://u@h/db" },
                { "postgres://h/db?user=u&password=secret&sslmode=disable",
                  "postgres://h/db?user=u&password=***&sslmode=disable" },
                { "postgresql://h/db?passfile=/x", "postgresql://h/db?passfile=***" },
                { "postgresql://h/db?p%61ssword=secret", "postgresql://h/db?p%61ssword=***" },
                { "postgresql://u:se?cr:et@h/db", "postgresql://u@h/db" },
                { "postgresql:///db", "postgresql:///db" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct store_url url;
                struct report r;
                struct buf out;
                report_init(&r, STR_NULL);
                buf_init(&out, 4096);
                assert_err(store_url_parse(str_of(cases[i].url), &r, &url), ERR_OK);
                store_url_show(&url, &out);
                assert_str(buf_str(&out), str_of(cases[i].shown));
                buf_fini(&out);
                report_fini(&r);
        }
}

static enum err raise_version(struct store_txn *t, void *context)
{
        return store_exec(t, STR("UPDATE schema_version SET version = 99"), NULL, 0, NULL);
}

static void test_a_newer_store_is_refused(void **state)
{
        struct kit *k = *state;

        kit_run(k, raise_version, NULL);
        store_close(k->store);
        k->store = NULL;
        refuse(k->url, false, ERR_UNSUPPORTED, "was written by a newer sekisho (its schema is 99");
}

static void test_a_missing_store_is_not_made_unasked(void **state)
{
        struct kit k;

        kit_place(&k);
        refuse(k.url, true, ERR_NOT_FOUND, "store");
        if (kit_engine == KIT_SQLITE)
                assert_int_not_equal(access(k.path, F_OK), 0);
        kit_end(&k);
}

static void test_one_program_has_a_file(void **state)
{
        struct kit *k = *state;
        char words[64];
        struct stat st;

        if (kit_engine != KIT_SQLITE)
                return;
        snprintf(words, sizeof(words), "is in use by process %ld", (long)getpid());
        refuse(k->url, false, ERR_EXISTS, words);
        assert_int_equal(stat(k->path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
}

static enum err fill(struct store_txn *t, void *context)
{
        struct store_change *c = store_change_begin(t, 1, &kit_actor, "test.fill");
        char name[32];

        for (int i = 0; i < 3000; i++) {
                struct store_node node = { .org = 1,
                                           .settings = STR("{}"),
                                           .facts = STR("{\"system\":\"Linux\"}") };
                snprintf(name, sizeof(name), "node-%d", i);
                node.name = node.tls_key = str_of(name);
                assert_err(store_node_add(c, &node), ERR_OK);
        }
        return store_change_finish(c);
}

static void write_at(const char *path, off_t at, const char *bytes, size_t n)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        assert_int_equal(pwrite(fd, bytes, n, at), n);
        close(fd);
}

/* A cell of each page is turned over in turn: found at start, or else every row reads and the chain holds. */
static void test_a_damaged_file_is_refused(void **state)
{
        struct kit *k = *state;
        unsigned refused = 0, tried = 0;
        struct stat st;

        if (kit_engine != KIT_SQLITE)
                return;
        kit_run(k, fill, NULL);
        store_close(k->store);
        k->store = NULL;
        assert_int_equal(stat(k->path, &st), 0);
        for (off_t page = 1; page < st.st_size / 4096; page += 7) {
                const struct store_options options = { .clock = kit_clock };
                char was[64], now[64];
                struct store *s = NULL;
                struct report r;
                int fd = open(k->path, O_RDONLY | O_CLOEXEC);
                assert_int_equal(pread(fd, was, sizeof(was), page * 4096), sizeof(was));
                close(fd);
                memset(now, 0xa5, sizeof(now));
                write_at(k->path, page * 4096, now, sizeof(now));
                report_init(&r, STR_NULL);
                enum err e = store_open(str_of(k->url), &options, &r, &s);
                assert_int_equal(e != ERR_OK, r.errors_count > 0);
                store_close(s);
                refused += e != ERR_OK;
                tried++;
                report_fini(&r);
                write_at(k->path, page * 4096, was, sizeof(was));
        }
        assert_true(tried > 20 && refused == tried);
        write_at(k->path, 4096, "\xa5\xa5\xa5\xa5", 4);
        refuse(k->url, false, ERR_MALFORMED, "the store's file is damaged");
}

static void test_what_is_no_store_is_left_alone(void **state)
{
        char path[256], url[300];
        struct stat st;

        if (kit_engine != KIT_SQLITE)
                return;
        kit_file("notes.txt", path);
        snprintf(url, sizeof(url), "sqlite:%s", path);
        write_at(path, 0,
                 "Dear diary, this is no database at all, but it is quite long, so that there is a header.\n"
                 "And a second line of it, which goes past a hundred bytes.\n",
                 140);
        refuse(url, false, ERR_MALFORMED, "is not a store of sekisho");
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, 140);
}

static void test_a_start_is_quick(void **state)
{
        struct kit *k = *state;
        struct timespec begin, end;

        kit_run(k, fill, NULL);
        clock_gettime(CLOCK_MONOTONIC, &begin);
        kit_reopen(k);
        clock_gettime(CLOCK_MONOTONIC, &end);
        assert_true((end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000 < 2000);
}

/* The columns that the families name are those of the tables. */
static enum err select_all(struct store_txn *t, void *context)
{
        for (size_t i = 0; i < store_listed_count; i++) {
                struct store_rows rows;
                struct buf sql;
                bool has_row = true;
                buf_init(&sql, 4096);
                buf_add(&sql, STR("SELECT "));
                if (store_listed[i].rows)
                        store_table_columns(store_listed[i].rows, &sql);
                else
                        buf_add(&sql, str_of(store_listed[i].columns));
                buf_addf(&sql, " FROM %s", store_listed[i].name);
                assert_err(store_rows_begin(t, &rows, buf_str(&sql), NULL, 0), ERR_OK);
                while (has_row)
                        assert_err(store_rows_next(&rows, &has_row), ERR_OK);
                buf_fini(&sql);
        }
        return ERR_OK;
}

static void test_the_schema_is_what_the_families_say(void **state)
{
        struct kit *k = *state;

        kit_run(k, select_all, NULL);
}

/* Rows as version `n` wrote them, in the engine's spelling: {x:61} is the byte 'a'. */
static void load_dump(int version, struct buf *out)
{
        char path[512], byte[16];
        FILE *f;
        int c;

        snprintf(path, sizeof(path), "%s/tests/unit/store/versions/%d.sql", getenv("SEKISHO_SOURCE_ROOT"),
                 version);
        f = fopen(path, "r");
        if (!f)
                fail_msg("%s is missing: each version of the schema has its rows", path);
        while ((c = fgetc(f)) != EOF) {
                if (c != '{') {
                        buf_add_char(out, (char)c);
                        continue;
                }
                size_t n = 0;
                while ((c = fgetc(f)) != '}' && n + 1 < sizeof(byte))
                        byte[n++] = (char)c;
                byte[n] = '\0';
                buf_addf(out, kit_engine == KIT_SQLITE ? "x'%s'" : "'\\x%s'", byte + 2);
        }
        fclose(f);
        buf_add_char(out, '\0');
}

static bool has_bodies;

static enum err bodies_look(struct store_txn *t, void *context)
{
        struct store_dispatch *rows;
        struct kit *k = context;
        size_t count;

        assert_err(store_dispatch_list(t, 1, 0, 1, &k->arena, &rows, &count), ERR_OK);
        assert_err(store_dispatch_bodies(t, &k->arena, rows, count), ERR_OK);
        has_bodies = count && rows[0].has_bodies;
        return ERR_OK;
}

static enum err verify_old(struct store_txn *t, void *context)
{
        struct kit *k = context;
        struct store_verified verified;
        struct store_node node;

        assert_err(store_verify(t, &k->report, &verified), ERR_OK);
        assert_err(store_node_by_name(t, 1, STR("home"), &k->arena, &node), ERR_OK);
        assert_str(node.tls_key, STR("ab"));
        assert_int_equal(node.kind, STORE_AGENT);
        return select_all(t, NULL);
}

static void test_each_earlier_version_comes_forward(void **state)
{
        for (int version = 1; version <= store_steps_count; version++) {
                struct store_conn *c = NULL;
                struct store_url url;
                struct kit k;
                struct buf dump;
                kit_place(&k);
                buf_init(&dump, 256 * 1024);
                load_dump(version, &dump);
                assert_err(store_url_parse(str_of(k.url), &k.report, &url), ERR_OK);
                assert_err(store_conn_open(&url, STORE_WRITER, false, &k.report, &c), ERR_OK);
                assert_err(store_schema_migrate(c, version, &k.report), ERR_OK);
                if (c->backend->script(c, dump.ptr) != ERR_OK)
                        fail_msg("version %d: %s", version, c->reason);
                store_conn_close(c);
                kit_reopen(&k);
                kit_run(&k, verify_old, &k);
                kit_run(&k, bodies_look, &k);
                assert_int_equal(has_bodies, version >= 6); /* none of before they were sealed is left */
                buf_fini(&dump);
                kit_end(&k);
        }
}

int start_tests(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_urls),
                cmocka_unit_test(test_urls_are_shown_without_passwords),
                KIT_TEST(test_a_newer_store_is_refused),
                cmocka_unit_test(test_a_missing_store_is_not_made_unasked),
                KIT_TEST(test_one_program_has_a_file),
                KIT_TEST(test_a_damaged_file_is_refused),
                cmocka_unit_test(test_what_is_no_store_is_left_alone),
                KIT_TEST(test_a_start_is_quick),
                KIT_TEST(test_the_schema_is_what_the_families_say),
                cmocka_unit_test(test_each_earlier_version_comes_forward),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
