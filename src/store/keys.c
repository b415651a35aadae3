#include "store/keys.h"

#include "store/table_priv.h"

static const struct store_field fields[] = {
        FIELD(store_key, name, STORE_TEXT, 0),
        FIELD(store_key, hash, STORE_BYTES, FIELD_FIXED | FIELD_HIDDEN),
        FIELD(store_key, hint, STORE_TEXT, FIELD_FIXED),
        FIELD(store_key, scopes, STORE_TEXT, 0),
        FIELD(store_key, owner, STORE_TEXT, FIELD_FIXED),
        FIELD(store_key, created, STORE_INT, FIELD_FIXED),
        FIELD(store_key, expires, STORE_INT, 0),
        FIELD(store_key, is_revoked, STORE_BOOL, 0),
        FIELD(store_key, last_used, STORE_INT, FIELD_QUIET),
};

const struct store_table store_keys_table = TABLE("api_keys", store_key, fields);

STORE_FAMILY_BODY(key, store_keys_table);

enum err store_key_by_hash(struct store_txn *t, struct str hash, struct arena *a, struct store_key *out)
{
        struct store_value args[] = { VALUE_BYTES(hash) };

        return store_table_find(t, &store_keys_table, "hash = $1", args, ARRAY_SIZE(args), a, out);
}

enum err store_key_used(struct store_txn *t, int64_t id, unix_ms when)
{
        int64_t changed;
        enum err e = STORE_EXEC(t, "UPDATE api_keys SET last_used = $2 WHERE id = $1", &changed,
                                VALUE_INT(id), VALUE_INT(when));

        return e == ERR_OK && changed == 0 ? ERR_NOT_FOUND : e;
}
