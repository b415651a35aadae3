#include "proxy/balance.h"

#include <math.h>

#include "base/compiler.h"
#include "base/hash.h"

/*
 * Theory of operation. Two choices draws a first target by share, so that equals get exactly their shares, and a second
 * one from the rest. The second takes the request only where it is clearly cheaper (by a quarter): noise moves nothing,
 * and workers that know little do not all run to the same target. The cost is the latency times the load. An average
 * nobody adds to loses half of its worth every HALF_LIFE_MS, so that a target once slow is tried again.
 *
 * The hash gives each target a score for the request; the highest wins, and a target that goes takes only its own
 * requests along. A target filled to LOAD_PERCENT of its fair part is passed over, so that one hot key cannot sink it.
 */
enum {
        HALF_LIFE_MS = 1000,
        LATENCY_NOISE_US = 1000, /* below this nobody is faster than another */
        LATENCY_US_MAX = 60 * 1000 * 1000,
        FAILURE_US_MIN = 100 * 1000,
        SAMPLE_WEIGHT_ONE = 1024,
        SAMPLE_WEIGHT_MIN = 64,
        LOAD_PERCENT = 125,
        SLOW_START_FIRST = 10, /* percent */
};

static uint64_t random_next(uint64_t *state) /* splitmix64: Steele, Lea and Flood, 2014 */
{
        uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
        return z ^ z >> 31;
}

static uint64_t shares_total(struct balance_seat *const *seats, size_t count)
{
        uint64_t total = 0;

        for (size_t i = 0; i < count; i++)
                total += seats[i]->share;
        return total;
}

/* One by its share; `but` is not there (count: all are). `total` is the sum without it. */
static size_t draw(struct balance_seat *const *seats, size_t count, size_t but, uint64_t total,
                   uint64_t *random)
{
        uint64_t ticket = total ? random_next(random) % total : 0;
        size_t last = 0;

        for (size_t i = 0; i < count; i++) {
                if (i == but)
                        continue;
                if (ticket < seats[i]->share)
                        return i;
                ticket -= seats[i]->share;
                last = i;
        }
        return last;
}

static uint64_t latency_now(const struct balance_seat *s, mono_ms now)
{
        int64_t halvings = MIN(MAX((now - s->latency_at) / HALF_LIFE_MS, (int64_t)0), (int64_t)30);

        return ((uint64_t)s->latency_us >> halvings) + LATENCY_NOISE_US;
}

/* Requests under way for its share of the whole: SHARE_ONE stands for one at a target of mean share. */
static uint64_t load(const struct balance_seat *s, uint64_t mean)
{
        return s->in_flight * mean * BALANCE_SHARE_ONE / MAX(s->share, 1u);
}

static bool is_clearly_cheaper(const struct balance_seat *a, const struct balance_seat *b, uint64_t mean,
                               mono_ms now)
{
        bool is_known = a->latency_us && b->latency_us;
        uint64_t latency_a = is_known ? latency_now(a, now) : 1,
                 latency_b = is_known ? latency_now(b, now) : 1;
        uint64_t cost_a = latency_a * (load(a, mean) + BALANCE_SHARE_ONE),
                 cost_b = latency_b * (load(b, mean) + BALANCE_SHARE_ONE);

        return cost_a < cost_b / 4 * 3;
}

static size_t choose_of_two(const struct balance_ask *ask, struct balance_seat *const *seats, size_t count)
{
        uint64_t total = shares_total(seats, count);
        size_t first = draw(seats, count, count, total, ask->random);
        size_t second = draw(seats, count, first, total - seats[first]->share, ask->random);

        return is_clearly_cheaper(seats[second], seats[first], MAX(total / count, (uint64_t)1), ask->now)
                       ? second
                       : first;
}

/* Smooth weighted round robin: each turn all gain their share, the richest is chosen and pays the sum. */
static size_t choose_in_turn(struct balance_seat *const *seats, size_t count)
{
        int64_t total = 0;
        size_t best = 0;

        for (size_t i = 0; i < count; i++) {
                seats[i]->smooth_weight += seats[i]->share;
                total += seats[i]->share;
                if (seats[i]->smooth_weight > seats[best]->smooth_weight)
                        best = i;
        }
        seats[best]->smooth_weight -= total;
        return best;
}

