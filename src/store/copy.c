#include "store/copy.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypto/random.h"
#include "io/file.h"
#include "store/audit.h"
#include "store/schema_priv.h"
#include "store/settings.h"
#include "store/table_priv.h"

enum {
        PAGE_ROWS = 500,
        PAGE_BYTES_MAX = 256 * 1024 * 1024,
        CHUNK_BYTES = 256 * 1024,
        NAME_BYTES_MAX = PATH_MAX
};

/* Tables, page by page. */

static void columns_of(const struct store_listed *l, struct buf *out)
{
        if (l->rows)
                store_table_columns(l->rows, out);
        else
                buf_add(out, str_of(l->columns));
}

static unsigned count_columns(struct str columns)
{
        unsigned count = 1;

        for (size_t i = 0; i < columns.len; i++)
                count += columns.ptr[i] == ',';
        return count;
}

/* One table's statements and where the copy of it stands. */
struct passage {
        const struct store_listed *table;
        struct buf select, insert;
        unsigned columns_count, keys_count;
        struct store_value keys[4]; /* of the last row; texts are in `kept` */
        struct arena kept;
};

static enum err passage_init(struct passage *p, const struct store_listed *table)
{
        struct buf columns;
        bool is_whole;

        *p = (struct passage){ .table = table, .keys_count = (unsigned)strlen(table->key_types) };
        arena_init(&p->kept, NULL, 0, PAGE_BYTES_MAX);
        buf_init(&columns, STORE_SQL_BYTES_MAX);
        buf_init(&p->select, STORE_SQL_BYTES_MAX - 1);
        buf_init(&p->insert, STORE_SQL_BYTES_MAX - 1);
        columns_of(table, &columns);
        p->columns_count = count_columns(buf_str(&columns));
        for (unsigned i = 0; i < p->keys_count; i++)
                p->keys[i] = table->key_types[i] == 'n' ? VALUE_INT(-1) : VALUE_TEXT(STR(""));
        buf_addf(&p->select, "SELECT %.*s FROM %s WHERE (%s) > (", STR_FMT(buf_str(&columns)), table->name,
                 table->key);
        for (unsigned i = 0; i < p->keys_count; i++)
                buf_addf(&p->select, "%s$%u", i ? ", " : "", i + 1);
        buf_addf(&p->select, ") ORDER BY %s LIMIT %d", table->key, PAGE_ROWS);
        buf_addf(&p->insert, "INSERT INTO %s (%.*s) VALUES (", table->name, STR_FMT(buf_str(&columns)));
        for (unsigned i = 0; i < p->columns_count; i++)
                buf_addf(&p->insert, "%s$%u", i ? ", " : "", i + 1);
        buf_add_char(&p->insert, ')');
        is_whole = !columns.full && !p->select.full && !p->insert.full;
        buf_fini(&columns);
        assert(p->keys_count <= ARRAY_SIZE(p->keys));
        return is_whole ? ERR_OK : ERR_NO_MEMORY;
}

static void passage_fini(struct passage *p)
{
        arena_fini(&p->kept);
        buf_fini(&p->select);
        buf_fini(&p->insert);
}

/* The keys are the first columns. They are kept until the page after. */
static enum err keep_keys(struct passage *p, const struct store_value *row)
{
        arena_reset(&p->kept);
        for (unsigned i = 0; i < p->keys_count; i++) {
                p->keys[i] = row[i];
                if (row[i].type == STORE_STRING)
                        p->keys[i].text = arena_copy(&p->kept, row[i].text);
        }
        return p->kept.full ? ERR_NO_MEMORY : ERR_OK;
}

/* One page, into `to` (NULL: only read). *count is how many rows it had. */
static enum err pass_page(struct passage *p, struct store_txn *from, struct store_txn *to, size_t *count)
{
        struct store_value keys[ARRAY_SIZE(p->keys)], row[STORE_ARGS_MAX];
        struct store_rows rows;
        bool has_row = true;
        enum err e;

        *count = 0;
        memcpy(keys, p->keys, sizeof(keys));
        e = store_rows_begin(from, &rows, buf_str(&p->select), keys, p->keys_count);
        while (e == ERR_OK && (e = store_rows_next(&rows, &has_row)) == ERR_OK && has_row) {
                for (unsigned i = 0; i < p->columns_count; i++)
                        store_rows_value(&rows, i, &row[i]);
                *count += 1;
                if (to)
                        e = store_exec(to, buf_str(&p->insert), row, p->columns_count, NULL);
                if (e == ERR_OK && *count == PAGE_ROWS)
                        e = keep_keys(p, row);
        }
        if (rows.stmt)
                store_rows_end(&rows);
        return e;
}

