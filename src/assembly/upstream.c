#include "assembly/upstream.h"

#include "crypto/random.h"
#include "io/tls.h"
#include "proxy/up.h"

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

/* What was asked for in TLS is what the request is for: servers answer 421 to another name (RFC 9110 7.4). */
static struct str authority_of(const struct upstream *u, const struct conf_url *url, struct arena *arena)
{
        struct conf_url named = *url;

        if (url->scheme == CONF_HTTPS && u->tls_server_name.len) {
                named.host = u->tls_server_name;
                named.ip.family = 0;
        }
        return conf_url_authority(&named, arena);
}

static void target_build(const struct assembly *a, struct upstream *u, const struct conf_target *c,
                         struct target *t)
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
        if (c->url.scheme == CONF_LINK) {
                t->agent = c->url.host;
                t->agent_target = c->url.path;
                t->host = STR_NULL;
        }
        up_target_init(t);
        t->authority = authority_of(u, &c->url, &a->s->arena);
        t->standing = standing_of(a->shared->standings,
                                  hash_str(a->shared->hash_key, arena_join(&a->s->arena, id, 3)));
        measure_target_init(a->shared->metrics, &t->measure, u->name, t->url);
}

/* Two contexts, since what is offered is a context's: an upgrade asks for HTTP/1.1 where others may speak HTTP/2. */
static enum err upstream_tls(const struct assembly *a, const struct conf_client_tls *c, struct upstream *u)
{
        struct tls_client_conf tls = { .ca_pem = c->ca_pem,
                                       .cert_pem = c->cert_pem,
                                       .key_pem = c->key_pem,
                                       .skip_verify = c->skip_verify };
        enum err e = tls_client_new(&tls, a->report, &u->tls);

        tls.offer_h2 = true;
        return e == ERR_OK && u->protocol != PROTOCOL_H1 ? tls_client_new(&tls, a->report, &u->tls_h2) : e;
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

enum err assembly_upstream(const struct assembly *a, const struct conf_upstream *c, struct upstream *u)
{
        bool needs_tls = false, has_links = false;

        *u = (struct upstream){ .name = c->name,
                                .is_published = c->is_published,
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
        measure_upstream_init(a->shared->metrics, &u->measure, u->name);
        crypto_random(&u->random, sizeof(u->random)); /* workers must not draw alike */
        u->targets = ARENA_ARRAY(&a->s->arena, struct target, c->targets_count);
        if (!u->targets)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < c->targets_count; i++) {
                target_build(a, u, &c->targets[i], &u->targets[i]);
                needs_tls |= u->targets[i].is_tls;
                has_links |= u->targets[i].agent.len > 0;
                u->is_raw |= c->targets[i].url.scheme == CONF_TCP || c->targets[i].url.scheme == CONF_UDP;
                u->is_datagram |= c->targets[i].url.scheme == CONF_UDP;
        }
        if (c->proxy_protocol != CONF_PROXY_OFF) {
                u->proxy_version = c->proxy_protocol == CONF_PROXY_V1 ? 1 : 2;
                u->idle_connections_max = 0; /* the next request may be another client's */
                u->protocol = PROTOCOL_H1;
        }
        u->may_speak_h2 =
                u->protocol == PROTOCOL_H2 || (u->protocol == PROTOCOL_AUTO && needs_tls) || has_links;
        a->s->upstreams[a->s->upstreams_count++] = u;
        return needs_tls ? upstream_tls(a, &c->tls, u) : ERR_OK;
}

void assembly_upstreams_put(struct snapshot *s)
{
        for (size_t i = 0; i < s->upstreams_count; i++) {
                tls_context_put(s->upstreams[i]->tls);
                tls_context_put(s->upstreams[i]->tls_h2);
        }
}
