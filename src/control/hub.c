#include <stdlib.h>
#include <string.h>

#include "control/callers.h"
#include "control/dispatch.h"
#include "control/hub_priv.h"
#include "control/lead.h"

/*
 * Theory of operation. After a commit one job reads all that documents are made of (never two at once; what is committed
 * meanwhile makes it run again). Then, on the loop's thread, each channel's document is made of items that documents of one
 * kind share; one that came out the same is left alone, another gets the outbox's number as its version. wire/session.h
 * tells the node the difference. What nodes say is kept on their channels and written down together.
 */

enum { RETRY_MS = 1000 };

/* ---- the reading ---- */

struct reading_job {
        struct store_job job;
        struct hub *hub;
        struct desired_keys keys;
        uint64_t number; /* who came before it began may be told what it finds */
        struct desired *desired;
};

static enum err reading_run(struct store_job *job, struct store_txn *t)
{
        struct reading_job *r = CONTAINER_OF(job, struct reading_job, job);

        desired_free(r->desired);
        r->desired = NULL;
        return desired_read(t, STORE_ORG_DEFAULT, &r->keys, dispatch_url(r->hub->control), &r->desired);
}

static void reading_done(struct store_job *job, enum err e)
{
        struct reading_job *r = CONTAINER_OF(job, struct reading_job, job);
        struct hub *h = r->hub;
        struct loop *loop = h->control->loop;

        h->is_reading = false;
        if (e == ERR_OK && !h->is_stopped) {
                desired_share(r->desired, h->desired);
                desired_free(h->desired);
                h->desired = r->desired;
                r->desired = NULL;
                h->control->secrets.epoch = h->desired->epoch;
                hub_documents_refresh(h, r->number, false);
                dispatch_named(h->control, h->desired);
                timer_set(loop, &h->moment,
                          h->desired->next_change
                                  ? loop_now(loop) +
                                            MAX(h->desired->next_change - loop_wall(loop), (int64_t)0) + 1
                                  : MONO_NEVER);
        } else if (e != ERR_OK) {
                log_error("documents_not_read", LOG_E(e), LOG_C("reason", job->reason));
                if (!h->is_stopped)
                        timer_set(loop, &h->moment, loop_now(loop) + RETRY_MS);
        }
        desired_free(r->desired);
        free(r);
        if (h->is_stale && !h->is_stopped) {
                h->is_stale = false;
                hub_refresh(h);
        }
}

bool hub_is_active(const struct hub *h, int64_t node)
{
        const struct desired_node *n = h->desired ? desired_find(h->desired, node) : NULL;

        return n && n->state == STORE_NODE_ACTIVE;
}

void hub_refresh(struct hub *h)
{
        struct reading_job *r;

        if (h->is_stopped)
                return;
        if (h->is_reading) {
                h->is_stale = true;
                return;
        }
        if ((r = calloc(1, sizeof(*r)))) {
                r->job = (struct store_job){ .run = reading_run, .done = reading_done, .is_read = true };
                r->hub = h;
                r->keys.id_key = h->control->secrets.id_key;
                callers_key_make(&h->control->secrets, r->keys.callers);
                r->number = ++h->jobs_count;
                h->is_reading = true;
                if (store_submit(h->control->store, &r->job) == ERR_OK)
                        return;
                h->is_reading = false;
                free(r);
        }
        timer_set(h->control->loop, &h->moment, loop_now(h->control->loop) + RETRY_MS);
}

static void on_moment(struct timer *t)
{
        hub_refresh(CONTAINER_OF(t, struct hub, moment));
}

/* ---- certificates of our own authority ---- */

struct ensure_job {
        struct store_job job;
        struct hub *hub;
        bool made;
};

static enum err ensure_run(struct store_job *job, struct store_txn *t)
{
        struct ensure_job *n = CONTAINER_OF(job, struct ensure_job, job);
        bool is_us;
        enum err e = lead_check(n->hub->control, t, &is_us);

        if (e != ERR_OK || !is_us)
                return e;
        return certificates_ensure(t, &n->hub->control->secrets, STORE_ORG_DEFAULT, &n->made);
}

static void ensure_done(struct store_job *job, enum err e)
{
        struct ensure_job *n = CONTAINER_OF(job, struct ensure_job, job);

        n->hub->is_ensuring = false;
        if (e != ERR_OK)
                log_error("certificates_not_made", LOG_E(e), LOG_C("reason", job->reason));
        free(n);
}

