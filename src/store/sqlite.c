/*
 * SQLite behind the door. Theory of operation.
 *
 * One connection writes and alone checkpoints; readers are opened query-only and never checkpoint, not even when they are
 * closed. SQLite before 3.51.3 can lose pages when two connections write or checkpoint one WAL at the same moment; with
 * these rules there are never two. No memory map. The lock file keeps other programs of ours out.
 *
 * synchronous=FULL: a commit is on the disk when COMMIT returns.
 */
#include "store/backend_priv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "crypto/random.h"
#include "store/sqlite_priv.h"

enum {
        APPLICATION_ID = 0x53454b49, /* "SEKI": says whose file it is (file(1) shows it too) */
        STATEMENTS_MAX = 512,
        BUSY_MS = 5000, /* only a stranger's tool can hold the file: wait for it so long */
        CHECKPOINT_PAGES = 1000,
        WAL_BYTES_KEPT = 16 * 1024 * 1024
};

struct store_stmt {
        sqlite3_stmt *stmt;
        char *text; /* the key in the map */
        bool is_busy;
};

struct sqlite_conn {
        struct store_conn conn;
        sqlite3 *db;
        int lock_fd; /* -1: none held */
        struct map statements;
        char about[48];
};

static struct sqlite_conn *of(struct store_conn *c)
{
        return CONTAINER_OF(c, struct sqlite_conn, conn);
}

static enum err err_of(int rc)
{
        switch (rc & 0xff) {
        case SQLITE_CONSTRAINT:
                switch (rc) {
                case SQLITE_CONSTRAINT_UNIQUE:
                case SQLITE_CONSTRAINT_PRIMARYKEY:
                case SQLITE_CONSTRAINT_ROWID: return ERR_EXISTS;
                case SQLITE_CONSTRAINT_FOREIGNKEY: return ERR_NOT_FOUND;
                default: return ERR_MALFORMED;
                }
        case SQLITE_MISMATCH: return ERR_MALFORMED;
        case SQLITE_TOOBIG: return ERR_TOO_LARGE;
        case SQLITE_NOMEM: return ERR_NO_MEMORY;
        case SQLITE_BUSY:
        case SQLITE_LOCKED: return ERR_TIMED_OUT;
        case SQLITE_READONLY:
        case SQLITE_PERM:
        case SQLITE_AUTH: return ERR_DENIED;
        default: return ERR_IO;
        }
}

static const char *hint_of(int rc)
{
        switch (rc & 0xff) {
        case SQLITE_FULL: return " (" STORE_FULL_WORDS ")";
        case SQLITE_READONLY:
        case SQLITE_CANTOPEN:
                return " (the folder and its files must be writable for the user control runs as)";
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB: return " (stop, keep the files, restore a backup)";
        default: return "";
        }
}

static enum err fail(struct sqlite_conn *c, int rc)
{
        enum err e = err_of(rc);

        c->conn.wants_retry = false;
        store_conn_say(&c->conn, "%s%s", sqlite3_errmsg(c->db), hint_of(rc));
        assert(e != ERR_OK);
        return e;
}

/* Opening. */

static enum err run_script(struct store_conn *conn, const char *sql)
{
        struct sqlite_conn *c = of(conn);
        int rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);

        return rc == SQLITE_OK ? ERR_OK : fail(c, rc);
}

static enum err number_of(struct sqlite_conn *c, const char *sql, int64_t *out)
{
        sqlite3_stmt *stmt;
        int rc = sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL);

        if (rc == SQLITE_OK) {
                rc = sqlite3_step(stmt);
                *out = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
                sqlite3_finalize(stmt);
        }
        return rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : fail(c, rc);
}

static void configure(sqlite3 *db, enum store_role role)
{
        sqlite3_extended_result_codes(db, 1);
        sqlite3_busy_timeout(db, BUSY_MS);
        sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
        sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, role != STORE_WRITER, NULL);
        sqlite3_limit(db, SQLITE_LIMIT_LENGTH, STORE_VALUE_BYTES_MAX);
        sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, 64 * 1024);
        sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
        sqlite3_limit(db, SQLITE_LIMIT_EXPR_DEPTH, 100);
        sqlite3_limit(db, SQLITE_LIMIT_WORKER_THREADS, 0);
        sqlite3_wal_autocheckpoint(db, role == STORE_WRITER ? CHECKPOINT_PAGES : 0);
}

static enum err apply_pragmas(struct sqlite_conn *c, enum store_role role)
{
        char sql[128];
        enum err e = run_script(&c->conn,
                                "PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON; "
                                "PRAGMA cache_size=-4096");

