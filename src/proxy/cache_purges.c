#include "proxy/cache_purges.h"

#include <stdatomic.h>
#include <sys/mman.h>

struct cache_purges {
        _Atomic uint64_t count; /* given out, written or about to be */
        struct {
                _Atomic uint64_t number, hash; /* number: its place in the count, plus 1; written last */
        } items[CACHE_PURGES_MAX];
};

struct cache_purges *cache_purges_new(void)
{
        struct cache_purges *p =
                mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        return p == MAP_FAILED ? NULL : p;
}

void cache_purges_free(struct cache_purges *p)
{
        if (p)
                munmap(p, sizeof(*p));
}

void cache_purges_add(struct cache_purges *p, uint64_t hash)
{
        uint64_t number = atomic_fetch_add(&p->count, 1);

        atomic_store(&p->items[number % CACHE_PURGES_MAX].number, 0);
        atomic_store(&p->items[number % CACHE_PURGES_MAX].hash, hash);
        atomic_store(&p->items[number % CACHE_PURGES_MAX].number, number + 1);
}

uint64_t cache_purges_now(const struct cache_purges *p)
{
        return atomic_load(&p->count);
}

bool cache_purges_next(const struct cache_purges *p, uint64_t *seen, uint64_t *hash)
{
        uint64_t count = atomic_load(&p->count), at = *seen % CACHE_PURGES_MAX;

        if (*seen == count)
                return false;
        bool is_there = count - *seen <= CACHE_PURGES_MAX && atomic_load(&p->items[at].number) == *seen + 1;
        *hash = is_there ? atomic_load(&p->items[at].hash) : CACHE_PURGE_ALL;
        /* Written over while it was read: then the number has changed. */
        if (!is_there || atomic_load(&p->items[at].number) != *seen + 1) {
                *hash = CACHE_PURGE_ALL;
                *seen = count;
                return true;
        }
        ++*seen;
        return true;
}
