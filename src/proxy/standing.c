#include "proxy/standing.h"

#include <sys/mman.h>

enum { EJECT_MS_MAX = 600000, EJECT_DOUBLINGS_MAX = 10 };

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

enum standing_state standing_look(const struct standing *s, mono_ms now)
{
        if (!s)
                return STANDING_UP;
        if (atomic_load_explicit(&s->is_down, memory_order_relaxed))
                return STANDING_DOWN;
        if (atomic_load_explicit(&s->ejected_until, memory_order_relaxed) > now)
                return STANDING_EJECTED;
        return atomic_load_explicit(&s->ejections, memory_order_relaxed) ? STANDING_HALF_OPEN : STANDING_UP;
}

bool standing_probe_take(struct standing *s, mono_ms now, int64_t lease_ms)
{
        mono_ms until = atomic_load(&s->probe_until);

        return until <= now && atomic_compare_exchange_strong(&s->probe_until, &until, now + lease_ms);
}

void standing_probe_put(struct standing *s)
{
        atomic_store(&s->probe_until, 0);
}

bool standing_probe_is_taken(const struct standing *s, mono_ms now)
{
        return atomic_load_explicit(&s->probe_until, memory_order_relaxed) > now;
}

bool standing_fail(struct standing *s, const struct standing_rule *rule, mono_ms now)
{
        if (rule->failures_max == 0)
                return false;
        switch (standing_look(s, now)) {
        case STANDING_UP: break;
        case STANDING_HALF_OPEN: return true;
        case STANDING_EJECTED: /* begun before it: that is known already */
        case STANDING_DOWN: return false;
        }
        if (atomic_load(&s->failures) == 0 || now - atomic_load(&s->failing_since) > rule->window_ms) {
                atomic_store(&s->failing_since, now);
                atomic_store(&s->failures, 0);
        }
        return atomic_fetch_add(&s->failures, 1) + 1 >= rule->failures_max;
}

void standing_eject(struct standing *s, const struct standing_rule *rule, mono_ms now)
{
        uint32_t ejections = atomic_fetch_add(&s->ejections, 1);
        uint32_t doublings = MIN(ejections, (uint32_t)EJECT_DOUBLINGS_MAX);
        int64_t eject_ms = MIN(rule->eject_ms << doublings, (int64_t)EJECT_MS_MAX);

        atomic_store(&s->failures, 0);
        atomic_store(&s->probe_until, 0);
        atomic_store(&s->ejected_until, now + eject_ms);
}

bool standing_succeed(struct standing *s, mono_ms now)
{
        if (atomic_load_explicit(&s->failures, memory_order_relaxed))
                atomic_store(&s->failures, 0);
        if (standing_look(s, now) != STANDING_HALF_OPEN)
                return false;
        atomic_store(&s->ejections, 0);
        atomic_store(&s->probe_until, 0);
        atomic_store(&s->back_since, now);
        return true;
}

bool standing_set_down(struct standing *s, bool is_down, mono_ms now)
{
        if (atomic_exchange(&s->is_down, is_down) == is_down)
                return false;
        if (!is_down) { /* the checks know better than what was counted before */
                atomic_store(&s->failures, 0);
                atomic_store(&s->ejections, 0);
                atomic_store(&s->ejected_until, 0);
                atomic_store(&s->back_since, now);
        }
        return true;
}
