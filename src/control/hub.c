#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/hub_priv.h"
#include "control/routes_priv.h"
#include "control/shares.h"
#include "store/idempotency.h"
#include "store/outbox.h"
#include "store/services.h"

/*
 * Theory of operation. After a commit one job reads all that documents are made of (never two at once; what is committed
 * meanwhile makes it run again). Then, on the loop's thread, each channel's document is made of items that documents of one
 * kind share; one that came out the same is left alone, another gets the outbox's number as its version. wire/session.h
 * tells the node the difference. What nodes say is kept on their channels and written down together.
 */

enum { NOTES_MS = 100, RETRY_MS = 1000, NOTES_MAX = 500, SHARES_PAGE = 200, PRUNE_LIMIT = 1000 };

#define OUTBOX_KEEP_MS  (INT64_C(7) * 86400 * 1000)
#define ANSWERS_KEEP_MS (INT64_C(24) * 3600 * 1000)

static void refresh(struct hub *h);

/* ---- numbers ---- */

static struct remembered *remembered_find(struct hub *h, int64_t node)
{
        size_t low = 0, high = h->remembered_count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (h->remembered[middle].node < node)
                        low = middle + 1;
                else
                        high = middle;
        }
        if (low < h->remembered_count && h->remembered[low].node == node)
                return &h->remembered[low];
        if (h->remembered_count == h->remembered_cap) {
                size_t cap = h->remembered_cap ? h->remembered_cap * 2 : 64;
                struct remembered *grown = realloc(h->remembered, cap * sizeof(*grown));

                if (!grown)
                        return NULL;
                h->remembered = grown;
                h->remembered_cap = cap;
        }
        memmove(&h->remembered[low + 1], &h->remembered[low],
                (h->remembered_count - low) * sizeof(*h->remembered));
        h->remembered_count++;
        h->remembered[low] = (struct remembered){ .node = node };
        return &h->remembered[low];
}

/* ---- documents ---- */

struct items {
        struct wire_item **list;
        size_t count;
};

static void items_fini(struct items *s)
{
        for (size_t i = 0; i < s->count; i++)
                wire_item_put(s->list[i]);
        free(s->list);
        *s = (struct items){ 0 };
}

static enum err items_make(const struct desired_items *from, struct items *out)
{
        *out = (struct items){ calloc(from->count + 1, sizeof(struct wire_item *)), 0 };
        if (!out->list)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < from->count; i++) {
                enum err e = wire_item_new(str_of(from->items[i].section), from->items[i].id,
                                           from->items[i].json, &out->list[out->count]);

                if (e == ERR_OK) {
                        out->count++;
                } else if (e == ERR_NO_MEMORY) {
                        return e;
                } else {
                        log_error("item_left_out", LOG_C("section", from->items[i].section),
                                  LOG_S("id", from->items[i].id), LOG_E(e));
                }
        }
        return ERR_OK;
}

static enum err draft_fill(struct wire_draft *d, const struct items *common, const struct desired_items *own)
{
        enum err e = ERR_OK;

        for (size_t i = 0; i < common->count && e == ERR_OK; i++)
                e = wire_draft_add(d, common->list[i]);
        for (size_t i = 0; i < own->count && e == ERR_OK; i++)
                e = wire_draft_add_json(d, str_of(own->items[i].section), own->items[i].id,
                                        own->items[i].json);
        return e;
}

static enum err document_make(struct hub *h, const struct channel *ch, const struct desired_node *n,
                              const struct items *common, uint64_t version, struct wire_document **out)
{
        const struct secrets *s = &h->control->secrets;
        struct wire_header header = { .format = WIRE_FORMAT,
                                      .kind = ch->kind,
                                      .node = str_of(ch->id),
                                      .org = str_of(s->org),
                                      .epoch = (uint64_t)s->epoch,
                                      .version = version,
                                      .issued = loop_wall(h->control->loop) / 1000,
                                      .lease = h->desired->lease };
        struct wire_draft *draft;
        enum err e = wire_draft_new(&header, &draft);

        if (e != ERR_OK)
                return e;
        if ((e = draft_fill(draft, common, &n->own)) != ERR_OK) {
                wire_draft_free(draft);
                return e;
        }
        return wire_draft_finish(&draft, s->document_seed, out);
}

