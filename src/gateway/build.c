#include "gateway/build_priv.h"

#include <stdlib.h>
#include <string.h>

#include "assembly/limits.h"
#include "assembly/upstream.h"
#include "gateway/version.h"
#include "io/listener.h"
#include "io/tls.h"
#include "proxy/forward.h"
#include "proxy/pass.h"

enum {
        SNAPSHOT_BYTES_MAX = 256 << 20,
        FLOWS_USUAL_MAX = 4096,
        FLOWS_PER_ADDRESS_USUAL_MAX = 256,
        FLOW_IDLE_USUAL_MS = 2 * 60 * 1000 /* RFC 4787 REQ-5 */
};

uint64_t build_key(const struct build *b, struct str text)
{
        return hash_str(b->in->shared->hash_key, text);
}

struct ip_list build_ip_list(const struct conf_prefixes *p)
{
        return (struct ip_list){ p->items, p->count };
}

/* ---- the end of a snapshot ---- */

static void snapshot_free(struct snapshot *s)
{
        llm_free(s->llm);
        for (size_t i = 0; i < s->listens_count; i++)
                tls_context_put(s->listens[i].tls);
        tls_context_put(s->links.tls);
        assembly_upstreams_put(s);
        map_fini(&s->tokens.by_hash);
        conf_free((struct conf *)s->conf);
        arena_fini(&s->arena);
        free(s);
}

/* ---- rules ---- */

static enum err tokens_build(struct build *b)
{
        const struct conf_gateway *g = &b->conf->gateway;
        struct token_set *set = &b->s->tokens;

        set->count = g->tokens_count;
        set->tokens = ARENA_ARRAY(b->arena, struct token, g->tokens_count);
        map_init(&set->by_hash, b->in->shared->hash_key, g->tokens_count);
        if (g->tokens_count && !set->tokens)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < g->tokens_count; i++) {
                const struct conf_token *c = &g->tokens[i];
                struct token *t = &set->tokens[i];
                struct str hash = { (const char *)t->sha256, sizeof(t->sha256) };

                *t = (struct token){ .name = c->name,
                                     .scopes = c->scopes,
                                     .expires = c->expires == MONO_NEVER ? 0 : c->expires,
                                     .allowed_ips = build_ip_list(&c->allowed_ips),
                                     .models = c->models.items,
                                     .models_count = c->models.count,
                                     .rate = c->rate_limit };
                memcpy(t->sha256, c->sha256, sizeof(t->sha256));
                t->key = build_key(b, hash);
                if (map_add(&set->by_hash, hash, t) == ERR_NO_MEMORY)
                        return ERR_NO_MEMORY; /* twice the same text is refused when the configuration is read */
        }
        return ERR_OK;
}

static enum err upstreams_build(struct build *b)
{
        const struct assembly a = { b->s, b->in->shared, b->report };
        const struct conf *c = b->conf;
        size_t max = c->upstreams_count + llm_upstreams_count(c);
        struct upstream *array = ARENA_ARRAY(b->arena, struct upstream, c->upstreams_count + 1);

        b->s->upstreams = ARENA_ARRAY(b->arena, struct upstream *, max + 1);
        if (!array || !b->s->upstreams)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < c->upstreams_count; i++) {
                enum err e = assembly_upstream(&a, &c->upstreams[i], &array[i]);
                if (e != ERR_OK)
                        return e;
        }
        return ERR_OK;
}

static enum err pages_build(struct build *b)
{
        const struct conf_gateway *g = &b->conf->gateway;
        struct error_page *pages = ARENA_ARRAY(b->arena, struct error_page, g->error_pages_count + 1);

        if (!pages)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < g->error_pages_count; i++)
                pages[i] = (struct error_page){ g->error_pages[i].status_min, g->error_pages[i].status_max,
                                                g->error_pages[i].text };
        b->s->pages = (struct error_page_set){ pages, g->error_pages_count };
        return ERR_OK;
}

/* ---- traces ---- */

static enum err trace_build(struct build *b)
{
        const struct conf_trace *c = &b->conf->trace;
        struct http_field *fields = ARENA_ARRAY(b->arena, struct http_field, c->headers_count + 1);

        if (!fields)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < c->headers_count; i++)
                fields[i] = (struct http_field){ .name = c->headers[i].name, .value = c->headers[i].value };
        b->s->trace = (struct trace_conf){ .is_on = c->is_on, .one_in = (uint32_t)c->one_in };
        b->s->exporter = (struct exporter_conf){ .base_path = c->path,
                                                 .service = c->service,
                                                 .version = STR(SEKISHO_VERSION),
                                                 .fields = fields,
                                                 .fields_count = c->headers_count,
                                                 .sends_logs = c->sends_logs };
        if (c->upstream)
                b->s->exporter.upstream = b->s->upstreams[c->upstream - b->conf->upstreams];
        return ERR_OK;
}

/* ---- listeners ---- */

