/*
 * store/nodes.h - gateways, agents and clients that joined.
 *
 * A removed node stays as a row, so that records can be read and its id is never another's; its name and keys are free again.
 * What nodes report about themselves (the quiet members) is written by functions of its own, outside changes.
 */
#pragma once

#include "store/table.h"

enum store_node_kind { STORE_GATEWAY, STORE_AGENT, STORE_CLIENT };

/* New nodes wait in `pending` when their token says so. */
enum store_node_state { STORE_NODE_PENDING, STORE_NODE_ACTIVE, STORE_NODE_DISABLED, STORE_NODE_REMOVED };

struct store_node {
        STORE_ROW;
        enum store_node_kind kind;
        enum store_node_state state;
        struct str name;         /* unique in its organisation among those not removed */
        struct str tls_key;      /* public key (SPKI) it was pinned with; unique among those not removed */
        struct str tls_key_next; /* another it asked for, waiting for approval; or empty */
        struct str wg_key;       /* public; unique likewise; may be empty */
        struct str seal_key;     /* public, for what is sealed to it; may be empty */
        struct ip address4, address6; /* unique; given by addresses.h */
        int64_t token;                /* the join token it came with; 0: none */
        unix_ms created;
        unix_ms expires;     /* 0: never */
        struct str settings; /* JSON */
        /* quiet: */
        struct str facts; /* JSON it reported: host name, system, program version */
        unix_ms last_seen;
        int64_t applied_epoch, applied_version; /* of the desired state */
        struct str applied_hash;
        struct str certificate_serial; /* of the last one issued */
        unix_ms certificate_expires;
        int64_t control; /* where several share the store: the one it is connected to (controls.h); 0: none */
        int64_t wanted_version; /* as that one said */
};

STORE_FAMILY(node);

/* Not removed ones. */
MUST_USE enum err store_node_by_name(struct store_txn *t, int64_t org, struct str name, struct arena *a,
                                     struct store_node *out);
MUST_USE enum err store_node_by_tls_key(struct store_txn *t, struct str tls_key, struct arena *a,
                                        struct store_node *out);

/* A page of one kind, removed ones left out. */
MUST_USE enum err store_node_list_of(struct store_txn *t, enum store_node_kind kind, struct store_page *page,
                                     struct arena *a, struct store_node **out);

/*
 * Takes it out of use for good: state removed, addresses let go to rest, its sealed keys and shares gone. Targets that name
 * it must be gone before (ERR_EXISTS). Not store_node_remove, which deletes the row: for tests and mistakes only.
 * revision 0: whatever it is now.
 */
MUST_USE enum err store_node_retire(struct store_change *c, int64_t org, int64_t id, int64_t revision);

/* Quiet: it is connected to this control and should have this version; and it is no longer (id 0: none is). */
MUST_USE enum err store_node_place(struct store_txn *t, int64_t id, int64_t control, int64_t wanted_version);
MUST_USE enum err store_node_leave(struct store_txn *t, int64_t id, int64_t control);

/* Quiet writes; each is ERR_NOT_FOUND for a node that is gone. `facts` empty: those there are stay. */
MUST_USE enum err store_node_seen(struct store_txn *t, int64_t id, unix_ms when, struct str facts);
/* Never goes back: what is older than the row says changes nothing. */
MUST_USE enum err store_node_applied(struct store_txn *t, int64_t id, int64_t epoch, int64_t version,
                                     struct str hash);
MUST_USE enum err store_node_certified(struct store_txn *t, int64_t id, struct str serial, unix_ms expires);

/* Nodes whose time is over at `now` and that are not removed, at most a page. */
MUST_USE enum err store_node_expired(struct store_txn *t, unix_ms now, struct store_page *page,
                                     struct arena *a, struct store_node **out);
