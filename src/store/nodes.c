#include "store/nodes.h"

#include "store/addresses.h"
#include "store/table_priv.h"

static const char *const kinds[] = { "gateway", "agent", "client" };
static const char *const states[] = { "pending", "active", "disabled", "removed" };

static const struct store_field fields[] = {
        FIELD_WORDS(store_node, kind, FIELD_FIXED, kinds),
        FIELD(store_node, name, STORE_TEXT, 0),
        FIELD_WORDS(store_node, state, 0, states),
        FIELD(store_node, tls_key, STORE_BYTES, 0),
        FIELD(store_node, tls_key_next, STORE_BYTES, 0),
        FIELD(store_node, wg_key, STORE_BYTES, 0),
        FIELD(store_node, seal_key, STORE_BYTES, 0),
        FIELD(store_node, address4, STORE_IP, 0),
        FIELD(store_node, address6, STORE_IP, 0),
        FIELD(store_node, token, STORE_REF, FIELD_FIXED),
        FIELD(store_node, created, STORE_INT, FIELD_FIXED),
        FIELD(store_node, expires, STORE_INT, 0),
        FIELD(store_node, settings, STORE_TEXT, 0),
        FIELD(store_node, facts, STORE_TEXT, FIELD_QUIET),
        FIELD(store_node, last_seen, STORE_INT, FIELD_QUIET),
        FIELD(store_node, applied_epoch, STORE_INT, FIELD_QUIET),
        FIELD(store_node, applied_version, STORE_INT, FIELD_QUIET),
        FIELD(store_node, applied_hash, STORE_BYTES, FIELD_QUIET),
        FIELD(store_node, certificate_serial, STORE_BYTES, FIELD_QUIET),
        FIELD(store_node, certificate_expires, STORE_INT, FIELD_QUIET),
        FIELD(store_node, control, STORE_INT, FIELD_QUIET),
        FIELD(store_node, wanted_version, STORE_INT, FIELD_QUIET),
};

const struct store_table store_nodes_table = TABLE("nodes", store_node, fields);

STORE_FAMILY_BODY(node, store_nodes_table);

enum err store_node_by_name(struct store_txn *t, int64_t org, struct str name, struct arena *a,
                            struct store_node *out)
{
        struct store_value args[] = { VALUE_INT(org), VALUE_TEXT(name) };

        return store_table_find(t, &store_nodes_table, "org = $1 AND name = $2 AND state <> 'removed'", args,
                                ARRAY_SIZE(args), a, out);
}

enum err store_node_by_tls_key(struct store_txn *t, struct str tls_key, struct arena *a,
                               struct store_node *out)
{
        struct store_value args[] = { VALUE_BYTES(tls_key) };

        return store_table_find(t, &store_nodes_table, "tls_key = $1 AND state <> 'removed'", args,
                                ARRAY_SIZE(args), a, out);
}

enum err store_node_list_of(struct store_txn *t, enum store_node_kind kind, struct store_page *page,
                            struct arena *a, struct store_node **out)
{
        struct store_value args[] = { VALUE_TEXT(str_of(kinds[kind])) };
        void *rows = NULL;
        enum err e = store_table_list(t, &store_nodes_table, "kind = $4 AND state <> 'removed'", args,
                                      ARRAY_SIZE(args), page, a, &rows);

        *out = rows;
        return e;
}

enum err store_node_expired(struct store_txn *t, unix_ms now, struct store_page *page, struct arena *a,
                            struct store_node **out)
{
        struct store_value args[] = { VALUE_INT(now) };
        void *rows = NULL;
        enum err e = store_table_list(t, &store_nodes_table,
                                      "expires > 0 AND expires <= $4 AND state <> 'removed'", args,
                                      ARRAY_SIZE(args), page, a, &rows);

        *out = rows;
        return e;
}

static enum err retire(struct store_change *c, struct store_node *node)
{
        struct store_value args[] = { VALUE_INT(node->id) };
        int64_t targets_count;
        enum err e = store_number(c->txn, STR("SELECT count(*) FROM targets WHERE node = $1"), args, 1,
                                  &targets_count);

