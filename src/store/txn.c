#include "store/txn_priv.h"

#include <assert.h>
#include <string.h>

void store_txn_init(struct store_txn *t, struct store_conn *c, bool is_write, unix_ms now)
{
        *t = (struct store_txn){ .conn = c, .now = now, .is_write = is_write };
        c->reason[0] = '\0';
        c->wants_retry = false;
        buf_init(&t->change.detail, 2 * CHANGE_DETAIL_BYTES_MAX);
}

void store_txn_fini(struct store_txn *t)
{
        buf_fini(&t->change.detail);
}

unix_ms store_now(const struct store_txn *t)
{
        return t->now;
}

static enum err failed(struct store_txn *t, enum err e)
{
        if (t->failed == ERR_OK)
                t->failed = e;
        return t->failed;
}

/* What PostgreSQL refuses SQLite would take: the same answer from both. */
static bool is_text(struct str s)
{
        return (s.len == 0 || memchr(s.ptr, '\0', s.len) == NULL) && str_is_utf8(s);
}

enum err store_rows_begin(struct store_txn *t, struct store_rows *rows, struct str sql,
                          const struct store_value *args, size_t args_count)
{
        enum err e = t->failed;

        *rows = (struct store_rows){ .txn = t };
        assert(args_count <= STORE_ARGS_MAX);
        if (e != ERR_OK)
                return e;
        for (size_t i = 0; i < args_count; i++)
                if (args[i].type == STORE_STRING && !is_text(args[i].text))
                        return failed(t, store_conn_fail(t->conn, ERR_MALFORMED,
                                                         "text that is not UTF-8, or holds a NUL"));
        e = t->conn->backend->start(t->conn, sql, args, args_count, &rows->stmt);
        return e == ERR_OK ? e : failed(t, e);
}

enum err store_rows_next(struct store_rows *rows, bool *has_row)
{
        struct store_txn *t = rows->txn;
        enum err e;

        assert(rows->stmt);
        e = t->conn->backend->step(t->conn, rows->stmt, has_row);
        if (e == ERR_OK && *has_row)
                return ERR_OK;
        *has_row = false;
        store_rows_end(rows);
        return e == ERR_OK ? e : failed(t, e);
}

void store_rows_value(struct store_rows *rows, unsigned i, struct store_value *out)
{
        rows->txn->conn->backend->column(rows->stmt, i, out);
}

void store_rows_end(struct store_rows *rows)
{
        if (rows->stmt)
                rows->txn->conn->backend->finish(rows->txn->conn, rows->stmt);
        rows->stmt = NULL;
}

int64_t store_rows_number(struct store_rows *rows, unsigned i)
{
        struct store_value v;

        store_rows_value(rows, i, &v);
        return v.type == STORE_NUMBER ? v.number : 0;
}

struct str store_rows_text(struct store_rows *rows, unsigned i)
{
        struct store_value v;

        store_rows_value(rows, i, &v);
        return v.type == STORE_STRING || v.type == STORE_BLOB ? v.text : STR_NULL;
}

enum err store_exec(struct store_txn *t, struct str sql, const struct store_value *args, size_t args_count,
                    int64_t *changed)
{
        struct store_rows rows;
        bool has_row = true;
        enum err e = store_rows_begin(t, &rows, sql, args, args_count);

        if (e != ERR_OK)
                return e;
        while (e == ERR_OK && has_row) {
                e = t->conn->backend->step(t->conn, rows.stmt, &has_row);
        }
        if (changed)
                *changed = e == ERR_OK ? t->conn->backend->changed(t->conn, rows.stmt) : 0;
        store_rows_end(&rows);
        return e == ERR_OK ? e : failed(t, e);
}

enum err store_number(struct store_txn *t, struct str sql, const struct store_value *args, size_t args_count,
                      int64_t *out)
{
        struct store_rows rows;
        bool has_row = false, found = false;
        enum err e = store_rows_begin(t, &rows, sql, args, args_count);

        *out = 0;
        /* To the end: an UPDATE … RETURNING has done its work only then. */
        while (e == ERR_OK && (e = store_rows_next(&rows, &has_row)) == ERR_OK && has_row) {
                *out = found ? *out : store_rows_number(&rows, 0);
                found = true;
        }
        return e == ERR_OK && !found ? ERR_NOT_FOUND : e;
}

enum err store_counter_next(struct store_txn *t, struct str name, int64_t *out)
{
        enum err e =
                STORE_NUMBER_OF(t, "UPDATE counters SET value = value + 1 WHERE name = $1 RETURNING value",
                                out, VALUE_TEXT(name));

        return e == ERR_NOT_FOUND ? failed(t, store_conn_fail(t->conn, ERR_IO, "the counter %.*s is missing",
                                                              STR_FMT(name)))
                                  : e;
}
