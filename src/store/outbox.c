#include "store/outbox.h"

#include "store/audit_priv.h"
#include "store/txn_priv.h"

static const char *const operations[] = { "add", "update", "remove" };

enum err store_outbox_write(struct store_txn *t, int64_t org, const char *table, int64_t row,
                            enum store_operation operation)
{
        int64_t seq;
        enum err e = store_counter_next(t, STR("outbox"), &seq);

        if (e == ERR_OK && !t->has_news)
                e = t->conn->backend->announce(t->conn);
        if (e != ERR_OK)
                return t->failed = e;
        t->has_news = true;
        return STORE_EXEC(
                t,
                "INSERT INTO outbox (seq, org, time, family, object, operation) VALUES ($1, $2, $3, $4, $5, $6)",
                NULL, VALUE_INT(seq), VALUE_INT(org), VALUE_INT(t->now), VALUE_TEXT(str_of(table)),
                VALUE_INT(row), VALUE_TEXT(str_of(operations[operation])));
}

enum err store_outbox_note(struct store_txn *t, int64_t org, const char *table, int64_t row)
{
        return store_outbox_write(t, org, table, row, STORE_UPDATED);
}

enum err store_outbox_after(struct store_txn *t, int64_t seq, struct arena *a, struct store_event **out,
                            size_t *count)
{
        struct store_rows rows;
        bool has_row = true;
        enum err e;

        *count = 0;
        *out = arena_calloc(a, STORE_EVENTS_MAX, sizeof(**out), _Alignof(struct store_event));
        if (!*out)
                return ERR_NO_MEMORY;
        e = STORE_ROWS_BEGIN(
                t, &rows,
                "SELECT seq, org, time, family, object, operation FROM outbox WHERE seq > $1 ORDER BY seq LIMIT $2",
                VALUE_INT(seq), VALUE_INT(STORE_EVENTS_MAX));
        while (e == ERR_OK && (e = store_rows_next(&rows, &has_row)) == ERR_OK && has_row) {
                struct store_event *event = *out + (*count)++;
                struct str word = store_rows_text(&rows, 5);
                *event = (struct store_event){
                        store_rows_number(&rows, 0), store_rows_number(&rows, 1),
                        store_rows_number(&rows, 2), arena_copy(a, store_rows_text(&rows, 3)),
                        store_rows_number(&rows, 4), STORE_ADDED
                };
                for (unsigned i = 0; i < ARRAY_SIZE(operations); i++)
                        event->operation = str_eq(word, str_of(operations[i])) ? (enum store_operation)i
                                                                               : event->operation;
        }
        return a->full ? ERR_NO_MEMORY : e;
}

enum err store_outbox_range(struct store_txn *t, int64_t *first, int64_t *last)
{
        enum err e = STORE_NUMBER_OF(t, "SELECT min(seq) FROM outbox WHERE seq > $1", first, VALUE_INT(0));

        if (e == ERR_OK)
                e = STORE_NUMBER_OF(t, "SELECT value FROM counters WHERE name = $1", last,
                                    VALUE_TEXT(STR("outbox")));
        return e;
}

enum err store_outbox_prune(struct store_txn *t, unix_ms before, unsigned limit, int64_t *removed)
{
        return STORE_EXEC(
                t,
                "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE time < $1 ORDER BY seq LIMIT $2)",
                removed, VALUE_INT(before), VALUE_INT(limit));
}