static enum err pass_table(const struct store_listed *table, struct store_txn *from, struct store_txn *to,
                           int64_t *total)
{
        struct passage p;
        size_t count = PAGE_ROWS;
        enum err e = passage_init(&p, table);

        while (e == ERR_OK && count == PAGE_ROWS) {
                e = pass_page(&p, from, to, &count);
                *total += (int64_t)count;
        }
        passage_fini(&p);
        return e;
}

/* All rows of `from` become those of `to`, which is new. */
static enum err pass_all(struct store_txn *from, struct store_txn *to)
{
        int64_t total = 0;
        enum err e = ERR_OK;

        for (size_t i = store_listed_count; i-- > 0 && e == ERR_OK;) {
                char sql[64];
                if (!store_listed[i].is_filled)
                        continue;
                snprintf(sql, sizeof(sql), "DELETE FROM %s", store_listed[i].name);
                e = store_exec(to, str_of(sql), NULL, 0, NULL);
        }
        for (size_t i = 0; i < store_listed_count && e == ERR_OK; i++)
                e = pass_table(&store_listed[i], from, to, &total);
        return e;
}

/* Verifying. */

static enum err verify_counter(struct store_txn *t, const char *table, const char *column, struct str counter,
                               struct report *r)
{
        struct store_value args[] = { VALUE_TEXT(counter) };
        int64_t largest = 0, value = 0;
        char sql[96];
        enum err e;

        snprintf(sql, sizeof(sql), "SELECT max(%s) FROM %s", column, table);
        e = store_number(t, str_of(sql), NULL, 0, &largest);
        if (e == ERR_OK)
                e = store_number(t, STR("SELECT value FROM counters WHERE name = $1"), args, 1, &value);
        if (e != ERR_OK || largest <= value)
                return e;
        report_error(r, 0, 0, "%s goes up to %lld, but its counter stands at %lld: a number could come twice",
                     table, (long long)largest, (long long)value);
        return ERR_MALFORMED;
}

enum err store_verify(struct store_txn *t, struct report *r, struct store_verified *out)
{
        size_t before = r->errors_count;
        int64_t seq;
        enum err e = t->conn->backend->check(t->conn, true, r);

        *out = (struct store_verified){ 0 };
        for (size_t i = 0; i < store_listed_count && e == ERR_OK; i++) {
                const struct store_listed *l = &store_listed[i];
                e = pass_table(l, t, NULL, &out->rows_count);
                if (e == ERR_OK && l->rows)
                        e = verify_counter(t, l->name, "id", STR("id"), r);
        }
        if (e == ERR_OK)
                e = verify_counter(t, "outbox", "seq", STR("outbox"), r);
        if (e == ERR_OK)
                e = store_audit_verify(t, r, &out->records_count);
        if (e == ERR_OK)
                e = store_audit_last(t, &seq, out->last_hash);
        if (e != ERR_OK && r->errors_count == before)
                report_error(r, 0, 0, "the store cannot be read: %s", t->conn->reason);
        return e;
}

/* Files. */

static bool temporary_name(const char *path, char out[NAME_BYTES_MAX])
{
        int n = snprintf(out, NAME_BYTES_MAX, "%s.%016llx.tmp", path,
                         (unsigned long long)crypto_random_u64());

        return n > 0 && n < NAME_BYTES_MAX;
}

static struct store_url url_of(const char *path)
{
        return (struct store_url){ STORE_SQLITE, str_of(path) };
}

static enum err sync_folder(const char *path)
{
        char folder[NAME_BYTES_MAX];
        const char *slash = strrchr(path, '/');
        int fd;
        enum err e = ERR_OK;

        snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
        fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return err_from_errno(errno);
        if (fsync(fd) != 0)
                e = ERR_IO;
        close(fd);
        return e;
}

/* Gives `temporary` its name if that is free: by a link, which never replaces. */
static enum err publish(const char *temporary, const char *path, struct report *r)
{
        enum err e = ERR_OK;

