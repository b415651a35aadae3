/*
 * store/change.h - one edit: its rows, its audit record and its outbox entries, in one transaction.
 *
 * Rows are changed only through a change (store_node_add and its like take one), so that no edit can go by unrecorded: each row
 * touched is noted with what it was and what it became, and told to the outbox. A transaction whose change was begun and not
 * finished does not commit: that is our bug, asserted. One change at a time; a transaction may hold several, one after another.
 *
 * The record's detail is a JSON array, [{"object":"nodes/12","before":{"name":"a"},"after":{"name":"b"}}]: fields that differ
 * only; long texts are cut; hashes, keys and sealed bytes show as true.
 */
#pragma once

#include "store/store.h"

struct store_change;

/* Who does it, as it will be read years later. Borrowed until the change is finished. */
struct store_actor {
        struct str name;   /* "owner", "key/12", "node/7", "system" */
        struct str source; /* address or process it came from; may be empty */
};

/* `action` is "node.rename": static text. Cannot fail: what goes wrong shows in what follows. */
struct store_change *store_change_begin(struct store_txn *t, int64_t org, const struct store_actor *actor,
                                        const char *action);

/* Something worth a record that changes no row ("backup.take"): the object it is about, and one JSON value, or empty. */
void store_change_note(struct store_change *c, struct str object, struct str json);

/* Writes the record. A change that touched and noted nothing leaves no trace. */
MUST_USE enum err store_change_finish(struct store_change *c);

struct store_txn *store_change_txn(struct store_change *c);
