#include "control/routes.h"

#include "certs/authority.h"
#include "control/callers.h"
#include "control/channel.h"
#include "control/control_priv.h"
#include "control/dispatch.h"
#include "control/events.h"
#include "control/hub.h"
#include "control/join.h"
#include "control/openapi.h"
#include "control/routes_priv.h"
#include "control/setup_page.h"
#include "control/version.h"
#include "crypto/text.h"
#include "proxy/reply.h"

#define READ     IDENTITY_READ
#define NODES    IDENTITY_NODES
#define SERVICES IDENTITY_SERVICES

static const struct api_parameter page_query[] = {
        { "after", "the `next` of the page before" },
        { "limit", "items of a page, 1 to 1000; 100 when not given" },
        { NULL },
};
static const struct api_parameter named_query[] = {
        { "name", "only the one of this name" },
        { "after", "the `next` of the page before" },
        { "limit", "items of a page, 1 to 1000; 100 when not given" },
        { NULL },
};
static const struct api_parameter nodes_query[] = {
        { "name", "only the one of this name" },
        { "kind", "gateway or agent" },
        { "state", "pending, active or disabled" },
        { "after", "the `next` of the page before" },
        { "limit", "items of a page, 1 to 1000; 100 when not given" },
        { NULL },
};
static const struct api_parameter certificates_query[] = {
        { "name", "only those of this name" },
        { "source", "uploaded, internal or acme" },
        { "after", "the `next` of the page before" },
        { "limit", "items of a page, 1 to 1000; 100 when not given" },
        { NULL },
};
static const struct api_parameter audit_query[] = {
        { "before", "the `next` of the page before: newest first" },
        { "limit", "records of a page, 1 to 500; 100 when not given" },
        { "actor", "only of this one, as key/12" },
        { "action", "only these; may end in *" },
        { "object", "only about this, as nodes/7" },
        { "since", "a time" },
        { "until", "a time" },
        { NULL },
};

/* What nodes send is read by wire/join.h; this only says that there is a body. */
static const struct schema join_schema = { "Join", 1, NULL, 0, "docs/protocol/nodes.md" };

#define GET_ONE(path_, scopes_, run_, answer_, tag_, doc_)                                                   \
        {                                                                                                    \
                .method = HTTP_GET, .path = (path_), .scopes = (scopes_), .flags = API_READS, .status = 200, \
                .run = (run_), .answer = (answer_), .tag = (tag_), .doc = (doc_)                             \
        }
#define GET_LIST(path_, scopes_, query_, run_, answer_, tag_, doc_)                                      \
        {                                                                                                \
                .method = HTTP_GET, .path = (path_), .scopes = (scopes_), .flags = API_READS | API_LIST, \
                .status = 200, .run = (run_), .answer = (answer_), .query = (query_), .tag = (tag_),     \
                .doc = (doc_)                                                                            \
        }
#define ADD(path_, scopes_, flags_, run_, schema_, tag_, doc_)                                               \
        {                                                                                                    \
                .method = HTTP_POST, .path = (path_), .scopes = (scopes_), .flags = (flags_), .status = 201, \
                .run = (run_), .request = (schema_), .request_flags = SCHEMA_IN, .answer = (schema_),        \
                .tag = (tag_), .doc = (doc_)                                                                 \
        }
#define CHANGE(path_, scopes_, run_, schema_, tag_, doc_)                                                 \
        {                                                                                                 \
                .method = HTTP_PATCH, .path = (path_), .scopes = (scopes_), .status = 200, .run = (run_), \
                .request = (schema_), .request_flags = SCHEMA_EDIT, .answer = (schema_), .tag = (tag_),   \
                .doc = (doc_)                                                                             \
        }
#define REMOVE(path_, scopes_, run_, tag_, doc_)                                                           \
        {                                                                                                  \
                .method = HTTP_DELETE, .path = (path_), .scopes = (scopes_), .status = 204, .run = (run_), \
                .tag = (tag_), .doc = (doc_)                                                               \
        }

