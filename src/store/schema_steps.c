#include "store/schema_priv.h"

#include "base/compiler.h"

/* Head of every family: others refer to a row by organisation and id together, so that none can refer across. */
#define ROW "id {int} PRIMARY KEY, org {int} NOT NULL REFERENCES orgs (id), revision {int} NOT NULL, "

static const char first[] =
        "CREATE TABLE schema_version (version {int} NOT NULL) {strict};"
        "INSERT INTO schema_version (version) VALUES (0);"
        "CREATE TABLE counters (name TEXT PRIMARY KEY, value {int} NOT NULL) {strict};"
        "INSERT INTO counters (name, value) VALUES ('id', 1), ('audit', 0), ('outbox', 0), ('epoch', 1);"

        "CREATE TABLE orgs (id {int} PRIMARY KEY, org {int} NOT NULL REFERENCES orgs (id), revision {int} NOT NULL,"
        " name TEXT NOT NULL UNIQUE, created {int} NOT NULL, CHECK (org = id)) {strict};"
        "INSERT INTO orgs (id, org, revision, name, created) VALUES (1, 1, 1, 'default', 0);"

        "CREATE TABLE join_tokens (" ROW
        " kind TEXT NOT NULL CHECK (kind IN ('gateway', 'agent', 'client', 'owner')),"
        " label TEXT NOT NULL, hash {bytes} NOT NULL UNIQUE, uses_max {int} NOT NULL CHECK (uses_max >= 1),"
        " uses_left {int} NOT NULL CHECK (uses_left >= 0), expires {int} NOT NULL,"
        " needs_approval {int} NOT NULL CHECK (needs_approval IN (0, 1)), node_name TEXT NOT NULL,"
        " node_lifetime {int} NOT NULL, is_revoked {int} NOT NULL CHECK (is_revoked IN (0, 1)),"
        " created {int} NOT NULL, created_by TEXT NOT NULL, last_used {int} NOT NULL, UNIQUE (org, id)) {strict};"

        "CREATE TABLE nodes (" ROW " kind TEXT NOT NULL CHECK (kind IN ('gateway', 'agent', 'client')),"
        " name TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('pending', 'active', 'disabled', 'removed')),"
        " tls_key {bytes} NOT NULL, tls_key_next {bytes}, wg_key {bytes}, seal_key {bytes},"
        " address4 {bytes}, address6 {bytes}, token {int}, created {int} NOT NULL, expires {int} NOT NULL,"
        " settings TEXT NOT NULL, facts TEXT NOT NULL, last_seen {int} NOT NULL, applied_epoch {int} NOT NULL,"
        " applied_version {int} NOT NULL, applied_hash {bytes}, certificate_serial {bytes},"
        " certificate_expires {int} NOT NULL, UNIQUE (org, id)) {strict};"
        "CREATE UNIQUE INDEX nodes_name ON nodes (org, name) WHERE state <> 'removed';"
        "CREATE UNIQUE INDEX nodes_tls_key ON nodes (tls_key) WHERE state <> 'removed';"
        "CREATE UNIQUE INDEX nodes_wg_key ON nodes (wg_key) WHERE state <> 'removed' AND wg_key IS NOT NULL;"
        "CREATE UNIQUE INDEX nodes_address4 ON nodes (address4) WHERE address4 IS NOT NULL;"
        "CREATE UNIQUE INDEX nodes_address6 ON nodes (address6) WHERE address6 IS NOT NULL;"

        "CREATE TABLE addresses (" ROW " space TEXT NOT NULL, place {int} NOT NULL CHECK (place >= 0),"
        " address {bytes} NOT NULL UNIQUE, node {int}, state TEXT NOT NULL CHECK (state IN ('held', 'resting')),"
        " since {int} NOT NULL, UNIQUE (space, place), FOREIGN KEY (org, node) REFERENCES nodes (org, id)) {strict};"
        "CREATE INDEX addresses_node ON addresses (node);"
        "CREATE TABLE pools (name TEXT PRIMARY KEY, place {int} NOT NULL) {strict};"

        "CREATE TABLE services (" ROW " name TEXT NOT NULL,"
        " kind TEXT NOT NULL CHECK (kind IN ('http', 'tcp', 'udp', 'passthrough', 'llm')), hosts TEXT NOT NULL,"
        " paths TEXT NOT NULL, listen TEXT NOT NULL, access TEXT NOT NULL, settings TEXT NOT NULL,"
        " is_enabled {int} NOT NULL CHECK (is_enabled IN (0, 1)), owner TEXT NOT NULL, created {int} NOT NULL,"
        " expires {int} NOT NULL, UNIQUE (org, id), UNIQUE (org, name)) {strict};"

        "CREATE TABLE targets (" ROW " service {int} NOT NULL, node {int}, url TEXT NOT NULL,"
        " weight {int} NOT NULL CHECK (weight >= 0), is_backup {int} NOT NULL CHECK (is_backup IN (0, 1)),"
        " is_enabled {int} NOT NULL CHECK (is_enabled IN (0, 1)), health TEXT NOT NULL, settings TEXT NOT NULL,"
        " created {int} NOT NULL, FOREIGN KEY (org, service) REFERENCES services (org, id),"
        " FOREIGN KEY (org, node) REFERENCES nodes (org, id)) {strict};"
        "CREATE INDEX targets_service ON targets (service, id);"
        "CREATE INDEX targets_node ON targets (node, id);"

        "CREATE TABLE shares (" ROW
        " service {int}, node {int}, host TEXT NOT NULL UNIQUE, url TEXT NOT NULL,"
        " owner TEXT NOT NULL, created {int} NOT NULL, expires {int} NOT NULL, last_seen {int} NOT NULL,"
        " FOREIGN KEY (org, service) REFERENCES services (org, id),"
        " FOREIGN KEY (org, node) REFERENCES nodes (org, id)) {strict};"
        "CREATE INDEX shares_service ON shares (service);"
        "CREATE INDEX shares_node ON shares (node);"

        "CREATE TABLE domains (" ROW " name TEXT NOT NULL UNIQUE,"
        " state TEXT NOT NULL CHECK (state IN ('pending', 'verified', 'refused')), challenge TEXT NOT NULL,"
        " is_wildcard {int} NOT NULL CHECK (is_wildcard IN (0, 1)), settings TEXT NOT NULL, created {int} NOT NULL,"
        " verified {int} NOT NULL) {strict};"

        "CREATE TABLE certificates (" ROW " name TEXT NOT NULL, hosts TEXT NOT NULL,"
        " source TEXT NOT NULL CHECK (source IN ('uploaded', 'internal', 'acme')), chain TEXT NOT NULL,"
        " fingerprint {bytes} NOT NULL, not_before {int} NOT NULL, not_after {int} NOT NULL, created {int} NOT NULL,"
        " UNIQUE (org, id), UNIQUE (org, fingerprint)) {strict};"
        "CREATE TABLE certificate_keys (" ROW " certificate {int} NOT NULL, node {int} NOT NULL,"
        " sealed {bytes} NOT NULL, created {int} NOT NULL, UNIQUE (certificate, node),"
        " FOREIGN KEY (org, certificate) REFERENCES certificates (org, id),"
        " FOREIGN KEY (org, node) REFERENCES nodes (org, id)) {strict};"
        "CREATE INDEX certificate_keys_node ON certificate_keys (node);"

        "CREATE TABLE api_keys (" ROW " name TEXT NOT NULL, hash {bytes} NOT NULL UNIQUE, hint TEXT NOT NULL,"
        " scopes TEXT NOT NULL, owner TEXT NOT NULL, created {int} NOT NULL, expires {int} NOT NULL,"
        " is_revoked {int} NOT NULL CHECK (is_revoked IN (0, 1)), last_used {int} NOT NULL,"
        " UNIQUE (org, name)) {strict};"

        "CREATE TABLE settings (" ROW " name TEXT NOT NULL, value TEXT NOT NULL, sealed {bytes},"
        " changed {int} NOT NULL, UNIQUE (org, name)) {strict};"

        "CREATE TABLE audit (seq {int} PRIMARY KEY, org {int} NOT NULL, time {int} NOT NULL, actor TEXT NOT NULL,"
        " source TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL, detail TEXT NOT NULL,"
        " hash {bytes} NOT NULL) {strict};"
        "CREATE INDEX audit_object ON audit (object, seq);"
        "CREATE INDEX audit_actor ON audit (actor, seq);"

        "CREATE TABLE outbox (seq {int} PRIMARY KEY, org {int} NOT NULL, time {int} NOT NULL, family TEXT NOT NULL,"
        " object {int} NOT NULL, operation TEXT NOT NULL CHECK (operation IN ('add', 'update', 'remove'))) {strict};"
        "CREATE INDEX outbox_time ON outbox (time);"

        "CREATE TABLE idempotency (org {int} NOT NULL, actor TEXT NOT NULL, word TEXT NOT NULL, request {bytes} NOT NULL,"
        " status {int} NOT NULL, headers TEXT NOT NULL, body {bytes} NOT NULL, created {int} NOT NULL,"
        " PRIMARY KEY (org, actor, word)) {strict};"
        "CREATE INDEX idempotency_created ON idempotency (created);";

