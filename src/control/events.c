#include "control/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/routes_priv.h"
#include "proxy/reply.h"
#include "store/nodes.h"
#include "store/outbox.h"

/*
 * One reading of the outbox serves all streams: it begins where the last one ended. A stream whose reader is slow is cut once
 * it holds too much; it comes back with Last-Event-ID, here or at another control that shares the store, and is brought from
 * there to where the others are by readings of its own, or reads everything anew.
 */

enum { HELD_MAX = 1 << 20, PING_MS = 20 * 1000, RETRY_MS = 1000 };

struct outbox_job;

struct stream_end {
        struct side side;
        struct events *events;
        int64_t seq;                 /* told up to here; -1: to be told from the end on, when that is known */
        struct outbox_job *catching; /* brings it up */
        struct buf out;
        size_t given;
        bool is_ending;
        struct timer ping;
        struct task gone; /* the exchange still writes into a side it releases: freed in the next step */
        struct list node;
};

struct events {
        struct control *control;
        struct list streams;
        int64_t seq; /* told up to here; 0: nobody listened yet */
        bool is_reading, is_stale, is_stopped;
        struct timer retry;
};

struct outbox_job {
        struct store_job job;
        struct events *events;
        struct stream_end *stream; /* for it alone; NULL: for all, or it has gone */
        bool is_for_one;
        struct hash_key id_key;
        int64_t seq, last;
        struct buf text;
        struct arena arena;
        bool has_gap, has_more;
};

static const struct side_ops stream_ops;

static void flush(struct stream_end *s)
{
        struct str rest = str_from(buf_str(&s->out), s->given);
        struct side_data d = { &rest, rest.len ? 1 : 0, s->is_ending, NULL, 0 };

        if (!s->side.x || (!rest.len && !s->is_ending))
                return;
        s->given += exchange_answer_data(s->side.x, &d);
        if (s->given < s->out.len)
                return;
        buf_clear(&s->out);
        s->given = 0;
        if (s->side.x)
                exchange_answer_flush(s->side.x);
}

static void stream_free(struct stream_end *s)
{
        list_remove(&s->node);
        timer_clear(&s->ping);
        buf_fini(&s->out);
        free(s);
}

static void on_ping(struct timer *t)
{
        struct stream_end *s = CONTAINER_OF(t, struct stream_end, ping);

        buf_add(&s->out, STR(": still here\n\n"));
        timer_set(s->events->control->loop, t, loop_now(s->events->control->loop) + PING_MS);
        flush(s);
}

static void op_pull(struct side *side)
{
        flush(CONTAINER_OF(side, struct stream_end, side));
}

static size_t op_data(struct side *s, const struct side_data *d)
{
        return side_data_len(d);
}

static void op_head(struct side *s, struct http_head *head) {}
static void op_flush(struct side *s) {}

static void on_gone(struct task *t)
{
        stream_free(CONTAINER_OF(t, struct stream_end, gone));
}

static void op_release(struct side *side)
{
        struct stream_end *s = CONTAINER_OF(side, struct stream_end, side);

        if (s->catching)
                s->catching->stream = NULL;
        s->catching = NULL;
        list_remove(&s->node);
        timer_clear(&s->ping);
        loop_post(s->events->control->loop, &s->gone);
}

static void op_reset(struct side *side, enum err reason)
{
        op_release(side);
}

static const struct side_ops stream_ops = {
        .name = "events",
        .head = op_head,
        .data = op_data,
        .flush = op_flush,
        .pull = op_pull,
        .reset = op_reset,
        .release = op_release,
};

/* ---- the outbox ---- */

static const struct {
        struct str table;
        const char *prefix, *object;
} tables[] = {
        { STR_INIT("services"), ID_SERVICE, "services" },
        { STR_INIT("targets"), ID_TARGET, "targets" },
        { STR_INIT("shares"), ID_SHARE, "shares" },
        { STR_INIT("domains"), ID_DOMAIN, "domains" },
        { STR_INIT("certificates"), ID_CERTIFICATE, "certificates" },
        { STR_INIT("join_tokens"), ID_TOKEN, "join-tokens" },
        { STR_INIT("api_keys"), ID_KEY, "api-keys" },
};