        if (e == ERR_OK && role == STORE_TARGET)
                return run_script(&c->conn, "PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL");
        if (e == ERR_OK && role != STORE_WRITER)
                return run_script(&c->conn, "PRAGMA query_only=ON");
        if (e == ERR_OK)
                e = run_script(&c->conn, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL");
        snprintf(sql, sizeof(sql), "PRAGMA journal_size_limit=%d", WAL_BYTES_KEPT);
        return e == ERR_OK ? run_script(&c->conn, sql) : e;
}

static enum err not_ours(struct sqlite_conn *c, const char *path, struct report *r)
{
        report_error(r, 0, 0,
                     sqlite3_errcode(c->db) == SQLITE_CORRUPT ? "the store's file %s is damaged: %s"
                                                              : "%s is not a store of sekisho: %s",
                     path, c->conn.reason[0] ? c->conn.reason : "it belongs to another program");
        return ERR_MALFORMED;
}

/* A new file becomes ours; another program's is left alone. */
static enum err claim(struct sqlite_conn *c, const char *path, enum store_role role, struct report *r)
{
        int64_t id = 0, tables = 0;
        char sql[64];

        if (number_of(c, "PRAGMA application_id", &id) != ERR_OK ||
            number_of(c, "SELECT count(*) FROM sqlite_master", &tables) != ERR_OK)
                return not_ours(c, path, r);
        if (id == APPLICATION_ID)
                return ERR_OK;
        if (id != 0 || tables != 0 || role == STORE_READER || role == STORE_SOURCE)
                return not_ours(c, path, r);
        snprintf(sql, sizeof(sql), "PRAGMA application_id=%d", APPLICATION_ID);
        return run_script(&c->conn, sql);
}

/* SQLite would make it with the process' mask: it holds hashes and sealed keys. */
static enum err touch(const char *path, int flags, struct report *r)
{
        int fd = open(path, flags | O_CLOEXEC, 0600);

        if (fd < 0) {
                enum err e = err_from_errno(errno);

                report_error(r, 0, 0, "cannot open the store %s: %s%s", path, strerror(errno),
                             store_sqlite_advice(errno));
                return e;
        }
        close(fd);
        return ERR_OK;
}

static enum err open_db(struct sqlite_conn *c, const char *path, enum store_role role, struct report *r)
{
        int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
        int rc = sqlite3_open_v2(
                path, &c->db, flags | (role == STORE_SOURCE ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE),
                NULL);
        enum err e;

        if (rc != SQLITE_OK) {
                report_error(r, 0, 0, "cannot open the store %s: %s", path,
                             c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc));
                return err_of(rc);
        }
        configure(c->db, role);
        if ((e = claim(c, path, role, r)) != ERR_OK)
                return e;
        if ((e = apply_pragmas(c, role)) != ERR_OK)
                report_error(r, 0, 0, "the store %s: %s", path, c->conn.reason);
        return e;
}

static void sqlite_close(struct store_conn *conn)
{
        struct sqlite_conn *c = of(conn);
        const struct map_entry *entry;
        size_t at = 0;

        while ((entry = map_next(&c->statements, &at)) != NULL) {
                struct store_stmt *s = entry->value;
                sqlite3_finalize(s->stmt);
                free(s->text);
                free(s);
        }
        map_fini(&c->statements);
        if (c->db && sqlite3_close(c->db) != SQLITE_OK)
                assert(false && "a statement was left unfinished");
        if (c->lock_fd >= 0)
                close(c->lock_fd);
        free(c);
}

static enum err sqlite_open(const struct store_url *url, enum store_role role, bool must_exist,
                            struct report *r, struct store_conn **out)
{
        struct hash_key key = { crypto_random_u64(), crypto_random_u64() };
        struct sqlite_conn *c;
        char path[PATH_MAX];
        enum err e = ERR_OK;

        if (url->text.len >= sizeof(path)) {
                report_error(r, 0, 0, "the path of the store is too long");
                return ERR_CONFIG;
        }
        memcpy(path, url->text.ptr, url->text.len);
        path[url->text.len] = '\0';
        if (!(c = calloc(1, sizeof(*c))))
                return ERR_NO_MEMORY;
        c->conn.backend = &store_sqlite;
        c->lock_fd = -1;
        map_init(&c->statements, key, STATEMENTS_MAX);
        snprintf(c->about, sizeof(c->about), "SQLite %s", sqlite3_libversion());
        if (role == STORE_WRITER) {
                e = must_exist ? touch(path, O_RDWR, r) : ERR_OK;
                e = e == ERR_OK ? store_sqlite_lock(path, r, &c->lock_fd) : e;
                e = e == ERR_OK ? touch(path, O_RDWR | (must_exist ? 0 : O_CREAT), r) : e;
        }
        if (role == STORE_TARGET)
                e = touch(path, O_RDWR | (must_exist ? 0 : O_CREAT), r);
        if (role == STORE_SOURCE && (e = touch(path, O_RDONLY, r)) == ERR_OK)
                e = store_sqlite_lock_if_any(path, r, &c->lock_fd);
        e = e == ERR_OK ? open_db(c, path, role, r) : e;
        if (e != ERR_OK) {
                sqlite_close(&c->conn);
                return e;
        }
        *out = &c->conn;
        return ERR_OK;
}

