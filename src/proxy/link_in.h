/*
 * proxy/link_in.h - requests that come over a link we dialled: an agent's side of proxy/links.h.
 *
 * Whoever asks is a gateway that proved itself; the client's address and the request's id are its word. What it may ask for is
 * ours to say: the target's id is looked up in the snapshot, and nothing else of the request chooses where it goes.
 * Fields "sekisho-…" end here in both directions.
 */
#pragma once

#include "base/map.h"
#include "proxy/route.h"

/* Part of a snapshot. */
struct link_in_conf {
        struct map targets;           /* target's id to struct route */
        const struct route *announce; /* POST /.sekisho/link; NULL: none */
};

/* Passes on to the route's upstream; keeps the client's Host, unless the gateway left it to us ("….sekisho.internal"). */
extern const struct handler link_in_handler;

/* ---- for the steps and the exchange ---- */

/* Client address and id, as the gateway says. False: not in a form it would send. */
bool link_in_identify(struct exchange *x);
/* NULL: nothing of that id is offered. */
const struct route *link_in_route(struct exchange *x);
/* Ours come out, and what belongs to one connection. */
MUST_USE enum err link_in_fields(struct exchange *x);
/* All of the family "sekisho-…". */
void link_in_own_remove(struct http_head *h);
/* A service does not speak in our name. */
void link_in_answer(struct http_head *h);
/* Where the request did not get to the service, the gateway learns it: it may try another agent. Before reply_error. */
void link_in_refused(struct exchange *x, const char *refused);
