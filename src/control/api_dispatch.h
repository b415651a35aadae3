/*
 * control/api_dispatch.h - what the files of dispatching's API share: its calls, and what looks at the pool.
 *
 * Thread: dispatch_look in the store's thread, as any `run`; the rest is the loop's.
 */
#pragma once

#include "control/api.h"

bool dispatch_is_on(struct api_call *c); /* prepare: else it has answered */

/* Whoever may look may; what there is to see is the loop's. */
enum err dispatch_look(struct api_call *c, struct store_txn *t, const struct identity_permit *permit);
void agents_stream(struct api_call *c);
void pool_stream(struct api_call *c);
void stats_stream(struct api_call *c);
void metrics_stream(struct api_call *c);

/* A member: RFC 3339, or null for 0. */
void dispatch_time_write(struct json_writer *w, struct str name, unix_ms when);