static void sqlite_about(struct store_conn *conn, struct str *out)
{
        *out = str_of(of(conn)->about);
}

/* Transactions. */

static enum err sqlite_begin(struct store_conn *conn, bool is_write)
{
        return run_script(conn, is_write ? "BEGIN IMMEDIATE" : "BEGIN");
}

static bool sqlite_is_open(struct store_conn *conn)
{
        return !sqlite3_get_autocommit(of(conn)->db);
}

static void sqlite_rollback(struct store_conn *conn)
{
        if (sqlite_is_open(conn))
                sqlite3_exec(of(conn)->db, "ROLLBACK", NULL, NULL, NULL);
}

static enum err sqlite_commit(struct store_conn *conn)
{
        enum err e = run_script(conn, "COMMIT");

        if (e != ERR_OK)
                sqlite_rollback(conn);
        return e;
}

/* Statements. */

/* $1 becomes ?1. No text constant of ours holds a '$'. */
static void respell(struct str sql, char *out)
{
        for (size_t i = 0; i < sql.len; i++)
                out[i] = sql.ptr[i] == '$' ? '?' : sql.ptr[i];
        out[sql.len] = '\0';
}

static enum err prepare(struct sqlite_conn *c, struct str sql, struct store_stmt **out)
{
        char text[STORE_SQL_BYTES_MAX];
        struct store_stmt *s = map_find(&c->statements, sql);
        int rc;

        if (s) {
                *out = s;
                return ERR_OK;
        }
        assert(sql.len < sizeof(text));
        respell(sql, text);
        if (!(s = calloc(1, sizeof(*s))) || !(s->text = malloc(sql.len))) {
                free(s);
                return store_conn_fail(&c->conn, ERR_NO_MEMORY, "out of memory");
        }
        memcpy(s->text, sql.ptr, sql.len);
        rc = sqlite3_prepare_v3(c->db, text, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt, NULL);
        if (rc == SQLITE_OK && map_add(&c->statements, (struct str){ s->text, sql.len }, s) == ERR_OK) {
                *out = s;
                return ERR_OK;
        }
        rc = rc == SQLITE_OK ? SQLITE_NOMEM : rc;
        sqlite3_finalize(s->stmt);
        free(s->text);
        free(s);
        return fail(c, rc);
}

static int bind(sqlite3_stmt *stmt, int i, const struct store_value *v)
{
        switch (v->type) {
        case STORE_NUMBER: return sqlite3_bind_int64(stmt, i, v->number);
        case STORE_STRING:
                return sqlite3_bind_text64(stmt, i, v->text.len ? v->text.ptr : "", v->text.len,
                                           SQLITE_STATIC, SQLITE_UTF8);
        case STORE_BLOB:
                return sqlite3_bind_blob64(stmt, i, v->text.len ? v->text.ptr : "", v->text.len,
                                           SQLITE_STATIC);
        case STORE_NULL: break;
        }
        return sqlite3_bind_null(stmt, i);
}

/* What was bound is borrowed: it must not stay. */
static void sqlite_finish(struct store_conn *conn, struct store_stmt *s)
{
        if (!s)
                return;
        s->is_busy = false;
        sqlite3_reset(s->stmt);
        sqlite3_clear_bindings(s->stmt);
}

static enum err sqlite_start(struct store_conn *conn, struct str sql, const struct store_value *args,
                             size_t args_count, struct store_stmt **out)
{
        struct sqlite_conn *c = of(conn);
        struct store_stmt *s;
        enum err e = prepare(c, sql, &s);
        int rc = SQLITE_OK;

        if (e != ERR_OK)
                return e;
        assert(!s->is_busy);
        assert(sqlite3_bind_parameter_count(s->stmt) == (int)args_count);
        for (size_t i = 0; i < args_count && rc == SQLITE_OK; i++)
                rc = bind(s->stmt, (int)i + 1, &args[i]);
        if (rc != SQLITE_OK) {
                sqlite_finish(conn, s);
                return fail(c, rc);
        }
        s->is_busy = true;
        *out = s;
        return ERR_OK;
}

