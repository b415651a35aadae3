/*
 * proxy/record.h - the last step of a request's life: its line in the access log and its counts.
 */
#pragma once

#include "proxy/exchange.h"

void record_exchange(struct exchange *x);

/* A connection or request that was refused before there was an exchange: counted, and logged with what is known. */
void record_refused(struct worker *w, const struct exchange_origin *origin,
                    const struct http_refusal *refusal);
