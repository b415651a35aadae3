/*
 * dispatch/ways.h - where an agent has sent requests lately: an upstream for each scheme, host, port and source address, so that
 * connections are kept and used again.
 *
 * Does:   finds or makes one; forgets what was not used for a minute and has no connection left.
 * Not:    whether it may be dialled (dispatch/rules.h, by the worker's may_dial).
 * Thread: the worker's. Memory: at most WAYS_MAX of them.
 */
#pragma once

#include "dispatch/url.h"
#include "proxy/upstream.h"

struct loop;
struct tls_context;
struct ways;
struct worker;

enum { WAYS_MAX = 4096 };

/* Shares the contexts (`tls_h2` offers HTTP/2). NULL: no memory. */
MUST_USE struct ways *ways_new(struct worker *w, struct tls_context *tls, struct tls_context *tls_h2);
/* Closes what is idle; when the worker's last exchange has ended. NULL is fine. */
void ways_free(struct ways *w);

/* Good until the turn ends, and as long as an exchange is its target's. NULL: there are too many, or no memory. */
MUST_USE struct upstream *ways_get(struct ways *w, bool is_tls, const struct http_authority *to,
                                   struct ip source);
size_t ways_count(const struct ways *w);
