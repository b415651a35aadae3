#include "store/services.h"

#include "store/table_priv.h"

static const char *const kinds[] = { "http", "tcp", "udp", "passthrough", "llm" };

static const struct store_field service_fields[] = {
        FIELD(store_service, name, STORE_TEXT, 0),     FIELD_WORDS(store_service, kind, FIELD_FIXED, kinds),
        FIELD(store_service, hosts, STORE_TEXT, 0),    FIELD(store_service, paths, STORE_TEXT, 0),
        FIELD(store_service, listen, STORE_TEXT, 0),   FIELD(store_service, access, STORE_TEXT, 0),
        FIELD(store_service, settings, STORE_TEXT, 0), FIELD(store_service, is_enabled, STORE_BOOL, 0),
        FIELD(store_service, owner, STORE_TEXT, 0),    FIELD(store_service, created, STORE_INT, FIELD_FIXED),
        FIELD(store_service, expires, STORE_INT, 0),
};

static const struct store_field target_fields[] = {
        FIELD(store_target, service, STORE_REF, FIELD_FIXED),
        FIELD(store_target, node, STORE_REF, 0),
        FIELD(store_target, url, STORE_TEXT, 0),
        FIELD(store_target, weight, STORE_INT, 0),
        FIELD(store_target, is_backup, STORE_BOOL, 0),
        FIELD(store_target, is_enabled, STORE_BOOL, 0),
        FIELD(store_target, health, STORE_TEXT, 0),
        FIELD(store_target, settings, STORE_TEXT, 0),
        FIELD(store_target, created, STORE_INT, FIELD_FIXED),
};

const struct store_table store_services_table = TABLE("services", store_service, service_fields);
const struct store_table store_targets_table = TABLE("targets", store_target, target_fields);

STORE_FAMILY_BODY(service, store_services_table);
STORE_FAMILY_BODY(target, store_targets_table);

enum err store_service_by_name(struct store_txn *t, int64_t org, struct str name, struct arena *a,
                               struct store_service *out)
{
        struct store_value args[] = { VALUE_INT(org), VALUE_TEXT(name) };

        return store_table_find(t, &store_services_table, "org = $1 AND name = $2", args, ARRAY_SIZE(args), a,
                                out);
}

enum err store_service_retire(struct store_change *c, int64_t org, int64_t id, int64_t revision)
{
        struct store_value args[] = { VALUE_INT(id) };
        struct store_service service;
        struct arena a;
        enum err e;

        arena_init(&a, NULL, 0, 4 * 1024 * 1024);
        e = store_service_get(c->txn, org, id, &a, &service);
        if (e == ERR_OK && revision && service.revision != revision)
                e = ERR_STALE;
        arena_fini(&a);
        if (e == ERR_OK)
                e = store_table_remove_all(c, &store_shares_table, "service = $1", args, 1);
        if (e == ERR_OK)
                e = store_table_remove_all(c, &store_targets_table, "service = $1", args, 1);
        return e == ERR_OK ? store_service_remove(c, org, id, revision) : e;
}

static enum err list_targets(struct store_txn *t, const char *where, int64_t id, struct store_page *page,
                             struct arena *a, struct store_target **out)
{
        struct store_value args[] = { VALUE_INT(id) };
        void *rows = NULL;
        enum err e = store_table_list(t, &store_targets_table, where, args, ARRAY_SIZE(args), page, a, &rows);

        *out = rows;
        return e;
}

enum err store_target_of_service(struct store_txn *t, int64_t service, struct store_page *page,
                                 struct arena *a, struct store_target **out)
{
        return list_targets(t, "service = $4", service, page, a, out);
}

enum err store_target_of_node(struct store_txn *t, int64_t node, struct store_page *page, struct arena *a,
                              struct store_target **out)
{
        return list_targets(t, "node = $4", node, page, a, out);
}