static void gone_say(struct channel *ch, const char *reason)
{
        const struct wire_message m = { .type = WIRE_GONE, .gone = { .reason = str_of(reason) } };

        log_info("node_sent_away", LOG_C("node", ch->id), LOG_C("reason", reason));
        channel_say(ch, &m);
}

/* One channel's document by the present reading. */
static void channel_refresh(struct hub *h, struct channel *ch, const struct items *gateways,
                            const struct items *agents)
{
        const struct desired_node *n = desired_find(h->desired, ch->node);
        struct remembered *r = remembered_find(h, ch->node);
        struct wire_document *d;
        enum err e;

        if (!n)
                return; /* it joined after this reading: the next one has it */
        if (n->state != STORE_NODE_ACTIVE) {
                gone_say(ch, n->state == STORE_NODE_REMOVED    ? "removed"
                             : n->state == STORE_NODE_DISABLED ? "disabled"
                                                               : "waiting for approval");
                return;
        }
        if (!r)
                return;
        uint64_t version = MAX((uint64_t)h->desired->seq, r->version + 1);
        e = document_make(h, ch, n, ch->kind == WIRE_GATEWAY ? gateways : agents, version, &d);
        if (e != ERR_OK) {
                log_error("document_not_made", LOG_C("node", ch->id), LOG_E(e));
                return;
        }
        if (r->version && memcmp(r->items, wire_document_items_hash(d), WIRE_HASH_BYTES) == 0) {
                bool is_known = ch->document != NULL;

                wire_document_put(d); /* the same as before: under its number */
                if (is_known || document_make(h, ch, n, ch->kind == WIRE_GATEWAY ? gateways : agents,
                                              r->version, &d) != ERR_OK)
                        return;
        } else {
                r->version = version;
                memcpy(r->items, wire_document_items_hash(d), WIRE_HASH_BYTES);
        }
        channel_set(ch, d);
        wire_document_put(d);
}

static void documents_refresh(struct hub *h, struct channel *only)
{
        struct items gateways = { 0 }, agents = { 0 };

        if (!h->desired)
                return;
        if (items_make(&h->desired->gateways, &gateways) == ERR_OK &&
            items_make(&h->desired->agents, &agents) == ERR_OK) {
                if (only)
                        channel_refresh(h, only, &gateways, &agents);
                else
                        list_for_each_safe(node, &h->channels)
                                channel_refresh(h, CONTAINER_OF(node, struct channel, node_in_hub), &gateways,
                                                &agents);
        }
        items_fini(&gateways);
        items_fini(&agents);
}

/* ---- the reading ---- */

struct reading_job {
        struct store_job job;
        struct hub *hub;
        struct hash_key id_key;
        struct desired *desired;
};

static enum err reading_run(struct store_job *job, struct store_txn *t)
{
        struct reading_job *r = CONTAINER_OF(job, struct reading_job, job);

        desired_free(r->desired);
        r->desired = NULL;
        return desired_read(t, STORE_ORG_DEFAULT, r->id_key, &r->desired);
}

static void reading_done(struct store_job *job, enum err e)
{
        struct reading_job *r = CONTAINER_OF(job, struct reading_job, job);
        struct hub *h = r->hub;
        struct loop *loop = h->control->loop;

        h->is_reading = false;
        if (e == ERR_OK && !h->is_stopped) {
                desired_free(h->desired);
                h->desired = r->desired;
                r->desired = NULL;
                documents_refresh(h, NULL);
                timer_set(loop, &h->moment,
                          h->desired->next_change
                                  ? loop_now(loop) +
                                            MAX(h->desired->next_change - loop_wall(loop), (int64_t)0) + 1
                                  : MONO_NEVER);
        } else if (e != ERR_OK) {
                log_error("documents_not_read", LOG_E(e), LOG_C("reason", job->reason));
                timer_set(loop, &h->moment, loop_now(loop) + RETRY_MS);
        }
        desired_free(r->desired);
        free(r);
        if (h->is_stale && !h->is_stopped) {
                h->is_stale = false;
                refresh(h);
        }
}

static void refresh(struct hub *h)
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
                r->id_key = h->control->secrets.id_key;
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
        refresh(CONTAINER_OF(t, struct hub, moment));
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

/* ---- what nodes say ---- */

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
                refresh(h); /* agents are told where gateways are: that is in the report */
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

static void on_notes(struct timer *t)
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

/* ---- renewals and shares: a job for one node, answered on its channel if it is still there ---- */

