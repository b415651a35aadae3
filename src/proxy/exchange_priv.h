/*
 * proxy/exchange_priv.h - what exchange.c, exchange_request.c and exchange_answer.c share.
 */
#pragma once

#include "proxy/exchange.h"

/* How long the upstream takes: between the two it has the word. */
void exchange_wait_begin(struct exchange *x);
void exchange_wait_end(struct exchange *x);

/* Resets that side, if it is still there; no event of it comes any more. */
void exchange_drop_up(struct exchange *x, enum err reason);
void exchange_drop_down(struct exchange *x, enum err reason);

/* Its answer is whole and not wanted. */
void exchange_release_up(struct exchange *x);

/* The route's handler gives up what it has under way. */
void exchange_handler_cancel(struct exchange *x);

/* Ends in a task of this turn; events that come until then are ignored. The first outcome counts. */
void exchange_end_later(struct exchange *x, enum exchange_outcome outcome);
/* The same, if both sides have all they should. */
void exchange_end_if_done(struct exchange *x);
