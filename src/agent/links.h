/*
 * agent/links.h - the links of an agent as connections of its worker.
 *
 * The keeper (link/keeper.h) dials and proves; here a link that is ready becomes a connection that requests come in on, and the
 * gateway's word about it goes back to the keeper. A link on which nothing came for so long that the gateway's questions
 * would have come is cut, and dialled anew.
 */
#pragma once

#include "conf/conf.h"
#include "link/keeper.h"
#include "proxy/worker.h"

struct agent_links;

/* The worker is there. NULL: no memory. They live as long as the process. */
MUST_USE struct agent_links *agent_links_new(struct worker *w);
MUST_USE enum err agent_links_set(struct agent_links *a, const struct conf *conf);
/* keeper_look of these links. */
size_t agent_links_look(const struct agent_links *a, struct keeper_standing *out, size_t max);
/* Each gateway has all the links it is to have, or the last attempt failed; and at least one gateway was reached, or `needs_none`. */
bool agent_links_are_settled(const struct agent_links *a, bool needs_none);
/* One of its own, to any gateway. */
bool agent_links_has_own(const struct agent_links *a);
/* Some that gateways made are still there, what is ending too. */
bool agent_links_use_overlay(const struct agent_links *a);
/* A connection that was made to us over the overlay, as by that gateway (keeper_take). Takes fd. */
void agent_links_take(struct agent_links *a, struct str gateway, int fd);
/* How many links of that gateway's there are now. */
unsigned agent_links_taken(const struct agent_links *a, struct str gateway);
/* Nothing more is dialled; what is open ends with the worker's drain. */
void agent_links_stop(struct agent_links *a);

/* Hears POST /.sekisho/link. */
extern const struct handler agent_announce_handler;
