/*
 * proxy/cache.h - a route whose answers are kept: a handler in front of the forwarding one, and the filter that fills.
 *
 * Does:   serves what is fresh (and says 304 itself); has what is stale checked by the upstream; lets one request fetch for
 *         many that wait; serves stale answers while they are fetched anew, or when the upstream fails, where the answer
 *         allowed that; forgets what an unsafe method touched. Says what it did in Cache-Status (RFC 9211).
 * Not:    what may be kept (cache_rules.h), memory (cache_store.h).
 * Each worker has its own (docs/decisions/0041-cache.md); what is forgotten is forgotten by all (cache_purges.h).
 */
#pragma once

#include "proxy/cache_store.h"
#include "proxy/filter.h"
#include "proxy/route.h"

struct cache;

struct cache_conf {
        uint64_t object_bytes_max;
        int64_t wait_ms; /* for an answer another request fetches */
};

/* Conf of both is the same struct cache_conf: the route's handler_conf and its filter's. Needs route.upstream. */
extern const struct handler cache_handler;
extern const struct filter cache_filter;

/* Of one worker. `bytes_max` 0: nothing is kept. */
MUST_USE struct cache *cache_new(struct worker *w, size_t bytes_max);
void cache_free(struct cache *c); /* NULL is fine */
/* All of it: the rules have changed. */
void cache_forget(struct cache *c);

/* Has every worker forget the answers for a URL ("http://host/path?query"), or all with an empty one. ERR_MALFORMED: it is no
 * URL. Answers kept under a name that a trusted proxy gave beside Host are forgotten with all only. */
MUST_USE enum err cache_purge(struct worker *w, struct str url);

/* "http://host:port/path?query" as keys are written: purges name it so. In `a`. */
struct str cache_key_make(struct arena *a, struct str scheme, struct str host, uint16_t port,
                          struct str target);
