/*
 * proxy/up.h - the way from an exchange to a target: a kept connection, a free stream of a shared one, or a new connection.
 *
 * HTTP/1.1 connections serve one exchange at a time (up_h1.h), HTTP/2 connections many (up_h2.h); which of them a target
 * speaks is configured, agreed on by TLS, or found out by a probe.
 */
#pragma once

#include "proxy/exchange.h"
#include "proxy/upstream.h"

/*
 * Finds a way to `t` for x: at once (exchange_start_up is called inside), or x->is_connecting is set, and exchange_start_up or
 * exchange_up_reset follows in a later turn. ERR_NO_MEMORY: no connection to be had. ERR_UNSUPPORTED: the target cannot
 * take this kind of request.
 */
MUST_USE enum err up_connect(struct exchange *x, struct target *t);

/* Gives up waiting for a connection; fine when x does not wait. */
void up_abandon(struct exchange *x);
/* The wait is over, whatever comes next. */
void up_wait_end(struct exchange *x);

/* Closes the idle connections of a target, and the others once they are idle: its snapshot goes. */
void up_close_idle(struct target *t);

/* For passive health: the target could not be reached, broke off, or answered with 5xx. */
void up_note_failure(struct worker *w, struct target *t);

/* How long what serves x (or nobody: NULL) may take: its route's times, where it has its own. */
const struct upstream_waits *up_waits(const struct exchange *x, const struct target *t);
/* What a target turned out to speak, where that is not configured. */
void up_learn_h1(struct target *t, struct worker *w);
void up_learn_h2(struct target *t, struct worker *w);

/* x waits; it looks for a way again, and learns what comes of it by exchange_start_up or exchange_up_reset, also inside this. */
void up_again(struct exchange *x, struct target *t);

/* What embeds struct target in it begins with this. */
void up_target_init(struct target *t);
