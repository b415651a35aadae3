#include "control/lead.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/hub.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "identity/owner.h"
#include "store/controls.h"
#include "store/leader.h"
#include "store/nodes.h"
#include "store/settings.h"

#define FORGET_MS (INT64_C(24) * 3600 * 1000)

enum { NAME_BYTES = 64 };

static const struct store_actor system_actor = { STR_INIT("system"), STR_INIT("") };

struct lead {
        struct control *control;
        bool is_shared;
        int64_t row;           /* fixed after the start */
        uint64_t number;       /* of this process: another each time it starts */
        char name[NAME_BYTES]; /* "ROW-NUMBER" */

        bool is_us, is_asking;
        unsigned failures;
        struct timer timer;
        bool has_link;
        char link[IDENTITY_SECRET_SIZE];
};

/* ---- the job ---- */

struct lead_job {
        struct store_job job;
        struct lead *lead;
        bool is_first, was_us, wants_row;
        /* what came of it */
        int64_t row, epoch;
        bool is_us, has_link;
        char name[NAME_BYTES];
        char link[IDENTITY_SECRET_SIZE];
};

static void name_make(char out[NAME_BYTES], int64_t row, uint64_t number)
{
        snprintf(out, NAME_BYTES, "%" PRId64 "-%016" PRIx64, row, number);
}

bool lead_name_is_of(struct str name, int64_t row)
{
        char text[NAME_BYTES];
        int n = snprintf(text, sizeof(text), "%" PRId64 "-", row);

        return n > 0 && str_has_prefix(name, (struct str){ text, (size_t)n });
}

/* A control whose row was forgotten, or restored away, comes back by its address. */
static enum err presence(struct lead_job *j, struct store_txn *t, struct arena *a)
{
        const struct control *c = j->lead->control;
        struct store_control row;
        enum err e = store_control_by_url(t, STORE_ORG_DEFAULT, str_of(c->url), &system_actor, a, &row);

        if (e != ERR_OK ||
            (e = store_control_seen(t, row.id, store_now(t), j->is_first ? c->started : 0)) != ERR_OK)
                return e;
        j->row = row.id;
        return j->is_first ? store_node_leave(t, 0, row.id) : ERR_OK;
}

static enum err lead_try(struct lead_job *j, struct store_txn *t, struct arena *a)
{
        struct store_leader leader;
        enum err e;

        j->is_us = j->has_link = false;
        if (j->lead->is_shared && (e = presence(j, t, a)) != ERR_OK)
                return e;
        if (j->is_first)
                name_make(j->name, j->row, j->lead->number);
        if ((e = store_lead(t, str_of(j->name), &system_actor, a, &leader)) != ERR_OK ||
            (e = store_epoch(t, &j->epoch)) != ERR_OK)
                return e;
        j->is_us = leader.is_us;
        if (j->is_us && j->lead->is_shared &&
            (e = store_control_forget(t, STORE_ORG_DEFAULT, store_now(t) - FORGET_MS, &system_actor)) !=
                    ERR_OK)
                return e;
        return j->is_us && !j->was_us ? identity_owner_link(t, a, j->link, &j->has_link) : ERR_OK;
}

static enum err lead_run(struct store_job *job, struct store_txn *t)
{
        struct lead_job *j = CONTAINER_OF(job, struct lead_job, job);
        struct arena a;
        enum err e;

        arena_init(&a, NULL, 0, 4 << 20);
        e = lead_try(j, t, &a);
        arena_fini(&a);
        return e;
}

/* ---- what came of it ---- */

static void take(struct lead *l, const struct lead_job *j)
{
        if (j->is_us != l->is_us && l->is_shared)
                log_info(j->is_us ? "lead_taken" : "lead_lost", LOG_C("control", l->name),
                         LOG_N("epoch", j->epoch));
        l->is_us = j->is_us;
        if (j->has_link) {
                l->has_link = true;
                memcpy(l->link, j->link, sizeof(l->link));
        }
}

static void failed(struct lead *l, struct lead_job *j, enum err e)
{
        if (l->failures++ == 0)
                log_error("store_not_reached", LOG_E(e), LOG_C("reason", j->job.reason),
                          LOG_C("meaning", "changes wait; tried again every two seconds"));
        if (l->failures == LEAD_FAILURES_MAX)
                hub_send_elsewhere(l->control->hub);
}