/* Fewest requests under way for the share; whose turn it is decides between equals. */
static size_t choose_least(struct balance_seat *const *seats, size_t count)
{
        size_t best = 0;
        int64_t total = 0;

        for (size_t i = 0; i < count; i++) {
                struct balance_seat *s = seats[i], *b = seats[best];
                uint64_t own = (uint64_t)s->in_flight * b->share,
                         best_one = (uint64_t)b->in_flight * s->share;

                s->smooth_weight += s->share;
                total += s->share;
                if (own < best_one || (own == best_one && s->smooth_weight > b->smooth_weight))
                        best = i;
        }
        seats[best]->smooth_weight -= total;
        return best;
}

/* Of an exponential race, which weights turn into exact shares. Higher is better. */
static double score(uint64_t hash, const struct balance_seat *s)
{
        uint64_t mixed = hash_u64(hash ^ hash_u64(s->key));
        double unit = ((double)(mixed >> 11) + 0.5) / 9007199254740992.0; /* 2^53 */

        return (double)s->share / -log(unit);
}

static size_t choose_by_hash(uint64_t hash, struct balance_seat *const *seats, size_t count)
{
        uint64_t total = shares_total(seats, count), under_way = 1; /* with this one */
        double best_score = -1;
        size_t best = 0;

        for (size_t i = 0; i < count; i++)
                under_way += seats[i]->in_flight;
        for (size_t i = 0; i < count; i++) {
                const struct balance_seat *s = seats[i];
                uint64_t part = under_way * s->share * LOAD_PERCENT / 100;
                uint64_t in_flight_max = (part + total - 1) / total;
                double own = s->in_flight < in_flight_max ? score(hash, s) : -1;

                if (own >
                    best_score) { /* at least one is below its part: the parts exceed what is under way */
                        best_score = own;
                        best = i;
                }
        }
        return best;
}

size_t balance_choose(const struct balance_ask *ask, struct balance_seat *const *seats, size_t count)
{
        if (count < 2)
                return 0;
        switch (ask->kind) {
        case BALANCE_ROUND_ROBIN: return choose_in_turn(seats, count);
        case BALANCE_LEAST_REQUESTS: return choose_least(seats, count);
        case BALANCE_HASH:
                if (ask->has_hash)
                        return choose_by_hash(ask->hash, seats, count);
                break;
        case BALANCE_TWO_CHOICES: break;
        }
        return choose_of_two(ask, seats, count);
}

void balance_answered(struct balance_seat *s, int64_t latency_us, mono_ms now)
{
        int64_t sample = MIN(MAX(latency_us, (int64_t)1), (int64_t)LATENCY_US_MAX);
        int64_t passed = MIN(MAX(now - s->latency_at, (int64_t)0), (int64_t)HALF_LIFE_MS);
        int64_t weight = MAX(passed * SAMPLE_WEIGHT_ONE / HALF_LIFE_MS, (int64_t)SAMPLE_WEIGHT_MIN);

        s->latency_us = s->latency_us ? s->latency_us + (sample - s->latency_us) * weight / SAMPLE_WEIGHT_ONE
                                      : sample;
        s->latency_at = now;
}

void balance_failed(struct balance_seat *s, mono_ms now)
{
        s->latency_us = MIN(MAX(s->latency_us * 2, (int64_t)FAILURE_US_MIN), (int64_t)LATENCY_US_MAX);
        s->latency_at = now;
}

uint32_t balance_share(uint32_t weight, mono_ms back_since, int64_t slow_start_ms, mono_ms now)
{
        int64_t passed = MAX(now - back_since, (int64_t)0);
        int64_t percent = 100;

        if (back_since && passed < slow_start_ms)
                percent = MAX(passed * 100 / slow_start_ms, (int64_t)SLOW_START_FIRST);
        return (uint32_t)((int64_t)weight * BALANCE_SHARE_ONE * percent / 100);
}
