#include "store/settings.h"

#include <stdio.h>

#include "store/table_priv.h"

static const struct store_field fields[] = {
        FIELD(store_setting, name, STORE_TEXT, FIELD_FIXED),
        FIELD(store_setting, value, STORE_TEXT, 0),
        FIELD(store_setting, sealed, STORE_BYTES, FIELD_HIDDEN),
        FIELD(store_setting, changed, STORE_INT, 0),
};

const struct store_table store_settings_table = TABLE("settings", store_setting, fields);

STORE_FAMILY_BODY(setting, store_settings_table);

enum err store_setting_by_name(struct store_txn *t, int64_t org, struct str name, struct arena *a,
                               struct store_setting *out)
{
        struct store_value args[] = { VALUE_INT(org), VALUE_TEXT(name) };

        return store_table_find(t, &store_settings_table, "org = $1 AND name = $2", args, ARRAY_SIZE(args), a,
                                out);
}

enum err store_setting_put(struct store_change *c, int64_t org, struct str name, struct str value,
                           struct str sealed)
{
        struct store_setting setting;
        struct arena a;
        enum err e;

        arena_init(&a, NULL, 0, 4 * 1024 * 1024);
        e = store_setting_by_name(c->txn, org, name, &a, &setting);
        if (e == ERR_OK && (!str_eq(setting.value, value) || !str_eq(setting.sealed, sealed))) {
                setting.value = value;
                setting.sealed = sealed;
                setting.changed = c->txn->now;
                e = store_setting_update(c, &setting);
        } else if (e == ERR_NOT_FOUND) {
                setting = (struct store_setting){
                        .org = org, .name = name, .value = value, .sealed = sealed, .changed = c->txn->now
                };
                e = store_setting_add(c, &setting);
        }
        arena_fini(&a);
        return e;
}

enum err store_epoch(struct store_txn *t, int64_t *out)
{
        return STORE_NUMBER_OF(t, "SELECT value FROM counters WHERE name = $1", out,
                               VALUE_TEXT(STR("epoch")));
}

enum err store_epoch_raise(struct store_change *c, int64_t at_least, int64_t *out)
{
        char json[32];
        int n;
        enum err e = STORE_NUMBER_OF(
                c->txn,
                "UPDATE counters SET value = CASE WHEN value >= $2 THEN value + 1 ELSE $2 END WHERE "
                "name = $1 RETURNING value",
                out, VALUE_TEXT(STR("epoch")), VALUE_INT(at_least));

        if (e != ERR_OK)
                return e;
        n = snprintf(json, sizeof(json), "%lld", (long long)*out);
        store_change_note(c, STR("epoch"), (struct str){ json, (size_t)n });
        return ERR_OK;
}
