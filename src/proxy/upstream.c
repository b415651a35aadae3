#include "proxy/upstream.h"

enum { EJECT_MS_MAX = 600000, EJECT_DOUBLINGS_MAX = 10 };

enum tier { TIER_USABLE, TIER_BACKUP, TIER_EJECTED, TIERS };

static bool is_in(struct target *const *targets, size_t count, const struct target *t)
{
        for (size_t i = 0; i < count; i++)
                if (targets[i] == t)
                        return true;
        return false;
}

static bool is_full(const struct target *t)
{
        return t->connections_max && t->requests_active >= t->connections_max;
}

static bool is_of_tier(const struct target *t, enum tier tier, mono_ms now)
{
        switch (tier) {
        case TIER_USABLE: return !t->is_backup && standing_is_usable(t->standing, now);
        case TIER_BACKUP: return t->is_backup && standing_is_usable(t->standing, now);
        case TIER_EJECTED: return !t->standing || !atomic_load(&t->standing->is_down);
        case TIERS: break;
        }
        return false;
}

/* Smooth weighted round robin: each turn all gain their weight, the richest is chosen and pays the sum. */
static struct target *pick_round_robin(struct target **candidates, size_t count)
{
        struct target *best = NULL;
        int64_t total = 0;

        for (size_t i = 0; i < count; i++) {
                struct target *t = candidates[i];

                t->smooth_weight += t->weight;
                total += t->weight;
                if (!best || t->smooth_weight > best->smooth_weight)
                        best = t;
        }
        if (best)
                best->smooth_weight -= total;
        return best;
}

/* Fewest active requests for its weight; round robin decides between equals. */
static struct target *pick_least_requests(struct target **candidates, size_t count)
{
        uint64_t least = UINT64_MAX;
        size_t equals = 0;

        for (size_t i = 0; i < count; i++) {
                struct target *t = candidates[i];
                uint64_t load = ((uint64_t)t->requests_active << 16) / t->weight;

                if (load < least) {
                        least = load;
                        equals = 0;
                }
                if (load == least)
                        candidates[equals++] = t;
        }
        return pick_round_robin(candidates, equals);
}

struct target *upstream_pick(struct upstream *u, mono_ms now, struct target *const *not_again,
                             size_t not_again_count)
{
        enum { CANDIDATES_MAX = 256 };
        struct target *candidates[CANDIDATES_MAX];

        for (int tier = 0; tier < TIERS; tier++) {
                size_t count = 0;

                for (size_t i = 0; i < u->targets_count && count < CANDIDATES_MAX; i++) {
                        struct target *t = &u->targets[i];

                        if (is_of_tier(t, (enum tier)tier, now) && !is_full(t) &&
                            !is_in(not_again, not_again_count, t))
                                candidates[count++] = t;
                }
                if (count == 1)
                        return candidates[0];
                if (count)
                        return u->balance == BALANCE_LEAST_REQUESTS ? pick_least_requests(candidates, count)
                                                                    : pick_round_robin(candidates, count);
        }
        return NULL;
}

bool target_failed(struct target *t, mono_ms now)
{
        struct standing *s = t->standing;

        if (!s || t->upstream->failures_max == 0)
                return false;
        if (atomic_fetch_add(&s->failures, 1) + 1 < t->upstream->failures_max)
                return false;
        uint32_t ejections = atomic_fetch_add(&s->ejections, 1);
        uint32_t doublings = MIN(ejections, (uint32_t)EJECT_DOUBLINGS_MAX);
        int64_t eject_ms = MIN(t->upstream->eject_ms << doublings, (int64_t)EJECT_MS_MAX);

        atomic_store(&s->failures, 0);
        atomic_store(&s->ejected_until, now + eject_ms);
        return true;
}

void target_succeeded(struct target *t)
{
        struct standing *s = t->standing;

        if (s && atomic_load_explicit(&s->failures, memory_order_relaxed))
                atomic_store(&s->failures, 0);
        if (s && atomic_load_explicit(&s->ejections, memory_order_relaxed))
                atomic_store(&s->ejections, 0);
}
