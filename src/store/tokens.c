#include "store/tokens.h"

#include <stdio.h>

#include "store/audit_priv.h"
#include "store/table_priv.h"

static const char *const kinds[] = { "gateway", "agent", "client", "owner" };

static const struct store_field fields[] = {
        FIELD_WORDS(store_token, kind, FIELD_FIXED, kinds),
        FIELD(store_token, label, STORE_TEXT, 0),
        FIELD(store_token, hash, STORE_BYTES, FIELD_FIXED | FIELD_HIDDEN),
        FIELD(store_token, uses_max, STORE_INT, FIELD_FIXED),
        FIELD(store_token, expires, STORE_INT, 0),
        FIELD(store_token, needs_approval, STORE_BOOL, 0),
        FIELD(store_token, node_name, STORE_TEXT, FIELD_FIXED),
        FIELD(store_token, node_lifetime, STORE_INT, FIELD_FIXED),
        FIELD(store_token, is_revoked, STORE_BOOL, 0),
        FIELD(store_token, created, STORE_INT, FIELD_FIXED),
        FIELD(store_token, created_by, STORE_TEXT, FIELD_FIXED),
        FIELD(store_token, uses_left, STORE_INT, FIELD_QUIET),
        FIELD(store_token, last_used, STORE_INT, FIELD_QUIET),
};

const struct store_table store_tokens_table = TABLE("join_tokens", store_token, fields);

STORE_FAMILY_BODY_WITHOUT_ADD(token, store_tokens_table);

enum err store_token_add(struct store_change *c, struct store_token *row)
{
        row->uses_left = row->uses_max;
        return store_table_add(c, &store_tokens_table, row);
}

static enum err record_use(struct store_change *c, const struct store_token *token)
{
        char object[CHANGE_OBJECT_BYTES], json[64];
        int n = snprintf(object, sizeof(object), "join_tokens/%lld", (long long)token->id);
        int m = snprintf(json, sizeof(json), "{\"uses_left\":%lld}", (long long)token->uses_left);

        store_change_note(c, (struct str){ object, (size_t)n }, (struct str){ json, (size_t)m });
        return store_outbox_write(c->txn, token->org, store_tokens_table.name, token->id, STORE_UPDATED);
}

enum err store_token_take(struct store_change *c, enum store_token_kind kind, struct str hash,
                          struct arena *a, struct store_token *out)
{
        int64_t id;
        enum err e = STORE_NUMBER_OF(
                c->txn,
                "UPDATE join_tokens SET uses_left = uses_left - 1, last_used = $2 WHERE hash = $1 AND "
                "kind = $3 AND uses_left > 0 AND expires > $2 AND is_revoked = 0 RETURNING id",
                &id, VALUE_BYTES(hash), VALUE_INT(c->txn->now), VALUE_TEXT(str_of(kinds[kind])));

        if (e == ERR_NOT_FOUND)
                return ERR_DENIED;
        if (e == ERR_OK)
                e = store_token_by_hash(c->txn, hash, a, out);
        return e == ERR_OK ? record_use(c, out) : e;
}

enum err store_token_by_hash(struct store_txn *t, struct str hash, struct arena *a, struct store_token *out)
{
        struct store_value args[] = { VALUE_BYTES(hash) };

        return store_table_find(t, &store_tokens_table, "hash = $1", args, ARRAY_SIZE(args), a, out);
}
