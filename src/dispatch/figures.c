#include "dispatch/figures.h"

#include <stdio.h>

enum { AGENTS_MAX = 512, SERIES_MAX = 2048 };

static const uint64_t duration_bounds[] = { 100, 500, 1000, 2500, 5000, 10000, 30000, 60000 };
static const uint64_t size_bounds[] = { 100, 1000, 10000, 100000, 1000000 };

const struct metric figures_metrics[FIGURES] = {
        [FIGURE_REQUESTS] = { METRIC_COUNTER,
                              "http_dispatcher_requests_total",
                              "Requests that agents were to send, by agent, status of the target (none: it gave none) and method.",
                              { "agent_id", "status_code", "method" },
                              .series_max = SERIES_MAX },
        [FIGURE_DURATION] = { METRIC_HISTOGRAM,
                              "http_dispatcher_request_duration_seconds",
                              "Time from taking such a request to its end.",
                              { "agent_id", "method" },
                              duration_bounds,
                              ARRAY_SIZE(duration_bounds),
                              1e3,
                              AGENTS_MAX },
        [FIGURE_ERRORS] = { METRIC_COUNTER,
                            "http_dispatcher_request_errors_total",
                            "Those that ended without a whole answer, by agent and what went wrong (docs/protocol/dispatch.md 2).",
                            { "agent_id", "error_type" },
                            .series_max = SERIES_MAX },
        [FIGURE_SIZE] = { METRIC_HISTOGRAM,
                          "http_dispatcher_response_size_bytes",
                          "Bytes of the targets' bodies.",
                          { "agent_id" },
                          size_bounds,
                          ARRAY_SIZE(size_bounds),
                          1,
                          AGENTS_MAX },
        [FIGURE_AGENTS_CONNECTED] = { METRIC_GAUGE, "http_dispatcher_agents_connected",
                                      "Agents of the pool that have a link to this control." },
        [FIGURE_AGENTS] = { METRIC_GAUGE, "http_dispatcher_agents_total", "Agents of the pool." },
        [FIGURE_POOL_SIZE] = { METRIC_GAUGE, "http_dispatcher_ip_pool_size",
                               "Addresses that agents tell of." },
        [FIGURE_POOL_AVAILABLE] = { METRIC_GAUGE, "http_dispatcher_ip_pool_available",
                                    "Of them, those of agents with a link." },
        [FIGURE_WEBSOCKETS] = { METRIC_GAUGE, "http_dispatcher_websocket_connections",
                                "The same as agents_connected: requests go over links, and the name is the predecessor's." },
        [FIGURE_AGENT_REQUESTS] = { METRIC_COUNTER,
                                    "http_dispatcher_agent_requests_total",
                                    "Attempts an agent was given, over restarts, too.",
                                    { "agent_id" } },
        [FIGURE_QUEUE] = { METRIC_GAUGE,
                           "http_dispatcher_queue_depth",
                           "Requests an agent has under way; of agent any: those that wait for a turn.",
                           { "agent_id" } },
        [FIGURE_UPTIME] = { METRIC_GAUGE, "http_dispatcher_uptime_seconds",
                            "Time since this control's start." },
};

void figures_count(struct metrics *m, unsigned worker, const struct dispatch_record *r)
{
        const struct metric *d = figures_metrics;
        struct str agent = r->agent_id.len ? r->agent_id : STR("none"); /* no address was found for it */
        char status[8] = "none";

        if (r->status >= 100 && r->status <= 999)
                snprintf(status, sizeof(status), "%u", r->status);
        const struct str request[] = { agent, str_of(status), r->method };
        const struct str duration[] = { agent, r->method };
        const struct str error[] = { agent, str_of(r->error) };

        metrics_add(m, worker, metrics_series(m, &d[FIGURE_REQUESTS], request), 1);
        metrics_observe(m, worker, &d[FIGURE_DURATION], metrics_series(m, &d[FIGURE_DURATION], duration),
                        (uint64_t)MAX(r->duration_ms, (int64_t)0));
        if (r->error)
                metrics_add(m, worker, metrics_series(m, &d[FIGURE_ERRORS], error), 1);
        else
                metrics_observe(m, worker, &d[FIGURE_SIZE], metrics_series(m, &d[FIGURE_SIZE], &agent),
                                r->answer_bytes);
}

static void one(enum figure f, int64_t value, struct buf *out)
{
        metric_family_format(&figures_metrics[f], METRICS_PROMETHEUS, out);
        metric_value_format(&figures_metrics[f], NULL, value, out);
}

void figures_format(struct dispatcher *d, int64_t uptime_s, struct buf *out)
{
        const struct list *agents = sources_agents(dispatcher_sources(d));
        struct sources_counts n = sources_count(dispatcher_sources(d));
        struct str any = STR("any");

        one(FIGURE_AGENTS_CONNECTED, (int64_t)n.linked, out);
        one(FIGURE_AGENTS, (int64_t)n.agents, out);
        one(FIGURE_POOL_SIZE, (int64_t)n.addresses, out);
        one(FIGURE_POOL_AVAILABLE, (int64_t)n.available, out);
        one(FIGURE_WEBSOCKETS, (int64_t)n.linked, out);
        one(FIGURE_UPTIME, uptime_s, out);
        metric_family_format(&figures_metrics[FIGURE_AGENT_REQUESTS], METRICS_PROMETHEUS, out);
        list_for_each(node, agents)
                metric_value_format(&figures_metrics[FIGURE_AGENT_REQUESTS], &sources_agent_of(node)->id,
                                    (int64_t)sources_agent_of(node)->requests, out);
        metric_family_format(&figures_metrics[FIGURE_QUEUE], METRICS_PROMETHEUS, out);
        list_for_each(node, agents)
                metric_value_format(&figures_metrics[FIGURE_QUEUE], &sources_agent_of(node)->id,
                                    sources_agent_of(node)->in_flight, out);
        metric_value_format(&figures_metrics[FIGURE_QUEUE], &any, (int64_t)dispatcher_waiting(d), out);
}
