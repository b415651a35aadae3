/*
 * proxy/shared.h - what the workers of one gateway share: counts, rates and health in mappings a fork inherits.
 */
#pragma once

#include "base/hash.h"
#include "base/metrics.h"
#include "proxy/cache_purges.h"
#include "proxy/gate.h"
#include "proxy/standing.h"
#include "proxy/tally.h"

/* Made once by the supervisor before it forks; the mappings are shared, the rest is the same in every worker. */
struct shared {
        unsigned workers_count;
        struct metrics *metrics;
        struct gate *rates;
        struct tally *connections; /* by client address */
        struct tally *requests;    /* all under one key, and by token */
        struct standings *standings;
        struct cache_purges *cache_purges;
        struct hash_key hash_key; /* random; the same in every worker */
        uint64_t start_random;    /* for request ids */
};

MUST_USE enum err shared_init(struct shared *s, unsigned workers_count);
void shared_fini(struct shared *s);
/* What a dead worker had counted is given back. By the supervisor. */
void shared_forget_worker(struct shared *s, unsigned worker);
