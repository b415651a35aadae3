#include "gateway/build_priv.h"

#include "gateway/builtin.h"
#include "proxy/cache.h"
#include "proxy/compress.h"
#include "proxy/forward.h"
#include "proxy/reply.h"

/* ---- what a route does ---- */

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

/* ---- its filters ---- */

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

/* ---- routes ---- */

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
                                         .allowed_ips = build_ip_list(&c->access.allowed_ips),
                                         .denied_ips = build_ip_list(&c->access.denied_ips),
                                         .tailnet = c->access.tailnet.items,
                                         .tailnet_count = c->access.tailnet.count },
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
                             .key = build_key(b, c->name) };
        if ((e = waits_build(b, &c->timeouts, &r->waits)) != ERR_OK ||
            (e = handler_build(b, c, r)) != ERR_OK || (e = filters_build(b, c, r)) != ERR_OK ||
            (e = rules_build(b, &c->request_headers, &r->request_rules, &r->request_rules_count)) != ERR_OK)
                return e;
        return rules_build(b, &c->response_headers, &r->answer_rules, &r->answer_rules_count);
}

/* The model APIs are built by their own room; how their callers are known is the gateway's. */
static void ai_access_build(const struct build *b, struct route_table *table)
{
        const struct conf_gateway *g = &b->conf->gateway;

        for (size_t i = 0; i < table->count && g->ai_identity == CONF_BY_TAILNET; i++) {
                struct route_access *access = &table->routes[i].access;

                if (access->scopes != SCOPE_LLM)
                        continue;
                access->tailnet = g->ai_callers.items;
                access->tailnet_count = g->ai_callers.count;
                access->takes_tokens_too = true;
        }
}

enum err build_routes(struct build *b)
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
        ai_access_build(b, table);
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

static void routes_measure(struct build *b, struct route_table *table)
{
        for (size_t i = 0; i < table->count; i++)
                measure_route_init(b->in->shared->metrics, &table->routes[i].measure, table->routes[i].name,
                                   table->routes[i].upstream ? table->routes[i].upstream->name : STR(""));
}

void build_routes_finish(struct build *b)
{
        struct route_table *table = &b->s->routes;

        /* The whole of it: every route but those that say how we are. */
        for (size_t i = 0; b->conf->gateway.is_in_maintenance && i < table->count; i++)
                table->routes[i].is_in_maintenance |= !table->routes[i].is_quiet;
        routes_measure(b, table);
        routes_measure(b, &b->s->admin_routes);
}
