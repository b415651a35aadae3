/*
 * proxy/up_h1.h - a connection to an upstream target speaking HTTP/1.1.
 *
 *   active → idle → active … → closing
 *
 * Pooled by the worker; idle ones are kept with their target, most recent first. An idle connection that says anything is
 * closed: what it says belongs to nobody.
 */
#pragma once

#include "proxy/exchange.h"
#include "proxy/upstream.h"

struct up_dial;

/* Takes an idle connection to `t` for x; exchange_start_up is called inside. False: none is idle. */
MUST_USE bool up_h1_reuse(struct exchange *x, struct target *t);

/* Takes over what `d` connected, for x; exchange_start_up is called inside. Else nothing was sent. */
MUST_USE enum err up_h1_start(struct exchange *x, struct up_dial *d);

/* Closes the idle connections of a target: its snapshot goes. */
void up_h1_close_idle(struct target *t);

extern const size_t up_h1_bytes; /* of the struct, for the pool */
