/*
 * control/hub.h - the nodes that are connected: what each should be, what it has, what it reports.
 *
 * Does:   a channel for each node's WebSocket (wire/session.h says when to say what); when something changed, all documents
 *         are made anew from one reading of the store and each channel is told its difference.
 * Not:    what a document holds (control/desired.h).
 * Thread: the loop's.
 */
#pragma once

#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "proxy/route.h"

#include <stdint.h>

struct control;
struct hub;

MUST_USE enum err hub_new(struct control *control, struct hub **out);
void hub_free(struct hub *h);
void hub_stop(struct hub *h); /* says good-bye to all, for a restart of ours: they come back */

void hub_changed(struct hub *h);        /* something was committed */
void hub_minute(struct hub *h);         /* what nodes reported is written down; shares that are over end */
void hub_day(struct hub *h);            /* documents get a new lease */
void hub_send_elsewhere(struct hub *h); /* where there are other controls: nodes go to them. NULL is fine */

bool hub_is_active(const struct hub *h, int64_t node); /* a node that is one, as of the last reading */

/* What is known of a connected node beside its row. */
struct hub_node {
        int64_t node;
        uint64_t wanted_version, applied_version; /* 0: none */
        unix_ms since;
        struct str from; /* its address */
};

/* A copy of all that are connected, in order of their rows, for a call's job. NULL: no memory (the arena is full). */
struct arena;
const struct hub_node *hub_copy(const struct hub *h, struct arena *a, size_t *count);
const struct hub_node *hub_node_find(const struct hub_node *all, size_t count, int64_t node); /* or NULL */
