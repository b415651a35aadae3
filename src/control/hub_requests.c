/*
 * What a node asks for: a certificate, a share. A job each, answered on its channel if that is still there. A node that fell
 * may ask without end: what it may say is an allowance that comes back with time, of which a request, which is a transaction
 * that all others wait for, takes as much as many reports.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/hub_priv.h"
#include "control/routes_priv.h"
#include "control/shares.h"

enum { ALLOWANCE_MOST = 1024, ALLOWANCE_PER_SECOND = 100, REQUEST_COST = 16 };

void hub_allowance_begin(struct channel *ch)
{
        ch->allowance = ALLOWANCE_MOST * 1000;
        ch->allowance_at = loop_now(ch->hub->control->loop);
}

bool hub_allows(struct channel *ch, struct str text)
{
        enum wire_type type = wire_message_type(text);
        bool is_request = type == WIRE_RENEW || type == WIRE_SHARE || type == WIRE_UNSHARE;
        uint64_t cost = (is_request ? REQUEST_COST : 1) * UINT64_C(1000);
        mono_ms now = loop_now(ch->hub->control->loop);
        uint64_t gained = (uint64_t)MAX(now - ch->allowance_at, (mono_ms)0) * ALLOWANCE_PER_SECOND;

        ch->allowance = MIN(ch->allowance + gained, (uint64_t)ALLOWANCE_MOST * 1000);
        ch->allowance_at = now;
        if (ch->allowance < cost)
                return false;
        ch->allowance -= cost;
        return true;
}

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
                struct share_request r = { &node, str_of(j->url), str_of(j->host), actor.name, true };

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
        struct channel *ch = hub_channel_find(j->hub, j->node);
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
