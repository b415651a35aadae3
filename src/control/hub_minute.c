/* What time alone ends: shares nobody speaks for, nodes that were there for a while only, rows nobody reads. */
#include <stdlib.h>

#include "control/hub_priv.h"
#include "control/lead.h"
#include "control/shares.h"
#include "store/idempotency.h"
#include "store/outbox.h"
#include "store/services.h"

enum { SHARES_PAGE = 200, PRUNE_LIMIT = 1000 };

#define SHARE_HEARD_MS  (SHARE_SILENCE_MS / 4)
#define OUTBOX_KEEP_MS  (INT64_C(7) * 86400 * 1000)
#define ANSWERS_KEEP_MS (INT64_C(24) * 3600 * 1000)

struct minute_job {
        struct store_job job;
        struct arena arena;
        int64_t *sharing; /* nodes that are connected: their shares are heard of */
        size_t sharing_count;
        const struct control *control;
        bool is_shared;
};

static const struct store_actor system_actor = { STR_INIT("system"), STR_INIT("") };

static bool is_heard(const struct minute_job *j, const struct store_share *share)
{
        for (size_t i = 0; i < j->sharing_count && str_has_prefix(share->owner, STR("node/")); i++)
                if (share->node == j->sharing[i])
                        return true;
        return false;
}

/* Those of nodes that are connected here, well before the leader would end them. */
static enum err shares_hear(struct minute_job *j, struct store_txn *t)
{
        struct store_page page = { .limit = SHARES_PAGE };
        struct store_share *rows;
        enum err e = store_share_over(t, 0, store_now(t) - SHARE_HEARD_MS, &page, &j->arena, &rows);

        for (size_t i = 0; i < page.count && e == ERR_OK; i++)
                if (is_heard(j, &rows[i]))
                        e = store_share_seen(t, rows[i].id, store_now(t));
        return e;
}

static enum err shares_end(struct minute_job *j, struct store_txn *t)
{
        struct store_page page = { .limit = SHARES_PAGE };
        struct store_share *rows;
        struct store_change *c = NULL;
        unix_ms now = store_now(t);
        enum err e = store_share_over(t, now, now - SHARE_SILENCE_MS, &page, &j->arena, &rows);

        for (size_t i = 0; i < page.count && e == ERR_OK; i++) {
                bool may_be_elsewhere = j->is_shared && str_has_prefix(rows[i].owner, STR("node/")) &&
                                        rows[i].last_seen >= now - 2 * SHARE_SILENCE_MS;
                bool is_expired = rows[i].expires && rows[i].expires <= now;

                if (may_be_elsewhere && !is_expired)
                        continue; /* its node may be on its way from one control to another */
                if (!c)
                        c = store_change_begin(t, rows[i].org, &system_actor, "share.end");
                e = share_end(c, &rows[i]);
        }
        return e == ERR_OK && c ? store_change_finish(c) : e;
}

static enum err nodes_expire(struct minute_job *j, struct store_txn *t)
{
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
                        c = store_change_begin(t, rows[i].org, &system_actor, "node.expire");
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
        bool is_us;
        enum err e;

        arena_reset(&j->arena);
        if ((e = shares_hear(j, t)) != ERR_OK || (e = lead_check(j->control, t, &is_us)) != ERR_OK || !is_us)
                return e;
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
        j->control = h->control;
        j->is_shared = lead_row(h->control->lead) != 0;
        j->job = (struct store_job){ .run = minute_run, .done = minute_done };
        if (store_submit(h->control->store, &j->job) != ERR_OK)
                minute_done(&j->job, ERR_OK);
        if (h->channels_count)
                hub_note(h);
}
