/*
 * proxy/links.h - connections that agents made to this worker and serve on: HTTP/2 the other way round.
 *
 *   greeted → handed to another worker
 *           → opening (TLS) → serving → leaving → closed
 *
 * An agent behind NAT dials in under the name link.sekisho.internal; once it has shown its certificate, the connection is an
 * upstream one (up_h2.h) for every target "link://AGENT/…" of whatever snapshot is in force. Links belong to the worker, not to
 * a snapshot: a reload keeps them, and only judges anew whether they may stay. Every worker has links of its own: told of
 * the worker's number (POST /.sekisho/link), the agent dials the others as wI.link.sekisho.internal, and who accepts such a
 * connection hands it on before TLS begins.
 *
 * A target whose agent has no link here is down. While one is to be expected (the agent had one seconds ago, or this worker is
 * new) a request that has no better target waits for it, bounded in time and number.
 * Source: docs/protocol/nodes.md 5.
 */
#pragma once

#include "proxy/exchange.h"
#include "proxy/snapshot.h"

struct link;
struct links;
struct worker;

/* How a link came: one that the agent made (as a WebSocket, too), or one over the overlay. */
enum link_way { LINK_STRAIGHT, LINK_WEBSOCKET, LINK_OVERLAY, LINK_WAYS };

/* Why a stream goes over that one. */
enum link_reason {
        LINK_NO_OVERLAY,     /* this gateway has none */
        LINK_OVERLAY_DOWN,   /* it has, and no link of this agent's goes over it now */
        LINK_NO_OWN_LINK,    /* the agent has none that it made itself */
        LINK_PREFERRED,      /* there are both, and the configuration says which goes first */
        LINK_PREFERRED_FULL, /* there are both, and those that go first take no more streams */
        LINK_REASONS
};

/* The words of the log and of the metrics: "overlay", "no_own_link". */
const char *link_way_name(enum link_way way);
const char *link_reason_name(enum link_reason reason);

MUST_USE struct links *links_new(struct worker *w); /* NULL: no memory */
void links_free(struct links *l);                   /* NULL is fine */

/* An agent's connection, as its first message said (greeting.h), here or in the worker that accepted it. Takes fd. */
void links_take(struct links *l, int fd);
/*
 * A connection that was made to this agent's address in the overlay. From here on it is like one that an agent made, and whoever is at
 * its other end has to be that agent: nothing is believed because of the address. Takes fd.
 */
void links_take_overlay(struct links *l, struct str agent, int fd);

/* The worker ends: agents are told to look elsewhere; what has links goes on with them. */
void links_leave(struct links *l);
/* No request will come any more: what is idle closes. */
void links_end(struct links *l);
/* Another snapshot is in force: who may not stay goes. */
void links_judge(struct links *l);

bool links_has(const struct links *l, struct str agent);     /* l may be NULL: no */
bool links_expects(const struct links *l, struct str agent); /* has, or soon */
bool links_has_overlay(const struct links *l,
                       struct str agent); /* one that serves and came over the overlay */
size_t links_count(const struct links *l);

/*
 * up_connect for a target behind a link. Says in x->way_reason why over that one.
 */
MUST_USE enum err links_connect(struct exchange *x, struct target *t);

/* ---- from the connection (up_h2.c) ---- */

/* No stream will begin on it any more. */
void link_lost(struct link *link, enum err e);
/* Nothing refers to it any more. */
void link_closed(struct link *link);
const char *link_way(const struct link *link);
