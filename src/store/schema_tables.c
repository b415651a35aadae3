#include "store/schema_priv.h"

#include "store/table_priv.h"

const struct store_listed store_listed[] = {
        { "orgs", &store_orgs_table, NULL, "id", "n", true },
        { "join_tokens", &store_tokens_table, NULL, "id", "n", false },
        { "nodes", &store_nodes_table, NULL, "id", "n", false },
        { "addresses", &store_addresses_table, NULL, "id", "n", false },
        { "services", &store_services_table, NULL, "id", "n", false },
        { "targets", &store_targets_table, NULL, "id", "n", false },
        { "shares", &store_shares_table, NULL, "id", "n", false },
        { "domains", &store_domains_table, NULL, "id", "n", false },
        { "certificates", &store_certificates_table, NULL, "id", "n", false },
        { "certificate_keys", &store_certificate_keys_table, NULL, "id", "n", false },
        { "api_keys", &store_keys_table, NULL, "id", "n", false },
        { "settings", &store_settings_table, NULL, "id", "n", false },
        { "controls", &store_controls_table, NULL, "id", "n", false },
        { "counters", NULL, "name, value", "name", "t", true },
        { "pools", NULL, "name, place", "name", "t", false },
        { "audit", NULL, "seq, org, time, actor, source, action, object, detail, hash", "seq", "n", false },
        { "outbox", NULL, "seq, org, time, family, object, operation", "seq", "n", false },
        { "idempotency", NULL, "org, actor, word, request, status, headers, body, created",
          "org, actor, word", "ntt", false },
        { "dispatches", NULL,
          "id, org, request, caller, method, url, agent, source, error, begun, status, duration_ms, answer_bytes, attempts",
          "id", "n", false },
        { "dispatch_bodies", NULL, "id, org, begun, past, asked, asked_bytes, answered", "id", "n", false },
        { "dispatch_sources", NULL, "org, agent, address, requests, failures, used", "org, agent, address",
          "ntt", false },
};
const size_t store_listed_count = ARRAY_SIZE(store_listed);
