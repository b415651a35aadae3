/*
 * PostgreSQL behind the door. Theory of operation.
 *
 * Who writes first takes one advisory lock of the schema, until the end of the transaction: writers of all controls come one
 * after another, and under READ COMMITTED each statement after the lock sees all that was committed before it. So a change
 * reads and writes here as it does under SQLite's BEGIN IMMEDIATE, and nothing can fail to serialise.
 *
 * A connection that breaks before COMMIT took nothing in: the transaction is run again. One that breaks in COMMIT leaves it open
 * whether it did: the server is asked, by the transaction's number, once it can be reached.
 */
#include "store/postgres_priv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/units.h"

enum {
        OID_BYTEA = 17,
        NUMBER_TEXT = 24,
        OUTCOME_TRIES = 50, /* of a server that restarts, or decides: at least ten seconds */
        OUTCOME_PAUSE_MS = 200
};

struct store_stmt {
        char name[16];
        char *text; /* the key in the map */
        PGresult *result;
        int row;
};

static struct pg_conn *of(struct store_conn *c)
{
        return CONTAINER_OF(c, struct pg_conn, conn);
}

/* Errors. */

static const struct {
        const char *state; /* SQLSTATE, or the beginning of it */
        enum err err;
        bool wants_retry;
} errors[] = {
        { "23505", ERR_EXISTS, false },    { "23503", ERR_NOT_FOUND, false },
        { "23", ERR_MALFORMED, false },    { "22", ERR_MALFORMED, false },
        { "40", ERR_AGAIN, true },         { "55P03", ERR_TIMED_OUT, false },
        { "57014", ERR_TIMED_OUT, false }, { "57P", ERR_CLOSED, true },
        { "08", ERR_CLOSED, true },        { "25P03", ERR_CLOSED, true },
        { "25006", ERR_DENIED, false },    { "42501", ERR_DENIED, false },
        { "53100", ERR_IO, false },        { "53300", ERR_REFUSED, false },
        { "53", ERR_NO_MEMORY, false },
};

static enum err fail(struct pg_conn *c, const PGresult *result)
{
        const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
        const char *text = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
        const char *detail = result ? PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME) : NULL;
        enum err e = ERR_IO;

        c->conn.wants_retry = false;
        text = text ? text : PQerrorMessage(c->db);
        if (PQstatus(c->db) != CONNECTION_OK || !state) {
                e = PQstatus(c->db) == CONNECTION_OK ? ERR_IO : ERR_CLOSED;
                c->conn.wants_retry = e == ERR_CLOSED;
        }
        for (size_t i = 0; state && i < ARRAY_SIZE(errors); i++) {
                if (strncmp(state, errors[i].state, strlen(errors[i].state)) != 0)
                        continue;
                e = errors[i].err;
                c->conn.wants_retry = errors[i].wants_retry;
                break;
        }
        if (!detail && state && strcmp(state, "53100") == 0)
                detail = STORE_FULL_WORDS;
        return store_conn_fail(&c->conn, e, "%.*s%s%s%s", (int)strcspn(text, "\n"), text, detail ? " (" : "",
                               detail ? detail : "", detail ? ")" : "");
}

enum err store_pg_result(struct pg_conn *c, PGresult *result)
{
        ExecStatusType status = PQresultStatus(result);
        enum err e = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? ERR_OK : fail(c, result);

        PQclear(result);
        return e;
}

enum err store_pg_exec(struct pg_conn *c, const char *sql)
{
        return store_pg_result(c, PQexec(c->db, sql));
}

static enum err pg_script(struct store_conn *conn, const char *sql)
{
        return store_pg_exec(of(conn), sql);
}

/* Life. */

void store_pg_forget_statements(struct pg_conn *c)
{
        const struct map_entry *entry;
        struct hash_key key = c->statements.hash_key;
        size_t at = 0, entries_max = c->statements.entries_max;

        while ((entry = map_next(&c->statements, &at)) != NULL) {
                struct store_stmt *s = entry->value;
                assert(!s->result);
                free(s->text);
                free(s);
        }
        map_fini(&c->statements);
        map_init(&c->statements, key, entries_max);
}

void store_pg_close(struct store_conn *conn)
{
        struct pg_conn *c = of(conn);

        store_pg_forget_statements(c);
        map_fini(&c->statements);
        PQfinish(c->db);
        free(c);
}

static void pg_about(struct store_conn *conn, struct str *out)
{
        *out = str_of(of(conn)->about);
}

