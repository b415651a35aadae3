#include "gateway/build.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/random.h"
#include "gateway/builtin.h"
#include "gateway/version.h"
#include "io/process.h"
#include "io/tls.h"
#include "llm/llm.h"
#include "proxy/cache.h"
#include "proxy/compress.h"
#include "proxy/forward.h"
#include "proxy/reply.h"
#include "proxy/up.h"

enum { SNAPSHOT_BYTES_MAX = 256 << 20, H1_LINES_MAX = 200 };

/* What a builder carries along. */
struct build {
        const struct build_input *in;
        const struct conf *conf;
        struct snapshot *s;
        struct arena *arena;
        struct report *report;
};

static uint64_t key_of(const struct build *b, struct str text)
{
        return hash_str(b->in->shared->hash_key, text);
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

static struct ip_list ip_list_of(const struct conf_prefixes *p)
{
        return (struct ip_list){ p->items, p->count };
}

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
                                     .allowed_ips = ip_list_of(&c->allowed_ips),
                                     .models = c->models.items,
                                     .models_count = c->models.count,
                                     .rate = c->rate_limit };
                memcpy(t->sha256, c->sha256, sizeof(t->sha256));
                t->key = key_of(b, hash);
                if (map_add(&set->by_hash, hash, t) == ERR_NO_MEMORY)
                        return ERR_NO_MEMORY; /* twice the same text is refused when the configuration is read */
        }
        return ERR_OK;
}

/* ---- upstreams ---- */

/* The same at every gateway: they send what hashes alike to the same target. */
static uint64_t target_key(struct str url)
{
        return hash_str((struct hash_key){ 0, 0 }, url);
}

static enum balance_kind balance_of(enum conf_balance c)
{
        switch (c) {
        case CONF_ROUND_ROBIN: return BALANCE_ROUND_ROBIN;
        case CONF_LEAST_REQUESTS: return BALANCE_LEAST_REQUESTS;
        case CONF_HASH: return BALANCE_HASH;
        case CONF_TWO_CHOICES: break;
        }
        return BALANCE_TWO_CHOICES;
}

static enum upstream_hash_by hash_by_of(enum conf_hash_by c)
{
        switch (c) {
        case CONF_BY_HEADER: return HASH_BY_HEADER;
        case CONF_BY_COOKIE: return HASH_BY_COOKIE;
        case CONF_BY_SOURCE: break;
        }
        return HASH_BY_SOURCE;
}

static void target_build(struct build *b, struct upstream *u, const struct conf_target *c, struct target *t)
{
        struct str id[3] = { u->name, STR(" "), c->url.text };

        *t = (struct target){ .upstream = u,
                              .url = c->url.text,
                              .host = c->url.host,
                              .ip = c->url.ip,
                              .port = c->url.port,
                              .is_tls = c->url.scheme == CONF_HTTPS,
                              .is_backup = c->is_backup,
                              .seat = { .key = target_key(c->url.text), .weight = (uint32_t)c->weight },
                              .connections_max = (uint32_t)c->max_connections };
        if (c->url.scheme == CONF_UNIX)
                t->path = c->url.path;
        up_target_init(t);
        t->authority = conf_url_authority(&c->url, b->arena);
        t->standing = standing_of(b->in->shared->standings, key_of(b, arena_join(b->arena, id, 3)));
        measure_target_init(b->in->shared->metrics, &t->measure, u->name, t->url);
}

/* Two contexts, since what is offered is a context's: an upgrade asks for HTTP/1.1 where others may speak HTTP/2. */
static enum err upstream_tls(struct build *b, const struct conf_client_tls *c, struct upstream *u)
{
        struct tls_client_conf tls = { .ca_pem = c->ca_pem,
                                       .cert_pem = c->cert_pem,
                                       .key_pem = c->key_pem,
                                       .skip_verify = c->skip_verify };
        enum err e = tls_client_new(&tls, b->report, &u->tls);

        tls.offer_h2 = true;
        return e == ERR_OK && u->protocol != PROTOCOL_H1 ? tls_client_new(&tls, b->report, &u->tls_h2) : e;
}

static enum upstream_protocol protocol_of(enum conf_protocol protocol)
{
        switch (protocol) {
        case CONF_PROTOCOL_AUTO: return PROTOCOL_AUTO;
        case CONF_PROTOCOL_H1: return PROTOCOL_H1;
        case CONF_PROTOCOL_H2:
        case CONF_PROTOCOL_H2C: break;
        }
        return PROTOCOL_H2;
}

