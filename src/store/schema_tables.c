#include "store/schema_priv.h"

#include "store/table_priv.h"

const struct store_listed store_listed[] = {
        { "orgs", &store_orgs_table, NULL, "id", true },
        { "join_tokens", &store_tokens_table, NULL, "id", false },
        { "nodes", &store_nodes_table, NULL, "id", false },
        { "addresses", &store_addresses_table, NULL, "id", false },
        { "services", &store_services_table, NULL, "id", false },
        { "targets", &store_targets_table, NULL, "id", false },
        { "shares", &store_shares_table, NULL, "id", false },
        { "domains", &store_domains_table, NULL, "id", false },
        { "certificates", &store_certificates_table, NULL, "id", false },
        { "certificate_keys", &store_certificate_keys_table, NULL, "id", false },
        { "api_keys", &store_keys_table, NULL, "id", false },
        { "settings", &store_settings_table, NULL, "id", false },
        { "counters", NULL, "name, value", "name", true },
        { "pools", NULL, "name, place", "name", false },
        { "audit", NULL, "seq, org, time, actor, source, action, object, detail, hash", "seq", false },
        { "outbox", NULL, "seq, org, time, family, object, operation", "seq", false },
        { "idempotency", NULL, "org, actor, word, request, status, headers, body, created",
          "org, actor, word", false },
};
const size_t store_listed_count = ARRAY_SIZE(store_listed);
