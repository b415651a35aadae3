#include "proxy/standing.h"

#include <sys/mman.h>

struct standings {
        size_t mapping_bytes, targets_max;
        struct standing targets[];
};

struct standings *standings_new(size_t targets_max)
{
        size_t bytes = sizeof(struct standings) + targets_max * sizeof(struct standing);
        struct standings *s = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        if (s == MAP_FAILED)
                return NULL;
        s->mapping_bytes = bytes;
        s->targets_max = targets_max;
        return s;
}

void standings_free(struct standings *s)
{
        if (s)
                munmap(s, s->mapping_bytes);
}

struct standing *standing_of(struct standings *s, uint64_t key)
{
        key |= 1; /* 0 marks a free place */
        for (size_t i = 0; i < s->targets_max; i++) {
                uint64_t held = atomic_load(&s->targets[i].key);

                if (held == 0 && atomic_compare_exchange_strong(&s->targets[i].key, &held, key))
                        return &s->targets[i];
                if (held == key)
                        return &s->targets[i];
        }
        return NULL;
}

bool standing_is_usable(const struct standing *s, mono_ms now)
{
        return !s || (!atomic_load_explicit(&s->is_down, memory_order_relaxed) &&
                      atomic_load_explicit(&s->ejected_until, memory_order_relaxed) <= now);
}
