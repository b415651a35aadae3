#include "http/h2_window.h"

#include "base/compiler.h"

/*
 * Parts of a window. The far end answers before it sends what the same turn allowed it to, so of a window that comes at
 * once only what is behind the question counts: it is asked early, and half of a window is enough.
 */
enum { ASK_AFTER = 8, ENOUGH = 2, UNUSED_MOST = 4 };

const uint8_t h2_window_question[8] = { 's', 'k', 'w', 'i', 'n', 'd', 'o', 'w' };

static _Thread_local size_t grown;

void h2_window_init(struct h2_window *w, uint32_t size)
{
        *w = (struct h2_window){ .size = size, .first = size };
}

bool h2_window_came(struct h2_windows *all, struct h2_window *w, size_t bytes)
{
        w->held += (uint32_t)bytes;
        if (all->asked) {
                all->came += all->asked == w ? (uint32_t)bytes : 0;
                return false;
        }
        w->since_question += (uint32_t)bytes;
        if (w->size >= H2_WINDOW_MAX || w->since_question < w->size / ASK_AFTER)
                return false;
        w->since_question = 0;
        all->asked = w;
        all->came = 0;
        return true;
}

void h2_window_used(struct h2_window *w, size_t bytes)
{
        w->held -= (uint32_t)MIN(bytes, (size_t)w->held);
}

struct h2_window *h2_window_answered(struct h2_windows *all)
{
        struct h2_window *w = all->asked;

        all->asked = NULL;
        if (!w || all->came < w->size / ENOUGH || w->held > w->size / UNUSED_MOST ||
            w->size > H2_WINDOWS_GROWN_MAX - grown)
                return NULL;
        grown += w->size;
        w->size *= 2;
        return w;
}

void h2_window_end(struct h2_windows *all, struct h2_window *w)
{
        if (all->asked == w)
                all->asked = NULL;
        grown -= w->size - w->first;
        w->size = w->first;
}