static enum err upstream_build(struct build *b, const struct conf_upstream *c, struct upstream *u)
{
        bool needs_tls = false;

        *u = (struct upstream){ .name = c->name,
                                .targets_count = c->targets_count,
                                .protocol = protocol_of(c->protocol),
                                .balance = balance_of(c->balance),
                                .hash_by = hash_by_of(c->hash_by),
                                .hash_name = c->hash_name,
                                .slow_start_ms = c->slow_start,
                                .tls_server_name = c->tls.server_name,
                                .waits = { .connect_ms = c->timeouts.connect,
                                           .first_byte_ms = c->timeouts.first_byte,
                                           .idle_ms = c->timeouts.idle,
                                           .tunnel_ms = c->timeouts.tunnel },
                                .keep_alive_ms = c->keep_alive.idle,
                                .idle_connections_max = (uint32_t)c->keep_alive.connections,
                                .try_ms = c->try_timeout,
                                .retries = { .percent = (uint32_t)c->retry_budget_percent },
                                .tries_max = (uint8_t)MIN(c->retries + 1, (uint64_t)EXCHANGE_TRIED_MAX),
                                .passive = { .failures_max = (uint32_t)c->passive.failures,
                                             .window_ms = c->passive.window,
                                             .eject_ms = c->passive.eject_time },
                                .ejected_percent_max = (uint32_t)c->passive.max_ejected_percent,
                                .health_path = c->health.path,
                                .health_interval_ms = c->health.interval,
                                .health_timeout_ms = c->health.timeout,
                                .health_rise = (uint32_t)c->health.rise,
                                .health_fall = (uint32_t)c->health.fall,
                                .health_status_min = c->health.status_min,
                                .health_status_max = c->health.status_max };
        waitline_init(&u->line, (uint32_t)c->queue.length, c->queue.wait);
        crypto_random(&u->random, sizeof(u->random)); /* workers must not draw alike */
        u->targets = ARENA_ARRAY(b->arena, struct target, c->targets_count);
        if (!u->targets)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < c->targets_count; i++) {
                target_build(b, u, &c->targets[i], &u->targets[i]);
                needs_tls |= u->targets[i].is_tls;
        }
        if (c->proxy_protocol != CONF_PROXY_OFF) {
                u->proxy_version = c->proxy_protocol == CONF_PROXY_V1 ? 1 : 2;
                u->idle_connections_max = 0; /* the next request may be another client's */
                u->protocol = PROTOCOL_H1;
        }
        u->may_speak_h2 = u->protocol == PROTOCOL_H2 || (u->protocol == PROTOCOL_AUTO && needs_tls);
        b->s->upstreams[b->s->upstreams_count++] = u;
        return needs_tls ? upstream_tls(b, &c->tls, u) : ERR_OK;
}

static enum err upstreams_build(struct build *b)
{
        const struct conf *c = b->conf;
        size_t max = c->upstreams_count + llm_upstreams_count(c);
        struct upstream *array = ARENA_ARRAY(b->arena, struct upstream, c->upstreams_count + 1);

        b->s->upstreams = ARENA_ARRAY(b->arena, struct upstream *, max + 1);
        if (!array || !b->s->upstreams)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < c->upstreams_count; i++) {
                enum err e = upstream_build(b, &c->upstreams[i], &array[i]);
                if (e != ERR_OK)
                        return e;
        }
        return ERR_OK;
}

/* ---- routes ---- */

static enum err rules_build(struct build *b, const struct conf_header_rules *c,
                            const struct header_rule **out, size_t *count)
{
        struct header_rule *rules =
                ARENA_ARRAY(b->arena, struct header_rule, c->set_count + c->add_count + c->remove.count + 1);
        size_t n = 0;

        if (!rules)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < c->remove.count; i++)
                rules[n++] = (struct header_rule){ HEADER_REMOVE, c->remove.items[i], STR_NULL };
        for (size_t i = 0; i < c->set_count; i++)
                rules[n++] = (struct header_rule){ HEADER_SET, c->set[i].name, c->set[i].value };
        for (size_t i = 0; i < c->add_count; i++)
                rules[n++] = (struct header_rule){ HEADER_ADD, c->add[i].name, c->add[i].value };
        *out = rules;
        *count = n;
        return ERR_OK;
}