struct node_job {
        struct store_job job;
        struct hub *hub;
        int64_t node;
        struct arena arena;
        enum { NODE_RENEW, NODE_SHARE, NODE_UNSHARE } kind;
        uint64_t ref;
        int64_t share_row;
        char url[600], host[300];
        const char *why;
        struct str certificate;
        struct store_share share;
};

static enum err renew_run(struct node_job *j, struct store_txn *t)
{
        struct store_node node, certified;
        enum err e = store_node_get(t, 0, j->node, &j->arena, &node);

        if (e != ERR_OK)
                return e;
        if (node.state != STORE_NODE_ACTIVE)
                return ERR_DENIED;
        if ((e = node_certificate(j->hub->control, &node, store_now(t), &j->arena, &j->certificate,
                                  &certified)) != ERR_OK)
                return e;
        return store_node_certified(t, node.id, certified.certificate_serial, certified.certificate_expires);
}

static enum err share_run(struct node_job *j, struct store_txn *t)
{
        char name[32];
        struct store_actor actor = { .source = STR("channel") };
        struct store_node node;
        struct store_change *c;
        enum err e = store_node_get(t, 0, j->node, &j->arena, &node);

        if (e != ERR_OK)
                return e;
        if (node.state != STORE_NODE_ACTIVE || node.kind != STORE_AGENT)
                return ERR_DENIED;
        snprintf(name, sizeof(name), "node/%" PRId64, node.id);
        actor.name = str_of(name);
        if (j->kind == NODE_SHARE) {
                struct share_request r = { &node, str_of(j->url), str_of(j->host), actor.name };

                c = store_change_begin(t, node.org, &actor, "share.add");
                if ((e = share_make(c, &r, &j->arena, &j->share, &j->why)) != ERR_OK)
                        return e;
                return store_change_finish(c);
        }
        e = store_share_get(t, node.org, j->share_row, &j->arena, &j->share);
        if (e == ERR_NOT_FOUND || (e == ERR_OK && j->share.node != node.id))
                return ERR_OK; /* gone already, or another's: nothing to end */
        if (e != ERR_OK)
                return e;
        c = store_change_begin(t, node.org, &actor, "share.remove");
        if ((e = share_end(c, &j->share)) != ERR_OK)
                return e;
        return store_change_finish(c);
}

static enum err node_run(struct store_job *job, struct store_txn *t)
{
        struct node_job *j = CONTAINER_OF(job, struct node_job, job);

        arena_reset(&j->arena);
        j->why = NULL;
        return j->kind == NODE_RENEW ? renew_run(j, t) : share_run(j, t);
}

static struct channel *channel_find(struct hub *h, int64_t node)
{
        list_for_each(at, &h->channels) {
                struct channel *ch = CONTAINER_OF(at, struct channel, node_in_hub);

                if (ch->node == node)
                        return ch;
        }
        return NULL;
}

static void share_answer(struct node_job *j, struct channel *ch)
{
        char id[WIRE_ID_SIZE], url[320];
        struct wire_message m = { .type = j->kind == NODE_SHARE ? WIRE_SHARED : WIRE_UNSHARED };

        snprintf(url, sizeof(url), "https://%.*s", STR_FMT(j->share.host));
        if (j->kind == NODE_SHARE)
                m.shared = (struct wire_shared){ .ref = j->ref,
                                                 .id = id_format(j->hub->control->secrets.id_key, ID_SHARE,
                                                                 j->share.id, id),
                                                 .host = j->share.host,
                                                 .url = str_of(url) };
        else
                m.unshare.ref = j->ref;
        channel_say(ch, &m);
}

static void node_done(struct store_job *job, enum err e)
{
        struct node_job *j = CONTAINER_OF(job, struct node_job, job);
        struct channel *ch = channel_find(j->hub, j->node);
        struct wire_message m = { 0 };

        if (e != ERR_OK && !j->why)
                log_error("node_request_failed", LOG_N("node", j->node), LOG_E(e),
                          LOG_C("reason", job->reason));
        if (ch && e == ERR_OK && j->kind == NODE_RENEW) {
                m.type = WIRE_CERTIFICATE;
                m.certificate.certificate = j->certificate;
                m.certificate.authority = certs_authority_pem(j->hub->control->secrets.authority);
                channel_say(ch, &m);
        } else if (ch && e == ERR_OK) {
                share_answer(j, ch);
        } else if (ch) {
                m.type = WIRE_ERROR;
                m.error.ref = j->ref;
                m.error.text = j->why ? str_of(j->why) : STR("Control could not do it. Its log says more.");
                channel_say(ch, &m);
        }
        arena_fini(&j->arena);
        free(j);
}

