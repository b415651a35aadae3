/*
 * wire/document.h - what control wants a node to be: a header and items by section and id; hashed and signed.
 *
 * Does:   building (control), reading with every check (node), looking up, writing. Source: docs/protocol/nodes.md 3.
 * Not:    what an item means; differences (wire/change.h); storing (node/state.h).
 * Memory: documents and items are immutable and counted; the items of one document may be another's too, so that a hundred
 *         gateways that are told the same cost little more than one.
 * Thread: one at a time for all that share items.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "wire/name.h"

enum {
        WIRE_FORMAT = 1,
        WIRE_DOCUMENT_MAX = 16 * 1024 * 1024,
        WIRE_ITEM_MAX = 64 * 1024,
        WIRE_ITEMS_MAX = 100 * 1000,
        WIRE_HASH_BYTES = 32,
        WIRE_SEED_BYTES = 32, /* Ed25519: private, and public key */
        WIRE_PUBLIC_BYTES = 32,
        WIRE_SIGNED_BYTES = 64,
        WIRE_LEASE_DEFAULT = 30 * 24 * 3600,
        WIRE_CONTROLS_MAX = 16, /* items of the section "controls" that are looked at */
};

struct wire_header {
        uint32_t format;
        enum wire_kind kind;
        struct str node, org;
        uint64_t epoch, version;
        int64_t issued, lease; /* seconds: since 1970, and from then on */
};

/* One item. The texts have a NUL behind them. */
struct wire_item {
        struct str section, id, json;    /* json: an object, its bytes as control wrote them */
        uint8_t sha256[WIRE_HASH_BYTES]; /* of json */
        /* private */
        size_t refs;
};

/*
 * Copies. `json` is one JSON object; compact is better, but its bytes are kept as they are. ERR_MALFORMED: section or id
 * that is none (wire_id_is_valid), or json that begins with no brace (it is not read further); ERR_TOO_LARGE; ERR_NO_MEMORY.
 */
MUST_USE enum err wire_item_new(struct str section, struct str id, struct str json, struct wire_item **out);
struct wire_item *wire_item_get(struct wire_item *item);
void wire_item_put(struct wire_item *item); /* NULL is fine */

struct wire_document;
struct wire_document *wire_document_get(struct wire_document *d);
void wire_document_put(struct wire_document *d); /* NULL is fine */

/* Borrowed from the document. */
const struct wire_header *wire_document_header(const struct wire_document *d);
const uint8_t *wire_document_hash(const struct wire_document *d); /* WIRE_HASH_BYTES, of all */
const uint8_t *wire_document_items_hash(
        const struct wire_document *d); /* WIRE_HASH_BYTES, of the items alone */
size_t wire_document_items_count(const struct wire_document *d);
/* In order of section, then id. */
struct wire_item *wire_document_item(const struct wire_document *d, size_t index);
/* NULL: there is none. O(log items). */
struct wire_item *wire_document_find(const struct wire_document *d, struct str section, struct str id);
/* The items of a section: indexes [*begin, return). */
size_t wire_document_section(const struct wire_document *d, struct str section, size_t *begin);

/* The last second, since 1970, at which it may be used without a word from control. */
int64_t wire_document_lease_end(const struct wire_document *d);

/* ---- building: control's side ---- */

struct wire_draft;

/* Copies the header. ERR_MALFORMED: node or organisation that is none. */
MUST_USE enum err wire_draft_new(const struct wire_header *header, struct wire_draft **out);
/* Takes a reference of the item. ERR_TOO_LARGE: too many items or bytes; ERR_NO_MEMORY. The draft is unchanged then. */
MUST_USE enum err wire_draft_add(struct wire_draft *d, struct wire_item *item);
/* wire_item_new and wire_draft_add in one. */
MUST_USE enum err wire_draft_add_json(struct wire_draft *d, struct str section, struct str id,
                                      struct str json);
/*
 * Orders, hashes and signs. `seed` may be NULL: not signed (the signature is zero; nobody will take it). Takes the draft,
 * also on an error. ERR_EXISTS: an id twice in a section; ERR_NO_MEMORY.
 */
MUST_USE enum err wire_draft_finish(struct wire_draft **d, const uint8_t seed[WIRE_SEED_BYTES],
                                    struct wire_document **out);
void wire_draft_free(struct wire_draft *d); /* free(NULL) is fine */

/* The same items under another header: a new epoch, version, or only a new time of issue. */
MUST_USE enum err wire_document_reissue(const struct wire_document *d, const struct wire_header *header,
                                        const uint8_t seed[WIRE_SEED_BYTES], struct wire_document **out);

/* Appends the message `{"type":"document","document":…,"hash":…,"signature":…}`, which is also what a node stores. */
void wire_document_write(const struct wire_document *d, struct buf *out);

/* ---- reading: the node's side ---- */

/*
 * Reads such a message (`type` is not looked at) and checks hash and, unless `key` is NULL, signature. Borrows the text.
 * On an error *why is a static sentence. ERR_MALFORMED: no such message, a hash that does not fit; ERR_TOO_LARGE;
 * ERR_UNSUPPORTED: a newer format; ERR_DENIED: not signed by that key; ERR_NO_MEMORY.
 */
MUST_USE enum err wire_document_read(struct str text, const uint8_t key[WIRE_PUBLIC_BYTES],
                                     struct wire_document **out, const char **why);

/*
 * Whether `next` may take the place of `have` (NULL: nothing yet): of the same node, kind and organisation, and not older.
 * ERR_OK: newer. ERR_EXISTS: the same, issued later: a renewal of the lease, nothing else to do but to store it.
 * ERR_DENIED: older, or other bytes under the same number, with *why.
 */
MUST_USE enum err wire_document_follows(const struct wire_document *have, const struct wire_document *next,
                                        const char **why);
