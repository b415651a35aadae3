/*
 * control/objects.h - the objects of the API as plain structs, each with its schema.
 */
#pragma once

#include "control/schema.h"
#include "store/services.h"

struct object_access {
        struct str kind;
        struct schema_texts allowed_ips, denied_ips;
};

struct object_node {
        struct str id, name, kind, state, program, system, address4, address6, tunnel_key, identity,
                connected_from;
        bool connected;
        unix_ms created, last_seen, expires, certificate_expires, connected_since;
        int64_t version, wanted_version, epoch;
        struct str settings, report;
};

struct object_control {
        struct str id, url;
        bool leads, alive;
        unix_ms started, last_seen;
};

struct object_token {
        struct str id, kind, label, state, node_name, created_by, token;
        int64_t uses, uses_left, expires_in, node_lifetime;
        bool approval;
        unix_ms created, expires, last_used;
};

struct object_target {
        struct str id, service, agent, url, health, settings;
        int64_t weight;
        bool backup, enabled;
        unix_ms created;
};

struct object_service {
        struct str id, name, kind, path, settings, owner;
        struct schema_texts hosts, listen, models;
        struct object_access access;
        bool enabled;
        unix_ms created, expires;
        struct schema_list targets;
};

struct object_offer {
        struct str agent, source, name, url, path, access, state, reason, service;
        struct schema_texts hosts, models;
};

struct object_share {
        struct str id, host, url, agent, service, owner, public_url;
        unix_ms created, expires, last_seen;
};

struct object_domain {
        struct str id, name, state;
        bool wildcard;
        unix_ms created, verified;
};

struct object_certificate {
        struct str id, name, source, fingerprint, chain, key;
        struct schema_texts hosts, gateways;
        unix_ms not_before, not_after, created;
};

struct object_key {
        struct str id, name, hint, owner, state, key;
        struct schema_texts scopes;
        int64_t expires_in;
        unix_ms created, expires, last_used;
};

struct object_owner {
        struct str token, name, key;
};

struct object_owner_link {
        struct str link;
        unix_ms expires;
};

struct object_me {
        struct str kind, id, name, organisation;
        struct schema_texts scopes;
};

struct object_settings {
        struct str share_domain;
        bool approval, publish_models;
        int64_t lease;
};

struct object_audit {
        int64_t seq;
        unix_ms time;
        struct str actor, source, action, object, hash, detail;
};

struct object_counts {
        int64_t gateways, agents, connected, pending, behind, services;
};

struct object_backup {
        struct str path;
        int64_t bytes;
        unix_ms time;
};

struct object_verified {
        int64_t rows, records;
        struct str last_hash;
};

struct object_status {
        struct str isolation;
        struct str version, organisation, url, store, authority_sha256;
        unix_ms started, time;
        int64_t epoch;
        struct object_counts nodes;
};

extern const struct schema object_control_schema, object_node_schema, object_token_schema,
        object_target_schema, object_service_schema, object_offer_schema, object_share_schema,
        object_domain_schema, object_certificate_schema, object_key_schema, object_owner_schema,
        object_owner_link_schema, object_me_schema, object_settings_schema, object_audit_schema,
        object_status_schema, object_backup_schema, object_verified_schema;

/* The words of a service's kind. An object that was read has one of them; what is none is http. */
struct str service_kind_text(enum store_service_kind kind);
enum store_service_kind service_kind_of(struct str word);