/* Transactions. */

static bool pg_is_open(struct store_conn *conn)
{
        PGTransactionStatusType status = PQtransactionStatus(of(conn)->db);

        return status == PQTRANS_INTRANS || status == PQTRANS_INERROR || status == PQTRANS_ACTIVE;
}

static void pg_rollback(struct store_conn *conn)
{
        if (pg_is_open(conn))
                PQclear(PQexec(of(conn)->db, "ROLLBACK"));
}

#define BEGIN_WRITE                             \
        "BEGIN ISOLATION LEVEL READ COMMITTED;" \
        "SELECT pg_current_xact_id()::text FROM (SELECT pg_advisory_xact_lock(1397050185, hashtext(current_schema()))) l"
#define BEGIN_READ "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

static enum err begin(struct pg_conn *c, bool is_write)
{
        PGresult *result = PQexec(c->db, is_write ? BEGIN_WRITE : BEGIN_READ);
        enum err e;

        c->xid[0] = '\0';
        if (is_write && PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1)
                snprintf(c->xid, sizeof(c->xid), "%s", PQgetvalue(result, 0, 0));
        e = store_pg_result(c, result);
        if (e != ERR_OK)
                pg_rollback(&c->conn);
        return e;
}

static enum err pg_begin(struct store_conn *conn, bool is_write)
{
        struct pg_conn *c = of(conn);
        enum err e = PQstatus(c->db) == CONNECTION_OK ? begin(c, is_write) : ERR_CLOSED;

        if (PQstatus(c->db) == CONNECTION_OK)
                return e;
        e = store_pg_reconnect(c);
        return e == ERR_OK ? begin(c, is_write) : e;
}

/* ERR_AGAIN: the server is not there, or has not decided. */
static enum err ask_outcome(struct pg_conn *c, const char *xid)
{
        const char *values[] = { xid };
        PGresult *result;
        enum err e = ERR_AGAIN;

        if (PQstatus(c->db) != CONNECTION_OK && store_pg_reconnect(c) != ERR_OK)
                return ERR_AGAIN;
        result = PQexecParams(c->db, "SELECT pg_xact_status($1::text::xid8)", 1, NULL, values, NULL, NULL, 0);
        if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1) {
                const char *word = PQgetvalue(result, 0, 0);
                e = strcmp(word, "committed") == 0 ? ERR_OK
                    : strcmp(word, "aborted") == 0 ? ERR_CLOSED
                                                   : ERR_AGAIN;
        }
        PQclear(result);
        return e;
}

/* The connection broke in COMMIT. */
static enum err find_outcome(struct pg_conn *c)
{
        const struct timespec pause = { 0, OUTCOME_PAUSE_MS * 1000000L };
        char xid[sizeof(c->xid)];
        enum err e = ERR_AGAIN;

        memcpy(xid, c->xid, sizeof(xid));
        for (int i = 0; xid[0] && i < OUTCOME_TRIES && e == ERR_AGAIN; i++) {
                if (i)
                        nanosleep(&pause, NULL);
                e = ask_outcome(c, xid);
        }
        c->conn.wants_retry = e == ERR_CLOSED;
        if (e == ERR_OK)
                return ERR_OK;
        return store_conn_fail(
                &c->conn, e == ERR_CLOSED ? ERR_CLOSED : ERR_IO,
                e == ERR_CLOSED
                        ? "the connection broke before the commit"
                        : "the connection broke in the commit, and it is not known whether the change "
                          "was made: look before you try again");
}

static enum err pg_commit(struct store_conn *conn)
{
        struct pg_conn *c = of(conn);
        PGresult *result = PQexec(c->db, "COMMIT");
        bool is_rolled_back = strcmp(PQcmdStatus(result), "ROLLBACK") == 0;
        enum err e = store_pg_result(c, result);

        if (e == ERR_OK)
                return is_rolled_back ? store_conn_fail(conn, ERR_IO, "the transaction was rolled back")
                                      : ERR_OK;
        if (PQstatus(c->db) != CONNECTION_OK || e == ERR_CLOSED)
                return find_outcome(c);
        pg_rollback(conn);
        return e;
}

/* Statements. */

static enum err prepare(struct pg_conn *c, struct str sql, struct store_stmt **out)
{
        char text[STORE_SQL_BYTES_MAX];
        struct store_stmt *s = map_find(&c->statements, sql);
        enum err e;

