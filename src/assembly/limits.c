#include "assembly/limits.h"

#include "io/process.h"

enum { H1_LINES_MAX = 200 };

void assembly_limits(const struct conf_gateway *g, struct snapshot *s)
{
        const struct conf_limits *c = &g->limits;

        s->limits = (struct proxy_limits){
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
        s->names = (struct resolver_conf){ .ttl_min_ms = g->dns.ttl_min,
                                           .ttl_max_ms = g->dns.ttl_max,
                                           .stale_max_ms = g->dns.stale_max,
                                           .timeout_ms = g->dns.timeout,
                                           .names_max = 4096,
                                           .servers = g->dns.servers };
}
