#include "store/shares.h"

#include "store/table_priv.h"

static const struct store_field fields[] = {
        FIELD(store_share, service, STORE_REF, FIELD_FIXED),
        FIELD(store_share, node, STORE_REF, FIELD_FIXED),
        FIELD(store_share, host, STORE_TEXT, FIELD_FIXED),
        FIELD(store_share, url, STORE_TEXT, 0),
        FIELD(store_share, owner, STORE_TEXT, FIELD_FIXED),
        FIELD(store_share, created, STORE_INT, FIELD_FIXED),
        FIELD(store_share, expires, STORE_INT, 0),
        FIELD(store_share, last_seen, STORE_INT, FIELD_QUIET),
};

const struct store_table store_shares_table = TABLE("shares", store_share, fields);

STORE_FAMILY_BODY(share, store_shares_table);

enum err store_share_by_host(struct store_txn *t, struct str host, struct arena *a, struct store_share *out)
{
        struct store_value args[] = { VALUE_TEXT(host) };

        return store_table_find(t, &store_shares_table, "host = $1", args, ARRAY_SIZE(args), a, out);
}

enum err store_share_seen(struct store_txn *t, int64_t id, unix_ms when)
{
        int64_t changed;
        enum err e = STORE_EXEC(t, "UPDATE shares SET last_seen = $2 WHERE id = $1", &changed, VALUE_INT(id),
                                VALUE_INT(when));

        return e == ERR_OK && changed == 0 ? ERR_NOT_FOUND : e;
}

enum err store_share_over(struct store_txn *t, unix_ms now, unix_ms seen_since, struct store_page *page,
                          struct arena *a, struct store_share **out)
{
        struct store_value args[] = { VALUE_INT(now), VALUE_INT(seen_since) };
        void *rows = NULL;
        enum err e = store_table_list(t, &store_shares_table,
                                      "((expires > 0 AND expires <= $4) OR last_seen < $5)", args,
                                      ARRAY_SIZE(args), page, a, &rows);

        *out = rows;
        return e;
}
