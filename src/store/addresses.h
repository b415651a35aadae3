/*
 * store/addresses.h - one address of a pool for each node, given in the transaction that needs it.
 *
 * The next free place after the last one given, so that an address comes back as late as possible; one that was let go rests
 * first. Unique by index, whatever two controls do at once; pools may overlap. A pool's first address (the network itself) is
 * never given, of IPv4 the last neither. Of an IPv6 pool the first 2^40 addresses are used.
 */
#pragma once

#include "store/table.h"

enum store_address_state { STORE_ADDRESS_HELD, STORE_ADDRESS_RESTING };

struct store_address {
        STORE_ROW;
        struct str space; /* "ipv4", or the /88 it lies in */
        int64_t place;    /* in the space */
        struct ip address;
        int64_t node; /* 0: resting */
        enum store_address_state state;
        unix_ms since;
};

STORE_FAMILY(address);

struct store_pool {
        struct ip_prefix prefix;
        const struct ip_prefix
                *avoid; /* parts of it that are not given: the host's own routes, services' addresses */
        size_t avoid_count;
        int64_t rest_ms; /* how long an address rests before it is given again */
};

/* Gives `node` an address. ERR_TOO_LARGE: the pool is exhausted. ERR_CONFIG: it has no room for even one. */
MUST_USE enum err store_address_take(struct store_change *c, int64_t org, int64_t node,
                                     const struct store_pool *pool, struct ip *out);

/* Lets go all that `node` holds. */
MUST_USE enum err store_address_let_go(struct store_change *c, int64_t org, int64_t node);

/* Free, held and resting places are counted for the operator: of one pool. */
struct store_pool_use {
        int64_t held, resting;
};
MUST_USE enum err store_address_use(struct store_txn *t, const struct ip_prefix *pool,
                                    struct store_pool_use *out);