static void event_write(struct outbox_job *o, struct store_txn *t, const struct store_event *ev)
{
        static const char *const operations[] = { "add", "update", "remove" };
        const char *object = NULL, *prefix = NULL;
        char id[WIRE_ID_SIZE];
        struct store_node node;

        for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
                if (str_eq(ev->table, tables[i].table)) {
                        object = tables[i].object;
                        prefix = tables[i].prefix;
                }
        if (str_eq(ev->table, STR("nodes")) && store_node_get(t, 0, ev->row, &o->arena, &node) == ERR_OK) {
                object = "nodes";
                prefix = node_prefix(&node);
        }
        if (str_eq(ev->table, STR("settings")))
                object = "settings";
        if (!object)
                return;
        buf_addf(&o->text, "id: %lld\nevent: change\ndata: {\"object\":\"%s%s%s\",\"operation\":\"%s\"}\n\n",
                 (long long)ev->seq, object, prefix ? "/" : "",
                 prefix ? id_format(o->id_key, prefix, ev->row, id).ptr : "", operations[ev->operation]);
}

static enum err outbox_run(struct store_job *job, struct store_txn *t)
{
        struct outbox_job *o = CONTAINER_OF(job, struct outbox_job, job);
        struct store_event *events;
        int64_t first, last;
        size_t count;
        enum err e = store_outbox_range(t, &first, &last);

        if (e != ERR_OK)
                return e;
        buf_clear(&o->text);
        arena_reset(&o->arena);
        o->has_gap = o->seq && (first ? first > o->seq + 1 || last < o->seq : last != o->seq);
        o->has_more = false;
        o->last = last;
        if (!o->seq || o->has_gap)
                return ERR_OK;
        if ((e = store_outbox_after(t, o->seq, &o->arena, &events, &count)) != ERR_OK)
                return e;
        for (size_t i = 0; i < count; i++)
                event_write(o, t, &events[i]);
        o->has_more = count == STORE_EVENTS_MAX;
        if (count)
                o->last = events[count - 1].seq;
        return ERR_OK;
}

static struct outbox_job *outbox_job_start(struct events *e, int64_t seq, struct stream_end *stream);
static void read_on(struct events *e);

static void write_to(struct stream_end *s, struct str text)
{
        buf_add(&s->out, text);
        if (s->out.full && s->side.x) {
                exchange_up_reset(s->side.x, ERR_TOO_LARGE, false);
                op_release(&s->side);
        } else
                flush(s);
}

/* From the end on; it is told where that is, so that it can ask for what comes after. */
static void begin_at(struct stream_end *s, int64_t seq)
{
        char text[48];
        int n = snprintf(text, sizeof(text), "id: %lld\n\n", (long long)seq);

        s->seq = seq;
        write_to(s, (struct str){ text, (size_t)n });
}

static void catch_up(struct stream_end *s)
{
        if (!s->catching)
                s->catching = outbox_job_start(s->events, s->seq, s);
}

static const struct str reset_text = STR_INIT("event: reset\ndata: {}\n\n");

/* What all are told: those who stand where it begins. */
static void tell(struct events *e, const struct outbox_job *o)
{
        list_for_each_safe(node, &e->streams) {
                struct stream_end *s = CONTAINER_OF(node, struct stream_end, node);

                if (s->seq == -1) {
                        begin_at(s, o->last);
                } else if (s->catching) {
                        continue; /* it goes on from where that leads */
                } else if (s->seq == o->seq || o->has_gap) {
                        s->seq = o->last;
                        if (o->has_gap || o->text.len)
                                write_to(s, o->has_gap ? reset_text : buf_str(&o->text));
                } else if (s->seq < o->last) {
                        catch_up(s);
                }
        }
}

static void told_all(struct events *e, struct outbox_job *o, enum err err)
{
        e->is_reading = false;
        if (err != ERR_OK) {
                timer_set(e->control->loop, &e->retry, loop_now(e->control->loop) + RETRY_MS);
        } else if (!e->is_stopped) {
                e->seq = o->last;
                e->is_stale |= o->has_more;
                tell(e, o);
                if (e->is_stale)
                        read_on(e);
        }
}

static void told_one(struct events *e, struct outbox_job *o, enum err err)
{
        struct stream_end *s = o->stream;

        if (!s || e->is_stopped)
                return;
        s->catching = NULL;
        if (err != ERR_OK) { /* it is not held for what may take long: it comes back */
                exchange_up_reset(s->side.x, err, false);
                op_release(&s->side);
                return;
        }
        s->seq = o->last;
        if (o->has_more || s->seq < e->seq)
                catch_up(s);
        if (o->has_gap || o->text.len)
                write_to(s, o->has_gap ? reset_text : buf_str(&o->text));
}

