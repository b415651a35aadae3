/*
 * store/services.h - what is published, and where it is reached.
 *
 * Members named JSON are kept as they were checked by their owner, byte for byte; this room does not look inside.
 */
#pragma once

#include "store/table.h"

enum store_service_kind {
        STORE_SERVICE_HTTP,
        STORE_SERVICE_TCP,
        STORE_SERVICE_UDP,
        STORE_SERVICE_PASSTHROUGH,
        STORE_SERVICE_LLM
};

struct store_service {
        STORE_ROW;
        struct str name; /* unique in its organisation */
        enum store_service_kind kind;
        struct str hosts, paths; /* JSON arrays */
        struct str listen;       /* JSON: ports on the gateways */
        struct str access;       /* JSON */
        struct str settings;     /* JSON: everything else */
        bool is_enabled;
        struct str owner; /* as an audit actor is written */
        unix_ms created;
        unix_ms expires; /* 0: never */
};

STORE_FAMILY(service);

MUST_USE enum err store_service_by_name(struct store_txn *t, int64_t org, struct str name, struct arena *a,
                                        struct store_service *out);

/* With its targets and shares, all in the change. revision 0: whatever it is now. */
MUST_USE enum err store_service_retire(struct store_change *c, int64_t org, int64_t id, int64_t revision);

struct store_target {
        STORE_ROW;
        int64_t service; /* of the same organisation; fixed */
        int64_t node;    /* the agent that dials it; 0: gateways do, themselves */
        struct str url;
        int64_t weight;
        bool is_backup, is_enabled;
        struct str health;   /* JSON: how it is asked */
        struct str settings; /* JSON */
        unix_ms created;
};

STORE_FAMILY(target);

/* A service's, or a node's. */
MUST_USE enum err store_target_of_service(struct store_txn *t, int64_t service, struct store_page *page,
                                          struct arena *a, struct store_target **out);
MUST_USE enum err store_target_of_node(struct store_txn *t, int64_t node, struct store_page *page,
                                       struct arena *a, struct store_target **out);