        if (link(temporary, path) != 0) {
                e = errno == EEXIST ? ERR_EXISTS : ERR_IO;
                report_error(r, 0, 0, "cannot make %s: %s", path, strerror(errno));
        } else {
                e = sync_folder(path);
        }
        unlink(temporary);
        return e;
}

static void discard(const char *temporary)
{
        char journal[NAME_BYTES_MAX + 16];

        snprintf(journal, sizeof(journal), "%s-journal", temporary);
        unlink(temporary);
        unlink(journal);
}

/* Backup. */

static enum err verify_conn(struct store_conn *c, unix_ms now, struct report *r)
{
        struct store_verified verified;
        struct store_txn t;
        enum err e = c->backend->begin(c, false);

        if (e != ERR_OK)
                return e;
        store_txn_init(&t, c, false, now);
        e = store_verify(&t, r, &verified);
        store_txn_fini(&t);
        c->backend->rollback(c);
        return e;
}

/* Copies into an open, new database and says why when it cannot. */
static enum err fill(struct store_txn *from, struct store_conn *c, struct report *r)
{
        struct store_txn to;
        enum err e = store_schema_migrate(c, store_steps_count, r);

        if (e != ERR_OK)
                return e;
        if ((e = c->backend->begin(c, true)) == ERR_OK) {
                store_txn_init(&to, c, true, from->now);
                e = pass_all(from, &to);
                store_txn_fini(&to);
                if (e == ERR_OK)
                        e = c->backend->commit(c);
                else
                        c->backend->rollback(c);
        }
        if (e != ERR_OK)
                report_error(r, 0, 0, "the copy failed: %s", c->reason[0] ? c->reason : from->conn->reason);
        return e;
}

enum err store_backup(struct store_txn *t, const char *path, struct report *r)
{
        char temporary[NAME_BYTES_MAX];
        struct store_conn *c = NULL;
        struct store_url url;
        enum err e;

        if (access(path, F_OK) == 0 || !temporary_name(path, temporary)) {
                report_error(r, 0, 0, "%s is there already: a backup replaces nothing", path);
                return ERR_EXISTS;
        }
        url = url_of(temporary);
        e = store_conn_open(&url, STORE_TARGET, false, r, &c);
        if (e == ERR_OK)
                e = fill(t, c, r);
        if (e == ERR_OK)
                e = verify_conn(c, t->now, r);
        store_conn_close(c);
        if (e == ERR_OK)
                return publish(temporary, path, r);
        discard(temporary);
        return e;
}

/* Restore. */

/* The record of it, and an epoch above all others, as the last thing in a history that begins anew. */
static enum err begin_history(struct store_conn *c, const struct store_actor *actor, unix_ms now,
                              int64_t *epoch)
{
        struct store_change *change;
        struct store_txn t;
        enum err e = c->backend->begin(c, true);

        if (e != ERR_OK)
                return e;
        store_txn_init(&t, c, true, now);
        change = store_change_begin(&t, STORE_ORG_DEFAULT, actor, "store.restore");
        e = store_epoch_raise(change, now / 1000, epoch);
        if (e == ERR_OK)
                e = store_change_finish(change);
        store_txn_fini(&t);
        if (e == ERR_OK)
                return c->backend->commit(c);
        c->backend->rollback(c);
        return e;
}

static enum err copy_file(const char *from, const char *to, struct report *r)
{
        struct stat st;
        int in = open(from, O_RDONLY | O_CLOEXEC), out = -1;
        ssize_t n = 1;

        if (in >= 0 && fstat(in, &st) == 0 && S_ISREG(st.st_mode))
                out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        while (out >= 0 && n > 0)
                n = copy_file_range(in, NULL, out, NULL, CHUNK_BYTES, 0);
        if (out < 0 || n < 0) {
                report_error(r, 0, 0, "cannot copy %s: %s", from, strerror(errno));
                n = -1;
        }
        if (in >= 0)
                close(in);
        if (out >= 0)
                close(out);
        return n < 0 ? ERR_IO : ERR_OK;
}

