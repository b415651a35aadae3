/* What nodes say of themselves, written down together. */
#include <stdlib.h>
#include <string.h>

#include "control/hub_priv.h"
#include "control/lead.h"
#include "control/offers.h"
#include "store/outbox.h"
#include "json/reader.h"

enum { NOTES_MS = 100, NOTES_MAX = 500, OFFERS_BYTES_MAX = 64 << 20 };

struct note {
        int64_t node;
        bool has_applied, was_seen, may_have_moved;
        int64_t epoch, version;
        int64_t wanted; /* what others show that it should have; -1: as it was */
        uint8_t hash[WIRE_HASH_BYTES];
        char *report;
        size_t report_len;
};

struct notes_job {
        struct store_job job;
        struct hub *hub;
        struct note notes[NOTES_MAX];
        size_t count;
        int64_t row; /* of this control; 0: the store is ours alone */
};

static bool is_alike(const struct json_value *a, const struct json_value *b, struct str name)
{
        a = json_find(a, name);
        b = json_find(b, name);
        return str_eq(a ? a->raw : STR(""), b ? b->raw : STR(""));
}

/* Where a gateway is reached stands in what it reports, and agents are told of it: by whichever control they are at. */
static enum err addresses_note(struct store_txn *t, const struct note *o)
{
        const struct json_value *old = NULL, *new = NULL;
        struct store_node row;
        struct arena a;
        enum err e;

        arena_init(&a, NULL, 0, 4 << 20);
        e = store_node_get(t, 0, o->node, &a, &row);
        if (e == ERR_OK) {
                if (json_read_strict(&a, row.facts, NULL, &old) != ERR_OK)
                        old = NULL;
                if (json_read_strict(&a, (struct str){ o->report, o->report_len }, NULL, &new) != ERR_OK)
                        new = NULL;
                if (!is_alike(old, new, STR("addresses")) || !is_alike(old, new, STR("overlay")))
                        e = store_outbox_note(t, row.org, "nodes", row.id);
        }
        arena_fini(&a);
        return e;
}

/* What an agent offers is published, or no longer, in the transaction that writes down what it said. */
static enum err offers_note(struct store_txn *t, int64_t id, struct str report)
{
        struct store_node node;
        struct arena arena;
        enum err e;

        arena_init(&arena, NULL, 0, OFFERS_BYTES_MAX);
        e = store_node_get(t, 0, id, &arena, &node);
        if (e == ERR_OK && node.kind == STORE_AGENT && !offers_are_same(node.facts, report, &arena)) {
                node.facts = report;
                e = offers_apply(t, &node, &arena);
        }
        arena_fini(&arena);
        return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err note_write(struct store_txn *t, const struct note *o, int64_t row)
{
        struct str report = { o->report, o->report_len };
        enum err e = ERR_OK;

        if (o->may_have_moved && report.len)
                e = addresses_note(t, o);
        if (e == ERR_OK && o->was_seen && report.len)
                e = offers_note(t, o->node, report);
        if (e == ERR_OK && o->was_seen)
                e = store_node_seen(t, o->node, store_now(t), report);
        if (e == ERR_OK && o->has_applied)
                e = store_node_applied(t, o->node, o->epoch, o->version,
                                       (struct str){ (const char *)o->hash, sizeof(o->hash) });
        if (e == ERR_OK && row && o->wanted >= 0)
                e = store_node_place(t, o->node, row, o->wanted);
        return e == ERR_NOT_FOUND ? ERR_OK : e; /* it is gone */
}

static enum err notes_run(struct store_job *job, struct store_txn *t)
{
        struct notes_job *n = CONTAINER_OF(job, struct notes_job, job);

        for (size_t i = 0; i < n->count; i++) {
                enum err e = note_write(t, &n->notes[i], n->row);

                if (e != ERR_OK)
                        return e;
        }
        return ERR_OK;
}

static void notes_done(struct store_job *job, enum err e)
{
        struct notes_job *n = CONTAINER_OF(job, struct notes_job, job);

        if (e != ERR_OK)
                log_error("notes_not_written", LOG_E(e), LOG_C("reason", job->reason));
        for (size_t i = 0; i < n->count; i++)
                free(n->notes[i].report);
        free(n);
}

static bool note_take(struct channel *ch, struct note *out)
{
        const struct wire_have *have = wire_control_end_have(ch->end);
        int64_t wanted = ch->document ? (int64_t)wire_document_header(ch->document)->version : 0;
        bool is_placed = ch->placed == wanted || !lead_row(ch->hub->control->lead);

        if (!ch->has_applied && !ch->was_seen && is_placed)
                return false;
        *out = (struct note){ .node = ch->node,
                              .has_applied = ch->has_applied && have->is_any,
                              .was_seen = ch->was_seen,
                              .may_have_moved = ch->addresses_changed && ch->kind == WIRE_GATEWAY,
                              .wanted = is_placed ? -1 : wanted };
        ch->placed = wanted;
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
        n->row = lead_row(h->control->lead);
        list_for_each(node, &h->channels) {
                struct channel *ch = CONTAINER_OF(node, struct channel, node_in_hub);

                if (n->count == NOTES_MAX) {
                        hub_note(h);
                        break;
                }
                if (note_take(ch, &n->notes[n->count])) {
                        n->count++;
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