/* After any change; it finds nothing to do in most cases, and then leaves no trace. */
static void ensure(struct hub *h)
{
        struct ensure_job *n = h->is_ensuring ? NULL : calloc(1, sizeof(*n));

        if (!n)
                return;
        n->job = (struct store_job){ .run = ensure_run, .done = ensure_done };
        n->hub = h;
        h->is_ensuring = true;
        if (store_submit(h->control->store, &n->job) == ERR_OK)
                return;
        h->is_ensuring = false;
        free(n);
}

/* ---- who is there ---- */

struct channel *hub_channel_find(struct hub *h, int64_t node)
{
        list_for_each(at, &h->channels) {
                struct channel *ch = CONTAINER_OF(at, struct channel, node_in_hub);

                if (ch->node == node)
                        return ch;
        }
        return NULL;
}

void hub_add(struct hub *h, struct channel *ch)
{
        struct channel *before = hub_channel_find(h, ch->node);

        if (before) {
                if (strcmp(before->from, ch->from) != 0)
                        log_warning("node_in_two_places", LOG_C("node", ch->id), LOG_C("one", before->from),
                                    LOG_C("other", ch->from));
                channel_close(before, WEBSOCKET_POLICY, "the node came by another connection");
        }
        list_add_last(&h->channels, &ch->node_in_hub);
        h->channels_count++;
        log_info("node_connected", LOG_C("node", ch->id), LOG_C("address", ch->from));
}

void hub_remove(struct hub *h, struct channel *ch)
{
        if (list_is_empty(&ch->node_in_hub))
                return;
        list_remove(&ch->node_in_hub);
        h->channels_count--;
        hub_left(h, ch->node);
        if (ch->kind == WIRE_AGENT && !hub_channel_find(h, ch->node))
                dispatch_told(h->control, str_of(ch->id), NULL, NULL);
}

const struct hub_node *hub_copy(const struct hub *h, struct arena *a, size_t *count)
{
        struct hub_node *all = ARENA_ARRAY(a, struct hub_node, h->channels_count + 1);
        size_t n = 0;

        *count = 0;
        if (!all)
                return NULL;
        list_for_each(node, &h->channels) {
                const struct channel *ch = CONTAINER_OF(node, struct channel, node_in_hub);
                const struct wire_have *have = wire_control_end_have(ch->end);

                all[n++] = (struct hub_node){
                        .node = ch->node,
                        .wanted_version = ch->document ? wire_document_header(ch->document)->version : 0,
                        .applied_version = have->is_any ? have->version : 0,
                        .since = ch->since,
                        .from = arena_copy(a, str_of(ch->from))
                };
        }
        *count = n;
        return all;
}

/* Few ask, and of thousands at most. */
const struct hub_node *hub_node_find(const struct hub_node *all, size_t count, int64_t node)
{
        for (size_t i = 0; i < count; i++)
                if (all[i].node == node)
                        return &all[i];
        return NULL;
}

void hub_day(struct hub *h)
{
        ensure(h);
        hub_documents_reissue(h);
}

void hub_changed(struct hub *h)
{
        if (h->is_stopped)
                return;
        ensure(h);
        hub_refresh(h);
}

enum err hub_new(struct control *control, struct hub **out)
{
        struct hub *h = calloc(1, sizeof(*h));

        if (!h)
                return ERR_NO_MEMORY;
        h->control = control;
        list_init(&h->channels);
        timer_init(&h->moment, on_moment);
        timer_init(&h->notes, hub_notes_due);
        wire_pacer_init(&h->pacer, loop_now(control->loop));
        *out = h;
        hub_refresh(h);
        ensure(h);
        return ERR_OK;
}

void hub_stop(struct hub *h)
{
        h->is_stopped = true;
        timer_clear(&h->moment);
        timer_clear(&h->notes);
        list_for_each_safe(node, &h->channels)
                channel_close(CONTAINER_OF(node, struct channel, node_in_hub), WEBSOCKET_LEAVING,
                              "control stops");
}

void hub_send_elsewhere(struct hub *h)
{
        if (!h || h->is_stopped || !h->desired || h->desired->controls_count < 2)
                return;
        list_for_each_safe(node, &h->channels)
                channel_close(CONTAINER_OF(node, struct channel, node_in_hub), WEBSOCKET_LEAVING,
                              "this control has lost its store: another may have it");
}

void hub_free(struct hub *h)
{
        if (!h)
                return;
        desired_free(h->desired);
        numbers_fini(&h->numbers);
        free(h);
}
