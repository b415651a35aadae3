#include "proxy/exporter.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/call.h"
#include "proxy/otlp.h"
#include "proxy/worker.h"

enum {
        QUEUE_BYTES_MAX = 1 << 20,
        QUEUE_FULL_ENOUGH_BYTES = 256 * 1024, /* sent before the timer */
        GATHER_MS = 1000,
        AGAIN_MS = 2000,
        TRIES_MAX = 3,
        CALL_MS = 10000,
        FIELDS_MAX = 16
};

enum signal_kind { SIGNAL_TRACES, SIGNAL_LOGS, SIGNALS };

/* Traces or logs: what gathers, and the batch on its way. */
struct signal {
        struct exporter *exporter;
        enum signal_kind kind;
        struct buf queue, batch;
        unsigned queue_count, batch_count, tries; /* items; batch_count 0: none on its way */
        struct timer timer;                       /* the gathering's end, or the next try */
        struct call call;
        bool is_calling;
        uint16_t status;
};

struct exporter {
        struct worker *w;
        struct signal signals[SIGNALS];
        bool is_finishing;
        void (*on_idle)(void *context);
        void *context;
        struct log_limit failures;
};

static const struct {
        const char *name, *path;
        void (*begin)(struct buf *out, const struct otlp_resource *r);
} kinds[SIGNALS] = { [SIGNAL_TRACES] = { "traces", "/v1/traces", otlp_traces_begin },
                     [SIGNAL_LOGS] = { "logs", "/v1/logs", otlp_logs_begin } };

static void signal_timeout(struct timer *t);
static const struct call_events signal_events;

struct exporter *exporter_new(struct worker *w)
{
        struct exporter *e = calloc(1, sizeof(*e));

        if (!e)
                return NULL;
        e->w = w;
        e->failures = (struct log_limit){ 1, 60000 };
        for (int i = 0; i < SIGNALS; i++) {
                struct signal *s = &e->signals[i];

                s->exporter = e;
                s->kind = (enum signal_kind)i;
                buf_init(&s->queue, QUEUE_BYTES_MAX);
                buf_init(&s->batch, QUEUE_BYTES_MAX + 4096);
                timer_init(&s->timer, signal_timeout);
        }
        return e;
}

void exporter_free(struct exporter *e)
{
        if (!e)
                return;
        for (int i = 0; i < SIGNALS; i++) {
                struct signal *s = &e->signals[i];

                timer_clear(&s->timer);
                if (s->is_calling)
                        call_cancel(&s->call);
                buf_fini(&s->queue);
                buf_fini(&s->batch);
        }
        free(e);
}

static const struct exporter_conf *conf_of(const struct exporter *e)
{
        return &e->w->snap->exporter;
}

bool exporter_wants_lines(const struct exporter *e)
{
        return e && conf_of(e)->upstream && conf_of(e)->sends_logs;
}

static void count(struct signal *s, enum measure m, const char *reason, unsigned n)
{
        while (n--)
                measure_count(s->exporter->w, m, kinds[s->kind].name, reason, NULL);
}

/* ---- sending ---- */

static void batch_end(struct signal *s)
{
        s->batch_count = s->tries = 0;
        buf_clear(&s->batch);
}

static void batch_drop(struct signal *s, const char *reason)
{
        unsigned left_out;

        count(s, MEASURE_EXPORT_DROPPED, reason, s->batch_count);
        if (log_limit_pass(&s->exporter->failures, loop_now(s->exporter->w->loop), &left_out))
                log_warning("export_failed", LOG_C("signal", kinds[s->kind].name), LOG_C("reason", reason),
                            LOG_N("status", s->status), LOG_N("items", s->batch_count),
                            LOG_N("left_out", left_out));
        batch_end(s);
}

static void idle_check(struct exporter *e)
{
        if (!e->is_finishing || !e->on_idle)
                return;
        for (int i = 0; i < SIGNALS; i++)
                if (e->signals[i].batch_count || e->signals[i].queue_count)
                        return;
        void (*on_idle)(void *context) = e->on_idle;
        e->on_idle = NULL;
        on_idle(e->context);
}

/* Makes a batch of what has gathered. */
static void batch_make(struct signal *s)
{
        struct otlp_resource r = { .service = conf_of(s->exporter)->service,
                                   .version = conf_of(s->exporter)->version };
        char instance[24];

        snprintf(instance, sizeof(instance), "%016llx-%u",
                 (unsigned long long)s->exporter->w->shared->start_random, s->exporter->w->index);
        r.instance = str_of(instance);
        kinds[s->kind].begin(&s->batch, &r);
        buf_add(&s->batch, buf_str(&s->queue));
        otlp_end(&s->batch);
        s->batch_count = s->queue_count;
        s->queue_count = 0;
        buf_clear(&s->queue);
        if (s->batch.full)
                batch_drop(s, "memory");
}

static void again_later(struct signal *s, int64_t wait_ms)
{
        timer_set(s->exporter->w->loop, &s->timer, loop_now(s->exporter->w->loop) + wait_ms);
}