static enum err restore_file(const char *path, const char *target, const struct store_actor *actor,
                             unix_ms now, struct report *r, int64_t *epoch)
{
        char temporary[NAME_BYTES_MAX];
        struct store_conn *c = NULL;
        struct store_url url;
        enum err e;

        if (access(target, F_OK) == 0 || !temporary_name(target, temporary)) {
                report_error(
                        r, 0, 0,
                        "there is something at %s already: a restore replaces nothing, move it away first",
                        target);
                return ERR_EXISTS;
        }
        if ((e = copy_file(path, temporary, r)) != ERR_OK) {
                discard(temporary);
                return e;
        }
        url = url_of(temporary);
        e = store_conn_open(&url, STORE_TARGET, true, r, &c);
        if (e == ERR_OK)
                e = store_schema_migrate(c, store_steps_count, r);
        if (e == ERR_OK)
                e = verify_conn(c, now, r);
        if (e == ERR_OK && (e = begin_history(c, actor, now, epoch)) != ERR_OK)
                report_error(r, 0, 0, "the copy cannot be written: %s", c->reason);
        store_conn_close(c);
        if (e == ERR_OK)
                return publish(temporary, target, r);
        discard(temporary);
        return e;
}

/* Nobody has used it: no schema, or one that nothing was put into. */
static enum err is_unused(struct store_conn *c, struct report *r)
{
        struct store_txn t;
        int64_t used = 0;
        int version;
        enum err e = store_schema_version(c, &version);

        if (e != ERR_OK || version == 0)
                return e;
        if ((e = c->backend->begin(c, false)) != ERR_OK)
                return e;
        store_txn_init(&t, c, false, 0);
        e = store_number(
                &t,
                STR("SELECT count(*) FROM counters WHERE (name = 'id' AND value > 1) OR (name = 'audit' AND value > 0)"),
                NULL, 0, &used);
        store_txn_fini(&t);
        c->backend->rollback(c);
        if (e == ERR_OK && used) {
                report_error(r, 0, 0,
                             "there is a store already: a restore replaces nothing, give it an empty schema");
                e = ERR_EXISTS;
        }
        return e;
}

static enum err open_source(const char *path, struct report *r, struct store_conn **out)
{
        struct store_url url = url_of(path);
        int version;
        enum err e = store_conn_open(&url, STORE_SOURCE, true, r, out);

        if (e != ERR_OK)
                return e;
        if ((e = store_schema_version(*out, &version)) != ERR_OK)
                report_error(r, 0, 0, "cannot read the backup's schema: %s", (*out)->reason);
        if (e != ERR_OK || version == store_steps_count)
                return e;
        report_error(r, 0, 0, "the backup's schema is %d, this program's %d: %s", version, store_steps_count,
                     version > store_steps_count ? "use the newer sekisho that made it"
                                                 : "restore it into a SQLite store first and back that up");
        return ERR_UNSUPPORTED;
}

static enum err restore_rows(const char *path, const struct store_url *url, const struct store_actor *actor,
                             unix_ms now, struct report *r, int64_t *epoch)
{
        struct store_conn *from = NULL, *to = NULL;
        struct store_txn t;
        enum err e = open_source(path, r, &from);

        if (e == ERR_OK)
                e = verify_conn(from, now, r);
        if (e == ERR_OK)
                e = store_conn_open(url, STORE_WRITER, false, r, &to);
        if (e == ERR_OK)
                e = is_unused(to, r);
        if (e == ERR_OK && (e = from->backend->begin(from, false)) == ERR_OK) {
                store_txn_init(&t, from, false, now);
                e = fill(&t, to, r);
                store_txn_fini(&t);
                from->backend->rollback(from);
        }
        if (e == ERR_OK && (e = begin_history(to, actor, now, epoch)) != ERR_OK)
                report_error(r, 0, 0, "the store cannot be written: %s", to->reason);
        store_conn_close(to);
        store_conn_close(from);
        return e;
}

enum err store_restore(const char *path, struct str text, const struct store_actor *actor, struct report *r,
                       int64_t *epoch)
{
        char target[NAME_BYTES_MAX];
        struct timespec clock;
        struct store_url url;
        unix_ms now;
        enum err e = store_url_parse(text, r, &url);

        if (e != ERR_OK)
                return e;
        clock_gettime(CLOCK_REALTIME, &clock);
        now = (unix_ms)clock.tv_sec * 1000 + clock.tv_nsec / 1000000;
        if (url.kind == STORE_POSTGRESQL)
                return restore_rows(path, &url, actor, now, r, epoch);
        snprintf(target, sizeof(target), "%.*s", STR_FMT(url.text));
        return restore_file(path, target, actor, now, r, epoch);
}
