/*
 * agent/joined.h - an agent that belongs to a control: it joins, hears what it is to serve, and reads that as configuration.
 *
 * The document's services and gateways are a layer below the agent's own file (conf/source.h): `upstreams`, `agent.services`,
 * `agent.gateways`, and the papers. What may be dialled stays the own file's word (agent.allow). Stored documents are read at the
 * start, so that an agent serves while control is away.
 */
#pragma once

#include "conf/source.h"
#include "io/loop.h"
#include "io/resolver.h"

struct joined;

struct joined_events {
        /* There is something newer to be read: give joined_said the outcome. */
        void (*on_news)(void *context);
};

/* `folder`: of the state. ERR_NOT_FOUND: it has not joined and `join` is empty. Other errors: *why for the operator. */
MUST_USE enum err joined_open(struct str folder, struct str join, struct str name, struct joined **out,
                              const char **why);
void joined_free(struct joined *j); /* NULL is fine; the loop ends with it */

/* Begins to speak with control. */
MUST_USE enum err joined_start(struct joined *j, struct loop *l, struct resolver *r,
                               const struct joined_events *events, void *context);
/* What on_news brought is in force, or refused because of `problem`. */
void joined_said(struct joined *j, enum err e, struct str problem);

/* A source over `inner` (kept) with the document in force now, for one conf_load. Without a file of its own an agent has an
 * empty one. */
struct conf_source *joined_over(struct joined *j, struct conf_source *inner);
