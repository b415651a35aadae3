/*
 * wire/name.h - who is who: node ids, the URI names of certificates, the internal server names.
 *
 * Does:   text both ways. Source: docs/protocol/nodes.md 1.
 * Not:    certificates (io, certs), randomness: the caller brings it.
 * Thread: any; plain functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

enum wire_kind { WIRE_CONTROL, WIRE_GATEWAY, WIRE_AGENT };

enum {
        WIRE_ID_MAX = 64,                     /* bytes of any id or organisation */
        WIRE_ID_RANDOM_BYTES = 10,            /* behind a prefix, as 16 characters */
        WIRE_ID_SIZE = 24,                    /* room for "gw-" and 16 characters with a NUL */
        WIRE_SECTION_MAX = 32,                /* bytes of a section's name */
        WIRE_URI_SIZE = 2 * WIRE_ID_MAX + 32, /* room for a URI name with a NUL */
        WIRE_HOST_SIZE = 48,                  /* room for an internal server name with a NUL */
        WIRE_WORKERS_MAX = 1024,
};

/* "control", "gateway", "agent". */
struct str wire_kind_text(enum wire_kind kind);
MUST_USE enum err wire_kind_parse(struct str text, enum wire_kind *out);

/* 1 to WIRE_ID_MAX of a-z 0-9 - _ . that begin with a letter or digit: ids, organisations, sections. */
bool wire_id_is_valid(struct str id);

/* A node's id: "gw-" or "ag-" and 16 characters of base32. */
bool wire_node_id_is_valid(enum wire_kind kind, struct str id);

/* `prefix` (at most 4 bytes), "-" and the random bytes as base32 of RFC 4648 in lower case, with a NUL. */
struct str wire_id_format(struct str prefix, const uint8_t random[WIRE_ID_RANDOM_BYTES],
                          char out[WIRE_ID_SIZE]);

/* "sekisho://ORG/gateway/ID"; control has no id. The slices borrow the text. */
struct wire_name {
        enum wire_kind kind;
        struct str org, id;
};
MUST_USE enum err wire_name_parse(struct str uri, struct wire_name *out);
struct str wire_name_format(const struct wire_name *name, char out[WIRE_URI_SIZE]);

#define WIRE_HOST_CONTROL STR("control.sekisho.internal")
#define WIRE_HOST_LINK    STR("link.sekisho.internal")
/* Of control, for people's calls that come by a gateway (docs/protocol/dispatch.md 5). */
#define WIRE_HOST_CALLERS STR("callers.sekisho.internal")
/* "gw-…:VOUCHER": beside such a call, so that the client's address the gateway tells is believed. */
#define WIRE_FIELD_VOUCHER "Gateway-Voucher"

/* "wI.link.sekisho.internal": worker I, below WIRE_WORKERS_MAX. */
struct str wire_host_worker_format(unsigned worker, char out[WIRE_HOST_SIZE]);

/* ERR_NOT_FOUND: none of the internal names (any case); *worker is -1 for the link name without a worker. */
enum wire_host { WIRE_HOST_IS_CONTROL, WIRE_HOST_IS_LINK };
MUST_USE enum err wire_host_parse(struct str server_name, enum wire_host *out, int *worker);

/* A target's name inside a link: "tg-....sekisho.internal" (docs/protocol/nodes.md 5). */
#define WIRE_HOST_SUFFIX STR(".sekisho.internal")