        if (s) {
                *out = s;
                return ERR_OK;
        }
        assert(sql.len < sizeof(text));
        memcpy(text, sql.ptr, sql.len);
        text[sql.len] = '\0';
        if (!(s = calloc(1, sizeof(*s))) || !(s->text = malloc(sql.len))) {
                free(s);
                return store_conn_fail(&c->conn, ERR_NO_MEMORY, "out of memory");
        }
        memcpy(s->text, sql.ptr, sql.len);
        snprintf(s->name, sizeof(s->name), "s%u", c->statements_count++);
        e = store_pg_result(c, PQprepare(c->db, s->name, text, 0, NULL));
        if (e == ERR_OK)
                e = map_add(&c->statements, (struct str){ s->text, sql.len }, s);
        if (e != ERR_OK) {
                free(s->text);
                free(s);
                return e;
        }
        *out = s;
        return ERR_OK;
}

/* Numbers go as text, which suits whatever integer the server takes them for; texts and bytes as they are. */
struct bound {
        char numbers[STORE_ARGS_MAX][NUMBER_TEXT];
        const char *values[STORE_ARGS_MAX];
        int lengths[STORE_ARGS_MAX], formats[STORE_ARGS_MAX];
};

static void bind(struct bound *b, size_t i, const struct store_value *v)
{
        b->values[i] = NULL;
        b->lengths[i] = b->formats[i] = 0;
        switch (v->type) {
        case STORE_NULL: break;
        case STORE_NUMBER:
                snprintf(b->numbers[i], NUMBER_TEXT, "%lld", (long long)v->number);
                b->values[i] = b->numbers[i];
                break;
        case STORE_STRING:
        case STORE_BLOB:
                b->values[i] = v->text.len ? v->text.ptr : "";
                b->lengths[i] = (int)v->text.len;
                b->formats[i] = 1;
                break;
        }
}

static void pg_finish(struct store_conn *conn, struct store_stmt *s)
{
        if (!s)
                return;
        PQclear(s->result);
        s->result = NULL;
}

static enum err pg_start(struct store_conn *conn, struct str sql, const struct store_value *args,
                         size_t args_count, struct store_stmt **out)
{
        struct pg_conn *c = of(conn);
        struct bound b;
        struct store_stmt *s = NULL;
        ExecStatusType status;
        enum err e = prepare(c, sql, &s);

        if (e != ERR_OK)
                return e;
        assert(!s->result && args_count <= STORE_ARGS_MAX);
        for (size_t i = 0; i < args_count; i++) {
                if (args[i].text.len > STORE_VALUE_BYTES_MAX)
                        return store_conn_fail(conn, ERR_TOO_LARGE, "a value is larger than %d bytes",
                                               STORE_VALUE_BYTES_MAX);
                bind(&b, i, &args[i]);
        }
        s->result = PQexecPrepared(c->db, s->name, (int)args_count, b.values, b.lengths, b.formats, 1);
        s->row = -1;
        status = PQresultStatus(s->result);
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
                e = fail(c, s->result);
                pg_finish(conn, s);
                return e;
        }
        *out = s;
        return ERR_OK;
}

static enum err pg_step(struct store_conn *conn, struct store_stmt *s, bool *has_row)
{
        *has_row = s->row + 1 < PQntuples(s->result);
        s->row += *has_row;
        return ERR_OK;
}

static int64_t number_at(const char *bytes, int length)
{
        uint64_t number = length > 0 && (bytes[0] & 0x80) ? UINT64_MAX : 0;

        for (int i = 0; i < length; i++)
                number = number << 8 | (uint8_t)bytes[i];
        return (int64_t)number;
}

static void pg_column(struct store_stmt *s, unsigned i, struct store_value *out)
{
        int column = (int)i, length = PQgetlength(s->result, s->row, column);
        const char *bytes = PQgetvalue(s->result, s->row, column);
        struct str text = { bytes, (size_t)length };

        if (PQgetisnull(s->result, s->row, column)) {
                *out = VALUE_NULL;
                return;
        }
        switch (PQftype(s->result, column)) {
        case 16: /* bool */
        case 20: /* int8 */
        case 21: /* int2 */
        case 23: /* int4 */ *out = VALUE_INT(number_at(bytes, length)); return;
        case OID_BYTEA: *out = VALUE_BYTES(text); return;
        default: *out = VALUE_TEXT(text); return;
        }
}

static int64_t pg_changed(struct store_conn *conn, struct store_stmt *s)
{
        uint64_t number = 0;

        return units_parse_u64(str_of(PQcmdTuples(s->result)), INT64_MAX, &number) == ERR_OK ? (int64_t)number
                                                                                             : 0;
}

