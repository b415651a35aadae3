/*
 * control/routes_priv.h - what the routes do: one function a row of the table, in the file of its object.
 */
#pragma once

#include "control/api.h"
#include "control/control_priv.h"
#include "control/objects.h"

/* A node's id has its kind in it. */
MUST_USE enum err param_node(struct api_call *c, unsigned number, int64_t *row);
/* By id or name; what is wrong was said. */
struct store_node;
MUST_USE enum err agent_find(struct api_call *c, struct store_txn *t, int64_t org, struct str text,
                             struct store_node *out);
const char *node_prefix(const struct store_node *n);

/* The service that the path names. */
struct store_service;
MUST_USE enum err param_service(struct api_call *c, struct store_txn *t, const struct identity_permit *permit,
                                struct store_service *row);

/* Targets of a service, for calls that make or show one with all that it leads to. What is wrong was said. */
struct store_target;
MUST_USE enum err target_make(struct api_call *c, struct store_change *change,
                              const struct store_service *service, const struct object_target *o,
                              struct store_target *row);
/* A member that was not given has its default: the schema's zero is not it for these two. */
void target_defaults(const struct json_value *body, struct object_target *o);
/* Objects of all of them. */
MUST_USE enum err targets_fill(struct api_call *c, struct store_txn *t, int64_t service,
                               struct schema_list *out);

/* A new row's id as text, in the call's working memory. */
struct str id_text(struct api_call *c, const char *prefix, int64_t row);
/* Empty for row 0. */
struct str id_text_or_none(struct api_call *c, const char *prefix, int64_t row);

/* A certificate for its pinned key; `certified` gets hash and end, for store_node_certified. */
MUST_USE enum err node_certificate(struct control *control, const struct store_node *node, unix_ms now,
                                   struct arena *a, struct str *pem, struct store_node *certified);

struct store_change *change_begin(struct store_txn *t, const struct identity_permit *permit,
                                  const char *action);

enum { HUB_ELSEWHERE_MAX = 64 };

/* prepare: what the hub knows, for answers about nodes. */
bool hub_prepare(struct api_call *c);
struct hub_facts {
        const struct hub_node *nodes;
        size_t count;
        int64_t elsewhere[HUB_ELSEWHERE_MAX]; /* other controls on this store that are alive */
        size_t elsewhere_count;
};
/* In the store's thread: finds these; and whether a node's row says that it is at one of them. */
MUST_USE enum err hub_elsewhere(struct api_call *c, struct store_txn *t);
bool hub_is_elsewhere(const struct hub_facts *f, int64_t control);

#define API_RUN(name) \
        enum err name(struct api_call *c, struct store_txn *t, const struct identity_permit *permit)

API_RUN(status_get);
API_RUN(me_get);
API_RUN(owner_claim);
API_RUN(owner_link_make);
API_RUN(openapi_get);
API_RUN(nodes_list);
API_RUN(gateways_list);
API_RUN(agents_list);
API_RUN(node_get);
API_RUN(node_change);
API_RUN(node_remove);
API_RUN(agent_remove);
API_RUN(tokens_list);
API_RUN(token_get);
API_RUN(token_add);
API_RUN(token_revoke);
API_RUN(services_list);
API_RUN(service_get);
API_RUN(service_add);
API_RUN(service_change);
API_RUN(service_remove);
API_RUN(targets_list);
API_RUN(target_add);
API_RUN(target_get);
API_RUN(target_change);
API_RUN(target_remove);
API_RUN(offers_list);
API_RUN(shares_list);
API_RUN(share_add);
API_RUN(share_get);
API_RUN(share_touch);
API_RUN(share_remove);
API_RUN(domains_list);
API_RUN(domain_add);
API_RUN(domain_remove);
API_RUN(certificates_list);
API_RUN(certificate_get);
API_RUN(certificate_add);
API_RUN(certificate_remove);
API_RUN(keys_list);
API_RUN(key_add);
API_RUN(key_revoke);
API_RUN(settings_get);
API_RUN(settings_change);
API_RUN(audit_list);
API_RUN(events_get);
API_RUN(backup_make);
void backup_recorded(
        struct api_call *c); /* stream: the backup is there; the answer follows the record of it */
API_RUN(store_check);
API_RUN(controls_list);

/* settings: as they are, with defaults. */
MUST_USE enum err settings_read(struct store_txn *t, int64_t org, struct arena *a,
                                struct object_settings *out);
