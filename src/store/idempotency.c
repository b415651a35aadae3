#include "store/idempotency.h"

#include "store/txn_priv.h"

enum err store_idempotency_find(struct store_txn *t, int64_t org, struct str actor, struct str key,
                                struct str request, unix_ms since, struct arena *a, bool *found,
                                struct store_answer *out)
{
        struct store_rows rows;
        enum err e = STORE_ROWS_BEGIN(
                t, &rows,
                "SELECT request, status, headers, body FROM idempotency WHERE org = $1 AND actor = $2 "
                "AND word = $3 AND created >= $4",
                VALUE_INT(org), VALUE_TEXT(actor), VALUE_TEXT(key), VALUE_INT(since));

        *found = false;
        if (e != ERR_OK || (e = store_rows_next(&rows, found)) != ERR_OK || !*found)
                return e;
        if (!str_eq(store_rows_text(&rows, 0), request))
                e = ERR_EXISTS;
        *out = (struct store_answer){ store_rows_number(&rows, 1), arena_copy(a, store_rows_text(&rows, 2)),
                                      arena_copy(a, store_rows_text(&rows, 3)) };
        store_rows_end(&rows);
        return e == ERR_OK && a->full ? ERR_NO_MEMORY : e;
}

enum err store_idempotency_keep(struct store_txn *t, int64_t org, struct str actor, struct str key,
                                struct str request, const struct store_answer *answer)
{
        enum err e;

        if (key.len > STORE_IDEMPOTENCY_KEY_MAX || answer->body.len > STORE_IDEMPOTENCY_BODY_MAX)
                return ERR_TOO_LARGE;
        /* One that is too old to count makes room. */
        e = STORE_EXEC(t, "DELETE FROM idempotency WHERE org = $1 AND actor = $2 AND word = $3", NULL,
                       VALUE_INT(org), VALUE_TEXT(actor), VALUE_TEXT(key));
        if (e != ERR_OK)
                return e;
        return STORE_EXEC(
                t,
                "INSERT INTO idempotency (org, actor, word, request, status, headers, body, created) VALUES "
                "($1, $2, $3, $4, $5, $6, $7, $8)",
                NULL, VALUE_INT(org), VALUE_TEXT(actor), VALUE_TEXT(key), VALUE_BYTES(request),
                VALUE_INT(answer->status), VALUE_TEXT(answer->headers), VALUE_BYTES(answer->body),
                VALUE_INT(t->now));
}

enum err store_idempotency_prune(struct store_txn *t, unix_ms before, unsigned limit, int64_t *removed)
{
        return STORE_EXEC(
                t,
                "DELETE FROM idempotency WHERE (org, actor, word) IN (SELECT org, actor, word FROM idempotency "
                "WHERE created < $1 LIMIT $2)",
                removed, VALUE_INT(before), VALUE_INT(limit));
}
