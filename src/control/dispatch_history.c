#include "control/dispatch_history.h"

#include <stdlib.h>
#include <string.h>

#include "control/control_priv.h"
#include "dispatch/dispatcher.h"
#include "store/dispatches.h"

enum {
        WAITING_MAX = 2000,
        WRITE_MS = 500,
        KEPT_MAX = 100 * 1000,
        PRUNED_MAX = 5000, /* at a time */
        COUNTS_EVERY = 10  /* writings */
};
#define KEPT_MS (INT64_C(30) * 86400 * 1000)

struct batch {
        struct store_job job;
        struct arena arena;
        struct store_dispatch rows[WAITING_MAX];
        size_t count;
        struct store_dispatch_source *sources; /* changed ones; NULL: not now */
        size_t sources_count;
};

struct dispatch_history {
        struct control *control;
        struct batch *batch; /* being filled; NULL: empty */
        struct timer timer;
        bool is_writing;
        unsigned writings;
        uint64_t left_out;
        unix_ms counted; /* addresses used since then are not written yet */
};

static enum err batch_run(struct store_job *job, struct store_txn *t)
{
        struct batch *b = CONTAINER_OF(job, struct batch, job);
        int64_t removed;
        enum err e = ERR_OK;

        for (size_t i = 0; i < b->count && e == ERR_OK; i++)
                e = store_dispatch_add(t, &b->rows[i]);
        for (size_t i = 0; i < b->sources_count && e == ERR_OK; i++)
                e = store_dispatch_source_put(t, &b->sources[i]);
        return e == ERR_OK ? store_dispatch_prune(t, store_now(t) - KEPT_MS, KEPT_MAX, PRUNED_MAX, &removed)
                           : e;
}

static struct batch *batch_new(void)
{
        struct batch *b = calloc(1, sizeof(*b));

        if (b)
                arena_init(&b->arena, NULL, 0, 64 << 20);
        return b;
}

static void batch_free(struct batch *b)
{
        arena_fini(&b->arena);
        free(b);
}

static struct dispatch_history *writing; /* one a process */

static void batch_done(struct store_job *job, enum err e)
{
        if (e != ERR_OK)
                log_error("dispatch_history_not_written", LOG_E(e), LOG_C("reason", job->reason));
        if (writing)
                writing->is_writing = false;
        batch_free(CONTAINER_OF(job, struct batch, job));
}

/* Counts of addresses used since they were written last. */
static void counts_take(struct dispatch_history *h, struct batch *b)
{
        struct sources *pool = dispatcher_sources(h->control->dispatcher);
        unix_ms since = h->counted;
        size_t max = 1;
        char text[IP_TEXT_MAX];

        list_for_each(node, sources_agents(pool))
                max += sources_agent_of(node)->addresses_count;
        if (!(b->sources = ARENA_ARRAY(&b->arena, struct store_dispatch_source, max)))
                return;
        h->counted = loop_wall(h->control->loop);
        list_for_each(node, sources_agents(pool))
                list_for_each(inner, &sources_agent_of(node)->addresses) {
                        const struct source *s = sources_of(inner);

                        if (s->used >= since && s->requests && b->sources_count < max)
                                b->sources[b->sources_count++] = (struct store_dispatch_source){
                                        .org = STORE_ORG_DEFAULT,
                                        .agent = arena_copy(&b->arena, s->agent->id),
                                        .address = arena_copy(&b->arena, ip_format(s->ip, text)),
                                        .requests = (int64_t)s->requests,
                                        .failures = (int64_t)s->failures,
                                        .used = s->used
                                };
                }
}

static void write_down(struct dispatch_history *h, bool is_last)
{
        struct batch *b = h->batch;

        if (!b)
                return;
        if (is_last || h->writings++ % COUNTS_EVERY == 0)
                counts_take(h, b);
        b->job = (struct store_job){ .run = batch_run, .done = batch_done };
        h->batch = NULL;
        h->is_writing = true;
        enum err e = is_last ? control_wait(h->control, &b->job) : store_submit(h->control->store, &b->job);
        if (e != ERR_OK && !is_last) {
                h->is_writing = false;
                h->left_out += b->count;
                batch_free(b);
        } else if (is_last) {
                batch_free(b);
        }
}

