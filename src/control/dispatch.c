#include "control/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "control/control_priv.h"
#include "control/desired.h"
#include "control/dispatch_history.h"
#include "dispatch/dispatcher.h"
#include "dispatch/figures.h"
#include "io/tls.h"

static const struct conf_dispatch *conf_of(const struct control *c)
{
        return &c->conf->control.dispatch;
}

struct str dispatch_url(const struct control *c)
{
        return conf_of(c)->allow_count ? str_of(c->url) : STR("");
}

static void on_agent(struct worker *w, struct str agent, bool is_linked)
{
        struct control *c = CONTAINER_OF(w, struct control, worker);

        dispatcher_linked(c->dispatcher, agent, is_linked);
}

static void on_done(void *context, const struct dispatch_record *r)
{
        struct control *c = context;

        dispatch_history_add(c->dispatch_history, r);
        figures_count(c->shared.metrics, 0, r);
}

enum err dispatch_start(struct control *c)
{
        const struct conf_dispatch *conf = conf_of(c);
        const struct dispatcher_conf options = { .rules = { conf->allow, conf->allow_count },
                                                 .agent_requests = (uint32_t)conf->agent_requests,
                                                 .caller_requests = (uint32_t)conf->caller_requests,
                                                 .agent_rate = conf->agent_rate,
                                                 .caller_rate = conf->caller_rate,
                                                 .waiting_max = conf->waiting,
                                                 .waiting_ms = conf->waiting_ms,
                                                 .answer_bytes = conf->answer_bytes,
                                                 .body_bytes_kept = (size_t)conf->history_body_bytes,
                                                 .on_done = on_done,
                                                 .context = c };
        enum err e;

        if (conf->allow_count == 0)
                return ERR_OK;
        if (!(c->dispatcher = dispatcher_new(&c->worker, &options)))
                return ERR_NO_MEMORY;
        if ((e = dispatch_history_new(c, &c->dispatch_history)) != ERR_OK)
                return e;
        c->worker.on_agent = on_agent;
        return dispatch_history_restore(c->dispatch_history);
}

void dispatch_end(struct control *c)
{
        c->worker.on_agent = NULL;
        dispatch_history_free(c->dispatch_history);
        c->dispatch_history = NULL;
        dispatcher_free(c->dispatcher);
        c->dispatcher = NULL;
}

void dispatch_told(struct control *c, struct str agent, const struct desired_node *node,
                   const struct wire_report *report)
{
        size_t count = report ? MIN(report->addresses_count, (size_t)SOURCES_OF_AGENT_MAX) : 0, n = 0;
        struct ip *addresses;

        if (!c->dispatcher || (report && (!node || node->state != STORE_NODE_ACTIVE)) ||
            !(addresses = calloc(count + 1, sizeof(*addresses))))
                return;
        for (size_t i = 0; i < count; i++)
                if (ip_parse(report->addresses[i], &addresses[n]) == ERR_OK)
                        n++;
        dispatcher_told(c->dispatcher, agent, addresses, n);
        if (node)
                dispatcher_named(c->dispatcher, agent, node->name, node->tags);
        free(addresses);
}

void dispatch_named(struct control *c, const struct desired *d)
{
        if (!c->dispatcher)
                return;
        list_for_each_safe(at, sources_agents(dispatcher_sources(c->dispatcher))) {
                const struct source_agent *a = sources_agent_of(at);
                int64_t row;
                const struct desired_node *node = id_parse(c->secrets.id_key, ID_AGENT, a->id, &row) == ERR_OK
                                                          ? desired_find(d, row)
                                                          : NULL;

                if (node && node->state != STORE_NODE_REMOVED) {
                        dispatcher_named(c->dispatcher, a->id, node->name, node->tags);
                } else {
                        dispatch_history_forget(c->dispatch_history, a->id);
                        dispatcher_removed(c->dispatcher, a->id);
                }
        }
}

/* ---- links ---- */

/* Control shows itself to agents as a gateway of the reserved id "control"; whoever may come is judged by certificate, and what
 * counts for the pool is who is connected as a node. */
enum err dispatch_links_build(struct control *c, struct snapshot *s, struct report *r)
{
        const struct wire_name who = { .kind = WIRE_GATEWAY,
                                       .org = str_of(c->secrets.org),
                                       .id = STR("control") };
        struct buf chain, key;
        enum err e;

        if (conf_of(c)->allow_count == 0)
                return ERR_OK;
        if ((e = control_pair_make(c, &who, STR("link.sekisho.internal"), &chain, &key)) == ERR_OK) {
                const struct tls_certificate certificate = { .cert_pem = buf_str(&chain),
                                                             .key_pem = buf_str(&key),
                                                             .cert_name = STR("the links' certificate"),
                                                             .key_name = STR("its key") };
                const struct tls_server_conf tls = { .certificates = &certificate,
                                                     .certificates_count = 1,
                                                     .offer_h2 = true,
                                                     .client_ca_pem =
                                                             certs_authority_pem(c->secrets.authority),
                                                     .client_required = true,
                                                     .light_records = true };

                e = tls_server_new(&tls, r, &s->links.tls);
        }
        buf_fini(&chain);
        buf_wipe(&key);
        if (e == ERR_OK && node_name_own(s->links.tls, &s->links.own) != ERR_OK)
                e = ERR_CONFIG;
        return e;
}
