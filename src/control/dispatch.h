/*
 * control/dispatch.h - requests sent out by agents: /api/execute and what is asked about it. Source: docs/protocol/dispatch.md.
 *
 * Agents reach control by links as if it were a gateway of theirs (`gateways/control` in their documents); what they report as
 * their addresses is the pool. Off where `control.dispatch.allow` is empty. Thread: the loop's.
 */
#pragma once

#include "control/api.h"
#include "wire/message.h"

struct control;

/* After the worker is there. ERR_NO_MEMORY. */
MUST_USE enum err dispatch_start(struct control *c);
void dispatch_end(struct control *c);

/* How agents get to this control; empty: dispatching is off. Borrowed from `c`. */
struct str dispatch_url(const struct control *c);

/* A connected agent said which addresses it sends from; `report` NULL: it is not connected any more. `node` NULL: not known yet. */
struct desired_node;
void dispatch_told(struct control *c, struct str agent, const struct desired_node *node,
                   const struct wire_report *report);
/* The store was read again: names and tags, and who is an agent no more. */
struct desired;
void dispatch_named(struct control *c, const struct desired *d);

/* The snapshot's way in for agents' links, where dispatching is on. ERR_NO_MEMORY, ERR_CONFIG. */
struct report;
struct snapshot;
MUST_USE enum err dispatch_links_build(struct control *c, struct snapshot *s, struct report *r);

extern const struct api_route dispatch_table[]; /* below /api */
extern const size_t dispatch_table_count;
