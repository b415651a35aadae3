/*
 * Nodes that come and go. Theory of operation: a node may come from another control that shares the store, and may have been
 * told there what this one has not read yet. So nothing is told before a reading that began after the node's hello, or, which
 * is cheaper, a question that did and found that nothing was committed since the last reading. One question serves all who
 * came before it began.
 */
#include <stdlib.h>

#include "control/hub_priv.h"
#include "control/lead.h"
#include "store/outbox.h"
#include "store/settings.h"

enum { RETRY_MS = 1000 };

struct asking_job {
        struct store_job job;
        struct hub *hub;
        uint64_t number;
        int64_t epoch, seq;
};

static void ask(struct hub *h);

static enum err asking_run(struct store_job *job, struct store_txn *t)
{
        struct asking_job *a = CONTAINER_OF(job, struct asking_job, job);
        int64_t first;
        enum err e = store_epoch(t, &a->epoch);

        return e == ERR_OK ? store_outbox_range(t, &first, &a->seq) : e;
}

/* Somebody came after the question, and no reading has begun since. */
static bool is_one_waiting(const struct hub *h)
{
        list_for_each(node, &h->channels) {
                const struct channel *ch = CONTAINER_OF(node, struct channel, node_in_hub);

                if (!ch->is_confirmed && ch->arrived != UINT64_MAX && ch->arrived >= h->jobs_count)
                        return true;
        }
        return false;
}

static void asking_done(struct store_job *job, enum err e)
{
        struct asking_job *a = CONTAINER_OF(job, struct asking_job, job);
        struct hub *h = a->hub;

        h->is_asking = false;
        if (e == ERR_OK && h->desired && h->desired->epoch == a->epoch && h->desired->seq == a->seq)
                hub_documents_refresh(h, a->number, true);
        else
                hub_refresh(h);
        free(a);
        if (is_one_waiting(h))
                ask(h);
}

static void ask(struct hub *h)
{
        struct asking_job *a;

        if (h->is_asking || h->is_stopped)
                return;
        if ((a = calloc(1, sizeof(*a)))) {
                a->job = (struct store_job){ .run = asking_run, .done = asking_done, .is_read = true };
                a->hub = h;
                a->number = ++h->jobs_count;
                h->is_asking = true;
                if (store_submit(h->control->store, &a->job) == ERR_OK)
                        return;
                h->is_asking = false;
                free(a);
        }
        timer_set(h->control->loop, &h->moment, loop_now(h->control->loop) + RETRY_MS);
}

void hub_hello(struct hub *h, struct channel *ch)
{
        ch->arrived = h->jobs_count;
        ask(h);
}

/* ---- who leaves: others show it no longer as connected here ---- */

struct leaving_job {
        struct store_job job;
        int64_t node, row;
};

static enum err leaving_run(struct store_job *job, struct store_txn *t)
{
        struct leaving_job *l = CONTAINER_OF(job, struct leaving_job, job);

        return store_node_leave(t, l->node, l->row);
}

static void leaving_done(struct store_job *job, enum err e)
{
        free(CONTAINER_OF(job, struct leaving_job, job));
}

void hub_left(struct hub *h, int64_t node)
{
        int64_t row = lead_row(h->control->lead);
        struct leaving_job *l;

        if (!row || h->is_stopped || hub_channel_find(h, node) || !(l = calloc(1, sizeof(*l))))
                return; /* a control that stops says it of all at once */
        l->job = (struct store_job){ .run = leaving_run, .done = leaving_done };
        l->node = node;
        l->row = row;
        if (store_submit(h->control->store, &l->job) != ERR_OK)
                free(l);
}
