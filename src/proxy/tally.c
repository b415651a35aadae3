#include "proxy/tally.h"

#include <stdatomic.h>
#include <sys/mman.h>

/*
 * Theory of operation. An open-addressing directory of key words, claimed by compare-and-swap and never given back while
 * its sum is above zero; a slot whose sum is zero may be claimed by another key. Behind it one row of counts a worker.
 * Two workers may claim the last place of a key at once: the bound is then passed by at most the number of workers.
 */

enum { PROBES_MAX = 8 };

struct tally {
        size_t mapping_bytes;
        unsigned workers_count;
        uint32_t keys_mask;
        _Atomic uint64_t *keys;
        _Atomic uint32_t *counts; /* [worker][key] */
};

struct tally *tally_new(unsigned workers_count, size_t keys_count)
{
        size_t keys = PROBES_MAX;

        while (keys < keys_count)
                keys *= 2;
        size_t head = (sizeof(struct tally) + 63) & ~(size_t)63;
        size_t bytes = head + keys * sizeof(uint64_t) + keys * workers_count * sizeof(uint32_t);
        char *mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (mapping == MAP_FAILED)
                return NULL;
        struct tally *t = (struct tally *)(void *)mapping;
        t->mapping_bytes = bytes;
        t->workers_count = workers_count;
        t->keys_mask = (uint32_t)keys - 1;
        t->keys = (_Atomic uint64_t *)(void *)(mapping + head);
        t->counts = (_Atomic uint32_t *)(void *)(mapping + head + keys * sizeof(uint64_t));
        return t;
}

void tally_free(struct tally *t)
{
        if (t)
                munmap(t, t->mapping_bytes);
}

static _Atomic uint32_t *count_at(const struct tally *t, unsigned worker, uint32_t slot)
{
        return &t->counts[(size_t)worker * (t->keys_mask + 1) + slot];
}

static uint32_t slot_sum(const struct tally *t, uint32_t slot)
{
        uint32_t sum = 0;

        for (unsigned w = 0; w < t->workers_count; w++)
                sum += atomic_load_explicit(count_at(t, w, slot), memory_order_relaxed);
        return sum;
}

/* The slot that holds `key`; or, with `claim`, one that nobody uses, made the key's; or -1. */
static int32_t slot_find(const struct tally *t, uint64_t key, bool claim)
{
        uint32_t start = (uint32_t)(key >> 32) & t->keys_mask;

        for (uint32_t i = 0; i < PROBES_MAX; i++) {
                uint32_t slot = (start + i) & t->keys_mask;
                if (atomic_load_explicit(&t->keys[slot], memory_order_relaxed) == key)
                        return (int32_t)slot;
        }
        if (!claim)
                return TALLY_NO_SLOT;
        for (uint32_t i = 0; i < PROBES_MAX; i++) {
                uint32_t slot = (start + i) & t->keys_mask;
                uint64_t held = atomic_load_explicit(&t->keys[slot], memory_order_relaxed);

                if (slot_sum(t, slot) == 0 && atomic_compare_exchange_strong(&t->keys[slot], &held, key))
                        return (int32_t)slot;
        }
        return (int32_t)start; /* crowded: shared with whoever is there */
}

int32_t tally_enter(struct tally *t, unsigned worker, uint64_t key, uint32_t max)
{
        key |= 1; /* 0 marks an unused slot */
        int32_t slot = slot_find(t, key, true);

        if (slot_sum(t, (uint32_t)slot) >= max)
                return TALLY_NO_SLOT;
        atomic_fetch_add_explicit(count_at(t, worker, (uint32_t)slot), 1, memory_order_relaxed);
        return slot;
}

void tally_leave(struct tally *t, unsigned worker, int32_t slot)
{
        if (slot != TALLY_NO_SLOT)
                atomic_fetch_sub_explicit(count_at(t, worker, (uint32_t)slot), 1, memory_order_relaxed);
}

uint32_t tally_count(const struct tally *t, uint64_t key)
{
        int32_t slot = slot_find(t, key | 1, false);

        return slot == TALLY_NO_SLOT ? 0 : slot_sum(t, (uint32_t)slot);
}

void tally_forget(struct tally *t, unsigned worker)
{
        for (uint32_t slot = 0; slot <= t->keys_mask; slot++)
                atomic_store_explicit(count_at(t, worker, slot), 0, memory_order_relaxed);
}