const struct api_route api_table[] = {
        { .method = HTTP_GET,
          .path = "/status",
          .scopes = READ,
          .flags = API_READS,
          .status = 200,
          .run = status_get,
          .prepare = hub_prepare,
          .answer = &object_status_schema,
          .tag = "status",
          .doc = "How control is." },
        GET_ONE("/me", 0, me_get, &object_me_schema, "status", "Whose key was shown."),
        { .method = HTTP_POST,
          .path = "/owner",
          .flags = API_PUBLIC | API_SECRET,
          .status = 201,
          .run = owner_claim,
          .request = &object_owner_schema,
          .request_flags = SCHEMA_IN,
          .answer = &object_owner_schema,
          .tag = "status",
          .doc = "Uses the one-time link that control printed at its first start: gives the owner's key, once." },

        { .method = HTTP_POST,
          .path = "/owner-links",
          .scopes = IDENTITY_ADMIN,
          .flags = API_SECRET,
          .status = 201,
          .run = owner_link_make,
          .answer = &object_owner_link_schema,
          .tag = "status",
          .doc = "Another one-time link, good for a day: for a browser, or for one more owner. The unused one before it "
                 "is no longer good." },

        { .method = HTTP_GET,
          .path = "/nodes",
          .scopes = READ | NODES,
          .flags = API_READS | API_LIST,
          .status = 200,
          .run = nodes_list,
          .prepare = hub_prepare,
          .answer = &object_node_schema,
          .query = nodes_query,
          .tag = "nodes",
          .doc = "Gateways and agents." },
        { .method = HTTP_GET,
          .path = "/gateways",
          .scopes = READ | NODES,
          .flags = API_READS | API_LIST,
          .status = 200,
          .run = gateways_list,
          .prepare = hub_prepare,
          .answer = &object_node_schema,
          .query = named_query,
          .tag = "nodes",
          .doc = "Gateways alone." },
        { .method = HTTP_GET,
          .path = "/agents",
          .scopes = READ | NODES,
          .flags = API_READS | API_LIST,
          .status = 200,
          .run = agents_list,
          .prepare = hub_prepare,
          .answer = &object_node_schema,
          .query = named_query,
          .tag = "nodes",
          .doc = "Agents alone." },
        { .method = HTTP_GET,
          .path = "/nodes/{id}",
          .scopes = READ | NODES,
          .flags = API_READS,
          .status = 200,
          .run = node_get,
          .prepare = hub_prepare,
          .answer = &object_node_schema,
          .tag = "nodes",
          .doc = "One node." },
        { .method = HTTP_PATCH,
          .path = "/nodes/{id}",
          .scopes = NODES,
          .status = 200,
          .run = node_change,
          .prepare = hub_prepare,
          .request = &object_node_schema,
          .request_flags = SCHEMA_EDIT,
          .answer = &object_node_schema,
          .tag = "nodes",
          .doc = "Renames, approves (state active), disables, sets an end." },
        REMOVE("/nodes/{id}", NODES, node_remove, "nodes", "Removes a node for good; its addresses rest."),

        GET_LIST("/join-tokens", READ | NODES, page_query, tokens_list, &object_token_schema, "join-tokens",
                 "Join tokens, used ones too."),
        ADD("/join-tokens", NODES, API_SECRET, token_add, &object_token_schema, "join-tokens",
            "Makes a join token; it is shown in this answer only."),
        GET_ONE("/join-tokens/{id}", READ | NODES, token_get, &object_token_schema, "join-tokens",
                "One join token."),
        REMOVE("/join-tokens/{id}", NODES, token_revoke, "join-tokens", "Revokes a join token."),

        GET_LIST("/services", READ | SERVICES, named_query, services_list, &object_service_schema, "services",
                 "What is published."),
        ADD("/services", SERVICES, 0, service_add, &object_service_schema, "services",
            "Publishes a service at every gateway."),
        GET_ONE("/services/{id}", READ | SERVICES, service_get, &object_service_schema, "services",
                "One service."),
        CHANGE("/services/{id}", SERVICES, service_change, &object_service_schema, "services",
               "Changes what is given; targets have routes of their own."),
        REMOVE("/services/{id}", SERVICES, service_remove, "services", "Ends a service, and its targets."),
        GET_LIST("/services/{id}/targets", READ | SERVICES, NULL, targets_list, &object_target_schema,
                 "targets", "A service's targets."),
        ADD("/services/{id}/targets", SERVICES, 0, target_add, &object_target_schema, "targets",
            "One more place where the service is reached."),
        GET_ONE("/targets/{id}", READ | SERVICES, target_get, &object_target_schema, "targets",
                "One target."),
        CHANGE("/targets/{id}", SERVICES, target_change, &object_target_schema, "targets",
               "Changes a target."),
        REMOVE("/targets/{id}", SERVICES, target_remove, "targets", "Removes a target."),

        GET_LIST("/offers", READ | SERVICES | NODES, NULL, offers_list, &object_offer_schema, "services",
                 "What agents found on their machines: servers of models, labelled containers."),

        GET_LIST("/shares", READ | SERVICES, page_query, shares_list, &object_share_schema, "shares",
                 "Temporary public names."),
        ADD("/shares", SERVICES, 0, share_add, &object_share_schema, "shares",
            "Publishes a target under a temporary name. Touch it every minute: it ends two minutes after the last word."),
        GET_ONE("/shares/{id}", READ | SERVICES, share_get, &object_share_schema, "shares", "One share."),
        { .method = HTTP_POST,
          .path = "/shares/{id}/touch",
          .scopes = SERVICES,
          .status = 204,
          .run = share_touch,
          .tag = "shares",
          .doc = "Still there." },
        REMOVE("/shares/{id}", SERVICES, share_remove, "shares", "Ends a share."),

        GET_LIST("/domains", READ | SERVICES, page_query, domains_list, &object_domain_schema, "domains",
                 "Names that are published under."),
        ADD("/domains", IDENTITY_ADMIN, 0, domain_add, &object_domain_schema, "domains", "Adds a name."),
        REMOVE("/domains/{id}", IDENTITY_ADMIN, domain_remove, "domains", "Removes a name."),

        GET_LIST("/certificates", READ | SERVICES, certificates_query, certificates_list,
                 &object_certificate_schema, "certificates", "What gateways present."),
        ADD("/certificates", SERVICES, 0, certificate_add, &object_certificate_schema, "certificates",
            "Uploads a chain and its key, which is sealed for each gateway there is and not kept; the same again: for those that joined since."),
        GET_ONE("/certificates/{id}", READ | SERVICES, certificate_get, &object_certificate_schema,
                "certificates", "One certificate."),
        REMOVE("/certificates/{id}", SERVICES, certificate_remove, "certificates", "Removes a certificate."),

        GET_LIST("/api-keys", IDENTITY_ADMIN, page_query, keys_list, &object_key_schema, "api-keys",
                 "API keys."),
        ADD("/api-keys", IDENTITY_ADMIN, API_SECRET, key_add, &object_key_schema, "api-keys",
            "Makes an API key; it is shown in this answer only."),
        REMOVE("/api-keys/{id}", IDENTITY_ADMIN, key_revoke, "api-keys", "Revokes an API key, at once."),

        GET_ONE("/settings", READ, settings_get, &object_settings_schema, "settings", "Settings."),
        CHANGE("/settings", IDENTITY_ADMIN, settings_change, &object_settings_schema, "settings",
               "Changes settings."),
        GET_LIST("/controls", READ, page_query, controls_list, &object_control_schema, "status",
                 "The controls that share this store: several on one PostgreSQL, none on SQLite."),
        GET_LIST("/audit", IDENTITY_AUDIT, audit_query, audit_list, &object_audit_schema, "audit",
                 "Who did what, newest first."),
        { .method = HTTP_POST,
          .path = "/store/backup",
          .scopes = IDENTITY_ADMIN,
          .flags = API_READS | API_ENDS,
          .status = 201,
          .run = backup_make,
          .stream = backup_recorded,
          .answer = &object_backup_schema,
          .tag = "store",
          .doc = "Writes a backup into control's state folder, while it serves." },
        GET_ONE("/store/verify", IDENTITY_ADMIN, store_check, &object_verified_schema, "store",
                "Checks the whole store and the chain of the audit trail."),
        { .method = HTTP_GET,
          .path = "/events",
          .scopes = READ,
          .flags = API_READS,
          .status = 200,
          .run = events_get,
          .stream = events_stream,
          .tag = "events",
          .doc = "Changes as they come (server-sent events): `change` with an object and an operation, `reset` when some were "
                 "missed." },

        { .method = HTTP_POST,
          .path = "/join",
          .flags = API_PUBLIC | API_READS | API_HIDDEN,
          .status = 200,
          .run = join_begin,
          .prepare = join_begin_prepare,
          .stream = join_challenge,
          .request = &join_schema,
          .tag = "join",
          .doc = "docs/protocol/nodes.md 2" },
        { .method = HTTP_POST,
          .path = "/join/{id}",
          .flags = API_PUBLIC | API_HIDDEN,
          .status = 201,
          .run = join_finish,
          .prepare = join_finish_prepare,
          .request = &join_schema,
          .tag = "join",
          .doc = "docs/protocol/nodes.md 2" },
        { .method = HTTP_GET,
          .path = "/node/channel",
          .flags = API_PUBLIC | API_READS | API_HIDDEN,
          .status = 101,
          .run = channel_admit,
          .prepare = channel_prepare,
          .stream = channel_begin,
          .handler = &api_websocket_handler,
          .tag = "join",
          .doc = "docs/protocol/nodes.md 4" },
};
const size_t api_table_count = ARRAY_SIZE(api_table);

