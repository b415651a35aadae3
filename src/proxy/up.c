#include "proxy/up.h"

#include <assert.h>

#include "proxy/route.h"
#include "proxy/up_dial.h"
#include "proxy/up_h1.h"
#include "proxy/worker.h"

enum { WAITING_MAX = 100 }; /* exchanges that wait for one connection: as many streams as a usual one has */

void up_target_init(struct target *t)
{
        list_init(&t->idle);
        list_init(&t->dials);
}

void up_note_failure(struct worker *w, struct target *t)
{
        if (target_failed(t, loop_now(w->loop)))
                measure_add(w, t->measure.ejections, 1);
}

const struct upstream_waits *up_waits(const struct exchange *x, const struct target *t)
{
        return x && x->route && x->route->waits ? x->route->waits : &t->upstream->waits;
}

/* ---- waiting ---- */

static void wait_for(struct exchange *x, struct up_dial *d)
{
        x->is_connecting = true;
        x->connecting = d;
        list_add_last(&d->waiting, &x->connect_node);
        d->waiting_count++;
}

static void wait_end(struct exchange *x)
{
        list_remove(&x->connect_node);
        if (x->connecting)
                x->connecting->waiting_count--;
        x->connecting = NULL;
        x->is_connecting = false;
}

void up_abandon(struct exchange *x)
{
        struct up_dial *d = x->connecting;

        if (!x->is_connecting)
                return;
        wait_end(x);
        if (d && d->waiting_count == 0)
                up_dial_free(d);
}

/* No connection came of it; nothing was sent, so those who wait may try elsewhere. */
static void dial_failed(struct up_dial *d, enum err e)
{
        struct worker *w = d->w;
        unsigned left_out;

        up_note_failure(w, d->target);
        measure_add(w, d->target->measure.failures, 1);
        if (log_limit_pass(&w->connect_failures, loop_now(w->loop), &left_out))
                log_info("upstream_connect_failed", LOG_S("upstream", d->target->upstream->name),
                         LOG_S("target", d->target->url), LOG_E(e), LOG_N("left_out", left_out));
        while (!list_is_empty(&d->waiting)) {
                struct exchange *x = CONTAINER_OF(d->waiting.next, struct exchange, connect_node);

                wait_end(x);
                exchange_up_reset(x, e, true);
        }
        up_dial_free(d);
}

static void on_dialled(struct up_dial *d, enum err e)
{
        struct exchange *x = LIST_FIRST(&d->waiting, struct exchange, connect_node);

        list_remove(&d->node);
        if (e != ERR_OK) {
                dial_failed(d, e);
                return;
        }
        assert(x);
        wait_end(x);
        e = up_h1_start(x, d);
        if (e != ERR_OK)
                exchange_up_reset(x, e, true);
        up_dial_free(d);
}

static enum err dial_for(struct exchange *x, struct target *t)
{
        struct up_dial *d = up_dial_start(x->w, x->snap, t, false, up_waits(x, t)->connect_ms, on_dialled);

        if (!d)
                return ERR_NO_MEMORY;
        wait_for(x, d);
        return ERR_OK;
}

/* ---- the choice ---- */

enum err up_connect(struct exchange *x, struct target *t)
{
        x->target_in_use = t;
        if (up_h1_reuse(x, t))
                return ERR_OK;
        return dial_for(x, t);
}

void up_close_idle(struct target *t)
{
        up_h1_close_idle(t);
}
