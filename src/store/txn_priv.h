/*
 * store/txn_priv.h - one transaction, and statements inside it.
 *
 * The first statement that fails ends the transaction: every later one gives the same error. So both engines behave
 * alike, and a job cannot commit half of what it meant.
 */
#pragma once

#include "base/arena.h"
#include "store/backend_priv.h"
#include "store/change_priv.h"

struct store_txn {
        struct store_conn *conn;
        unix_ms now;
        bool is_write;
        enum err failed;
        bool has_news; /* it wrote to the outbox */
        struct store_change change;
};

void store_txn_init(struct store_txn *t, struct store_conn *c, bool is_write, unix_ms now);
void store_txn_fini(struct store_txn *t);

/* No rows wanted. `changed` may be NULL. */
MUST_USE enum err store_exec(struct store_txn *t, struct str sql, const struct store_value *args,
                             size_t args_count, int64_t *changed);

/* One number wanted, from the first row. ERR_NOT_FOUND: no row; *out is 0 then, and for NULL. */
MUST_USE enum err store_number(struct store_txn *t, struct str sql, const struct store_value *args,
                               size_t args_count, int64_t *out);

/* Rows, one by one: begin, then next until *has_row is false (which ends it), or end before. */
struct store_rows {
        struct store_txn *txn;
        struct store_stmt *stmt; /* NULL: ended */
};
MUST_USE enum err store_rows_begin(struct store_txn *t, struct store_rows *rows, struct str sql,
                                   const struct store_value *args, size_t args_count);
MUST_USE enum err store_rows_next(struct store_rows *rows, bool *has_row);
void store_rows_value(struct store_rows *rows, unsigned i, struct store_value *out);
void store_rows_end(struct store_rows *rows);

/* Number and text of a column; NULL is 0 and STR_NULL. The text is valid until the next row. */
int64_t store_rows_number(struct store_rows *rows, unsigned i);
struct str store_rows_text(struct store_rows *rows, unsigned i);

/* The next number of a counter that never goes back. */
MUST_USE enum err store_counter_next(struct store_txn *t, struct str name, int64_t *out);

#define STORE_EXEC(t, sql, changed, ...)                                                             \
        store_exec((t), STR(sql), (const struct store_value[]){ __VA_ARGS__ },                       \
                   sizeof((const struct store_value[]){ __VA_ARGS__ }) / sizeof(struct store_value), \
                   (changed))
#define STORE_NUMBER_OF(t, sql, out, ...)                                                              \
        store_number((t), STR(sql), (const struct store_value[]){ __VA_ARGS__ },                       \
                     sizeof((const struct store_value[]){ __VA_ARGS__ }) / sizeof(struct store_value), \
                     (out))
#define STORE_ROWS_BEGIN(t, rows, sql, ...)                                                  \
        store_rows_begin((t), (rows), STR(sql), (const struct store_value[]){ __VA_ARGS__ }, \
                         sizeof((const struct store_value[]){ __VA_ARGS__ }) / sizeof(struct store_value))
