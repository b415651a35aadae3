/*
 * wire/change.h - the difference of two documents, as it travels.
 *
 * Does:   difference, reading, writing, applying. For all documents a, b of one node:
 *         apply(a, between(a, b)) is b, hash and signature too. Source: docs/protocol/nodes.md 3.
 * Not:    when to send it (wire/session.h).
 * Thread: as wire/document.h.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "wire/document.h"

struct wire_change;

/* `from` NULL: everything is set. Shares the items of both. ERR_NO_MEMORY. */
MUST_USE enum err wire_change_between(const struct wire_document *from, const struct wire_document *to,
                                      struct wire_change **out);
void wire_change_free(struct wire_change *c); /* free(NULL) is fine */

/* Another number to start from: for a node that is known to have the same items under another header. */
void wire_change_set_from(struct wire_change *c, uint64_t version);

uint64_t wire_change_from(const struct wire_change *c);
size_t wire_change_set_count(const struct wire_change *c);
size_t wire_change_removed_count(const struct wire_change *c);
/* The slices borrow. */
void wire_change_removed(const struct wire_change *c, size_t index, struct str *section, struct str *id);

/* Appends `{"type":"change","from":…,"header":…,"hash":…,"signature":…,"set":{…},"remove":{…}}`. */
void wire_change_write(const struct wire_change *c, struct buf *out);

/* Borrows the text. Errors as wire_document_read; nothing is verified yet. */
MUST_USE enum err wire_change_read(struct str text, struct wire_change **out, const char **why);

/*
 * What `have` becomes. ERR_NOT_FOUND: the change does not begin where we are, or the result is not what its hash says: ask
 * for the whole (resync). ERR_DENIED: not signed by `key` (NULL: not looked at). ERR_TOO_LARGE, ERR_NO_MEMORY.
 */
MUST_USE enum err wire_change_apply(const struct wire_document *have, const struct wire_change *c,
                                    const uint8_t key[WIRE_PUBLIC_BYTES], struct wire_document **out,
                                    const char **why);
