#include "wg/deadlines.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void wg_deadlines_init(struct wg_deadlines *h)
{
        memset(h, 0, sizeof(*h));
}

void wg_deadlines_fini(struct wg_deadlines *h)
{
        free(h->heap);
        wg_deadlines_init(h);
}

enum err wg_deadlines_reserve(struct wg_deadlines *h, size_t count)
{
        if (count <= h->cap)
                return ERR_OK;
        size_t cap = MAX(count, 2 * h->cap);
        struct wg_deadline **heap = realloc(h->heap, cap * sizeof(*heap));
        if (!heap)
                return ERR_NO_MEMORY;
        h->heap = heap;
        h->cap = cap;
        return ERR_OK;
}

static void place(struct wg_deadlines *h, size_t at, struct wg_deadline *d)
{
        h->heap[at] = d;
        d->at = at + 1;
}

static void sift_up(struct wg_deadlines *h, size_t at)
{
        struct wg_deadline *d = h->heap[at];

        while (at > 0 && h->heap[(at - 1) / 2]->due > d->due) {
                place(h, at, h->heap[(at - 1) / 2]);
                at = (at - 1) / 2;
        }
        place(h, at, d);
}

static void sift_down(struct wg_deadlines *h, size_t at)
{
        struct wg_deadline *d = h->heap[at];
        size_t child;

        while ((child = 2 * at + 1) < h->count) {
                if (child + 1 < h->count && h->heap[child + 1]->due < h->heap[child]->due)
                        child++;
                if (h->heap[child]->due >= d->due)
                        break;
                place(h, at, h->heap[child]);
                at = child;
        }
        place(h, at, d);
}

void wg_deadlines_set(struct wg_deadlines *h, struct wg_deadline *d, mono_ms due)
{
        d->due = due;
        if (!d->at) {
                assert(h->count < h->cap);
                place(h, h->count++, d);
        }
        sift_up(h, d->at - 1);
        sift_down(h, d->at - 1);
}

void wg_deadlines_remove(struct wg_deadlines *h, struct wg_deadline *d)
{
        if (!d->at)
                return;
        size_t at = d->at - 1;
        struct wg_deadline *last = h->heap[--h->count];
        d->at = 0;
        if (last == d)
                return;
        place(h, at, last);
        sift_up(h, at);
        sift_down(h, last->at - 1);
}

struct wg_deadline *wg_deadlines_first(const struct wg_deadlines *h)
{
        return h->count ? h->heap[0] : NULL;
}
