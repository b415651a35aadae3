#include "control/numbers.h"

#include <stdlib.h>
#include <string.h>

struct number *numbers_find(struct numbers *all, int64_t node)
{
        size_t low = 0, high = all->count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (all->list[middle].node < node)
                        low = middle + 1;
                else
                        high = middle;
        }
        if (low < all->count && all->list[low].node == node)
                return &all->list[low];
        if (all->count == all->cap) {
                size_t cap = all->cap ? all->cap * 2 : 64;
                struct number *grown = realloc(all->list, cap * sizeof(*grown));

                if (!grown)
                        return NULL;
                all->list = grown;
                all->cap = cap;
        }
        memmove(&all->list[low + 1], &all->list[low], (all->count - low) * sizeof(*all->list));
        all->count++;
        all->list[low] = (struct number){ .node = node };
        return &all->list[low];
}

void numbers_fini(struct numbers *all)
{
        free(all->list);
        *all = (struct numbers){ 0 };
}

uint64_t numbers_next(const struct number *n, const struct wire_have *have, uint64_t seq,
                      const uint8_t items[WIRE_HASH_BYTES])
{
        bool is_later = have && have->is_any && have->version >= n->version;
        uint64_t last = is_later ? have->version : n->version;
        const uint8_t *of_last = is_later ? have->items : n->items;

        if (last && memcmp(of_last, items, WIRE_HASH_BYTES) == 0)
                return last;
        return MAX(seq, last + 1);
}