static void batch_send(struct signal *s)
{
        const struct exporter_conf *c = conf_of(s->exporter);
        struct http_field fields[FIELDS_MAX] = {
                { .name = STR("Content-Type"), .value = STR("application/json") },
                { .name = STR("User-Agent"), .value = STR("sekisho-otlp") }
        };
        char path[256];
        struct call_request request = {
                .method = STR("POST"), .fields = fields, .fields_count = 2, .total_ms = CALL_MS
        };

        if (!c->upstream) { /* a reload has switched it off */
                batch_drop(s, "off");
                return;
        }
        for (size_t i = 0; i < c->fields_count && request.fields_count < FIELDS_MAX; i++)
                fields[request.fields_count++] = c->fields[i];
        snprintf(path, sizeof(path), "%.*s%s", STR_FMT(c->base_path), kinds[s->kind].path);
        request.target = str_of(path);
        request.body = buf_str(&s->batch);
        request.upstream = c->upstream;
        s->status = 0;
        s->tries++;
        s->is_calling = call_start(&s->call, s->exporter->w, &request, &signal_events) == ERR_OK;
        if (!s->is_calling)
                batch_drop(s, "memory");
}

static void send_next(struct signal *s)
{
        if (s->is_calling)
                return;
        timer_clear(&s->timer);
        if (!s->batch_count && s->queue_count)
                batch_make(s);
        if (s->batch_count)
                batch_send(s);
        idle_check(s->exporter);
}

static void signal_timeout(struct timer *t)
{
        send_next(CONTAINER_OF(t, struct signal, timer));
}

static void on_head(struct call *c, const struct http_head *head)
{
        struct signal *s = CONTAINER_OF(c, struct signal, call);

        s->status = call_is_refused(c) ? 0 : head->status;
}

/* The specification's list of what may be sent again; 0 is a collector that could not be reached. */
static bool is_worth_another_try(const struct signal *s)
{
        return s->status == 0 || s->status == 429 || s->status == 502 || s->status == 503 || s->status == 504;
}

static void on_end(struct call *c, enum err e)
{
        struct signal *s = CONTAINER_OF(c, struct signal, call);

        s->is_calling = false;
        if (e == ERR_OK && s->status >= 200 && s->status < 300) {
                count(s, MEASURE_EXPORTED, NULL, s->batch_count);
                batch_end(s);
        } else if (!is_worth_another_try(s)) {
                batch_drop(s, "refused");
        } else if (s->tries >= TRIES_MAX || s->exporter->is_finishing) {
                batch_drop(s, "failed");
        } else {
                again_later(s, AGAIN_MS);
                return;
        }
        if (s->exporter->is_finishing)
                send_next(s);
        else if (s->queue_count)
                again_later(s, GATHER_MS);
}

static const struct call_events signal_events = { .on_head = on_head, .on_end = on_end };

/* ---- gathering ---- */

/* Where the next item goes, or NULL: no room. Follow with item_end. */
static struct buf *item_begin(struct signal *s, size_t *len_before)
{
        *len_before = s->queue.len;
        if (s->queue_count)
                buf_add_char(&s->queue, ',');
        return &s->queue;
}

static void item_end(struct signal *s, size_t len_before)
{
        if (s->queue.full) { /* what was there stays whole */
                s->queue.len = len_before;
                s->queue.full = false;
                count(s, MEASURE_EXPORT_DROPPED, "full", 1);
                return;
        }
        s->queue_count++;
        if (!s->batch_count && s->timer.due == MONO_NEVER)
                again_later(s, GATHER_MS);
        else if (!s->batch_count && s->queue.len >= QUEUE_FULL_ENOUGH_BYTES)
                again_later(s, 0);
}

void exporter_request(struct exporter *e, const struct exchange *x, int64_t duration_us)
{
        size_t before;

        if (!e || !conf_of(e)->upstream || !x->trace || !x->trace->own.is_sampled)
                return;
        struct signal *s = &e->signals[SIGNAL_TRACES];
        otlp_spans(item_begin(s, &before), x, duration_us,
                   loop_wall(e->w->loop) * 1000 - loop_now_us(e->w->loop));
        item_end(s, before);
}

void exporter_line(struct exporter *e, struct str line, const struct exchange *x)
{
        size_t before;

        if (!exporter_wants_lines(e))
                return;
        struct signal *s = &e->signals[SIGNAL_LOGS];
        if (line.len && line.ptr[line.len - 1] == '\n')
                line.len--;
        otlp_log(item_begin(s, &before), line, x, loop_wall(e->w->loop) * 1000);
        item_end(s, before);
}

void exporter_finish(struct exporter *e, void (*on_idle)(void *context), void *context)
{
        e->is_finishing = true;
        e->on_idle = on_idle;
        e->context = context;
        for (int i = 0; i < SIGNALS; i++)
                again_later(&e->signals[i], 0);
}
