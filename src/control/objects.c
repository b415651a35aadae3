#include "control/objects.h"

#include "base/compiler.h"

#define DAYS(n) ((n)*INT64_C(86400))

#define AT(type, member) .offset = offsetof(struct object_##type, member)
#define SCHEMA(noun, text, words_)                                                                \
        const struct schema object_##noun##_schema = { .name = (text),                            \
                                                       .bytes = sizeof(struct object_##noun),     \
                                                       .fields = noun##_fields,                   \
                                                       .fields_count = ARRAY_SIZE(noun##_fields), \
                                                       .doc = (words_) }

static const char *const node_states[] = { "pending", "active", "disabled", NULL };
static const char *const node_kinds[] = { "gateway", "agent", NULL };
static const char *const service_kinds[] = {
        [STORE_SERVICE_HTTP] = "http", [STORE_SERVICE_TCP] = "tcp",
        [STORE_SERVICE_UDP] = "udp",   [STORE_SERVICE_PASSTHROUGH] = "passthrough",
        [STORE_SERVICE_LLM] = "llm",   NULL,
};
static const char *const access_kinds[] = { "public", "token", "owner", NULL };
static const char *const scopes[] = { "read", "services",  "nodes",      "audit",    "admin",
                                      "use",  "use-owner", "use-models", "dispatch", NULL };

static const struct schema_field node_fields[] = {
        { "id", SCHEMA_TEXT, SCHEMA_OUT, AT(node, id) },
        { "name", SCHEMA_TEXT, SCHEMA_OUT | SCHEMA_EDIT, AT(node, name), .max = 63,
          .doc = "unique in the organisation" },
        { "kind", SCHEMA_TEXT, SCHEMA_OUT, AT(node, kind), .words = node_kinds },
        { "state", SCHEMA_TEXT, SCHEMA_OUT | SCHEMA_EDIT, AT(node, state), .words = node_states,
          .doc = "pending waits for approval (set it to active); a disabled node is sent away until it is active again" },
        { "connected", SCHEMA_BOOL, SCHEMA_OUT, AT(node, connected) },
        { "connected_from", SCHEMA_TEXT, SCHEMA_OUT, AT(node, connected_from) },
        { "connected_since", SCHEMA_TIME, SCHEMA_OUT, AT(node, connected_since) },
        { "last_seen", SCHEMA_TIME, SCHEMA_OUT, AT(node, last_seen) },
        { "epoch", SCHEMA_NUMBER, SCHEMA_OUT, AT(node, epoch), .doc = "of the document it applied last" },
        { "version", SCHEMA_NUMBER, SCHEMA_OUT, AT(node, version), .doc = "of the document it applied last" },
        { "wanted_version", SCHEMA_NUMBER, SCHEMA_OUT, AT(node, wanted_version),
          .doc = "of the document it should have; 0: not known while it is away" },
        { "address4", SCHEMA_TEXT, SCHEMA_OUT, AT(node, address4) },
        { "address6", SCHEMA_TEXT, SCHEMA_OUT, AT(node, address6) },
        { "identity", SCHEMA_TEXT, SCHEMA_OUT, AT(node, identity), .doc = "SHA-256 of its public key" },
        { "tunnel_key", SCHEMA_TEXT, SCHEMA_OUT, AT(node, tunnel_key) },
        { "program", SCHEMA_TEXT, SCHEMA_OUT, AT(node, program) },
        { "system", SCHEMA_TEXT, SCHEMA_OUT, AT(node, system) },
        { "report", SCHEMA_JSON, SCHEMA_OUT, AT(node, report),
          .doc = "what it said last of links, health and models" },
        { "settings", SCHEMA_JSON, SCHEMA_OUT | SCHEMA_EDIT, AT(node, settings),
          .doc = "a gateway's `addresses`: where agents reach it, as [\"203.0.113.7:443\"]; `links`: how many per worker; `overlay`: its UDP port as agents reach it; an agent's "
                 "`publish` and `tags`. What is given replaces what was, member by member" },
        { "certificate_expires", SCHEMA_TIME, SCHEMA_OUT, AT(node, certificate_expires) },
        { "created", SCHEMA_TIME, SCHEMA_OUT, AT(node, created) },
        { "expires", SCHEMA_TIME, SCHEMA_OUT | SCHEMA_EDIT, AT(node, expires),
          .doc = "it is removed then, within a minute, or disabled where a service has it as a target; null: never" },
};
SCHEMA(node, "Node", "A gateway or an agent that joined.");

static const struct schema_field token_fields[] = {
        { "id", SCHEMA_TEXT, SCHEMA_OUT, AT(token, id) },
        { "kind", SCHEMA_TEXT, SCHEMA_OUT | SCHEMA_IN | SCHEMA_NEEDED, AT(token, kind), .words = node_kinds },
        { "label", SCHEMA_TEXT, SCHEMA_OUT | SCHEMA_IN, AT(token, label), .max = 200 },
        { "uses", SCHEMA_NUMBER, SCHEMA_OUT | SCHEMA_IN, AT(token, uses), .min = 1, .max = 10000,
          .doc = "1 when not given" },
        { "uses_left", SCHEMA_NUMBER, SCHEMA_OUT, AT(token, uses_left) },
        { "expires_in", SCHEMA_NUMBER, SCHEMA_IN, AT(token, expires_in), .min = 60, .max = DAYS(366),
          .doc = "seconds; an hour when not given" },
        { "expires", SCHEMA_TIME, SCHEMA_OUT, AT(token, expires) },
        { "approval", SCHEMA_BOOL, SCHEMA_OUT | SCHEMA_IN, AT(token, approval),
          .doc = "nodes wait in `pending` until somebody approves them" },
        { "node_name", SCHEMA_TEXT, SCHEMA_OUT | SCHEMA_IN, AT(token, node_name), .max = 63,
          .doc = "the name the node must take" },
        { "node_lifetime", SCHEMA_NUMBER, SCHEMA_OUT | SCHEMA_IN, AT(token, node_lifetime), .max = DAYS(3660),
          .doc = "seconds until the node is removed again; 0: never" },
        { "state", SCHEMA_TEXT, SCHEMA_OUT, AT(token, state), .doc = "good, used, expired or revoked" },
        { "created", SCHEMA_TIME, SCHEMA_OUT, AT(token, created) },
        { "created_by", SCHEMA_TEXT, SCHEMA_OUT, AT(token, created_by) },
        { "last_used", SCHEMA_TIME, SCHEMA_OUT, AT(token, last_used) },
        { "token", SCHEMA_TEXT, SCHEMA_ONCE, AT(token, token),
          .doc = "shown once: what `sekisho gateway --join` or `sekisho agent --join` takes" },
};
SCHEMA(token, "JoinToken", "What lets a machine become a node.");

static const struct schema_field target_fields[] = {
        { "id", SCHEMA_TEXT, SCHEMA_OUT, AT(target, id) },
        { "service", SCHEMA_TEXT, SCHEMA_OUT, AT(target, service) },
        { "agent", SCHEMA_TEXT, SCHEMA_OUT | SCHEMA_IN, AT(target, agent),
          .doc = "the agent that dials it: its id, or its name; none where the url is `control`" },
        { "url", SCHEMA_TEXT, SCHEMA_OUT | SCHEMA_IN | SCHEMA_EDIT, AT(target, url), .max = 512,
          .doc = "needed, but of a new service of kind llm: every server of models that the agent found; as the agent sees it: http://localhost:8080, https://name, h2c://…, unix:/path, tcp://host:22, udp://host:53; or, without an agent, `control`: this API's /api, gateways dial it themselves" },
        { "weight", SCHEMA_NUMBER, SCHEMA_ALL, AT(target, weight), .min = 0, .max = 1000,
          .doc = "1 when not given" },
        { "backup", SCHEMA_BOOL, SCHEMA_ALL, AT(target, backup), .doc = "used only when no other is up" },
        { "enabled", SCHEMA_BOOL, SCHEMA_ALL, AT(target, enabled), .doc = "true when not given" },
        { "health", SCHEMA_JSON, SCHEMA_ALL, AT(target, health),
          .doc = "how the agent asks whether it is well" },
        { "settings", SCHEMA_JSON, SCHEMA_ALL, AT(target, settings),
          .doc = "`tls` of an https target, `models`" },
        { "created", SCHEMA_TIME, SCHEMA_OUT, AT(target, created) },
};
SCHEMA(target, "Target", "Where a service is reached: at an agent.");

static const struct schema_field access_fields[] = {
        { "kind", SCHEMA_TEXT, SCHEMA_ALL, AT(access, kind), .words = access_kinds,
          .doc = "public when not given" },
        { "allowed_ips", SCHEMA_TEXTS, SCHEMA_ALL, AT(access, allowed_ips),
          .doc = "prefixes; empty: every address" },
        { "denied_ips", SCHEMA_TEXTS, SCHEMA_ALL, AT(access, denied_ips), .doc = "prefixes, of these" },
};
static const struct schema object_access_schema = { "Access", sizeof(struct object_access), access_fields,
                                                    ARRAY_SIZE(access_fields), "Who may use it." };

static const struct schema_field service_fields[] = {
        { "id", SCHEMA_TEXT, SCHEMA_OUT, AT(service, id) },
        { "name", SCHEMA_TEXT, SCHEMA_ALL | SCHEMA_NEEDED, AT(service, name), .max = 63,
          .doc = "unique in the organisation" },
        { "kind", SCHEMA_TEXT, SCHEMA_OUT | SCHEMA_IN, AT(service, kind), .words = service_kinds,
          .doc = "http when not given" },
        { "hosts", SCHEMA_TEXTS, SCHEMA_ALL, AT(service, hosts), .max = 100,
          .doc = "names it is published under; \"*.example.com\" too" },
        { "path", SCHEMA_TEXT, SCHEMA_ALL, AT(service, path), .doc = "where it begins; / when not given" },
        { "listen", SCHEMA_TEXTS, SCHEMA_ALL, AT(service, listen), .max = 100,
          .doc = "tcp and udp: what gateways listen on, as 0.0.0.0:2222 or 0.0.0.0:7000-7010" },
        { "access", SCHEMA_OBJECT, SCHEMA_ALL, AT(service, access), .schema = &object_access_schema },
        { "settings", SCHEMA_JSON, SCHEMA_ALL, AT(service, settings),
          .doc = "keys of a route: see docs/reference/config.md" },
        { "enabled", SCHEMA_BOOL, SCHEMA_ALL, AT(service, enabled), .doc = "true when not given" },
        { "owner", SCHEMA_TEXT, SCHEMA_OUT, AT(service, owner) },
        { "created", SCHEMA_TIME, SCHEMA_OUT, AT(service, created) },
        { "expires", SCHEMA_TIME, SCHEMA_ALL, AT(service, expires),
          .doc = "it is no longer published then; null: never" },
        { "models", SCHEMA_TEXTS, SCHEMA_OUT, AT(service, models),
          .doc = "of kind llm: what its agents say is served there" },
        { "targets", SCHEMA_LIST, SCHEMA_OUT | SCHEMA_IN, AT(service, targets), .max = 64,
          .schema = &object_target_schema },
};
SCHEMA(service, "Service", "What every gateway publishes.");

static const struct schema_field share_fields[] = {
        { "id", SCHEMA_TEXT, SCHEMA_OUT, AT(share, id) },
        { "agent", SCHEMA_TEXT, SCHEMA_OUT | SCHEMA_IN | SCHEMA_NEEDED, AT(share, agent),
          .doc = "its id, or its name" },
        { "url", SCHEMA_TEXT, SCHEMA_OUT | SCHEMA_IN | SCHEMA_NEEDED, AT(share, url), .max = 512,
          .doc = "as the agent sees it: http://localhost:3000" },
        { "host", SCHEMA_TEXT, SCHEMA_OUT | SCHEMA_IN, AT(share, host), .max = 253,
          .doc = "a random name below `share_domain` of the settings when not given" },
        { "public_url", SCHEMA_TEXT, SCHEMA_OUT, AT(share, public_url) },
        { "service", SCHEMA_TEXT, SCHEMA_OUT, AT(share, service) },
        { "owner", SCHEMA_TEXT, SCHEMA_OUT, AT(share, owner) },
        { "created", SCHEMA_TIME, SCHEMA_OUT, AT(share, created) },
        { "expires", SCHEMA_TIME, SCHEMA_OUT, AT(share, expires) },
        { "last_seen", SCHEMA_TIME, SCHEMA_OUT, AT(share, last_seen) },
};
SCHEMA(share, "Share", "A temporary public name; gone two minutes after who made it was last heard of.");

static const struct schema_field domain_fields[] = {
        { "id", SCHEMA_TEXT, SCHEMA_OUT, AT(domain, id) },
        { "name", SCHEMA_TEXT, SCHEMA_OUT | SCHEMA_IN | SCHEMA_NEEDED, AT(domain, name), .max = 253 },
        { "wildcard", SCHEMA_BOOL, SCHEMA_OUT | SCHEMA_IN, AT(domain, wildcard),
          .doc = "names below it too" },
        { "state", SCHEMA_TEXT, SCHEMA_OUT, AT(domain, state) },
        { "created", SCHEMA_TIME, SCHEMA_OUT, AT(domain, created) },
        { "verified", SCHEMA_TIME, SCHEMA_OUT, AT(domain, verified) },
};
SCHEMA(domain, "Domain", "A name the organisation publishes under.");

static const struct schema_field certificate_fields[] = {
        { "id", SCHEMA_TEXT, SCHEMA_OUT, AT(certificate, id) },
        { "name", SCHEMA_TEXT, SCHEMA_OUT | SCHEMA_IN, AT(certificate, name), .max = 200 },
        { "chain", SCHEMA_TEXT, SCHEMA_OUT | SCHEMA_IN | SCHEMA_NEEDED, AT(certificate, chain),
          .max = 64 * 1024, .doc = "PEM, leaf first" },
        { "key", SCHEMA_TEXT, SCHEMA_IN | SCHEMA_NEEDED, AT(certificate, key), .max = 16 * 1024,
          .doc = "PEM; sealed for each gateway there is, and not kept" },
        { "hosts", SCHEMA_TEXTS, SCHEMA_OUT | SCHEMA_IN, AT(certificate, hosts), .max = 100,
          .doc = "the names it is for; of an upload those that it must be for, or it is refused" },
        { "gateways", SCHEMA_TEXTS, SCHEMA_OUT, AT(certificate, gateways),
          .doc = "that have its key; a gateway that joined later needs it uploaded again" },
        { "source", SCHEMA_TEXT, SCHEMA_OUT, AT(certificate, source),
          .doc = "uploaded, or internal: from control's authority" },
        { "fingerprint", SCHEMA_TEXT, SCHEMA_OUT, AT(certificate, fingerprint) },
        { "not_before", SCHEMA_TIME, SCHEMA_OUT, AT(certificate, not_before) },
        { "not_after", SCHEMA_TIME, SCHEMA_OUT, AT(certificate, not_after) },
        { "created", SCHEMA_TIME, SCHEMA_OUT, AT(certificate, created) },
};
SCHEMA(certificate, "Certificate", "What gateways present for names.");

static const struct schema_field key_fields[] = {
        { "id", SCHEMA_TEXT, SCHEMA_OUT, AT(key, id) },
        { "name", SCHEMA_TEXT, SCHEMA_OUT | SCHEMA_IN | SCHEMA_NEEDED, AT(key, name), .max = 63 },
        { "scopes", SCHEMA_TEXTS, SCHEMA_OUT | SCHEMA_IN | SCHEMA_NEEDED, AT(key, scopes), .max = 8,
          .words = scopes },
        { "expires_in", SCHEMA_NUMBER, SCHEMA_IN, AT(key, expires_in), .min = 60, .max = DAYS(3660),
          .doc = "seconds; never when not given" },
        { "expires", SCHEMA_TIME, SCHEMA_OUT, AT(key, expires) },
        { "hint", SCHEMA_TEXT, SCHEMA_OUT, AT(key, hint), .doc = "its first letters" },
        { "state", SCHEMA_TEXT, SCHEMA_OUT, AT(key, state), .doc = "good, expired or revoked" },
        { "owner", SCHEMA_TEXT, SCHEMA_OUT, AT(key, owner) },
        { "created", SCHEMA_TIME, SCHEMA_OUT, AT(key, created) },
        { "last_used", SCHEMA_TIME, SCHEMA_OUT, AT(key, last_used) },
        { "key", SCHEMA_TEXT, SCHEMA_ONCE, AT(key, key), .doc = "shown once" },
};
SCHEMA(key, "ApiKey", "What programs and commands show.");

static const char *const offer_sources[] = { "models", "container", NULL };
static const char *const offer_states[] = { "waiting", "published", "refused", NULL };
static const struct schema_field offer_fields[] = {
        { "agent", SCHEMA_TEXT, SCHEMA_OUT, AT(offer, agent) },
        { "source", SCHEMA_TEXT, SCHEMA_OUT, AT(offer, source), .words = offer_sources },
        { "state", SCHEMA_TEXT, SCHEMA_OUT, AT(offer, state), .words = offer_states,
          .doc = "waiting: nobody said that it may be published (`publish` of the agent's settings)" },
        { "reason", SCHEMA_TEXT, SCHEMA_OUT, AT(offer, reason), .doc = "why it was refused" },
        { "name", SCHEMA_TEXT, SCHEMA_OUT, AT(offer, name), .doc = "of the service, as it is or would be" },
        { "service", SCHEMA_TEXT, SCHEMA_OUT, AT(offer, service), .doc = "its id, once it is published" },
        { "url", SCHEMA_TEXT, SCHEMA_OUT, AT(offer, url), .doc = "as the agent sees it" },
        { "hosts", SCHEMA_TEXTS, SCHEMA_OUT, AT(offer, hosts) },
        { "path", SCHEMA_TEXT, SCHEMA_OUT, AT(offer, path) },
        { "access", SCHEMA_TEXT, SCHEMA_OUT, AT(offer, access) },
        { "models", SCHEMA_TEXTS, SCHEMA_OUT, AT(offer, models) },
};
SCHEMA(offer, "Offer", "What an agent found on its machine.");

static const struct schema_field owner_fields[] = {
        { "token", SCHEMA_TEXT, SCHEMA_IN | SCHEMA_NEEDED, AT(owner, token), .max = 100,
          .doc = "of the one-time link: what follows the #" },
        { "name", SCHEMA_TEXT, SCHEMA_OUT | SCHEMA_IN, AT(owner, name), .max = 63,
          .doc = "of the key; owner when not given" },
        { "key", SCHEMA_TEXT, SCHEMA_ONCE, AT(owner, key), .doc = "the owner's API key, shown once" },
};
SCHEMA(owner, "Owner", "The first identity.");

static const struct schema_field owner_link_fields[] = {
        { "link", SCHEMA_TEXT, SCHEMA_ONCE, AT(owner_link, link),
          .doc = "for a browser or `sekisho login`; once" },
        { "expires", SCHEMA_TIME, SCHEMA_OUT, AT(owner_link, expires) },
};
SCHEMA(owner_link, "OwnerLink", "A one-time link: who uses it is an owner.");

static const struct schema_field me_fields[] = {
        { "kind", SCHEMA_TEXT, SCHEMA_OUT, AT(me, kind) },
        { "id", SCHEMA_TEXT, SCHEMA_OUT, AT(me, id) },
        { "name", SCHEMA_TEXT, SCHEMA_OUT, AT(me, name) },
        { "organisation", SCHEMA_TEXT, SCHEMA_OUT, AT(me, organisation) },
        { "scopes", SCHEMA_TEXTS, SCHEMA_OUT, AT(me, scopes) },
};
SCHEMA(me, "Me", "Whose key was shown.");

static const struct schema_field settings_fields[] = {
        { "approval", SCHEMA_BOOL, SCHEMA_OUT | SCHEMA_EDIT, AT(settings, approval),
          .doc = "every node that joins waits for approval" },
        { "share_domain", SCHEMA_TEXT, SCHEMA_OUT | SCHEMA_EDIT, AT(settings, share_domain), .max = 253,
          .doc = "shares get random names below it; empty: below the first domain with a wildcard" },
        { "publish_models", SCHEMA_BOOL, SCHEMA_OUT | SCHEMA_EDIT, AT(settings, publish_models),
          .doc = "servers of models that any agent finds are published; else only those of agents whose settings say so" },
        { "lease", SCHEMA_NUMBER, SCHEMA_OUT | SCHEMA_EDIT, AT(settings, lease), .min = 60, .max = DAYS(366),
          .doc = "seconds a node may go on without hearing from control" },
};
SCHEMA(settings, "Settings", "Of the organisation.");

static const struct schema_field audit_fields[] = {
        { "seq", SCHEMA_NUMBER, SCHEMA_OUT, AT(audit, seq) },
        { "time", SCHEMA_TIME, SCHEMA_OUT, AT(audit, time) },
        { "actor", SCHEMA_TEXT, SCHEMA_OUT, AT(audit, actor) },
        { "source", SCHEMA_TEXT, SCHEMA_OUT, AT(audit, source) },
        { "action", SCHEMA_TEXT, SCHEMA_OUT, AT(audit, action) },
        { "object", SCHEMA_TEXT, SCHEMA_OUT, AT(audit, object) },
        { "detail", SCHEMA_TEXT, SCHEMA_OUT, AT(audit, detail),
          .doc = "JSON: what each object was and became" },
        { "hash", SCHEMA_TEXT, SCHEMA_OUT, AT(audit, hash),
          .doc = "covers this record and the one before it" },
};
SCHEMA(audit, "AuditRecord", "Who did what.");

static const struct schema_field counts_fields[] = {
        { "gateways", SCHEMA_NUMBER, SCHEMA_OUT, AT(counts, gateways) },
        { "agents", SCHEMA_NUMBER, SCHEMA_OUT, AT(counts, agents) },
        { "connected", SCHEMA_NUMBER, SCHEMA_OUT, AT(counts, connected) },
        { "pending", SCHEMA_NUMBER, SCHEMA_OUT, AT(counts, pending) },
        { "behind", SCHEMA_NUMBER, SCHEMA_OUT, AT(counts, behind),
          .doc = "connected, and not yet at the version they should have" },
        { "services", SCHEMA_NUMBER, SCHEMA_OUT, AT(counts, services) },
};
static const struct schema object_counts_schema = { "Counts", sizeof(struct object_counts), counts_fields,
                                                    ARRAY_SIZE(counts_fields), NULL };

static const struct schema_field status_fields[] = {
        { "version", SCHEMA_TEXT, SCHEMA_OUT, AT(status, version) },
        { "organisation", SCHEMA_TEXT, SCHEMA_OUT, AT(status, organisation) },
        { "url", SCHEMA_TEXT, SCHEMA_OUT, AT(status, url) },
        { "store", SCHEMA_TEXT, SCHEMA_OUT, AT(status, store) },
        { "isolation", SCHEMA_TEXT, SCHEMA_OUT, AT(status, isolation),
          .doc = "how its process is closed in" },
        { "epoch", SCHEMA_NUMBER, SCHEMA_OUT, AT(status, epoch) },
        { "authority_sha256", SCHEMA_TEXT, SCHEMA_OUT, AT(status, authority_sha256) },
        { "started", SCHEMA_TIME, SCHEMA_OUT, AT(status, started) },
        { "time", SCHEMA_TIME, SCHEMA_OUT, AT(status, time) },
        { "counts", SCHEMA_OBJECT, SCHEMA_OUT, AT(status, nodes), .schema = &object_counts_schema },
};
SCHEMA(status, "Status", "How control is.");

static const struct schema_field control_fields[] = {
        { "id", SCHEMA_TEXT, SCHEMA_OUT, AT(control, id) },
        { "url", SCHEMA_TEXT, SCHEMA_OUT, AT(control, url), .doc = "where nodes reach it" },
        { "alive", SCHEMA_BOOL, SCHEMA_OUT, AT(control, alive), .doc = "heard of in the last ten seconds" },
        { "leads", SCHEMA_BOOL, SCHEMA_OUT, AT(control, leads), .doc = "does what only one may do" },
        { "started", SCHEMA_TIME, SCHEMA_OUT, AT(control, started) },
        { "last_seen", SCHEMA_TIME, SCHEMA_OUT, AT(control, last_seen) },
};
SCHEMA(control, "Control", "One of the controls that share this store.");

static const struct schema_field backup_fields[] = {
        { "path", SCHEMA_TEXT, SCHEMA_OUT, AT(backup, path), .doc = "on control's machine" },
        { "bytes", SCHEMA_NUMBER, SCHEMA_OUT, AT(backup, bytes) },
        { "time", SCHEMA_TIME, SCHEMA_OUT, AT(backup, time) },
};
SCHEMA(backup, "Backup", "A copy of the store.");

static const struct schema_field verified_fields[] = {
        { "rows", SCHEMA_NUMBER, SCHEMA_OUT, AT(verified, rows) },
        { "records", SCHEMA_NUMBER, SCHEMA_OUT, AT(verified, records), .doc = "of the audit trail" },
        { "last_hash", SCHEMA_TEXT, SCHEMA_OUT, AT(verified, last_hash),
          .doc = "of the audit trail: kept somewhere else it shows a trail that was cut" },
};
SCHEMA(verified, "Verified", "The store was found whole.");

struct str service_kind_text(enum store_service_kind kind)
{
        return str_of(service_kinds[kind]);
}

enum store_service_kind service_kind_of(struct str word)
{
        enum store_service_kind kind = STORE_SERVICE_HTTP;

        for (size_t i = 0; service_kinds[i]; i++)
                if (str_eq(word, str_of(service_kinds[i])))
                        kind = (enum store_service_kind)i;
        return kind;
}
