/*
 * proxy/up_h1.h - a connection to an upstream target speaking HTTP/1.1.
 *
 *   resolving → dialling → opening (TLS) → active → idle → active … → closing
 *
 * Pooled by the worker; idle ones are kept with their target, most recent first. An idle connection that says anything is
 * closed: what it says belongs to nobody.
 */
#pragma once

#include "proxy/exchange.h"
#include "proxy/upstream.h"

/*
 * Gets a connection to `t` for x: an idle one at once (exchange_start_up is called inside), or a new one: x->connecting is
 * set, and exchange_start_up or exchange_up_reset follows in a later turn. ERR_NO_MEMORY: no connection to be had.
 */
MUST_USE enum err up_h1_connect(struct exchange *x, struct target *t);

/* Gives up on x->connecting. */
void up_h1_abandon(struct exchange *x);

/* Closes the idle connections of a target: its snapshot goes. */
void up_h1_close_idle(struct target *t);

extern const size_t up_h1_bytes; /* of the struct, for the pool */