static enum err server_tls(struct build *b, struct tls_context **out)
{
        const struct conf_gateway *g = &b->conf->gateway;
        struct tls_certificate *certificates =
                ARENA_ARRAY(b->arena, struct tls_certificate, g->certificates_count + 1);
        struct tls_server_conf tls = { .certificates = certificates,
                                       .certificates_count = g->certificates_count,
                                       .offer_h2 = g->http2,
                                       .client_ca_pem = g->client_ca_pem,
                                       .client_crl_pem = g->client_crl_pem,
                                       .client_required = g->client_certificate_is_required,
                                       .signer = b->in->signer };
        enum err e;

        if (!certificates)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < g->certificates_count; i++)
                certificates[i] = (struct tls_certificate){ .cert_pem = g->certificates[i].cert_pem,
                                                            .key_pem = g->certificates[i].key_pem,
                                                            .cert_name = g->certificates[i].cert_name,
                                                            .key_name = g->certificates[i].key_name };
        if ((e = tls_server_new(&tls, b->report, out)) != ERR_OK)
                return e;
        if (b->in->ticket_key_before)
                tls_ticket_key_set(*out, b->in->ticket_key_before);
        tls_ticket_key_set(*out, b->in->ticket_key);
        return ERR_OK;
}

/* What every connection of a listener of byte streams, or under a name that is passed on, goes by. */
static const struct route *raw_build(struct build *b, struct str name, const struct conf_upstream *upstream,
                                     const struct conf_stream_rules *rules, bool is_datagram)
{
        struct upstream *u = b->s->upstreams[upstream - b->conf->upstreams];
        struct route *r = ARENA_NEW(b->arena, struct route);

        if (!r)
                return NULL;
        *r = (struct route){ .name = arena_copy(b->arena, name),
                             .handler = &forward_handler,
                             .upstream = u,
                             .access = { .is_public = true,
                                         .allowed_ips = build_ip_list(&rules->allowed_ips),
                                         .denied_ips = build_ip_list(&rules->denied_ips) },
                             .rate = rules->rate,
                             .concurrent_max = (uint32_t)rules->streams_max,
                             .concurrent_per_address_max = (uint32_t)rules->streams_per_address_max };
        if (is_datagram) { /* rates are asked, and ends found, before there is an exchange (proxy/udp_doors.h) */
                r->rate = (struct units_rate){ 0 };
                r->concurrent_max = rules->streams_max ? r->concurrent_max : FLOWS_USUAL_MAX;
                r->concurrent_per_address_max = rules->streams_per_address_max ? r->concurrent_per_address_max
                                                                               : FLOWS_PER_ADDRESS_USUAL_MAX;
        } else if (rules->idle) {
                struct upstream_waits *waits = ARENA_NEW(b->arena, struct upstream_waits);

                if (!waits)
                        return NULL;
                *waits = u->waits;
                waits->tunnel_ms = rules->idle;
                r->waits = waits;
        }
        r->key = build_key(b, r->name);
        measure_route_init(b->in->shared->metrics, &r->measure, r->name, u->name);
        return r;
}

static enum err passes_build(struct build *b)
{
        const struct conf_gateway *g = &b->conf->gateway;
        struct pass_table *t = &b->s->passes;
        size_t max = 0;

        for (size_t i = 0; i < g->passes_count; i++)
                max += g->passes[i].hosts.count;
        if (!(t->passes = ARENA_ARRAY(b->arena, struct pass, max + 1)))
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < g->passes_count; i++) {
                const struct conf_pass *c = &g->passes[i];
                const struct route *raw =
                        c->hosts.count ? raw_build(b, c->upstream_name, c->upstream, &c->rules, false) : NULL;

                if (c->hosts.count && !raw)
                        return ERR_NO_MEMORY;
                for (size_t j = 0; j < c->hosts.count; j++)
                        t->passes[t->count++] = (struct pass){ c->hosts.items[j], { .raw = raw } };
        }
        pass_table_sort(t);
        return ERR_OK;
}

/* In the order of the sockets: gateway.listens, then the admin's. */
static enum err listens_build(struct build *b)
{
        const struct conf_gateway *g = &b->conf->gateway;
        struct snapshot *s = b->s;
        struct tls_context *tls = NULL;
        char name[LISTEN_ADDRESS_TEXT_MAX];
        uint16_t https_port = 443;
        enum err e;

