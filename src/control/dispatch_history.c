#include "control/dispatch_history.h"

#include <stdlib.h>
#include <string.h>

#include "control/control_priv.h"
#include "control/dispatch_bodies.h"
#include "dispatch/dispatcher.h"
#include "store/dispatches.h"

enum {
        ROWS_MAX = 2000, /* of a batch: written at once when it is full */
        BATCHES_MAX = 4, /* that wait for the store */
        WRITE_MS = 500,
        PRUNED_MAX = 2 * ROWS_MAX,  /* at a time */
        BODIES_BYTES_MAX = 8 << 20, /* of a batch, likewise */
        PRUNE_MS = 10 * 60 * 1000,  /* where nothing is written */
        COUNTS_MS = 5 * 1000,
        FORGOTTEN_MAX = 64
};

#define COUNTS_KEPT_MS (INT64_C(365) * 86400 * 1000) /* of an address that nothing was sent from */

struct batch {
        struct store_job job;
        struct arena arena;
        int64_t rows_max, bodies_max;
        int64_t kept_ms, bodies_kept_ms;
        size_t bodies_bytes; /* in rows */
        const struct certs_seal *seal;
        bool is_sealed; /* they are boxes: the job may run again */
        struct store_dispatch rows[ROWS_MAX];
        size_t count;
        struct store_dispatch_source *sources; /* changed ones; NULL: not now */
        size_t sources_count;
        struct str forgotten[FORGOTTEN_MAX]; /* agents that are none any more */
        size_t forgotten_count;
};

struct dispatch_history {
        struct control *control;
        struct batch *batch; /* being filled; NULL: empty */
        struct timer timer;
        unsigned writing_count; /* batches the store has */
        uint64_t left_out, bodies_left_out;
        unix_ms counted; /* addresses used since then are not written yet */
};

static void bodies_seal(struct batch *b)
{
        for (size_t i = 0; i < b->count && !b->is_sealed; i++)
                if (b->rows[i].has_bodies && dispatch_bodies_close(b->seal, &b->arena, &b->rows[i]) != ERR_OK)
                        log_error("dispatch_bodies_not_kept", LOG_E(ERR_NO_MEMORY));
        b->is_sealed = true;
}

static enum err batch_run(struct store_job *job, struct store_txn *t)
{
        struct batch *b = CONTAINER_OF(job, struct batch, job);
        int64_t removed;
        enum err e = ERR_OK;

        bodies_seal(b);
        if (b->count)
                e = store_dispatch_add(t, b->rows, b->count);
        for (size_t i = 0; i < b->sources_count && e == ERR_OK; i++)
                e = store_dispatch_source_put(t, &b->sources[i]);
        for (size_t i = 0; i < b->forgotten_count && e == ERR_OK; i++)
                e = store_dispatch_sources_remove(t, STORE_ORG_DEFAULT, b->forgotten[i]);
        if (e == ERR_OK)
                e = store_dispatch_prune(t, store_now(t) - b->kept_ms, b->rows_max, PRUNED_MAX, &removed);
        return e == ERR_OK ? store_dispatch_bodies_prune(t, store_now(t) - MIN(b->kept_ms, b->bodies_kept_ms),
                                                         b->rows_max, b->bodies_max, PRUNED_MAX)
                           : e;
}

/* The one being filled. NULL: no memory. */
static struct batch *batch_get(struct dispatch_history *h)
{
        const struct conf_dispatch *conf = &h->control->conf->control.dispatch;
        struct batch *b = h->batch ? h->batch : calloc(1, sizeof(*b));

