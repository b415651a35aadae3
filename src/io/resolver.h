/*
 * io/resolver.h - names to addresses, asynchronously, over c-ares on the loop.
 *
 * Answers are kept for their TTL (bounded below and above); a name whose look-up fails (time-out, SERVFAIL, no server)
 * keeps its last good answer for `stale_max_ms` past its end. That a name does not exist is an answer, no failure; it and
 * failures are kept for ttl_min_ms. Several askers of one name share one query. The hosts file (read once, with the
 * system's list of servers, by resolver_new) and literal addresses count too.
 * Answers from the network are hostile: at most RESOLVER_ADDRESSES_MAX are kept, and at most `names_max` names.
 * Source: RFC 8767 (stale answers), RFC 6761 6.3 (localhost).
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
        const void *entry;
        struct ip literal;
        enum err err;
};

struct resolver_conf {
        int64_t ttl_min_ms, ttl_max_ms, stale_max_ms, timeout_ms;
        size_t names_max;
        struct str servers;     /* "127.0.0.1:5353,…" for tests; empty: the system's */
        const char *hosts_path; /* NULL: /etc/hosts */
};

MUST_USE
enum err resolver_new(struct loop *l, const struct resolver_conf *conf, struct resolver **out);
void resolver_free(struct resolver *r); /* pending queries get no call */

/*
 * fn is called in a later step of the loop, never inside this call, with addresses in the order of preference (IPv4, then
 * IPv6, each as answered), or with ERR_NOT_FOUND, ERR_TIMED_OUT, ERR_UNREACHABLE, ERR_NO_MEMORY (names_max names are being
 * asked for). The addresses are valid until fn returns. `name` is borrowed during the call.
 */
void resolver_find(struct resolver *r, struct resolver_query *q, struct str name, resolver_fn *fn);
void resolver_cancel(struct resolver_query *q); /* may have ended already */

/* The kept answer at once, when there is a fresh one: for the hot path. 0 when a query is needed. */
size_t resolver_peek(struct resolver *r, struct str name, struct ip out[RESOLVER_ADDRESSES_MAX]);