static enum err sqlite_step(struct store_conn *conn, struct store_stmt *s, bool *has_row)
{
        int rc = sqlite3_step(s->stmt);

        *has_row = rc == SQLITE_ROW;
        return rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : fail(of(conn), rc);
}

static void sqlite_column(struct store_stmt *s, unsigned i, struct store_value *out)
{
        int column = (int)i;

        switch (sqlite3_column_type(s->stmt, column)) {
        case SQLITE_INTEGER: *out = VALUE_INT(sqlite3_column_int64(s->stmt, column)); return;
        case SQLITE_TEXT:
                *out = VALUE_TEXT(STR_NULL);
                out->text.ptr = (const char *)sqlite3_column_text(s->stmt, column);
                break;
        case SQLITE_BLOB:
                *out = VALUE_BYTES(STR_NULL);
                out->text.ptr = sqlite3_column_blob(s->stmt, column);
                break;
        default: *out = VALUE_NULL; return;
        }
        out->text.len = (size_t)sqlite3_column_bytes(s->stmt, column);
}

static int64_t sqlite_changed(struct store_conn *conn, struct store_stmt *s)
{
        return sqlite3_changes64(of(conn)->db);
}

static enum err sqlite_has_table(struct store_conn *conn, const char *name, bool *out)
{
        struct store_value args[] = { VALUE_TEXT(str_of(name)) };
        struct store_stmt *s;
        enum err e = sqlite_start(conn, STR("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1"),
                                  args, 1, &s);

        if (e == ERR_OK) {
                e = sqlite_step(conn, s, out);
                sqlite_finish(conn, s);
        }
        return e;
}

static enum err check_rows(struct sqlite_conn *c, const char *sql, const char *what, struct report *r)
{
        sqlite3_stmt *stmt;
        int rc = sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL);
        enum err e = ERR_OK;

        if (rc != SQLITE_OK)
                goto fail;
        while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
                const char *text = (const char *)sqlite3_column_text(stmt, 0);
                if (text && strcmp(text, "ok") == 0)
                        continue;
                e = ERR_MALFORMED;
                report_error(r, 0, 0, "%s: %s (stop, keep the files, restore a backup)", what,
                             text ? text : "unknown");
        }
        sqlite3_finalize(stmt);
        if (rc == SQLITE_DONE)
                return e;
fail:
        report_error(r, 0, 0, "%s: %s (stop, keep the files, restore a backup)", what, sqlite3_errmsg(c->db));
        return ERR_MALFORMED;
}

/* The quick one at each start, the whole one with the keys when all is verified (readers). */
static enum err sqlite_check(struct store_conn *conn, bool is_whole, struct report *r)
{
        struct sqlite_conn *c = of(conn);
        enum err e = check_rows(c, is_whole ? "PRAGMA integrity_check(20)" : "PRAGMA quick_check(20)",
                                "the store's file is damaged", r);

        if (e == ERR_OK && is_whole)
                e = check_rows(c, "PRAGMA foreign_key_check", "a row refers to one that is not there", r);
        return e;
}

static enum err sqlite_announce(struct store_conn *conn)
{
        return ERR_OK;
}

static int sqlite_notice_fd(struct store_conn *conn)
{
        return -1;
}

static bool sqlite_notice_take(struct store_conn *conn)
{
        return false;
}

/* Nobody else can have the file. */
static enum err sqlite_lead(struct store_conn *conn, bool *has_it)
{
        *has_it = true;
        return ERR_OK;
}

static enum err sqlite_lead_end(struct store_conn *conn)
{
        return ERR_OK;
}

const struct store_backend store_sqlite = {
        .int_type = "INTEGER",
        .bytes_type = "BLOB",
        .table_end = "STRICT",
        .open = sqlite_open,
        .close = sqlite_close,
        .about = sqlite_about,
        .begin = sqlite_begin,
        .commit = sqlite_commit,
        .rollback = sqlite_rollback,
        .is_open = sqlite_is_open,
        .start = sqlite_start,
        .step = sqlite_step,
        .column = sqlite_column,
        .changed = sqlite_changed,
        .finish = sqlite_finish,
        .script = run_script,
        .has_table = sqlite_has_table,
        .check = sqlite_check,
        .announce = sqlite_announce,
        .notice_fd = sqlite_notice_fd,
        .notice_take = sqlite_notice_take,
        .lead = sqlite_lead,
        .lead_end = sqlite_lead_end,
};
