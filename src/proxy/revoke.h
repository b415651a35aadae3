/*
 * proxy/revoke.h - rights that a new configuration took away, or the tailnet: the tunnels that were opened by them end.
 *
 * A request keeps the rules it began with, since it is over soon. A tunnel is not: without this, who was once let in could
 * stay for ever. Of a tunnel whose caller was let in by the tailnet that is asked again, REVOKE_AGAIN_MS after the last time; it
 * outlives by REVOKE_BELIEVED_MS at most that nobody can be asked.
 */
#pragma once

#include "base/clock.h"
#include "base/ip.h"
#include "proxy/access.h"

struct exchange;
struct worker;

enum { REVOKE_AGAIN_MS = 20 * 1000, REVOKE_BELIEVED_MS = 60 * 1000 };

/* What of `was` is gone now: NULL, or the word for log and metric. Another entry with the same text is the same token; of
 * `scopes` (those the route asked for, 0: none) it must have one, and `ip` may be one of its addresses. Pure. */
const char *revoke_reason(const struct token *was, unsigned scopes, struct ip ip, const struct token_set *now,
                          unix_ms wall);

void revoke_init(struct worker *w);

/* A tunnel begins. */
void revoke_watch(struct exchange *x);

/* Once the worker has its new snapshot. Both ends of each such tunnel are reset, its record says why. */
void revoke_tunnels(struct worker *w);
