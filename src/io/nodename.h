/*
 * io/nodename.h - which machine of ours a certificate names: sekisho://ORG/gateway/ID, …/agent/ID, …/control.
 *
 * A certificate that names none, or two, names nobody. Source: docs/protocol/nodes.md 1.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

struct tls_context;

enum node_kind { NODE_GATEWAY, NODE_AGENT, NODE_CONTROL };
enum { NODE_ID_BYTES_MAX = 64, NODE_ORG_BYTES_MAX = 64 };

struct node_name {
        enum node_kind kind;
        uint8_t org_len, id_len; /* control has no id */
        char org[NODE_ORG_BYTES_MAX], id[NODE_ID_BYTES_MAX];
};

static inline struct str node_org(const struct node_name *n)
{
        return (struct str){ n->org, n->org_len };
}

static inline struct str node_id(const struct node_name *n)
{
        return (struct str){ n->id, n->id_len };
}

/* Lower case letters, digits and '-', 1 to 64: what an id or an organisation's name may be. */
bool node_word_is_valid(struct str word);

/* One name, as a URI: ERR_MALFORMED. */
MUST_USE enum err node_name_parse(struct str uri, struct node_name *out);

/* In the names of a certificate, as struct tls_peer_identity has them. ERR_NOT_FOUND: none. ERR_MALFORMED: more than one name of
 * ours, or a broken one. */
MUST_USE enum err node_name_find(struct str names, struct node_name *out);

/* Who we are, by a context's own certificate. */
MUST_USE enum err node_name_own(const struct tls_context *c, struct node_name *out);