static unsigned methods_build(const struct conf_strs *methods)
{
        unsigned bits = 0;

        for (size_t i = 0; i < methods->count; i++)
                bits |= 1u << http_method_of(methods->items[i]);
        return bits;
}

static enum err handler_build(struct build *b, const struct conf_route *c, struct route *r)
{
        struct reply_conf *reply;
        struct redirect_conf *to;

        switch (c->action) {
        case CONF_TO_UPSTREAM:
                r->handler = &forward_handler;
                r->upstream = b->s->upstreams[c->upstream - b->conf->upstreams];
                return ERR_OK;
        case CONF_REDIRECT:
                if (!(to = ARENA_NEW(b->arena, struct redirect_conf)))
                        return ERR_NO_MEMORY;
                *to = (struct redirect_conf){ c->status, c->redirect_to };
                r->handler = &redirect_handler;
                r->handler_conf = to;
                return ERR_OK;
        case CONF_RESPOND:
                if (!(reply = ARENA_NEW(b->arena, struct reply_conf)))
                        return ERR_NO_MEMORY;
                *reply = (struct reply_conf){ c->status, c->content_type, c->body };
                r->handler = &reply_handler;
                r->handler_conf = reply;
                return ERR_OK;
        }
        return ERR_CONFIG;
}

static enum path_kind path_kind_of(enum conf_path_kind kind)
{
        switch (kind) {
        case CONF_PATH_EXACT: return PATH_EXACT;
        case CONF_PATH_PATTERN: return PATH_PATTERN;
        case CONF_PATH_ALL:
        case CONF_PATH_PREFIX: break;
        }
        return PATH_PREFIX;
}

static enum err waits_build(struct build *b, const struct conf_timeouts *c, const struct upstream_waits **out)
{
        struct upstream_waits *waits = ARENA_NEW(b->arena, struct upstream_waits);

        if (!waits)
                return ERR_NO_MEMORY;
        *waits = (struct upstream_waits){ c->connect, c->first_byte, c->idle, c->tunnel };
        *out = waits;
        return ERR_OK;
}

static enum http_coding coding_of(struct str name)
{
        for (int i = 0; i < HTTP_CODINGS; i++)
                if (str_eq(name, http_coding_name((enum http_coding)i)))
                        return (enum http_coding)i;
        return HTTP_IDENTITY;
}

static enum err compress_build(struct build *b, const struct conf_compress *c, struct route_filter *out)
{
        struct compress_conf *conf = ARENA_NEW(b->arena, struct compress_conf);
        enum http_coding *codings = ARENA_ARRAY(b->arena, enum http_coding, c->codings.count);

        if (!conf || !codings)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < c->codings.count; i++)
                codings[i] = coding_of(c->codings.items[i]);
        *conf = (struct compress_conf){ .codings = codings,
                                        .codings_count = c->codings.count,
                                        .types = c->types.items,
                                        .types_count = c->types.count,
                                        .bytes_min = c->bytes_min,
                                        .with_cookies = c->with_cookies };
        *out = (struct route_filter){ &compress_filter, conf };
        return ERR_OK;
}

static enum err filters_build(struct build *b, const struct conf_route *c, struct route *r)
{
        struct route_filter *filters = ARENA_ARRAY(b->arena, struct route_filter, EXCHANGE_FILTERS_MAX);
        enum err e = ERR_OK;

        if (!filters)
                return ERR_NO_MEMORY;
        r->filters = filters;
        if (c->cache.is_on) { /* first: it keeps what the upstream sent */
                struct cache_conf *conf = ARENA_NEW(b->arena, struct cache_conf);

                if (!conf)
                        return ERR_NO_MEMORY;
                *conf = (struct cache_conf){ c->cache.object_bytes, c->cache.wait };
                filters[r->filters_count++] = (struct route_filter){ &cache_filter, conf };
                r->handler = &cache_handler;
        }
        if (c->compress.is_on && (e = compress_build(b, &c->compress, &filters[r->filters_count])) == ERR_OK)
                r->filters_count++;
        return e;
}

static enum err route_build(struct build *b, const struct conf_route *c, struct str host, struct route *r)
{
        enum err e;