static struct node_job *node_job_new(struct hub *h, struct channel *ch)
{
        struct node_job *j = calloc(1, sizeof(*j));

        if (!j)
                return NULL;
        arena_init(&j->arena, NULL, 0, 4 << 20);
        j->job = (struct store_job){ .run = node_run, .done = node_done };
        j->hub = h;
        j->node = ch->node;
        return j;
}

static void node_job_start(struct node_job *j)
{
        if (store_submit(j->hub->control->store, &j->job) == ERR_OK)
                return;
        arena_fini(&j->arena);
        free(j);
}

void hub_renew(struct hub *h, struct channel *ch)
{
        struct node_job *j = node_job_new(h, ch);

        if (!j)
                return;
        j->kind = NODE_RENEW;
        node_job_start(j);
}

void hub_share(struct hub *h, struct channel *ch, const struct wire_share *share)
{
        struct node_job *j = node_job_new(h, ch);

        if (!j)
                return;
        j->kind = NODE_SHARE;
        j->ref = share->ref;
        snprintf(j->url, sizeof(j->url), "%.*s", STR_FMT(share->url));
        snprintf(j->host, sizeof(j->host), "%.*s", STR_FMT(share->host));
        node_job_start(j);
}

void hub_unshare(struct hub *h, struct channel *ch, uint64_t ref, struct str id)
{
        struct node_job *j = node_job_new(h, ch);

        if (!j)
                return;
        j->kind = NODE_UNSHARE;
        j->ref = ref;
        if (id_parse(h->control->secrets.id_key, ID_SHARE, id, &j->share_row) != ERR_OK)
                j->share_row = INT64_MAX; /* nobody's */
        node_job_start(j);
}

/* ---- every minute: what is over ends ---- */

struct minute_job {
        struct store_job job;
        struct arena arena;
        int64_t *sharing; /* nodes that are connected: their shares are heard of */
        size_t sharing_count;
};

static enum err shares_end(struct minute_job *j, struct store_txn *t)
{
        static const struct store_actor system = { STR_INIT("system"), STR_INIT("") };
        struct store_page page = { .limit = SHARES_PAGE };
        struct store_share *rows;
        struct store_change *c = NULL;
        enum err e =
                store_share_over(t, store_now(t), store_now(t) - SHARE_SILENCE_MS, &page, &j->arena, &rows);

        for (size_t i = 0; i < page.count && e == ERR_OK; i++) {
                bool is_heard = false;

                for (size_t k = 0; k < j->sharing_count; k++)
                        is_heard |=
                                str_has_prefix(rows[i].owner, STR("node/")) && rows[i].node == j->sharing[k];
                if (is_heard && rows[i].expires > store_now(t)) {
                        e = store_share_seen(t, rows[i].id, store_now(t));
                        continue;
                }
                if (!c)
                        c = store_change_begin(t, rows[i].org, &system, "share.end");
                e = share_end(c, &rows[i]);
        }
        return e == ERR_OK && c ? store_change_finish(c) : e;
}

static enum err nodes_expire(struct minute_job *j, struct store_txn *t)
{
        static const struct store_actor system = { STR_INIT("system"), STR_INIT("") };
        struct store_page page = { .limit = SHARES_PAGE };
        struct store_node *rows;
        struct store_change *c = NULL;
        enum err e = store_node_expired(t, store_now(t), &page, &j->arena, &rows);

        for (size_t i = 0; i < page.count && e == ERR_OK; i++) {
                struct store_page one = { .limit = 1 };
                struct store_target *targets;

                if ((e = store_target_of_node(t, rows[i].id, &one, &j->arena, &targets)) != ERR_OK)
                        break;
                if (one.count && rows[i].state == STORE_NODE_DISABLED)
                        continue; /* services still name it: it stays, out of use */
                if (!c)
                        c = store_change_begin(t, rows[i].org, &system, "node.expire");
                rows[i].state = STORE_NODE_DISABLED;
                e = one.count ? store_node_update(c, &rows[i])
                              : store_node_retire(c, rows[i].org, rows[i].id, 0);
        }
        return e == ERR_OK && c ? store_change_finish(c) : e;
}

