#include "proxy/waitline.h"

void waitline_init(struct waitline *l, uint32_t waiters_max, int64_t wait_ms)
{
        *l = (struct waitline){ .waiters_max = waiters_max, .wait_ms = wait_ms };
        list_init(&l->waiters);
}

bool waitline_join(struct waitline *l, struct waiter *w, mono_ms now)
{
        if (l->count >= l->waiters_max)
                return false;
        w->since = now;
        list_add_last(&l->waiters, &w->node);
        l->count++;
        return true;
}

bool waitline_join_again(struct waitline *l, struct waiter *w)
{
        struct list *after = l->waiters.prev;

        if (l->count >= l->waiters_max)
                return false;
        while (after != &l->waiters && CONTAINER_OF(after, struct waiter, node)->since > w->since)
                after = after->prev;
        list_add(after, &w->node);
        l->count++;
        return true;
}

void waitline_leave(struct waitline *l, struct waiter *w)
{
        if (list_is_empty(&w->node))
                return;
        list_remove(&w->node);
        l->count--;
}

struct waiter *waitline_next(struct waitline *l, mono_ms now)
{
        if (list_is_empty(&l->waiters))
                return NULL;
        struct waiter *oldest = CONTAINER_OF(l->waiters.next, struct waiter, node),
                      *newest = CONTAINER_OF(l->waiters.prev, struct waiter, node);
        struct waiter *w = now - oldest->since > l->wait_ms / 2 ? newest : oldest;

        waitline_leave(l, w);
        return w;
}