static const char leader[] =
        "CREATE TABLE leader (id {int} PRIMARY KEY CHECK (id = 1), control TEXT NOT NULL, epoch {int} NOT NULL,"
        " since {int} NOT NULL) {strict};"
        "CREATE INDEX nodes_expires ON nodes (expires) WHERE expires > 0;";

static const char controls[] =
        "CREATE TABLE controls (" ROW " url TEXT NOT NULL, started {int} NOT NULL, last_seen {int} NOT NULL,"
        " UNIQUE (org, url)) {strict};"
        "ALTER TABLE nodes ADD COLUMN control {int} NOT NULL DEFAULT 0;"
        "ALTER TABLE nodes ADD COLUMN wanted_version {int} NOT NULL DEFAULT 0;";

static const char dispatches[] =
        "CREATE TABLE dispatches (id {int} PRIMARY KEY, org {int} NOT NULL, request TEXT NOT NULL, caller TEXT NOT NULL,"
        " method TEXT NOT NULL, url TEXT NOT NULL, agent TEXT NOT NULL, source TEXT NOT NULL, error TEXT NOT NULL,"
        " begun {int} NOT NULL, status {int} NOT NULL, duration_ms {int} NOT NULL, answer_bytes {int} NOT NULL,"
        " attempts {int} NOT NULL) {strict};"
        "CREATE INDEX dispatches_begun ON dispatches (begun);"
        "CREATE TABLE dispatch_sources (org {int} NOT NULL, agent TEXT NOT NULL, address TEXT NOT NULL,"
        " requests {int} NOT NULL, failures {int} NOT NULL, used {int} NOT NULL,"
        " PRIMARY KEY (org, agent, address)) {strict};"
        "INSERT INTO counters (name, value) VALUES ('dispatch', 0);";

/* `past`: how many bytes of bodies were ever kept before this row's: what is too much goes by it, without a sum. */
static const char bodies[] =
        "CREATE TABLE dispatch_bodies (id {int} PRIMARY KEY, org {int} NOT NULL, begun {int} NOT NULL, past {int} NOT NULL,"
        " asked {bytes} NOT NULL, asked_bytes {int} NOT NULL, answered {bytes} NOT NULL) {strict};"
        "CREATE INDEX dispatch_bodies_begun ON dispatch_bodies (begun);"
        "CREATE INDEX dispatch_bodies_past ON dispatch_bodies (past);"
        "INSERT INTO counters (name, value) VALUES ('dispatch_bodies', 0);";

/* From here on they are boxes (control/dispatch_bodies.h): none that anybody could read stays behind. */
static const char sealed_bodies[] = "DELETE FROM dispatch_bodies;";

const struct store_step store_steps[] = {
        { "the first tables", first },
        { "which control leads", leader },
        { "which controls there are, and who is at which", controls },
        { "requests that agents sent out", dispatches },
        { "their bodies, where they are kept", bodies },
        { "bodies are sealed", sealed_bodies },
};
const int store_steps_count = ARRAY_SIZE(store_steps);