static void on_time(struct timer *t)
{
        struct dispatch_history *h = CONTAINER_OF(t, struct dispatch_history, timer);

        if (h->is_writing)
                timer_set(h->control->loop, t, loop_now(h->control->loop) + WRITE_MS);
        else
                write_down(h, false);
        if (h->left_out)
                log_warning("dispatch_history_left_out", LOG_N("requests", h->left_out));
        h->left_out = 0;
}

void dispatch_history_add(struct dispatch_history *h, const struct dispatch_record *r)
{
        struct batch *b = h->batch;

        if (!b && (b = h->batch = batch_new()))
                timer_set(h->control->loop, &h->timer, loop_now(h->control->loop) + WRITE_MS);
        if (!b || b->count == WAITING_MAX) {
                h->left_out++;
                return;
        }
        b->rows[b->count++] = (struct store_dispatch){ .org = STORE_ORG_DEFAULT,
                                                       .request = arena_copy(&b->arena, r->id),
                                                       .caller = arena_copy(&b->arena, r->caller),
                                                       .method = arena_copy(&b->arena, r->method),
                                                       .url = arena_copy(&b->arena, r->url),
                                                       .agent = arena_copy(&b->arena, r->agent_id),
                                                       .source = arena_copy(&b->arena, r->source_ip),
                                                       .error = arena_copy(&b->arena, str_of(r->error)),
                                                       .begun = r->begun,
                                                       .status = r->status,
                                                       .duration_ms = r->duration_ms,
                                                       .answer_bytes = (int64_t)r->answer_bytes,
                                                       .attempts = (int64_t)r->attempts };
}

/* ---- the start ---- */

struct restore_job {
        struct store_job job;
        struct arena arena;
        struct store_dispatch_source *rows;
        size_t count;
};

static enum err restore_run(struct store_job *job, struct store_txn *t)
{
        struct restore_job *r = CONTAINER_OF(job, struct restore_job, job);

        arena_reset(&r->arena);
        return store_dispatch_sources(t, STORE_ORG_DEFAULT, &r->arena, &r->rows, &r->count);
}

enum err dispatch_history_restore(struct dispatch_history *h)
{
        struct sources *pool = dispatcher_sources(h->control->dispatcher);
        struct restore_job r = { .job = { .run = restore_run, .is_read = true } };
        struct ip ip;

        arena_init(&r.arena, NULL, 0, 64 << 20);
        enum err e = control_wait(h->control, &r.job);
        for (size_t i = 0; e == ERR_OK && i < r.count; i++)
                if (ip_parse(r.rows[i].address, &ip) == ERR_OK)
                        e = sources_restore(pool, r.rows[i].agent, STR(""), ip, (uint64_t)r.rows[i].requests,
                                            (uint64_t)r.rows[i].failures, r.rows[i].used);
        arena_fini(&r.arena);
        return e == ERR_TOO_LARGE ? ERR_OK : e; /* more than there is room for now */
}

enum err dispatch_history_new(struct control *c, struct dispatch_history **out)
{
        struct dispatch_history *h = calloc(1, sizeof(*h));

        if (!h)
                return ERR_NO_MEMORY;
        h->control = c;
        h->counted = loop_wall(c->loop);
        timer_init(&h->timer, on_time);
        writing = h;
        *out = h;
        return ERR_OK;
}

void dispatch_history_free(struct dispatch_history *h)
{
        if (!h)
                return;
        timer_clear(&h->timer);
        if (!h->batch) /* the counts of the last seconds */
                h->batch = batch_new();
        write_down(h, true);
        writing = NULL;
        free(h);
}
