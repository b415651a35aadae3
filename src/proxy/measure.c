#include "proxy/measure.h"

#include "proxy/worker.h"

/* Microseconds: 0.5 ms to 5 minutes. */
static const uint64_t duration_bounds[] = { 500,     1000,     2500,     5000,     10000,    25000,
                                            50000,   100000,   250000,   500000,   1000000,  2500000,
                                            5000000, 10000000, 30000000, 60000000, 300000000 };

static const struct metric requests_total = {
        METRIC_COUNTER,
        "sekisho_requests_total",
        "Requests answered, by route and status class (none: the client left first).",
        { "route", "class" },
        NULL,
        0,
        1
};
static const struct metric request_duration = { METRIC_HISTOGRAM,
                                                "sekisho_request_duration_seconds",
                                                "Time from a request's whole head to its answer's last byte.",
                                                { "route" },
                                                duration_bounds,
                                                ARRAY_SIZE(duration_bounds),
                                                1e6 };
static const struct metric refused_total = {
        METRIC_COUNTER,
        "sekisho_refused_total",
        "Requests and connections refused here, by reason; limits reached among them.",
        { "reason" },
        NULL,
        0,
        1
};
static const struct metric connections = {
        METRIC_GAUGE, "sekisho_connections", "Client connections open now.", { NULL }, NULL, 0, 1
};
static const struct metric accepted_total = { METRIC_COUNTER,
                                              "sekisho_connections_accepted_total",
                                              "Client connections accepted.",
                                              { NULL },
                                              NULL,
                                              0,
                                              1 };
static const struct metric requests_active = {
        METRIC_GAUGE, "sekisho_requests_active", "Requests under way now.", { NULL }, NULL, 0, 1
};
static const struct metric bytes_out_total = {
        METRIC_COUNTER, "sekisho_answer_bytes_total", "Body bytes sent to clients.", { NULL }, NULL, 0, 1
};
static const struct metric upstream_requests_total = { METRIC_COUNTER,
                                                       "sekisho_upstream_requests_total",
                                                       "Requests sent to a target, repeats included.",
                                                       { "upstream", "target" },
                                                       NULL,
                                                       0,
                                                       1 };
static const struct metric upstream_failures_total = { METRIC_COUNTER,
                                                       "sekisho_upstream_failures_total",
                                                       "Connections refused, answers broken or late.",
                                                       { "upstream", "target" },
                                                       NULL,
                                                       0,
                                                       1 };
static const struct metric upstream_connects_total = { METRIC_COUNTER,
                                                       "sekisho_upstream_connects_total",
                                                       "Connections opened to a target.",
                                                       { "upstream", "target" },
                                                       NULL,
                                                       0,
                                                       1 };
static const struct metric upstream_reuses_total = { METRIC_COUNTER,
                                                     "sekisho_upstream_reuses_total",
                                                     "Requests that found a kept connection.",
                                                     { "upstream", "target" },
                                                     NULL,
                                                     0,
                                                     1 };
static const struct metric upstream_retries_total = { METRIC_COUNTER,
                                                      "sekisho_upstream_retries_total",
                                                      "Requests moved on to another target.",
                                                      { "upstream", "target" },
                                                      NULL,
                                                      0,
                                                      1 };
static const struct metric upstream_ejections_total = {
        METRIC_COUNTER,
        "sekisho_upstream_ejections_total",
        "Times a target was set aside after failures in a row.",
        { "upstream", "target" },
        NULL,
        0,
        1
};
static const struct metric upstream_first_byte = {
        METRIC_HISTOGRAM,
        "sekisho_upstream_first_byte_seconds",
        "Time from sending a request to the first byte of its answer.",
        { "upstream", "target" },
        duration_bounds,
        ARRAY_SIZE(duration_bounds),
        1e6
};

static const char *const class_names[CLASSES] = { "1xx", "2xx", "3xx", "4xx", "5xx", "none" };

static metric_index series(struct metrics *metrics, const struct metric *def, struct str a, struct str b)
{
        struct str values[METRIC_LABELS_MAX] = { a, b };

        return metrics_series(metrics, def, values);
}

void measure_worker_init(struct worker *w)
{
        struct measure_worker *m = &w->measure;

        m->connections = series(w->shared->metrics, &connections, STR_NULL, STR_NULL);
        m->accepted = series(w->shared->metrics, &accepted_total, STR_NULL, STR_NULL);
        m->requests_active = series(w->shared->metrics, &requests_active, STR_NULL, STR_NULL);
        m->bytes_out = series(w->shared->metrics, &bytes_out_total, STR_NULL, STR_NULL);
}

void measure_route_init(struct metrics *metrics, struct measure_route *m, struct str route)
{
        for (int i = 0; i < CLASSES; i++)
                m->by_class[i] = series(metrics, &requests_total, route, str_of(class_names[i]));
        m->duration = series(metrics, &request_duration, route, STR_NULL);
}

void measure_target_init(struct metrics *metrics, struct measure_target *m, struct str upstream,
                         struct str target)
{
        m->requests = series(metrics, &upstream_requests_total, upstream, target);
        m->failures = series(metrics, &upstream_failures_total, upstream, target);
        m->connects = series(metrics, &upstream_connects_total, upstream, target);
        m->reuses = series(metrics, &upstream_reuses_total, upstream, target);
        m->retries = series(metrics, &upstream_retries_total, upstream, target);
        m->ejections = series(metrics, &upstream_ejections_total, upstream, target);
        m->first_byte = series(metrics, &upstream_first_byte, upstream, target);
}

void measure_refused(struct worker *w, const char *reason)
{
        struct str name = str_of(reason);
        uintptr_t found = (uintptr_t)map_find(&w->reasons, name);

        if (!found) {
                found = (uintptr_t)series(w->shared->metrics, &refused_total, name, STR_NULL) + 1;
                if (map_add(&w->reasons, name, (void *)found) != ERR_OK)
                        log_debug("measure_reason_not_kept", LOG_S("reason", name));
        }
        measure_add(w, (metric_index)(found - 1), 1);
}

void measure_add(struct worker *w, metric_index i, uint64_t n)
{
        metrics_add(w->shared->metrics, w->index, i, n);
}

void measure_set(struct worker *w, metric_index i, int64_t value)
{
        metrics_set(w->shared->metrics, w->index, i, value);
}

void measure_route_done(struct worker *w, const struct measure_route *m, uint16_t status, int64_t duration_us)
{
        enum measure_class class =
                status >= 100 && status < 600 ? (enum measure_class)(status / 100 - 1) : CLASS_NONE;

        measure_add(w, m->by_class[class], 1);
        metrics_observe(w->shared->metrics, w->index, &request_duration, m->duration,
                        (uint64_t)MAX(duration_us, 0));
}

void measure_first_byte(struct worker *w, const struct measure_target *m, int64_t us)
{
        metrics_observe(w->shared->metrics, w->index, &upstream_first_byte, m->first_byte,
                        (uint64_t)MAX(us, 0));
}