/* ---- beside the API ---- */

static enum step_result health_pick(struct exchange *x)
{
        static const struct reply_field fields[] = { { STR_INIT("Content-Type"),
                                                       STR_INIT("application/json") },
                                                     { STR_INIT("Cache-Control"), STR_INIT("no-store") } };

        reply_start(x, 200, fields, ARRAY_SIZE(fields),
                    STR("{\"status\":\"ok\",\"service\":\"sekisho-control\"}\n"));
        return STEP_DONE;
}
static const struct handler health_handler = { .name = "health", .pick = health_pick };

/* For `sekisho discover`: a claim, which TLS then has to show. Says nothing that a certificate of ours does not. */
static enum step_result well_known_pick(struct exchange *x)
{
        static const struct reply_field fields[] = { { STR_INIT("Content-Type"),
                                                       STR_INIT("application/json") },
                                                     { STR_INIT("Cache-Control"), STR_INIT("no-store") } };
        const struct control *control = x->route->handler_conf;
        uint8_t fingerprint[CERTS_FINGERPRINT_BYTES];
        char hex[2 * CERTS_FINGERPRINT_BYTES + 1];

        certs_authority_fingerprint(control->secrets.authority, fingerprint);
        crypto_hex_format((struct str){ (const char *)fingerprint, sizeof(fingerprint) }, hex);
        reply_start(x, 200, fields, ARRAY_SIZE(fields),
                    arena_format(&x->arena,
                                 "{\"sekisho\":\"control\",\"version\":\"" SEKISHO_VERSION
                                 "\",\"authority\":\"%s\"}\n",
                                 hex));
        return STEP_DONE;
}
static const struct handler well_known_handler = { .name = "well-known", .pick = well_known_pick };

