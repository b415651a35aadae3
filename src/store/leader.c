#include "store/leader.h"

#include <stdio.h>

#include "store/settings.h"
#include "store/txn_priv.h"

enum err store_leader(struct store_txn *t, struct arena *a, struct store_leader *out)
{
        struct store_rows rows;
        bool has_row = false;
        enum err e = STORE_ROWS_BEGIN(t, &rows, "SELECT control, epoch, since FROM leader WHERE id = $1",
                                      VALUE_INT(1));

        *out = (struct store_leader){ .epoch = 0 };
        if (e != ERR_OK || (e = store_rows_next(&rows, &has_row)) != ERR_OK || !has_row)
                return e;
        out->control = arena_copy(a, store_rows_text(&rows, 0));
        out->epoch = store_rows_number(&rows, 1);
        out->since = store_rows_number(&rows, 2);
        store_rows_end(&rows);
        return a->full ? ERR_NO_MEMORY : ERR_OK;
}

/* The lead changes hands. */
static enum err take(struct store_txn *t, struct str control, const struct store_actor *actor,
                     struct store_leader *out)
{
        struct store_change *c = store_change_begin(t, STORE_ORG_DEFAULT, actor, "control.lead");
        enum err e;

        out->control = control;
        out->since = t->now;
        e = store_epoch_raise(c, 0, &out->epoch);
        if (e == ERR_OK)
                e = STORE_EXEC(
                        t,
                        "INSERT INTO leader (id, control, epoch, since) VALUES (1, $1, $2, $3) ON CONFLICT (id) DO UPDATE "
                        "SET control = excluded.control, epoch = excluded.epoch, since = excluded.since",
                        NULL, VALUE_TEXT(control), VALUE_INT(out->epoch), VALUE_INT(out->since));
        return e == ERR_OK ? store_change_finish(c) : e;
}

enum err store_lead(struct store_txn *t, struct str control, const struct store_actor *actor, struct arena *a,
                    struct store_leader *out)
{
        enum err e = t->failed != ERR_OK ? t->failed : store_leader(t, a, out);

        if (e == ERR_OK)
                e = t->conn->backend->lead(t->conn, &out->is_us);
        if (e == ERR_OK && out->is_us && !str_eq(out->control, control))
                e = take(t, control, actor, out);
        return e;
}

enum err store_lead_end(struct store_txn *t)
{
        return t->conn->backend->lead_end(t->conn);
}