static void outbox_done(struct store_job *job, enum err err)
{
        struct outbox_job *o = CONTAINER_OF(job, struct outbox_job, job);

        if (o->is_for_one)
                told_one(o->events, o, err);
        else
                told_all(o->events, o, err);
        buf_fini(&o->text);
        arena_fini(&o->arena);
        free(o);
}

/* NULL: not now. */
static struct outbox_job *outbox_job_start(struct events *e, int64_t seq, struct stream_end *stream)
{
        struct outbox_job *o = calloc(1, sizeof(*o));

        if (!o)
                return NULL;
        o->job = (struct store_job){ .run = outbox_run, .done = outbox_done, .is_read = true };
        o->events = e;
        o->stream = stream;
        o->is_for_one = stream != NULL;
        o->id_key = e->control->secrets.id_key;
        o->seq = seq;
        buf_init(&o->text, HELD_MAX);
        arena_init(&o->arena, NULL, 0, 16 << 20);
        if (store_submit(e->control->store, &o->job) == ERR_OK)
                return o;
        buf_fini(&o->text);
        arena_fini(&o->arena);
        free(o);
        return NULL;
}

static void read_on(struct events *e)
{
        if (e->is_reading) {
                e->is_stale = true;
                return;
        }
        e->is_stale = false;
        e->is_reading = outbox_job_start(e, e->seq, NULL) != NULL;
        if (!e->is_reading)
                timer_set(e->control->loop, &e->retry, loop_now(e->control->loop) + RETRY_MS);
}

static void on_retry(struct timer *t)
{
        read_on(CONTAINER_OF(t, struct events, retry));
}

void events_changed(struct events *e)
{
        if (!list_is_empty(&e->streams) && !e->is_stopped)
                read_on(e);
        else if (!e->is_reading)
                e->seq = 0; /* nobody listens: the next stream begins at the end */
}

/* Where a client that comes back was; -1: it begins, or says what is no number of ours. */
static int64_t last_event(const struct exchange *x)
{
        const struct http_field *f = http_find_name(&x->request, STR("Last-Event-ID"));
        uint64_t number;

        return f && units_parse_u64(str_trim(f->value), INT64_MAX, &number) == ERR_OK && number > 0
                       ? (int64_t)number
                       : -1;
}

void events_stream(struct api_call *c)
{
        struct events *e = c->control->events;
        struct exchange *x = c->x;
        struct stream_end *s = calloc(1, sizeof(*s));

        if (!s || e->is_stopped) {
                free(s);
                api_fail(c, 503, NULL, "Control has no memory for this, or stops.");
                api_answer_now(c);
                return;
        }
        s->seq = last_event(x);
        api_let_go(c);
        s->events = e;
        s->side = (struct side){ .ops = &stream_ops, .x = x };
        buf_init(&s->out, HELD_MAX);
        timer_init(&s->ping, on_ping);
        task_init(&s->gone, on_gone);
        list_add_last(&e->streams, &s->node);
        timer_set(e->control->loop, &s->ping, loop_now(e->control->loop) + PING_MS);
        x->up = &s->side;
        buf_add(&s->out, STR(": hello\n\n"));
        reply_events_begin(x);
        flush(s);
        if (s->seq >= 0)
                catch_up(s);
        else if (e->seq)
                begin_at(s, e->seq);
        if (!e->seq)
                read_on(e); /* finds where the end is */
}

enum err events_new(struct control *control, struct events **out)
{
        struct events *e = calloc(1, sizeof(*e));

        if (!e)
                return ERR_NO_MEMORY;
        e->control = control;
        list_init(&e->streams);
        timer_init(&e->retry, on_retry);
        *out = e;
        return ERR_OK;
}

void events_stop(struct events *e)
{
        e->is_stopped = true;
        timer_clear(&e->retry);
        list_for_each_safe(node, &e->streams) {
                struct stream_end *s = CONTAINER_OF(node, struct stream_end, node);

                s->is_ending = true;
                flush(s);
        }
}

void events_free(struct events *e)
{
        free(e);
}

API_RUN(events_get)
{
        c->status = 200;
        return ERR_OK;
}
