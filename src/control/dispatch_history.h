/*
 * control/dispatch_history.h - what became of requests that were sent out, written down together, and the counts of addresses.
 *
 * A request that is over waits in memory for at most half a second; what does not fit (the store is slow) is counted and left out, so
 * that no request waits for the disk. Kept: `control.dispatch.history` and `historyAge`, bodies only where `historyBodies` asks for
 * them, and no longer than its neighbours say, whether requests come or not. Thread: the loop's.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

struct control;
struct dispatch_history;
struct dispatch_record;

MUST_USE enum err dispatch_history_new(struct control *c, struct dispatch_history **out);
void dispatch_history_free(struct dispatch_history *h); /* writes what waits; NULL is fine */

void dispatch_history_add(struct dispatch_history *h, const struct dispatch_record *r);

/* The agent is none any more: what was counted of its addresses goes; its requests stay. */
void dispatch_history_forget(struct dispatch_history *h, struct str agent);

/* What was counted before this start goes into the pool. Part of the start, waits for the store. */
MUST_USE enum err dispatch_history_restore(struct dispatch_history *h);
