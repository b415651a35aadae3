#include "store/dispatches.h"

#include "store/txn_priv.h"

enum { SOURCES_MAX = 65536 };

static enum err row_add(struct store_txn *t, const struct store_dispatch *row)
{
        return STORE_EXEC(
                t,
                "INSERT INTO dispatches (id, org, request, caller, method, url, agent, source, error, begun, status, "
                "duration_ms, answer_bytes, attempts) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
                NULL, VALUE_INT(row->id), VALUE_INT(row->org), VALUE_TEXT(row->request),
                VALUE_TEXT(row->caller), VALUE_TEXT(row->method),
                VALUE_TEXT(str_sub(row->url, 0, STORE_DISPATCH_URL_MAX)), VALUE_TEXT(row->agent),
                VALUE_TEXT(row->source), VALUE_TEXT(row->error), VALUE_INT(row->begun),
                VALUE_INT(row->status), VALUE_INT(row->duration_ms), VALUE_INT(row->answer_bytes),
                VALUE_INT(row->attempts));
}

static enum err bodies_add(struct store_txn *t, const struct store_dispatch *row)
{
        int64_t bytes = (int64_t)(row->asked.len + row->answered.len), kept;
        enum err e =
                STORE_NUMBER_OF(t, "UPDATE counters SET value = value + $2 WHERE name = $1 RETURNING value",
                                &kept, VALUE_TEXT(STR("dispatch_bodies")), VALUE_INT(bytes));

        if (e != ERR_OK)
                return e;
        return STORE_EXEC(t,
                          "INSERT INTO dispatch_bodies (id, org, begun, past, asked, asked_bytes, answered) "
                          "VALUES ($1, $2, $3, $4, $5, $6, $7)",
                          NULL, VALUE_INT(row->id), VALUE_INT(row->org), VALUE_INT(row->begun),
                          VALUE_INT(kept - bytes), VALUE_BYTES(row->asked), VALUE_INT(row->asked_bytes),
                          VALUE_BYTES(row->answered));
}

enum err store_dispatch_add(struct store_txn *t, struct store_dispatch *rows, size_t count)
{
        int64_t last;
        enum err e =
                STORE_NUMBER_OF(t, "UPDATE counters SET value = value + $2 WHERE name = $1 RETURNING value",
                                &last, VALUE_TEXT(STR("dispatch")), VALUE_INT((int64_t)count));

        for (size_t i = 0; i < count && e == ERR_OK; i++) {
                rows[i].id = last - (int64_t)count + 1 + (int64_t)i;
                if ((e = row_add(t, &rows[i])) == ERR_OK && rows[i].has_bodies)
                        e = bodies_add(t, &rows[i]);
        }
        return e;
}

static void row_read(struct store_rows *rows, struct arena *a, struct store_dispatch *out)
{
        struct str *const texts[] = { &out->request, &out->caller, &out->method, &out->url,
                                      &out->agent,   &out->source, &out->error };
        int64_t *const numbers[] = { &out->begun, &out->status, &out->duration_ms, &out->answer_bytes,
                                     &out->attempts };

        out->id = store_rows_number(rows, 0);
        for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
                *texts[i] = arena_copy(a, store_rows_text(rows, 1 + i));
        for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++)
                *numbers[i] = store_rows_number(rows, 1 + (unsigned)ARRAY_SIZE(texts) + i);
}

enum err store_dispatch_list(struct store_txn *t, int64_t org, int64_t before, unsigned limit,
                             struct arena *a, struct store_dispatch **out, size_t *count)
{
        struct store_rows rows;
        bool has_row;
        enum err e;

        *count = 0;
        limit = MIN(limit, (unsigned)STORE_DISPATCH_PAGE_MAX);
        if (!(*out = ARENA_ARRAY(a, struct store_dispatch, limit + 1u)))
                return ERR_NO_MEMORY;
        e = STORE_ROWS_BEGIN(
                t, &rows,
                "SELECT id, request, caller, method, url, agent, source, error, begun, status, duration_ms, "
                "answer_bytes, attempts FROM dispatches WHERE org = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
                VALUE_INT(org), VALUE_INT(before ? before : INT64_MAX), VALUE_INT(limit));
        while (e == ERR_OK && (e = store_rows_next(&rows, &has_row)) == ERR_OK && has_row) {
                (*out)[*count].org = org;
                row_read(&rows, a, &(*out)[(*count)++]);
        }
        return e == ERR_OK && a->full ? ERR_NO_MEMORY : e;
}

enum err store_dispatch_bodies(struct store_txn *t, struct arena *a, struct store_dispatch *rows,
                               size_t count)
{
        enum err e = ERR_OK;

        for (size_t i = 0; i < count && e == ERR_OK; i++) {
                struct store_dispatch *row = &rows[i];
                struct store_rows found;
                bool has_row = false;

                e = STORE_ROWS_BEGIN(
                        t, &found,
                        "SELECT asked, asked_bytes, answered FROM dispatch_bodies WHERE org = $1 AND id = $2",
                        VALUE_INT(row->org), VALUE_INT(row->id));
                while (e == ERR_OK && (e = store_rows_next(&found, &has_row)) == ERR_OK && has_row) {
                        row->has_bodies = true;
                        row->asked = arena_copy(a, store_rows_text(&found, 0));
                        row->asked_bytes = store_rows_number(&found, 1);
                        row->answered = arena_copy(a, store_rows_text(&found, 2));
                }
        }
        return e == ERR_OK && a->full ? ERR_NO_MEMORY : e;
}

