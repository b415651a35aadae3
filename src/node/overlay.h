/*
 * node/overlay.h - what the stored document says of the overlay: our own addresses, and who else is in it. Source: docs/protocol/nodes.md 3.
 *
 * An agent is told of gateways and a gateway of agents, so that two agents are no peers of each other. Not: the tunnel (mesh/private.h).
 * Blocks; holds a private key.
 */
#pragma once

#include "base/arena.h"
#include "base/ip.h"
#include "node/state.h"

enum { NODE_OVERLAY_PLACES_MAX = 16 };

struct node_overlay_peer {
        struct str id;
        uint8_t key[WIRE_KEY_BYTES];
        struct ip v4, v6;   /* in the overlay */
        struct str *places; /* of a gateway: where agents reach it on the outer network, "host:port" */
        size_t places_count;
        uint16_t port; /* of a gateway: its UDP port there; 0: it does not say */
};

struct node_overlay {
        struct arena arena; /* all of this */
        struct ip v4, v6;   /* ours */
        struct node_overlay_peer *peers;
        size_t peers_count;
        uint8_t key[WIRE_KEY_BYTES]; /* private */
};

/* Looks into the state folder. ERR_NOT_FOUND: not joined, no document, or control is too old to say our addresses. Other errors as
 * node_state_look and node_state_document_load. After ERR_OK node_overlay_fini. */
MUST_USE enum err node_overlay_load(const char *folder, enum wire_kind kind, struct node_overlay *out,
                                    const char **why);
/* The same from a document; the key stays zero. */
MUST_USE enum err node_overlay_read(const struct wire_document *d, struct node_overlay *out);
void node_overlay_fini(struct node_overlay *o); /* wipes the key */