static void page_add(struct route_table *t, const char *name, const char *path, const struct handler *handler,
                     bool is_quiet)
{
        t->routes[t->count++] = (struct route){ .name = str_of(name),
                                                .path = str_of(path),
                                                .path_kind = PATH_EXACT,
                                                .methods = 1u << HTTP_GET,
                                                .access = { .is_public = true },
                                                .handler = handler,
                                                .is_builtin = true,
                                                .is_quiet = is_quiet };
}

enum err routes_build(struct route_table *t, const struct control *control, struct arena *a)
{
        t->routes = ARENA_ARRAY(a, struct route, api_table_count + 2 * dispatch_table_count + 8);
        if (!t->routes)
                return ERR_NO_MEMORY;
        api_routes_add(t, api_table, api_table_count, a);
        api_routes_add(t, dispatch_table, dispatch_table_count, a);
        callers_routes_add(t, dispatch_table, dispatch_table_count, a);
        page_add(t, "openapi", "/api/v1/openapi.json", &openapi_handler, false);
        page_add(t, "health", "/health", &health_handler, true);
        page_add(t, "health", "/api/v1/health", &health_handler, true);
        page_add(t, "setup", "/setup", &setup_page_handler, false);
        page_add(t, "well-known", "/.well-known/sekisho", &well_known_handler, true);
        t->routes[t->count - 1].handler_conf = control;
        route_table_sort(t);
        return a->full ? ERR_NO_MEMORY : ERR_OK;
}
