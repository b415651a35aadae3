#include "wg/index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

/* Linear probing; at most half full; removal closes the gap, so that there are no tombstones. */
enum { CAP_MIN = 16 };

void wg_index_init(struct wg_index *t)
{
        memset(t, 0, sizeof(*t));
}

void wg_index_fini(struct wg_index *t)
{
        free(t->entries);
        wg_index_init(t);
}

static size_t home(const struct wg_index *t, uint32_t index)
{
        return hash_u64(index) & (t->cap - 1);
}

static size_t slot_of(const struct wg_index *t, uint32_t index)
{
        size_t at = home(t, index);

        while (t->entries[at].index && t->entries[at].index != index)
                at = (at + 1) & (t->cap - 1);
        return at;
}

struct wg_index_entry *wg_index_find(const struct wg_index *t, uint32_t index)
{
        if (t->cap == 0 || index == 0)
                return NULL;
        struct wg_index_entry *e = &t->entries[slot_of(t, index)];
        return e->index ? e : NULL;
}

static enum err grow(struct wg_index *t)
{
        struct wg_index bigger = { .count = t->count, .cap = t->cap ? 2 * t->cap : CAP_MIN };

        if (!(bigger.entries = calloc(bigger.cap, sizeof(*bigger.entries))))
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < t->cap; i++)
                if (t->entries[i].index)
                        bigger.entries[slot_of(&bigger, t->entries[i].index)] = t->entries[i];
        free(t->entries);
        *t = bigger;
        return ERR_OK;
}

enum err wg_index_add(struct wg_index *t, uint32_t index, struct wg_peer *peer, struct wg_keypair *keypair)
{
        assert(index != 0);
        if (2 * (t->count + 1) > t->cap && grow(t) != ERR_OK)
                return ERR_NO_MEMORY;
        struct wg_index_entry *e = &t->entries[slot_of(t, index)];
        if (e->index)
                return ERR_EXISTS;
        *e = (struct wg_index_entry){ index, peer, keypair };
        t->count++;
        return ERR_OK;
}

void wg_index_remove(struct wg_index *t, uint32_t index)
{
        if (!wg_index_find(t, index))
                return;
        size_t mask = t->cap - 1, gap = slot_of(t, index);
        t->entries[gap].index = 0;
        t->count--;
        /* Whoever was pushed past the gap moves into it. */
        for (size_t at = (gap + 1) & mask; t->entries[at].index; at = (at + 1) & mask) {
                size_t from_home = (at - home(t, t->entries[at].index)) & mask;
                if (from_home < ((at - gap) & mask))
                        continue;
                t->entries[gap] = t->entries[at];
                t->entries[at].index = 0;
                gap = at;
        }
}
