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