static void lead_done(struct store_job *job, enum err e)
{
        struct lead_job *j = CONTAINER_OF(job, struct lead_job, job);
        struct lead *l = j->lead;
        struct control *c = l->control;
        bool was_us = l->is_us;

        l->is_asking = false;
        if (e != ERR_OK) {
                failed(l, j, e);
        } else {
                if (l->failures)
                        log_info("store_reached", LOG_N("epoch", j->epoch));
                l->failures = 0;
                take(l, j);
                lead_link_show(l);
                if (c->is_serving && (j->epoch != c->secrets.epoch || l->is_us != was_us))
                        hub_changed(c->hub);
        }
        crypto_wipe(j->link, sizeof(j->link));
        free(j);
}

static struct lead_job *job_new(struct lead *l)
{
        struct lead_job *j = calloc(1, sizeof(*j));

        if (!j)
                return NULL;
        j->job = (struct store_job){ .run = lead_run, .done = lead_done };
        j->lead = l;
        j->was_us = l->is_us;
        memcpy(j->name, l->name, sizeof(j->name));
        return j;
}

static void on_timer(struct timer *t)
{
        struct lead *l = CONTAINER_OF(t, struct lead, timer);
        struct lead_job *j = l->is_asking || l->control->is_stopping ? NULL : job_new(l);

        timer_set(l->control->loop, t, loop_now(l->control->loop) + LEAD_EVERY_MS);
        if (!j)
                return;
        l->is_asking = true;
        if (store_submit(l->control->store, &j->job) == ERR_OK)
                return;
        l->is_asking = false;
        free(j);
}

/* ---- life ---- */

enum err lead_new(struct control *control, struct lead **out)
{
        struct lead *l = calloc(1, sizeof(*l));
        struct lead_job *j;
        enum err e;

        if (!l)
                return ERR_NO_MEMORY;
        *out = l;
        l->control = control;
        l->is_shared = store_is_shared(control->store);
        l->number = crypto_random_u64();
        timer_init(&l->timer, on_timer);
        if (!(j = job_new(l)))
                return ERR_NO_MEMORY;
        j->is_first = true;
        if ((e = control_wait(control, &j->job)) == ERR_OK) {
                l->row = j->row;
                memcpy(l->name, j->name, sizeof(l->name));
                control->secrets.epoch = j->epoch;
                take(l, j);
        } else {
                fprintf(stderr, "sekisho: the store cannot be written to: %s %s\n", err_text(e),
                        j->job.reason);
        }
        crypto_wipe(j->link, sizeof(j->link));
        free(j);
        return e;
}

void lead_start(struct lead *l)
{
        if (l->is_shared)
                timer_set(l->control->loop, &l->timer, loop_now(l->control->loop) + LEAD_EVERY_MS);
}

void lead_link_show(struct lead *l)
{
        if (l->has_link)
                control_link_show(l->control, l->link, sizeof(l->link));
        l->has_link = false;
}

struct end_job {
        struct store_job job;
        int64_t row;
};

static enum err end_run(struct store_job *job, struct store_txn *t)
{
        struct end_job *j = CONTAINER_OF(job, struct end_job, job);
        enum err e = store_node_leave(t, 0, j->row);

        return e == ERR_OK ? store_lead_end(t) : e;
}

static void end_done(struct store_job *job, enum err e)
{
        free(CONTAINER_OF(job, struct end_job, job));
}

void lead_end(struct lead *l)
{
        struct end_job *j;

        if (!l)
                return;
        timer_clear(&l->timer);
        if (!l->is_shared || !(j = calloc(1, sizeof(*j))))
                return;
        j->job = (struct store_job){ .run = end_run, .done = end_done };
        j->row = l->row;
        if (store_submit(l->control->store, &j->job) != ERR_OK)
                free(j);
}

void lead_free(struct lead *l)
{
        if (!l)
                return;
        crypto_wipe(l->link, sizeof(l->link));
        free(l);
}

enum err lead_check(const struct control *control, struct store_txn *t, bool *is_us)
{
        struct store_leader leader;
        struct arena a;
        enum err e;

        arena_init(&a, NULL, 0, 1 << 16);
        e = store_lead(t, str_of(control->lead->name), &system_actor, &a, &leader);
        *is_us = e == ERR_OK && leader.is_us;
        arena_fini(&a);
        return e;
}

int64_t lead_row(const struct lead *l)
{
        return l->row;
}
