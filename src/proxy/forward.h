/*
 * proxy/forward.h - the handler that passes a request on to the route's upstream.
 */
#pragma once

#include "proxy/route.h"

extern const struct handler forward_handler;

/*
 * For other handlers that end at an upstream: picks a target of `u` not tried before and gets a connection. STEP_NEXT or
 * STEP_WAIT; exchange_refuse when there is none. `host` replaces Host unless empty.
 */
enum step_result forward_to(struct exchange *x, struct upstream *u, struct str host);

void forward_init(struct exchange *x); /* a new exchange has no target and waits for none */

/* The exchange's hold on its target: it is part of the target's load from the choice until here. Again is fine. */
void forward_leave(struct exchange *x);
/* The answer has begun: what its target's latency is. */
void forward_answered(struct exchange *x);
