/* What nodes say of themselves, written down together. */
#include <stdlib.h>
#include <string.h>

#include "control/hub_priv.h"

enum { NOTES_MS = 100, NOTES_MAX = 500 };

struct note {
        int64_t node;
        bool has_applied, was_seen;
        int64_t epoch, version;
        uint8_t hash[WIRE_HASH_BYTES];
        char *report;
        size_t report_len;
};

struct notes_job {
        struct store_job job;
        struct hub *hub;
        struct note notes[NOTES_MAX];
        size_t count;
        bool addresses_changed;
};

static enum err notes_run(struct store_job *job, struct store_txn *t)
{
        struct notes_job *n = CONTAINER_OF(job, struct notes_job, job);

        for (size_t i = 0; i < n->count; i++) {
                const struct note *o = &n->notes[i];
                struct str report = { o->report, o->report_len };
                enum err e = ERR_OK;

                if (o->was_seen)
                        e = store_node_seen(t, o->node, store_now(t), report);
                if ((e == ERR_OK || e == ERR_NOT_FOUND) && o->has_applied)
                        e = store_node_applied(t, o->node, o->epoch, o->version,
                                               (struct str){ (const char *)o->hash, sizeof(o->hash) });
                if (e != ERR_OK && e != ERR_NOT_FOUND)
                        return e;
        }
        return ERR_OK;
}

static void notes_done(struct store_job *job, enum err e)
{
        struct notes_job *n = CONTAINER_OF(job, struct notes_job, job);
        struct hub *h = n->hub;

        if (e != ERR_OK)
                log_error("notes_not_written", LOG_E(e), LOG_C("reason", job->reason));
        if (n->addresses_changed)
                hub_refresh(h); /* agents are told where gateways are: that is in the report */
        for (size_t i = 0; i < n->count; i++)
                free(n->notes[i].report);
        free(n);
}

static bool note_take(struct channel *ch, struct note *out)
{
        const struct wire_have *have = wire_control_end_have(ch->end);

        if (!ch->has_applied && !ch->was_seen)
                return false;
        *out = (struct note){ .node = ch->node,
                              .has_applied = ch->has_applied && have->is_any,
                              .was_seen = ch->was_seen };
        out->epoch = (int64_t)have->epoch;
        out->version = (int64_t)have->version;
        memcpy(out->hash, have->hash, sizeof(out->hash));
        if (ch->report && (out->report = malloc(ch->report_len + 1))) {
                memcpy(out->report, ch->report, ch->report_len);
                out->report_len = ch->report_len;
        }
        ch->has_applied = ch->was_seen = ch->has_report = false;
        return true;
}

void hub_notes_due(struct timer *t)
{
        struct hub *h = CONTAINER_OF(t, struct hub, notes);
        struct notes_job *n = calloc(1, sizeof(*n));

        if (!n)
                return;
        n->hub = h;
        n->job = (struct store_job){ .run = notes_run, .done = notes_done };
        list_for_each(node, &h->channels) {
                struct channel *ch = CONTAINER_OF(node, struct channel, node_in_hub);

                if (n->count == NOTES_MAX) {
                        hub_note(h);
                        break;
                }
                if (note_take(ch, &n->notes[n->count])) {
                        n->count++;
                        n->addresses_changed |= ch->addresses_changed && ch->kind == WIRE_GATEWAY;
                        ch->addresses_changed = false;
                }
        }
        if (n->count && store_submit(h->control->store, &n->job) == ERR_OK)
                return;
        for (size_t i = 0; i < n->count; i++)
                free(n->notes[i].report);
        free(n);
}

void hub_note(struct hub *h)
{
        if (h->notes.due == MONO_NEVER && !h->is_stopped)
                timer_set(h->control->loop, &h->notes, loop_now(h->control->loop) + NOTES_MS);
}
