/*
 * proxy/balance.h - which of several targets takes the next request.
 *
 * Does:   two random choices by latency and load, weighted round robin, fewest requests, and rendezvous hashing with
 *         bounded loads; the moving average of a target's latency; the share of one that has just come back.
 * Not:    health (standing.h), who may be chosen at all (upstream.h), chance: the caller brings the random state.
 * Thread: the seats are one worker's own. Nothing here allocates, locks or asks for the time.
 * Source: M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001; D. Thaler and C. Ravishankar,
 *         "Using Name-Based Mappings to Increase Hit Rates", 1998; V. Mirrokni et al., "Consistent Hashing with Bounded
 *         Loads", 2016.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

enum balance_kind { BALANCE_TWO_CHOICES, BALANCE_ROUND_ROBIN, BALANCE_LEAST_REQUESTS, BALANCE_HASH };

enum { BALANCE_SHARE_ONE = 1024 }; /* the share of a target of weight 1 */

/* A target as the choice sees it. Zeroed but for key and weight, it is one nothing is known of. */
struct balance_seat {
        uint64_t key;    /* of its identity: the same in every worker, after every reload, at every gateway */
        uint32_t weight; /* at least 1 */
        uint32_t
                share; /* weight by SHARE_ONE, less while it warms up: set before each choice (balance_share) */
        uint32_t in_flight;

        int64_t latency_us; /* moving average to an answer's first byte; 0: not known */
        mono_ms latency_at;
        int64_t smooth_weight; /* round robin */
};

struct balance_ask {
        enum balance_kind kind;
        mono_ms now;
        uint64_t *random; /* splitmix64's state, moved on */
        uint64_t hash;    /* BALANCE_HASH: of what the request is told apart by */
        bool has_hash;    /* false: it has no such thing; two choices decide */
};

/* Which of `count` (at least 1) seats. */
size_t balance_choose(const struct balance_ask *ask, struct balance_seat *const *seats, size_t count);

/* An answer began after `latency_us`. */
void balance_answered(struct balance_seat *s, int64_t latency_us, mono_ms now);
/* It failed: who fails at once must not look fast. */
void balance_failed(struct balance_seat *s, mono_ms now);

/* Grows from a tenth of the weight to all of it over `slow_start_ms` from `back_since` on; 0: never was away. */
uint32_t balance_share(uint32_t weight, mono_ms back_since, int64_t slow_start_ms, mono_ms now);