        if (!(s->listens = ARENA_ARRAY(b->arena, struct listen_conf, g->listens_count + 1)))
                return ERR_NO_MEMORY;
        if (g->certificates_count && (e = server_tls(b, &tls)) != ERR_OK)
                return e;
        for (size_t i = 0; i < g->listens_count; i++)
                if (g->listens[i].is_tls) {
                        https_port = g->listens[i].address.port;
                        break;
                }
        for (size_t i = 0; i < g->listens_count; i++) {
                const struct route *raw = NULL;

                const struct conf_listen *c = &g->listens[i];

                if (c->upstream && !(raw = raw_build(b, listen_address_format(&c->address, name), c->upstream,
                                                     &c->rules, c->address.is_datagram)))
                        return ERR_NO_MEMORY;
                s->listens[s->listens_count++] = (struct listen_conf){
                        .raw = raw,
                        .is_datagram = c->address.is_datagram,
                        .flow_rate = c->rules.rate,
                        .flow_idle_ms = c->rules.idle ? c->rules.idle : FLOW_IDLE_USUAL_MS,
                        .tls = tls && g->listens[i].is_tls ? tls_context_get(tls) : NULL,
                        .redirects_to_https = g->listens[i].redirects_to_https,
                        .takes_h2 = g->http2 && !g->listens[i].is_tls,
                        .takes_proxy_protocol = g->listens[i].takes_proxy_protocol,
                        .https_port = https_port
                };
        }
        if (b->conf->admin.is_on)
                s->listens[s->listens_count++] = (struct listen_conf){ .is_admin = true };
        tls_context_put(tls);
        return ERR_OK;
}

/* Agents come in by a context of their own: no visitor's session or certificate has a meaning there. */
static enum err links_build(struct build *b)
{
        const struct conf_links *c = &b->conf->gateway.links;
        struct links_conf *links = &b->s->links;
        struct tls_certificate certificate = { c->certificate.cert_pem, c->certificate.key_pem,
                                               c->certificate.cert_name, c->certificate.key_name };
        struct tls_server_conf tls = { .certificates = &certificate,
                                       .certificates_count = 1,
                                       .offer_h2 = true,
                                       .client_ca_pem = c->authority_pem,
                                       .client_required = true,
                                       .light_records = true,
                                       .signer = b->in->signer };
        struct link_agent_conf *agents;
        enum err e;

        if (c->authority_pem.len == 0)
                return ERR_OK;
        if (!(agents = ARENA_ARRAY(b->arena, struct link_agent_conf, c->agents_count + 1)))
                return ERR_NO_MEMORY;
        if ((e = tls_server_new(&tls, b->report, &links->tls)) != ERR_OK)
                return e;
        if (node_name_own(links->tls, &links->own) != ERR_OK)
                return ERR_CONFIG;
        for (size_t i = 0; i < c->agents_count; i++) {
                agents[i] = (struct link_agent_conf){ .id = c->agents[i].id,
                                                      .is_pinned = c->agents[i].is_pinned };
                memcpy(agents[i].identity, c->agents[i].identity, sizeof(agents[i].identity));
        }
        links->agents = agents;
        links->agents_count = c->agents_count;
        links->is_listed = c->is_listed;
        links->has_overlay = b->conf->gateway.overlay.port != 0;
        links->prefers_overlay = b->conf->gateway.overlay.use == CONF_OVERLAY_PREFER;
        links->authority_key = build_key(b, c->authority_pem);
        return ERR_OK;
}

enum err build_snapshot(const struct build_input *in, struct report *r, struct snapshot **out)
{
        struct snapshot *s = calloc(1, sizeof(*s));
        struct build b = { .in = in, .conf = in->conf, .s = s, .report = r };
        enum err e;

        *out = NULL;
        if (!s)
                return ERR_NO_MEMORY;
        arena_init(&s->arena, NULL, 0, SNAPSHOT_BYTES_MAX);
        b.arena = &s->arena;
        s->uses = 1;
        s->number = in->number;
        s->version = in->conf->version;
        s->auth = in->conf->gateway.auth;
        s->serve_is_in_front = in->conf->gateway.tailnet.serve_is_in_front;
        s->needs_client_certificate =
                in->conf->gateway.client_ca_pem.len && in->conf->gateway.client_certificate_is_required;
        s->allowed_ips = build_ip_list(&in->conf->gateway.allowed_ips);
        s->trusted_proxies = build_ip_list(&in->conf->gateway.trusted_proxies);
        s->admin_ips = build_ip_list(&in->conf->admin.allowed_ips);
        s->on_free = snapshot_free;
        assembly_limits(&in->conf->gateway, s);
        if ((e = tokens_build(&b)) == ERR_OK && (e = upstreams_build(&b)) == ERR_OK &&
            (e = llm_new(in->conf, s, in->shared, in->llm_shared, r)) == ERR_OK &&
            (e = build_routes(&b)) == ERR_OK && (e = trace_build(&b)) == ERR_OK &&
            (e = pages_build(&b)) == ERR_OK)
                e = listens_build(&b);
        if (e == ERR_OK && (e = passes_build(&b)) == ERR_OK)
                e = links_build(&b);
        if (e == ERR_OK && s->arena.full)
                e = ERR_NO_MEMORY;
        if (e != ERR_OK) {
                snapshot_free(s); /* conf is not in it yet: it stays the caller's */
                return e;
        }
        build_routes_finish(&b);
        s->conf = in->conf;
        *out = s;
        return ERR_OK;
}