static enum err pg_has_table(struct store_conn *conn, const char *name, bool *out)
{
        struct store_value args[] = { VALUE_TEXT(str_of(name)) };
        struct store_stmt *s = NULL;
        enum err e = pg_start(
                conn,
                STR("SELECT c.oid IS NOT NULL FROM (SELECT $1::text AS name) n LEFT JOIN pg_catalog.pg_class c ON "
                    "c.relname = n.name AND c.relnamespace = current_schema()::regnamespace"),
                args, 1, &s);
        struct store_value v = VALUE_NULL;
        bool has_row;

        if (e != ERR_OK || !s)
                return e;
        e = pg_step(conn, s, &has_row);
        if (has_row)
                pg_column(s, 0, &v);
        *out = v.number != 0;
        pg_finish(conn, s);
        return e;
}

/* The server keeps its pages whole; what is ours to ask is whether there is a place for us. */
static enum err pg_check(struct store_conn *conn, bool is_whole, struct report *r)
{
        struct pg_conn *c = of(conn);
        PGresult *result = PQexec(c->db, "SELECT 1 WHERE current_schema() IS NULL");
        bool is_lost = PQntuples(result) > 0;
        enum err e = store_pg_result(c, result);

        if (e == ERR_OK && !is_lost)
                return ERR_OK;
        report_error(r, 0, 0, "cannot open the store: %s",
                     e == ERR_OK ? "the schema that search_path names is not there: create it"
                                 : c->conn.reason);
        return e == ERR_OK ? ERR_NOT_FOUND : e;
}

/* Other controls. */

static enum err pg_announce(struct store_conn *conn)
{
        return store_pg_exec(of(conn), "SELECT pg_notify('sekisho_store', current_schema())");
}

static int pg_notice_fd(struct store_conn *conn)
{
        struct pg_conn *c = of(conn);

        if (!c->is_listening)
                return -1;
        return PQstatus(c->db) == CONNECTION_OK ? PQsocket(c->db) : -2;
}

static bool pg_notice_take(struct store_conn *conn)
{
        struct pg_conn *c = of(conn);
        PGnotify *notice;
        bool has_any;

        if (PQstatus(c->db) != CONNECTION_OK || !PQconsumeInput(c->db))
                store_pg_reconnect(c);
        has_any = c->was_lost && PQstatus(c->db) == CONNECTION_OK;
        c->was_lost = c->was_lost && !has_any;
        while ((notice = PQnotifies(c->db)) != NULL) {
                has_any = has_any || notice->be_pid != PQbackendPID(c->db);
                PQfreemem(notice);
        }
        return has_any;
}

/* The lock outlives a transaction that is rolled back, not the session; `is_leading` neither (reconnect). */
static enum err pg_lead(struct store_conn *conn, bool *has_it)
{
        struct pg_conn *c = of(conn);
        PGresult *result;

        *has_it = c->is_leading;
        if (c->is_leading)
                return ERR_OK;
        result = PQexec(c->db, "SELECT pg_try_advisory_lock(1397050186, hashtext(current_schema()))::int");
        if (PQresultStatus(result) == PGRES_TUPLES_OK)
                c->is_leading = *has_it = strcmp(PQgetvalue(result, 0, 0), "1") == 0;
        return store_pg_result(c, result);
}

static enum err pg_lead_end(struct store_conn *conn)
{
        struct pg_conn *c = of(conn);

        if (!c->is_leading)
                return ERR_OK;
        c->is_leading = false;
        return store_pg_exec(c, "SELECT pg_advisory_unlock(1397050186, hashtext(current_schema()))");
}

const struct store_backend store_postgres = {
        .int_type = "BIGINT",
        .bytes_type = "BYTEA",
        .table_end = "",
        .open = store_pg_open,
        .close = store_pg_close,
        .about = pg_about,
        .begin = pg_begin,
        .commit = pg_commit,
        .rollback = pg_rollback,
        .is_open = pg_is_open,
        .start = pg_start,
        .step = pg_step,
        .column = pg_column,
        .changed = pg_changed,
        .finish = pg_finish,
        .script = pg_script,
        .has_table = pg_has_table,
        .check = pg_check,
        .announce = pg_announce,
        .notice_fd = pg_notice_fd,
        .notice_take = pg_notice_take,
        .lead = pg_lead,
        .lead_end = pg_lead_end,
};
