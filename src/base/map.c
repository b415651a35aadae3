#include "base/map.h"

#include <assert.h>
#include <stdlib.h>

enum { MAP_CAP_MIN = 16 };

void map_init(struct map *m, struct hash_key hash_key, size_t entries_max)
{
        *m = (struct map){ .hash_key = hash_key, .entries_max = entries_max };
}

void map_fini(struct map *m)
{
        free(m->entries);
        map_init(m, m->hash_key, m->entries_max);
}

/* The slot that holds `key`, or the free one where it belongs. There is always a free slot. */
static size_t slot_find(const struct map *m, struct str key)
{
        size_t i = hash_str(m->hash_key, key) & (m->cap - 1);

        while (m->entries[i].value && !str_eq(m->entries[i].key, key))
                i = (i + 1) & (m->cap - 1);
        return i;
}

void *map_find(const struct map *m, struct str key)
{
        return m->cap ? m->entries[slot_find(m, key)].value : NULL;
}

static enum err map_grow(struct map *m)
{
        struct map bigger = *m;

        bigger.cap = MAX(m->cap * 2, (size_t)MAP_CAP_MIN);
        bigger.entries = calloc(bigger.cap, sizeof(*bigger.entries));
        if (!bigger.entries)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < m->cap; i++)
                if (m->entries[i].value)
                        bigger.entries[slot_find(&bigger, m->entries[i].key)] = m->entries[i];
        free(m->entries);
        *m = bigger;
        return ERR_OK;
}

enum err map_add(struct map *m, struct str key, void *value)
{
        assert(value);
        if (map_find(m, key))
                return ERR_EXISTS;
        if (m->count == m->entries_max)
                return ERR_TOO_LARGE;
        if (m->count + 1 > m->cap - m->cap / 4) {
                enum err e = map_grow(m);
                if (e != ERR_OK)
                        return e;
        }
        m->entries[slot_find(m, key)] = (struct map_entry){ key, value };
        m->count++;
        return ERR_OK;
}

void *map_remove(struct map *m, struct str key)
{
        if (!m->cap)
                return NULL;
        size_t hole = slot_find(m, key);
        void *value = m->entries[hole].value;

        if (!value)
                return NULL;
        m->entries[hole].value = NULL;
        m->count--;
        /* Move back what was displaced past the hole, so that no search stops at it too early. */
        for (size_t i = (hole + 1) & (m->cap - 1); m->entries[i].value; i = (i + 1) & (m->cap - 1)) {
                struct map_entry moved = m->entries[i];

                m->entries[i].value = NULL;
                m->entries[slot_find(m, moved.key)] = moved;
        }
        return value;
}

const struct map_entry *map_next(const struct map *m, size_t *at)
{
        while (*at < m->cap) {
                const struct map_entry *entry = &m->entries[(*at)++];
                if (entry->value)
                        return entry;
        }
        return NULL;
}
