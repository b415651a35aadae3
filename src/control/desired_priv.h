/*
 * control/desired_priv.h - one reading of the store, for the files that make items of its rows.
 */
#pragma once

#include "control/desired.h"
#include "control/id.h"
#include "control/routes_priv.h"
#include "control/text.h"

/*
 * What is read is thrown away: rows of a page live until the next page, everything else until the next of them. What stays are items, and
 * the nodes' own texts in `d`.
 */
struct reading {
        struct store_txn *t;
        struct desired *d;
        struct arena *rows, *a;
        int64_t org;
        struct hash_key id_key;
        const uint8_t *callers; /* their key */
        unix_ms now;
};

/* An item's JSON is begun as an object, its members written, and ended: then it is among `to`. One that is too large for any document is
 * left out, and logged. */
void desired_item_begin(struct json_writer *w, struct buf *json);
MUST_USE enum err desired_item_end(struct json_writer *w, struct buf *json, struct desired_items *to,
                                   const char *section, struct str id);
void desired_member_raw(struct json_writer *w, const char *name, struct str json, const char *otherwise);
struct str desired_id(struct reading *r, const char *prefix, int64_t row);

/* A moment at which time alone will change a document. */
void desired_moment_note(struct reading *r, unix_ms when);

/* desired_services.c: what all gateways, and each agent, are told of services; who may use them. Nodes were read. */
MUST_USE enum err desired_services_read(struct reading *r);
MUST_USE enum err desired_tokens_read(struct reading *r);
/* desired_certificates.c: what each gateway presents. Nodes were read. */
MUST_USE enum err desired_certificates_read(struct reading *r);
