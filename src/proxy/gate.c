#include "proxy/gate.h"

#include <stdatomic.h>
#include <sys/mman.h>

/*
 * Theory of operation. GCRA keeps one number a key: the theoretical arrival time (TAT), here in microseconds of the
 * monotonic clock, which all workers share. A request passes when TAT - now is at most the burst; then TAT grows by one
 * interval. A slot packs a 16-bit tag of the key and 48 bits of TAT into one word, so a compare-and-swap is all it takes.
 * 48 bits of microseconds are 8.9 years of uptime; the clock is taken modulo that and compared by difference.
 */

enum { BUCKET_SLOTS = 4, TAT_BITS = 48 };
#define TAT_MASK ((UINT64_C(1) << TAT_BITS) - 1)

struct gate {
        size_t mapping_bytes, buckets_mask;
        _Atomic uint64_t slots[];
};

struct gate *gate_new(size_t entries_count)
{
        size_t slots = BUCKET_SLOTS;

        while (slots < entries_count)
                slots *= 2;
        size_t bytes = sizeof(struct gate) + slots * sizeof(uint64_t);
        struct gate *g = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (g == MAP_FAILED)
                return NULL;
        g->mapping_bytes = bytes;
        g->buckets_mask = slots / BUCKET_SLOTS - 1;
        return g;
}

void gate_free(struct gate *g)
{
        if (g)
                munmap(g, g->mapping_bytes);
}

/* a - b for times modulo 2^48. */
static int64_t tat_difference(uint64_t a, uint64_t b)
{
        return (int64_t)((a - b) << (64 - TAT_BITS)) >> (64 - TAT_BITS);
}

/* How long after `now` the slot still means anything: what is in the past is as good as empty. */
static int64_t slot_ahead(uint64_t slot, uint64_t now)
{
        int64_t ahead = tat_difference(slot & TAT_MASK, now);

        return ahead > 0 ? ahead : 0;
}

/* The key's slot, or the one of its bucket that matters least. */
static _Atomic uint64_t *slot_find(struct gate *g, uint64_t key, uint64_t tag, uint64_t now)
{
        _Atomic uint64_t *bucket = &g->slots[(key & g->buckets_mask) * BUCKET_SLOTS];
        _Atomic uint64_t *least = bucket;
        int64_t least_ahead = INT64_MAX;

        for (int i = 0; i < BUCKET_SLOTS; i++) {
                uint64_t slot = atomic_load_explicit(&bucket[i], memory_order_relaxed);
                int64_t ahead = slot_ahead(slot, now);

                if (slot >> TAT_BITS == tag)
                        return &bucket[i];
                if (ahead < least_ahead) {
                        least_ahead = ahead;
                        least = &bucket[i];
                }
        }
        return least;
}

static bool gate_ask(struct gate *g, uint64_t key, const struct units_rate *rate, mono_ms now_ms,
                     int64_t *wait_ms, bool takes)
{
        uint64_t tag = (key >> TAT_BITS) | 1; /* never 0, the tag of an unused slot */
        uint64_t now = (uint64_t)now_ms * 1000 & TAT_MASK;
        int64_t interval = MAX(rate->period_ms * 1000 / (int64_t)rate->count, (int64_t)1);
        int64_t burst = rate->period_ms * 1000 - interval;
        _Atomic uint64_t *at = slot_find(g, key, tag, now);
        uint64_t slot = atomic_load_explicit(at, memory_order_relaxed);

        for (;;) {
                int64_t ahead = slot >> TAT_BITS == tag ? slot_ahead(slot, now) : 0;

                if (ahead > burst) {
                        *wait_ms = (ahead - burst + 999) / 1000;
                        return false;
                }
                uint64_t next = tag << TAT_BITS | ((now + (uint64_t)(ahead + interval)) & TAT_MASK);
                if (!takes || atomic_compare_exchange_weak(at, &slot, next))
                        return true;
        }
}

bool gate_pass(struct gate *g, uint64_t key, const struct units_rate *rate, mono_ms now, int64_t *wait_ms)
{
        return gate_ask(g, key, rate, now, wait_ms, true);
}

bool gate_would_pass(struct gate *g, uint64_t key, const struct units_rate *rate, mono_ms now,
                     int64_t *wait_ms)
{
        return gate_ask(g, key, rate, now, wait_ms, false);
}
