/*
 * wire/document_priv.h - the inside of a document, for reading, building and changing it. For this room only.
 */
#pragma once

#include "wire/document.h"
#include "wire/walk_priv.h"
#include "json/writer.h"

enum {
        WIRE_NUMBER_BITS = 53, /* so that every JSON reader has the same numbers */
};
#define WIRE_NUMBER_MAX ((UINT64_C(1) << WIRE_NUMBER_BITS) - 1)

struct wire_document {
        size_t refs;
        struct wire_header header; /* its texts lie in the two below */
        char node[WIRE_ID_MAX], org[WIRE_ID_MAX];
        uint8_t hash[WIRE_HASH_BYTES], items_hash[WIRE_HASH_BYTES], signature[WIRE_SIGNED_BYTES];
        size_t bytes; /* of the items, about as written */
        size_t count;
        struct wire_item **items; /* in order */
};

/* What an item adds to a document's size. */
size_t wire_item_bytes(const struct wire_item *item);

/* By section, then id. */
int wire_item_cmp(const struct wire_item *a, struct str section, struct str id);

/* Room for `count` items, none of them there yet; the header copied. NULL: no memory. */
struct wire_document *wire_document_new(const struct wire_header *header, size_t count);
/* Appends; takes a reference. */
void wire_document_append(struct wire_document *d, struct wire_item *item);
/* Once all items stand in order. */
MUST_USE enum err wire_document_hash_all(struct wire_document *d);

void wire_header_copy(struct wire_header *out, const struct wire_header *in, char node[WIRE_ID_MAX],
                      char org[WIRE_ID_MAX]);
void wire_header_write(const struct wire_header *h, struct json_writer *w);
/* Reads one member of a header; others are passed over. `seen` gathers which ones came. */
MUST_USE enum err wire_header_member(const struct wire_member *m, struct wire_header *h, unsigned *seen,
                                     const char **why);
/* All members came, and are what they should be. */
MUST_USE enum err wire_header_check(const struct wire_header *h, unsigned seen, const char **why);

/* The bytes a signature is over. */
enum { WIRE_SIGNING_BYTES = 19 + WIRE_HASH_BYTES + 16 };
void wire_signing_bytes(const struct wire_document *d, uint8_t out[WIRE_SIGNING_BYTES]);
MUST_USE bool wire_document_is_signed(const struct wire_document *d, const uint8_t key[WIRE_PUBLIC_BYTES]);

/* "hash" and "signature" from and to their raw JSON. */
MUST_USE bool wire_hash_read(struct str raw, uint8_t out[WIRE_HASH_BYTES]);
MUST_USE bool wire_signature_read(struct str raw, uint8_t out[WIRE_SIGNED_BYTES]);
void wire_hash_write(struct json_writer *w, struct str key, const uint8_t hash[WIRE_HASH_BYTES]);
void wire_signature_write(struct json_writer *w, const uint8_t signature[WIRE_SIGNED_BYTES]);

/* A growing list of items, for what is read. */
struct wire_items {
        struct wire_item **list;
        size_t count, cap, bytes;
};
MUST_USE enum err wire_items_add(struct wire_items *l, struct wire_item *item); /* takes a reference */
void wire_items_sort(struct wire_items *l);
bool wire_items_has_twins(const struct wire_items *l); /* sorted: the same place twice */
void wire_items_fini(struct wire_items *l);

/* `{"SECTION":{"ID":{…}}}` into items. */
MUST_USE enum err wire_sections_read(struct str raw, struct wire_items *out, const char **why);
/* The same written: items in order. */
void wire_sections_write(struct json_writer *w, struct wire_item *const *items, size_t count);
