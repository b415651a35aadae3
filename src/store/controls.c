#include "store/controls.h"

#include "store/table_priv.h"

static const struct store_field fields[] = {
        FIELD(store_control, url, STORE_TEXT, FIELD_FIXED),
        FIELD(store_control, started, STORE_INT, FIELD_QUIET),
        FIELD(store_control, last_seen, STORE_INT, FIELD_QUIET),
};

const struct store_table store_controls_table = TABLE("controls", store_control, fields);

STORE_FAMILY_BODY(control, store_controls_table);

enum err store_control_by_url(struct store_txn *t, int64_t org, struct str url,
                              const struct store_actor *actor, struct arena *a, struct store_control *out)
{
        struct store_value args[] = { VALUE_INT(org), VALUE_TEXT(url) };
        enum err e = store_table_find(t, &store_controls_table, "org = $1 AND url = $2", args,
                                      ARRAY_SIZE(args), a, out);

        if (e != ERR_NOT_FOUND)
                return e;
        struct store_change *c = store_change_begin(t, org, actor, "control.add");

        *out = (struct store_control){ .org = org, .url = url, .last_seen = store_now(t) };
        e = store_control_add(c, out);
        return e == ERR_OK ? store_change_finish(c) : e;
}

enum err store_control_seen(struct store_txn *t, int64_t id, unix_ms when, unix_ms started)
{
        int64_t changed;
        enum err e = STORE_EXEC(
                t,
                "UPDATE controls SET last_seen = $2, started = CASE WHEN CAST($3 AS BIGINT) = 0 THEN started ELSE $3 END "
                "WHERE id = $1",
                &changed, VALUE_INT(id), VALUE_INT(when), VALUE_INT(started));

        return e == ERR_OK && changed == 0 ? ERR_NOT_FOUND : e;
}

enum err store_control_forget(struct store_txn *t, int64_t org, unix_ms seen_since,
                              const struct store_actor *actor)
{
        struct store_value args[] = { VALUE_INT(org), VALUE_INT(seen_since) };
        struct store_change *c;
        int64_t count;
        enum err e = store_number(t, STR("SELECT count(*) FROM controls WHERE org = $1 AND last_seen < $2"),
                                  args, ARRAY_SIZE(args), &count);

        if (e != ERR_OK || count == 0)
                return e;
        c = store_change_begin(t, org, actor, "control.forget");
        e = store_table_remove_all(c, &store_controls_table, "org = $1 AND last_seen < $2", args,
                                   ARRAY_SIZE(args));
        return e == ERR_OK ? store_change_finish(c) : e;
}
