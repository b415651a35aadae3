#include "proxy/pace.h"

#include "proxy/route.h"
#include "proxy/worker.h"

struct pacing {
        struct exchange *x;
        struct timer timer;
        struct pace request, answer;
};

bool pace_is_too_slow(struct pace *p, uint64_t rate, uint64_t bytes, bool is_waiting)
{
        uint64_t came = bytes - p->bytes;

        if (!is_waiting) { /* it kept up with us: all is forgiven */
                *p = (struct pace){ .bytes = bytes };
                return false;
        }
        p->waited_ms += PACE_TICK_MS;
        if (p->waited_ms < PACE_WINDOW_MS)
                return false;
        bool is_slow = came < rate * p->waited_ms / 1000;
        *p = (struct pace){ .bytes = bytes };
        return is_slow;
}

static bool waits_for_request(const struct exchange *x)
{
        return !x->is_tunnel && !x->request_done && (x->is_collecting || (x->up && x->up->has_room));
}

static bool waits_for_taking(const struct exchange *x)
{
        return !x->is_tunnel && x->answer_started && !x->answer_done && x->down && !x->down->has_room;
}

static void on_tick(struct timer *t)
{
        struct pacing *p = CONTAINER_OF(t, struct pacing, timer);
        struct exchange *x = p->x;
        uint64_t rate = x->route->minimum_rate;
        struct http_refusal refusal = { 408, "minimum_rate" };

        if (x->is_ended)
                return;
        timer_set(x->w->loop, t, loop_now(x->w->loop) + PACE_TICK_MS);
        if (pace_is_too_slow(&p->request, rate, x->request_bytes, waits_for_request(x)) ||
            pace_is_too_slow(&p->answer, rate, x->answer_bytes, waits_for_taking(x)))
                exchange_request_broken(x, &refusal);
}

bool pace_watch(struct exchange *x)
{
        if (!x->route->minimum_rate || x->pacing)
                return true;
        if (!(x->pacing = ARENA_NEW(&x->arena, struct pacing)))
                return false;
        x->pacing->x = x;
        timer_init(&x->pacing->timer, on_tick);
        timer_set(x->w->loop, &x->pacing->timer, loop_now(x->w->loop) + PACE_TICK_MS);
        return true;
}

void pace_end(struct exchange *x)
{
        if (x->pacing)
                timer_clear(&x->pacing->timer);
        x->pacing = NULL;
}
