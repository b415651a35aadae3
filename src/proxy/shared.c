#include "proxy/shared.h"

#include "crypto/random.h"

enum {
        METRIC_CELLS_MAX = 64 * 1024,
        METRIC_SERIES_MAX = 8 * 1024,
        RATES_MAX = 256 * 1024,
        TALLY_KEYS_MAX = 64 * 1024,
        TARGETS_MAX = 4096,
};

enum err shared_init(struct shared *s, unsigned workers_count)
{
        *s = (struct shared){ .workers_count = workers_count };
        s->metrics = metrics_new(workers_count, METRIC_CELLS_MAX, METRIC_SERIES_MAX);
        s->rates = gate_new(RATES_MAX);
        s->connections = tally_new(workers_count, TALLY_KEYS_MAX);
        s->requests = tally_new(workers_count, TALLY_KEYS_MAX / 16);
        s->standings = standings_new(TARGETS_MAX);
        s->cache_purges = cache_purges_new();
        crypto_random(&s->hash_key, sizeof(s->hash_key));
        crypto_random(&s->start_random, sizeof(s->start_random));
        if (!s->metrics || !s->rates || !s->connections || !s->requests || !s->standings ||
            !s->cache_purges) {
                shared_fini(s);
                return ERR_NO_MEMORY;
        }
        return ERR_OK;
}

void shared_fini(struct shared *s)
{
        metrics_free(s->metrics);
        gate_free(s->rates);
        tally_free(s->connections);
        tally_free(s->requests);
        standings_free(s->standings);
        cache_purges_free(s->cache_purges);
        *s = (struct shared){ 0 };
}

void shared_forget_worker(struct shared *s, unsigned worker)
{
        tally_forget(s->connections, worker);
        tally_forget(s->requests, worker);
        metrics_forget_gauges(s->metrics, worker);
}