        *r = (struct route){ .name = c->name,
                             .host = str_eq(host, STR("*")) ? STR("") : host,
                             .path = c->path_kind == CONF_PATH_ALL ? STR("/") : c->path,
                             .path_kind = path_kind_of(c->path_kind),
                             .methods = methods_build(&c->methods),
                             .access = { .is_public = !c->access.needs_token,
                                         .needs_client_certificate = c->access.needs_client_certificate,
                                         .scopes = c->access.scope,
                                         .allowed_ips = ip_list_of(&c->access.allowed_ips) },
                             .strip_prefix = c->strip_prefix,
                             .add_prefix = c->add_prefix,
                             .preserve_host = c->preserve_host,
                             .trusts_trace = c->trusts_trace,
                             .rate = c->rate_limit,
                             .body_bytes_max = c->max_body_bytes,
                             .is_in_maintenance = c->is_in_maintenance,
                             .minimum_rate = c->minimum_rate,
                             .total_ms = c->timeouts.total,
                             .replay_bytes_max = b->s->limits.replay_bytes,
                             .key = key_of(b, c->name) };
        if ((e = waits_build(b, &c->timeouts, &r->waits)) != ERR_OK ||
            (e = handler_build(b, c, r)) != ERR_OK || (e = filters_build(b, c, r)) != ERR_OK ||
            (e = rules_build(b, &c->request_headers, &r->request_rules, &r->request_rules_count)) != ERR_OK)
                return e;
        return rules_build(b, &c->response_headers, &r->answer_rules, &r->answer_rules_count);
}

static enum err routes_build(struct build *b)
{
        struct route_table *table = &b->s->routes;
        size_t max = builtin_routes_count() + llm_routes_count();
        enum err e;

        for (size_t i = 0; i < b->conf->routes_count; i++)
                max += MAX(b->conf->routes[i].hosts.count, (size_t)1);
        if (!(table->routes = ARENA_ARRAY(b->arena, struct route, max)))
                return ERR_NO_MEMORY;
        builtin_routes_add(table);
        if ((e = llm_routes_add(b->s, table)) != ERR_OK)
                return e;
        for (size_t i = 0; i < b->conf->routes_count; i++) {
                const struct conf_route *c = &b->conf->routes[i];

                for (size_t h = 0; h < MAX(c->hosts.count, (size_t)1); h++) {
                        struct str host = c->hosts.count ? c->hosts.items[h] : STR("");
                        if ((e = route_build(b, c, host, &table->routes[table->count])) != ERR_OK)
                                return e;
                        table->count++;
                }
        }
        route_table_sort(table);
        return builtin_admin_routes(&b->s->admin_routes, b->arena);
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

/* The whole of it: every route but those that say how we are. */
static void maintenance_build(struct build *b)
{
        for (size_t i = 0; b->conf->gateway.is_in_maintenance && i < b->s->routes.count; i++)
                b->s->routes.routes[i].is_in_maintenance |= !b->s->routes.routes[i].is_quiet;
}

static void routes_measure(struct build *b, struct route_table *table)
{
        for (size_t i = 0; i < table->count; i++)
                measure_route_init(b->in->shared->metrics, &table->routes[i].measure, table->routes[i].name,
                                   table->routes[i].upstream ? table->routes[i].upstream->name : STR(""));
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
                                       .client_required = g->client_certificate_is_required };
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
        s->allowed_ips = ip_list_of(&in->conf->gateway.allowed_ips);
        s->trusted_proxies = ip_list_of(&in->conf->gateway.trusted_proxies);
        s->admin_ips = ip_list_of(&in->conf->admin.allowed_ips);
        s->on_free = snapshot_free;
        limits_build(&b);
        if ((e = tokens_build(&b)) == ERR_OK && (e = upstreams_build(&b)) == ERR_OK &&
            (e = llm_new(in->conf, s, in->shared, in->llm_shared, r)) == ERR_OK &&
            (e = routes_build(&b)) == ERR_OK && (e = trace_build(&b)) == ERR_OK &&
            (e = pages_build(&b)) == ERR_OK)
                e = listens_build(&b);
        if (e == ERR_OK && s->arena.full)
                e = ERR_NO_MEMORY;
        if (e != ERR_OK) {
                snapshot_free(s); /* conf is not in it yet: it stays the caller's */
                return e;
        }
        maintenance_build(&b);
        routes_measure(&b, &s->routes);
        routes_measure(&b, &s->admin_routes);
        s->conf = in->conf;
        *out = s;
        return ERR_OK;
}
