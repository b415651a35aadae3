#include <stdlib.h>

#include "conf/loader_priv.h"
#include "crypto/text.h"
#include "io/nodename.h"
#include "io/tls.h"
#include "io/tls_keys.h"

enum { AGENTS_MAX = 100 * 1000 };

static int by_id(const void *a, const void *b)
{
        const struct conf_link_agent *x = a, *y = b;

        return str_cmp(x->id, y->id);
}

static void agents_resolve(struct loader *l, struct draft_gateway *d, struct conf_links *links)
{
        struct draft_link_agent *drafts = d->links_agents.items;

        links->is_listed = d->links_agents.at.line != 0;
        if (d->links_agents.count == 0)
                return;
        if (d->links_agents.count > AGENTS_MAX) {
                loader_error_at(l, d->links_agents.at, "gateway.links.agents: more than %d", AGENTS_MAX);
                return;
        }
        if (!(links->agents = ARENA_ARRAY(l->arena, struct conf_link_agent, d->links_agents.count)))
                return;
        links->agents_count = d->links_agents.count;
        for (size_t i = 0; i < links->agents_count; i++) {
                struct conf_link_agent *a = &links->agents[i];

                *a = (struct conf_link_agent){ .id = drafts[i].item.name,
                                               .is_pinned = drafts[i].identity.text.len > 0 };
                if (!node_word_is_valid(a->id))
                        loader_error_at(l, drafts[i].item.at,
                                        "%.*s: an agent's id has up to 64 lower case letters, digits and '-'",
                                        STR_FMT(drafts[i].item.path));
                if (a->is_pinned &&
                    crypto_hex_parse(drafts[i].identity.text, a->identity, sizeof(a->identity)) != ERR_OK)
                        loader_error_at(l, drafts[i].identity.at,
                                        "%.*s.identity: must be 64 hexadecimal digits",
                                        STR_FMT(drafts[i].item.path));
        }
        qsort(links->agents, links->agents_count, sizeof(*links->agents), by_id);
}

/* The certificate must say which gateway this is, or no agent would believe it. */
static void own_name_check(struct loader *l, struct draft_gateway *d, const struct conf_links *links)
{
        const struct conf_certificate *c = &links->certificate;
        struct tls_certificate pair = { c->cert_pem, c->key_pem, c->cert_name, c->key_name };
        struct tls_server_conf conf = { .certificates = &pair,
                                        .certificates_count = 1,
                                        .client_ca_pem = links->authority_pem,
                                        .client_required = true,
                                        .signer = l->source->has_public_halves ? &tls_signer_none : NULL };
        struct tls_context *context = NULL;
        size_t errors = l->report->errors_count;
        struct node_name own;

        if (tls_server_new(&conf, l->report, &context) != ERR_OK) {
                if (errors == l->report->errors_count)
                        loader_error_at(l, d->links_authority.at,
                                        "gateway.links.authority: %.*s holds no certificate of an authority",
                                        STR_FMT(d->links_authority.text));
                return;
        }
        if (node_name_own(context, &own) != ERR_OK || own.kind != NODE_GATEWAY)
                loader_error_at(l, d->links_cert.at,
                                "gateway.links.cert: %.*s has no name sekisho://ORG/gateway/ID, or several",
                                STR_FMT(d->links_cert.text));
        tls_context_put(context);
}

void resolve_links(struct loader *l, struct draft_gateway *d)
{
        struct conf_gateway *g = &l->conf->gateway;
        struct conf_links *links = &g->links;
        bool has_tls = false, is_for_nobody = d->links_agents.at.line && !d->links_agents.count;

        *links = (struct conf_links){ 0 };
        if (!d->links_authority.text.ptr) {
                if (d->links_cert.text.ptr || d->links_key.text.ptr || d->links_agents.count)
                        loader_error_at(l, d->links_cert.text.ptr ? d->links_cert.at : d->links_agents.at,
                                        "gateway.links: names no authority; without it no agent is taken");
                return;
        }
        for (size_t i = 0; i < g->listens_count; i++)
                has_tls |= g->listens[i].is_tls;
        if (!has_tls && is_for_nobody)
                return;
        if (!has_tls)
                loader_error_at(
                        l, d->links_authority.at,
                        "gateway.links: agents come in where TLS is spoken, and nothing in gateway.listen does");
        if (!d->links_cert.text.ptr)
                loader_error_at(l, d->links_authority.at, "gateway.links: cert and key are missing");
        if (!d->links_cert.text.ptr ||
            !resolve_pair(l, "gateway.links", &d->links_cert, &d->links_key, CONF_READ_KEY,
                          &links->certificate) ||
            !loader_pem_read(l, CONF_READ_FILE, &d->links_authority, &links->authority_pem))
                return;
        agents_resolve(l, d, links);
        own_name_check(l, d, links);
}
