/*
 * io/resolver.h - names to addresses, asynchronously, over c-ares on the loop.
 *
 * Answers are kept for their TTL (bounded below and above); a name whose look-up fails keeps its last good answer for
 * `stale_max_ms`. Several askers of one name share one query. The hosts file and literal addresses count too.
 * Answers from the network are hostile: at most RESOLVER_ADDRESSES_MAX are kept.
 */
#pragma once

#include "base/ip.h"
#include "io/loop.h"

enum { RESOLVER_ADDRESSES_MAX = 16 };

struct resolver;
struct resolver_query;

typedef void resolver_fn(struct resolver_query *q, enum err e, const struct ip *addresses,
                         size_t addresses_count);

/* Embedded in the asker; lives until fn was called or resolver_cancel. */
struct resolver_query {
        resolver_fn *fn;
        /* private */
        struct list node;
        struct task task;
        void *entry;
};

struct resolver_conf {
        int64_t ttl_min_ms, ttl_max_ms, stale_max_ms, timeout_ms;
        size_t names_max;
        struct str servers; /* "127.0.0.1:5353,…" for tests; empty: the system's */
};

MUST_USE
enum err resolver_new(struct loop *l, const struct resolver_conf *conf, struct resolver **out);
void resolver_free(struct resolver *r); /* pending queries get no call */

/*
 * fn is called in a later turn, never inside this call, with addresses in the order of preference, or with
 * ERR_NOT_FOUND, ERR_TIMED_OUT, ERR_UNREACHABLE. `name` is borrowed during the call.
 */
void resolver_find(struct resolver *r, struct resolver_query *q, struct str name, resolver_fn *fn);
void resolver_cancel(struct resolver_query *q); /* may have ended already */

/* The kept answer at once, when there is a fresh one: for the hot path. 0 when a query is needed. */
size_t resolver_peek(struct resolver *r, struct str name, struct ip out[RESOLVER_ADDRESSES_MAX]);