        if (!b || b == h->batch)
                return b;
        arena_init(&b->arena, NULL, 0, 64 << 20);
        b->rows_max = (int64_t)conf->history_rows;
        b->kept_ms = conf->history_ms;
        b->bodies_max = conf->history_body_bytes ? (int64_t)conf->history_bodies_bytes : 0;
        b->bodies_kept_ms = conf->history_bodies_ms;
        b->seal = &h->control->secrets.seal;
        h->batch = b;
        timer_set(h->control->loop, &h->timer, loop_now(h->control->loop) + WRITE_MS);
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
                writing->writing_count--;
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

/* To the store; not when it is behind. */
static void write_down(struct dispatch_history *h)
{
        struct batch *b = h->batch;

        if (!b || h->writing_count >= BATCHES_MAX)
                return;
        if (loop_wall(h->control->loop) - h->counted >= COUNTS_MS)
                counts_take(h, b);
        b->job = (struct store_job){ .run = batch_run, .done = batch_done };
        h->batch = NULL;
        h->writing_count++;
        if (store_submit(h->control->store, &b->job) == ERR_OK)
                return;
        h->writing_count--;
        h->left_out += b->count;
        batch_free(b);
}

static void on_time(struct timer *t)
{
        struct dispatch_history *h = CONTAINER_OF(t, struct dispatch_history, timer);

        if (!h->batch) /* for what has grown old since the last one */
                (void)batch_get(h);
        write_down(h);
        timer_set(h->control->loop, t, loop_now(h->control->loop) + (h->batch ? WRITE_MS : PRUNE_MS));
        if (h->left_out || h->bodies_left_out)
                log_warning("dispatch_history_left_out", LOG_N("requests", h->left_out),
                            LOG_N("bodies", h->bodies_left_out));
        h->left_out = h->bodies_left_out = 0;
}

void dispatch_history_forget(struct dispatch_history *h, struct str agent)
{
        struct batch *b = batch_get(h);

        if (b && b->forgotten_count < FORGOTTEN_MAX) /* more are found again at the next start */
                b->forgotten[b->forgotten_count++] = arena_copy(&b->arena, agent);
}

static void bodies_take(struct dispatch_history *h, struct batch *b, struct store_dispatch *row,
                        const struct dispatch_record *r)
{
        if (b->bodies_max == 0)
                return;
        if (b->bodies_bytes >= BODIES_BYTES_MAX) { /* the store is slow */
                h->bodies_left_out++;
                return;
        }
        row->has_bodies = true;
        row->asked = arena_copy(&b->arena, r->asked);
        row->asked_bytes = (int64_t)r->asked_bytes;
        row->answered = arena_copy(&b->arena, r->answered);
        b->bodies_bytes += row->asked.len + row->answered.len;
}

void dispatch_history_add(struct dispatch_history *h, const struct dispatch_record *r)
{
        struct batch *b = batch_get(h);

        if (b && b->rows_max == 0)
                return;
        if (!b || b->count == ROWS_MAX) {
                h->left_out++;
                return;
        }
        struct store_dispatch *row = &b->rows[b->count++];
        *row = (struct store_dispatch){ .org = STORE_ORG_DEFAULT,
                                        .request = arena_copy(&b->arena, r->id),
                                        .caller = arena_copy(&b->arena, r->caller),
                                        .method = arena_copy(&b->arena, r->method),
                                        .url = arena_copy(&b->arena,
                                                          str_sub(r->url, 0, STORE_DISPATCH_URL_MAX)),
                                        .agent = arena_copy(&b->arena, r->agent_id),
                                        .source = arena_copy(&b->arena, r->source_ip),
                                        .error = arena_copy(&b->arena, str_of(r->error)),
                                        .begun = r->begun,
                                        .status = r->status,
                                        .duration_ms = r->duration_ms,
                                        .answer_bytes = (int64_t)r->answer_bytes,
                                        .attempts = (int64_t)r->attempts };
        bodies_take(h, b, row, r);
        if (b->count == ROWS_MAX || b->bodies_bytes >= BODIES_BYTES_MAX)
                write_down(h);
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
        enum err e = store_dispatch_sources_prune(t, STORE_ORG_DEFAULT, store_now(t) - COUNTS_KEPT_MS);
        return e == ERR_OK ? store_dispatch_sources(t, STORE_ORG_DEFAULT, &r->arena, &r->rows, &r->count) : e;
}

enum err dispatch_history_restore(struct dispatch_history *h)
{
        struct sources *pool = dispatcher_sources(h->control->dispatcher);
        struct restore_job r = { .job = { .run = restore_run } };
        struct ip ip;

        arena_init(&r.arena, NULL, 0, 64 << 20);
        enum err e = control_wait(h->control, &r.job);
        for (size_t i = 0; e == ERR_OK && i < r.count; i++) {
                if (ip_parse(r.rows[i].address, &ip) != ERR_OK)
                        continue;
                e = sources_restore(pool, r.rows[i].agent, ip, (uint64_t)r.rows[i].requests,
                                    (uint64_t)r.rows[i].failures, r.rows[i].used);
                if (e == ERR_TOO_LARGE) /* one that went long ago; another agent may have room */
                        e = ERR_OK;
        }
        arena_fini(&r.arena);
        return e;
}

enum err dispatch_history_new(struct control *c, struct dispatch_history **out)
{
        struct dispatch_history *h = calloc(1, sizeof(*h));

        if (!h)
                return ERR_NO_MEMORY;
        h->control = c;
        h->counted = loop_wall(c->loop);
        timer_init(&h->timer, on_time);
        timer_set(c->loop, &h->timer, loop_now(c->loop) + WRITE_MS);
        writing = h;
        *out = h;
        return ERR_OK;
}

void dispatch_history_free(struct dispatch_history *h)
{
        struct batch *b;

        if (!h)
                return;
        b = batch_get(h); /* the counts of the last seconds */
        timer_clear(&h->timer);
        if (b) {
                counts_take(h, b);
                b->job = (struct store_job){ .run = batch_run };
                if (control_wait(h->control, &b->job) != ERR_OK)
                        log_error("dispatch_history_not_written", LOG_C("reason", b->job.reason));
                batch_free(b);
        }
        writing = NULL;
        free(h);
}