enum err store_dispatch_prune(struct store_txn *t, unix_ms since, int64_t rows_max, unsigned limit,
                              int64_t *removed)
{
        int64_t last, old = 0, many = 0;
        enum err e = STORE_NUMBER_OF(t, "SELECT value FROM counters WHERE name = $1", &last,
                                     VALUE_TEXT(STR("dispatch")));

        /* Each half goes by its own index: neither looks at rows that stay. */
        if (e == ERR_OK)
                e = STORE_EXEC(t,
                               "DELETE FROM dispatches WHERE id IN (SELECT id FROM dispatches WHERE id <= $1 "
                               "ORDER BY id LIMIT $2)",
                               &many, VALUE_INT(last - rows_max), VALUE_INT(limit));
        if (e == ERR_OK)
                e = STORE_EXEC(
                        t,
                        "DELETE FROM dispatches WHERE id IN (SELECT id FROM dispatches WHERE begun < $1 "
                        "ORDER BY begun LIMIT $2)",
                        &old, VALUE_INT(since), VALUE_INT(limit));
        *removed = many + old;
        return e;
}

enum err store_dispatch_bodies_prune(struct store_txn *t, unix_ms since, int64_t rows_max, int64_t bytes_max,
                                     unsigned limit)
{
        int64_t last, kept;
        enum err e = STORE_NUMBER_OF(t, "SELECT value FROM counters WHERE name = $1", &last,
                                     VALUE_TEXT(STR("dispatch")));

        if (e == ERR_OK)
                e = STORE_NUMBER_OF(t, "SELECT value FROM counters WHERE name = $1", &kept,
                                    VALUE_TEXT(STR("dispatch_bodies")));
        if (e == ERR_OK)
                e = STORE_EXEC(
                        t,
                        "DELETE FROM dispatch_bodies WHERE id IN (SELECT id FROM dispatch_bodies WHERE "
                        "id <= $1 ORDER BY id LIMIT $2)",
                        NULL, VALUE_INT(last - rows_max), VALUE_INT(limit));
        if (e == ERR_OK)
                e = STORE_EXEC(
                        t,
                        "DELETE FROM dispatch_bodies WHERE id IN (SELECT id FROM dispatch_bodies WHERE "
                        "begun < $1 ORDER BY begun LIMIT $2)",
                        NULL, VALUE_INT(since), VALUE_INT(limit));
        if (e == ERR_OK)
                e = STORE_EXEC(
                        t,
                        "DELETE FROM dispatch_bodies WHERE id IN (SELECT id FROM dispatch_bodies WHERE "
                        "past < $1 ORDER BY past LIMIT $2)",
                        NULL, VALUE_INT(bytes_max ? kept - bytes_max : INT64_MAX), VALUE_INT(limit));
        return e;
}

/* ---- addresses ---- */

enum err store_dispatch_source_put(struct store_txn *t, const struct store_dispatch_source *row)
{
        return STORE_EXEC(
                t,
                "INSERT INTO dispatch_sources (org, agent, address, requests, failures, used) VALUES ($1, $2, $3, $4, $5, $6) "
                "ON CONFLICT (org, agent, address) DO UPDATE SET requests = excluded.requests, failures = excluded.failures, "
                "used = excluded.used",
                NULL, VALUE_INT(row->org), VALUE_TEXT(row->agent), VALUE_TEXT(row->address),
                VALUE_INT(row->requests), VALUE_INT(row->failures), VALUE_INT(row->used));
}

enum err store_dispatch_sources(struct store_txn *t, int64_t org, struct arena *a,
                                struct store_dispatch_source **out, size_t *count)
{
        struct store_rows rows;
        bool has_row;
        int64_t total;
        enum err e = STORE_NUMBER_OF(t, "SELECT count(*) FROM dispatch_sources WHERE org = $1", &total,
                                     VALUE_INT(org));

        *count = 0;
        *out = NULL;
        if (e != ERR_OK)
                return e;
        total = MIN(total, (int64_t)SOURCES_MAX);
        if (!(*out = ARENA_ARRAY(a, struct store_dispatch_source, (size_t)total + 1)))
                return ERR_NO_MEMORY;
        e = STORE_ROWS_BEGIN(
                t, &rows,
                "SELECT agent, address, requests, failures, used FROM dispatch_sources WHERE org = $1 "
                "ORDER BY used DESC, agent, address LIMIT $2",
                VALUE_INT(org), VALUE_INT(total));
        while (e == ERR_OK && (e = store_rows_next(&rows, &has_row)) == ERR_OK && has_row)
                (*out)[(*count)++] =
                        (struct store_dispatch_source){ .org = org,
                                                        .agent = arena_copy(a, store_rows_text(&rows, 0)),
                                                        .address = arena_copy(a, store_rows_text(&rows, 1)),
                                                        .requests = store_rows_number(&rows, 2),
                                                        .failures = store_rows_number(&rows, 3),
                                                        .used = store_rows_number(&rows, 4) };
        return e == ERR_OK && a->full ? ERR_NO_MEMORY : e;
}

enum err store_dispatch_sources_prune(struct store_txn *t, int64_t org, unix_ms since)
{
        return STORE_EXEC(t, "DELETE FROM dispatch_sources WHERE org = $1 AND used < $2", NULL,
                          VALUE_INT(org), VALUE_INT(since));
}

enum err store_dispatch_sources_remove(struct store_txn *t, int64_t org, struct str agent)
{
        return STORE_EXEC(t, "DELETE FROM dispatch_sources WHERE org = $1 AND agent = $2", NULL,
                          VALUE_INT(org), VALUE_TEXT(agent));
}
