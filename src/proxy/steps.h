/*
 * proxy/steps.h - the life of a request as a list. The same names stand in the log, the metrics and the docs.
 */
#pragma once

#include "proxy/exchange.h"

#define STEP_LIST(X)                                                                                 \
        X(address)   /* is this client's address allowed at all */                                   \
        X(identify)  /* whose token is it */                                                         \
        X(route)     /* who serves this host and path */                                             \
        X(authorise) /* may this caller use that route */                                            \
        X(limit)     /* rates, sizes, concurrency */                                                 \
        X(filters)   /* reserved and hop-by-hop fields out, ours in; rewrite; the route's filters */ \
        X(pick)      /* the route's handler finds the side that answers */

typedef enum step_result step_fn(struct exchange *x);

struct step {
        const char *name;
        step_fn *fn;
};

extern const struct step proxy_steps[];
extern const size_t proxy_steps_count;
/* Gives back what the steps took (concurrency). Once, at the exchange's end. */
void steps_end(struct exchange *x);

/* Where a call of our own begins: at `pick`. */
enum {
#define X(name) STEP_##name,
        STEP_LIST(X)
#undef X
};