/* What nobody reads any more, a part each minute. */
static enum err old_forget(struct store_txn *t)
{
        int64_t removed;
        enum err e = store_outbox_prune(t, store_now(t) - OUTBOX_KEEP_MS, PRUNE_LIMIT, &removed);

        if (e != ERR_OK)
                return e;
        return store_idempotency_prune(t, store_now(t) - ANSWERS_KEEP_MS, PRUNE_LIMIT, &removed);
}

static enum err minute_run(struct store_job *job, struct store_txn *t)
{
        struct minute_job *j = CONTAINER_OF(job, struct minute_job, job);
        enum err e;

        arena_reset(&j->arena);
        if ((e = shares_end(j, t)) != ERR_OK || (e = nodes_expire(j, t)) != ERR_OK)
                return e;
        return old_forget(t);
}

static void minute_done(struct store_job *job, enum err e)
{
        struct minute_job *j = CONTAINER_OF(job, struct minute_job, job);

        if (e != ERR_OK)
                log_error("minute_failed", LOG_E(e), LOG_C("reason", job->reason));
        free(j->sharing);
        arena_fini(&j->arena);
        free(j);
}

void hub_minute(struct hub *h)
{
        struct minute_job *j = calloc(1, sizeof(*j));

        if (!j || !(j->sharing = calloc(h->channels_count + 1, sizeof(*j->sharing)))) {
                free(j);
                return;
        }
        list_for_each(node, &h->channels) {
                struct channel *ch = CONTAINER_OF(node, struct channel, node_in_hub);

                j->sharing[j->sharing_count++] = ch->node;
                ch->was_seen = true;
        }
        arena_init(&j->arena, NULL, 0, 16 << 20);
        j->job = (struct store_job){ .run = minute_run, .done = minute_done };
        if (store_submit(h->control->store, &j->job) != ERR_OK)
                minute_done(&j->job, ERR_OK);
        if (h->channels_count)
                hub_note(h);
}

/* The lease of what is in force begins anew. */
void hub_day(struct hub *h)
{
        ensure(h);
        list_for_each(node, &h->channels) {
                struct channel *ch = CONTAINER_OF(node, struct channel, node_in_hub);
                struct wire_document *d;

                if (!ch->document)
                        continue;
                struct wire_header header = *wire_document_header(ch->document);
                header.issued = loop_wall(h->control->loop) / 1000;
                header.lease = h->desired ? h->desired->lease : header.lease;
                if (wire_document_reissue(ch->document, &header, h->control->secrets.document_seed, &d) !=
                    ERR_OK)
                        continue;
                channel_set(ch, d);
                wire_document_put(d);
        }
}

/* ---- who is there ---- */

void hub_add(struct hub *h, struct channel *ch)
{
        struct channel *before = channel_find(h, ch->node);

        if (before) {
                if (strcmp(before->from, ch->from) != 0)
                        log_warning("node_in_two_places", LOG_C("node", ch->id), LOG_C("one", before->from),
                                    LOG_C("other", ch->from));
                channel_close(before, WEBSOCKET_POLICY, "the node came by another connection");
        }
        list_add_last(&h->channels, &ch->node_in_hub);
        h->channels_count++;
        log_info("node_connected", LOG_C("node", ch->id), LOG_C("address", ch->from));
        if (h->desired && desired_find(h->desired, ch->node))
                documents_refresh(h, ch);
        else
                refresh(h);
}

void hub_remove(struct hub *h, struct channel *ch)
{
        if (list_is_empty(&ch->node_in_hub))
                return;
        list_remove(&ch->node_in_hub);
        h->channels_count--;
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

void hub_changed(struct hub *h)
{
        if (h->is_stopped)
                return;
        ensure(h);
        refresh(h);
}

enum err hub_new(struct control *control, struct hub **out)
{
        struct hub *h = calloc(1, sizeof(*h));

        if (!h)
                return ERR_NO_MEMORY;
        h->control = control;
        list_init(&h->channels);
        timer_init(&h->moment, on_moment);
        timer_init(&h->notes, on_notes);
        wire_pacer_init(&h->pacer, loop_now(control->loop));
        *out = h;
        refresh(h);
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

void hub_free(struct hub *h)
{
        if (!h)
                return;
        desired_free(h->desired);
        free(h->remembered);
        free(h);
}
