/*
 * control/desired.h - what every node should be, from one reading of the store. Source: docs/protocol/nodes.md 3.
 *
 * Does:   rows to items of documents: what all gateways are told, what all agents are told, and what is each node's own.
 * Not:    documents, their numbers and signatures (hub.c): they share these items.
 * Thread: `desired_read` in the store's thread; the result is then the loop's.
 */
#pragma once

#include "base/arena.h"
#include "base/hash.h"
#include "control/callers.h"
#include "crypto/sha256.h"
#include "store/nodes.h"
#include "wire/document.h"

struct desired_items {
        struct wire_item **list; /* a reference each */
        size_t count, cap;
};

struct desired_node {
        int64_t row;
        enum wire_kind kind;
        enum store_node_state state;
        char id[WIRE_ID_SIZE];
        struct str name, tags; /* tags with commas */
        unix_ms expires;
        struct desired_items own;
        bool lacks_certificates; /* a gateway: some host has none; certificates_ensure mends it */
};

struct desired {
        struct arena texts; /* of nodes */
        int64_t epoch, seq; /* the store's, and its outbox's, when it was read */
        size_t controls_count;
        int64_t lease;
        unix_ms next_change; /* the next moment at which time alone changes something; 0: never */
        struct desired_items gateways, agents; /* what all of that kind are told */
        struct desired_node *nodes;            /* in order of rows */
        size_t nodes_count;
};

/* Of control's own, copied for the store's thread. */
struct desired_keys {
        struct hash_key id_key;             /* control/id.h */
        uint8_t callers[CALLERS_KEY_BYTES]; /* control/callers.h */
};

/* ERR_NO_MEMORY, and the store's. */
/* `dispatch_url`: of this control, where agents keep links to controls for requests that they send out; empty: they do not. */
MUST_USE enum err desired_read(struct store_txn *t, int64_t org, const struct desired_keys *keys,
                               struct str dispatch_url, struct desired **out);
void desired_free(struct desired *d); /* NULL is fine */

/* Items that are as they were become the same ones, so that a document that did not change and the new reading hold them once. In the
 * thread whose `before` (NULL is fine) is. */
void desired_share(struct desired *d, const struct desired *before);

const struct desired_node *desired_find(const struct desired *d, int64_t row);

/*
 * Makes certificates of control's authority for the hosts of services that a gateway has none for, and in time before they end;
 * takes away those that nobody needs. Part of a job of its own. *made says whether anything was done.
 */
struct secrets;
MUST_USE enum err certificates_ensure(struct store_txn *t, const struct secrets *secrets, int64_t org,
                                      bool *made);
