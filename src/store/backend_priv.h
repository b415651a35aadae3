/*
 * store/backend_priv.h - the door to a database: connections, transactions, prepared statements, values.
 *
 * SQL is static text in the dialect both engines share, with parameters $1, $2 …; what differs is spelled {int}, {bytes},
 * {strict} in schemas. sqlite.c and postgres.c stand behind the door and hold all other differences.
 * Thread: a connection belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/report.h"
#include "base/str.h"
#include "store/store.h"
#include "store/url.h"

enum { STORE_ARGS_MAX = 40, STORE_SQL_BYTES_MAX = 4096, STORE_VALUE_BYTES_MAX = 16 * 1024 * 1024 };

struct store_value {
        enum { STORE_NULL, STORE_NUMBER, STORE_STRING, STORE_BLOB } type;
        int64_t number;
        struct str text; /* STRING: UTF-8 without NUL */
};

/* clang-format off */
#define VALUE_NULL     ((struct store_value){ .type = STORE_NULL })
#define VALUE_INT(n)   ((struct store_value){ .type = STORE_NUMBER, .number = (n) })
#define VALUE_TEXT(s)  ((struct store_value){ .type = STORE_STRING, .text = (s) })
#define VALUE_BYTES(s) ((struct store_value){ .type = STORE_BLOB, .text = (s) })
/* clang-format on */

enum store_role {
        STORE_WRITER, /* the one that changes; holds the place against other programs, checks and may create */
        STORE_READER, /* beside a writer of the same program */
        STORE_SOURCE, /* a backup's file, to be read: nothing is locked or made */
        STORE_TARGET, /* a backup's file that is being written, by a name nobody else knows */
};

/* First member of a backend's own connection. */
struct store_conn {
        const struct store_backend *backend;
        char reason[STORE_REASON_BYTES]; /* of the last error */
        bool wants_retry; /* the last error took nothing in: the same transaction may be tried again */
};

struct store_stmt;

struct store_backend {
        const char *int_type, *bytes_type, *table_end; /* {int}, {bytes}, {strict} */

        enum err (*open)(const struct store_url *url, enum store_role role, bool must_exist, struct report *r,
                         struct store_conn **out);
        void (*close)(struct store_conn *c); /* rolls back what is open */
        void (*about)(struct store_conn *c, struct str *out);

        enum err (*begin)(struct store_conn *c,
                          bool is_write);         /* a write sees all that was committed before */
        enum err (*commit)(struct store_conn *c); /* on an error it was rolled back */
        void (*rollback)(struct store_conn *c);
        bool (*is_open)(struct store_conn *c); /* the transaction stands: no error of the engine's ended it */

        /* A statement, prepared once a connection and text, run with its arguments. End each with finish. */
        enum err (*start)(struct store_conn *c, struct str sql, const struct store_value *args,
                          size_t args_count, struct store_stmt **out);
        enum err (*step)(struct store_conn *c, struct store_stmt *s, bool *has_row);
        void (*column)(struct store_stmt *s, unsigned i,
                       struct store_value *out);                        /* valid until the next step */
        int64_t (*changed)(struct store_conn *c, struct store_stmt *s); /* rows, after the last step */
        void (*finish)(struct store_conn *c, struct store_stmt *s);     /* NULL is fine */

        enum err (*script)(struct store_conn *c, const char *sql); /* statements without arguments */
        enum err (*has_table)(struct store_conn *c, const char *name, bool *out);
        /* The engine's own check: quick at each start, whole for verify. ERR_MALFORMED: the report says what is damaged. */
        enum err (*check)(struct store_conn *c, bool is_whole, struct report *r);

        /* Other programs on the same database. What changes the outbox tells them with its commit; what they told is a descriptor to
         * poll (-1: there are none, -2: lost, ask take again in a second) and a question. */
        enum err (*announce)(struct store_conn *c);
        int (*notice_fd)(struct store_conn *c);
        bool (*notice_take)(struct store_conn *c);

        /* A lock of the connection's session; gone with it. Asking again is fine. */
        enum err (*lead)(struct store_conn *c, bool *has_it);
        enum err (*lead_end)(struct store_conn *c);
};

extern const struct store_backend store_sqlite, store_postgres;

enum err store_conn_open(const struct store_url *url, enum store_role role, bool must_exist, struct report *r,
                         struct store_conn **out);
void store_conn_close(struct store_conn *c); /* NULL is fine */

/* Says why, and is `e`. */
#define store_conn_fail(c, e, ...) (store_conn_say((c), __VA_ARGS__), (e))
void store_conn_say(struct store_conn *c, const char *format, ...) PRINTF_LIKE(2, 3);