        if (e == ERR_OK && targets_count)
                return store_conn_fail(c->txn->conn, ERR_EXISTS, "targets still name the node");
        if (e == ERR_OK)
                e = store_table_remove_all(c, &store_certificate_keys_table, "node = $1", args, 1);
        if (e == ERR_OK)
                e = store_table_remove_all(c, &store_shares_table, "node = $1", args, 1);
        if (e == ERR_OK)
                e = store_address_let_go(c, node->org, node->id);
        if (e != ERR_OK)
                return e;
        node->state = STORE_NODE_REMOVED;
        node->address4 = node->address6 = (struct ip){ 0 };
        return store_node_update(c, node);
}

enum err store_node_retire(struct store_change *c, int64_t org, int64_t id, int64_t revision)
{
        struct store_node node;
        struct arena a;
        enum err e;

        arena_init(&a, NULL, 0, 1024 * 1024);
        e = store_node_get(c->txn, org, id, &a, &node);
        if (e == ERR_OK && node.state == STORE_NODE_REMOVED)
                e = ERR_NOT_FOUND;
        else if (e == ERR_OK && revision && node.revision != revision)
                e = ERR_STALE;
        if (e == ERR_OK)
                e = retire(c, &node);
        arena_fini(&a);
        return e;
}

/* Quiet writes meet a row or say so. */
static enum err of_changed(enum err e, int64_t changed)
{
        return e == ERR_OK && changed == 0 ? ERR_NOT_FOUND : e;
}

enum err store_node_seen(struct store_txn *t, int64_t id, unix_ms when, struct str facts)
{
        int64_t changed;
        enum err e = STORE_EXEC(
                t,
                "UPDATE nodes SET last_seen = $2, facts = CASE WHEN $3 = '' THEN facts ELSE $3 END WHERE id = $1 "
                "AND state <> 'removed'",
                &changed, VALUE_INT(id), VALUE_INT(when), VALUE_TEXT(facts));

        return of_changed(e, changed);
}

enum err store_node_place(struct store_txn *t, int64_t id, int64_t control, int64_t wanted_version)
{
        return STORE_EXEC(t,
                          "UPDATE nodes SET control = $2, wanted_version = $3 WHERE id = $1 AND "
                          "(control <> $2 OR wanted_version <> $3)",
                          NULL, VALUE_INT(id), VALUE_INT(control), VALUE_INT(wanted_version));
}

enum err store_node_leave(struct store_txn *t, int64_t id, int64_t control)
{
        return STORE_EXEC(t,
                          "UPDATE nodes SET control = 0, wanted_version = 0 WHERE control = $2 AND "
                          "(id = $1 OR $1 = 0)",
                          NULL, VALUE_INT(id), VALUE_INT(control));
}

enum err store_node_applied(struct store_txn *t, int64_t id, int64_t epoch, int64_t version, struct str hash)
{
        int64_t changed;
        enum err e = STORE_EXEC(
                t,
                "UPDATE nodes SET applied_epoch = $2, applied_version = $3, applied_hash = $4 WHERE id = $1 "
                "AND state <> 'removed' AND (applied_epoch < $2 OR (applied_epoch = $2 AND "
                "applied_version <= $3))",
                &changed, VALUE_INT(id), VALUE_INT(epoch), VALUE_INT(version), VALUE_BYTES(hash));

        if (e != ERR_OK || changed)
                return e;
        return STORE_NUMBER_OF(t, "SELECT id FROM nodes WHERE id = $1 AND state <> 'removed'", &changed,
                               VALUE_INT(id));
}

enum err store_node_certified(struct store_txn *t, int64_t id, struct str serial, unix_ms expires)
{
        int64_t changed;
        enum err e = STORE_EXEC(
                t,
                "UPDATE nodes SET certificate_serial = $2, certificate_expires = $3 WHERE id = $1 AND "
                "state <> 'removed'",
                &changed, VALUE_INT(id), VALUE_BYTES(serial), VALUE_INT(expires));

        return of_changed(e, changed);
}
