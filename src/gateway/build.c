#include "gateway/build_priv.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/version.h"
#include "io/process.h"
#include "io/tls.h"

enum { SNAPSHOT_BYTES_MAX = 256 << 20, H1_LINES_MAX = 200 };

uint64_t build_key(const struct build *b, struct str text)
{
        return hash_str(b->in->shared->hash_key, text);
}

struct ip_list build_ip_list(const struct conf_prefixes *p)
{
        return (struct ip_list){ p->items, p->count };
}

/* ---- the end of a snapshot ---- */

static void upstream_tls_put(struct upstream *u)
{
        tls_context_put(u->tls);
        tls_context_put(u->tls_h2);
}

static void snapshot_free(struct snapshot *s)
{
        llm_free(s->llm);
        for (size_t i = 0; i < s->listens_count; i++)
                tls_context_put(s->listens[i].tls);
        for (size_t i = 0; i < s->upstreams_count; i++)
                upstream_tls_put(s->upstreams[i]);
        map_fini(&s->tokens.by_hash);
        conf_free((struct conf *)s->conf);
        arena_fini(&s->arena);
        free(s);
}

/* ---- rules ---- */

static void limits_build(struct build *b)
{
        const struct conf_limits *c = &b->conf->gateway.limits;

        b->s->limits = (struct proxy_limits){
                .request = { .head_bytes_max = (uint32_t)c->header_bytes,
                             .target_bytes_max = (uint32_t)c->target_bytes,
                             .lines_max = (uint16_t)MIN(c->header_lines, (uint64_t)H1_LINES_MAX) },
                .answer = { .head_bytes_max = (uint32_t)c->answer_header_bytes,
                            .target_bytes_max = (uint32_t)c->target_bytes,
                            .lines_max = H1_LINES_MAX },
                .connections_max = (uint32_t)c->connections,
                .connections_per_address_max = (uint32_t)c->connections_per_address,
                .requests_max = (uint32_t)c->concurrent_requests,
                .body_bytes_max = c->request_bytes,
                .memory_bytes_max = c->memory_bytes,
                .descriptors_max = c->descriptors ? c->descriptors : process_fd_limit(),
                .failed_auth_per_minute = (uint32_t)c->failed_auth_per_minute,
                .rate_per_address = c->rate_per_address,
                .header_ms = c->header_timeout,
                .idle_ms = c->idle_timeout,
                .body_idle_ms = c->body_idle_timeout,
                .tls_ms = c->tls_timeout,
                .minimum_rate = c->minimum_rate,
                .model_lookahead_bytes = (uint32_t)c->model_lookahead_bytes,
                .replay_bytes = (uint32_t)c->replay_bytes,
                .compression_bytes = c->compression_bytes,
                .cache_bytes = c->cache_bytes,
        };
        b->s->names = (struct resolver_conf){ .ttl_min_ms = b->conf->gateway.dns.ttl_min,
                                              .ttl_max_ms = b->conf->gateway.dns.ttl_max,
                                              .stale_max_ms = b->conf->gateway.dns.stale_max,
                                              .timeout_ms = b->conf->gateway.dns.timeout,
                                              .names_max = 4096,
                                              .servers = b->conf->gateway.dns.servers };
}

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

/* In the order of the sockets: gateway.listens, then the admin's. */
static enum err listens_build(struct build *b)
{
        const struct conf_gateway *g = &b->conf->gateway;
        struct snapshot *s = b->s;
        struct tls_context *tls = NULL;
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
        for (size_t i = 0; i < g->listens_count; i++)
                s->listens[s->listens_count++] =
                        (struct listen_conf){ .tls = g->listens[i].is_tls ? tls_context_get(tls) : NULL,
                                              .redirects_to_https = g->listens[i].redirects_to_https,
                                              .takes_h2 = g->http2 && !g->listens[i].is_tls,
                                              .takes_proxy_protocol = g->listens[i].takes_proxy_protocol,
                                              .https_port = https_port };
        if (b->conf->admin.is_on)
                s->listens[s->listens_count++] = (struct listen_conf){ .is_admin = true };
        tls_context_put(tls);
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
        s->needs_client_certificate =
                in->conf->gateway.client_ca_pem.len && in->conf->gateway.client_certificate_is_required;
        s->allowed_ips = build_ip_list(&in->conf->gateway.allowed_ips);
        s->trusted_proxies = build_ip_list(&in->conf->gateway.trusted_proxies);
        s->admin_ips = build_ip_list(&in->conf->admin.allowed_ips);
        s->on_free = snapshot_free;
        limits_build(&b);
        if ((e = tokens_build(&b)) == ERR_OK && (e = build_upstreams(&b)) == ERR_OK &&
            (e = llm_new(in->conf, s, in->shared, in->llm_shared, r)) == ERR_OK &&
            (e = build_routes(&b)) == ERR_OK && (e = trace_build(&b)) == ERR_OK &&
            (e = pages_build(&b)) == ERR_OK)
                e = listens_build(&b);
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
