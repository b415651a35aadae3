/*
 * agent/sender.h - an agent that sends requests out for callers: from which addresses, and to where.
 *
 * Does:   finds the addresses of this machine as they come and go, or takes those its file names; checks each (it can be bound
 *         and a route leads out from it), and gives those that stand the check. What may be dialled is `agent.dispatch.allow`.
 * Not:    whose turn it is (control's), the requests themselves (dispatch/outward.h).
 * Thread: the loop's.
 */
#pragma once

#include "conf/conf.h"
#include "dispatch/outward.h"
#include "io/netwatch.h"
#include "proxy/worker.h"

enum { SENDER_ADDRESSES_MAX = 1000 };

/* Embedded in its owner. */
struct sender {
        struct ways *ways; /* NULL until it is needed for the first time */
        /* private */
        struct worker *w;
        struct netwatch netwatch;
        struct timer timer;
        struct ip *addresses;
        size_t addresses_count;
        bool is_watching;
};

/* Looks at what is in force in the worker: now, and after each reload. ERR_NO_MEMORY; ERR_TLS: there are no authorities to verify by. */
MUST_USE enum err sender_set(struct sender *s, struct worker *w);
void sender_stop(struct sender *s);
void sender_free(struct sender *s); /* when nothing of its is under way */

/* What can be sent from now; none when it is off. Borrowed until the next turn. */
const struct ip *sender_addresses(const struct sender *s, size_t *count);

/* The worker's may_dial of what requests ask for. */
bool sender_may_dial(const struct worker *w, const struct target *t, const struct dial_target *to);
