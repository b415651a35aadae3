#include "proxy/measure.h"

#include <string.h>

#include "http/h2_code.h"
#include "io/stream.h"
#include "proxy/exchange.h"
#include "proxy/links.h"
#include "proxy/route.h"
#include "proxy/worker.h"

static const char *const class_names[CLASSES] = { "1xx", "2xx", "3xx", "4xx", "5xx", "none" };

static metric_index series(struct metrics *metrics, enum measure m, struct str a, struct str b, struct str c)
{
        struct str values[METRIC_LABELS_MAX] = { a, b, c };

        return metrics_series(metrics, &measure_metrics[m], values);
}

static const char *const udp_words[UDP_KINDS] = {
        [UDP_FROM_CLIENT] = "from_client", [UDP_TO_CLIENT] = "to_client",  [UDP_FROM_TARGET] = "from_target",
        [UDP_TO_TARGET] = "to_target",     [UDP_LOST_QUEUE] = "queue",     [UDP_LOST_SEND] = "send",
        [UDP_LOST_FLOWS] = "flows",        [UDP_LOST_REFUSED] = "refused", [UDP_LOST_CAPSULE] = "capsule",
};

void measure_worker_init(struct worker *w)
{
        static const struct {
                enum measure measure;
                size_t offset;
        } all[] = {
                { MEASURE_CONNECTIONS, offsetof(struct measure_worker, connections) },
                { MEASURE_ACCEPTED, offsetof(struct measure_worker, accepted) },
                { MEASURE_REQUESTS_ACTIVE, offsetof(struct measure_worker, requests_active) },
                { MEASURE_BYTES_IN, offsetof(struct measure_worker, bytes_in) },
                { MEASURE_BYTES_OUT, offsetof(struct measure_worker, bytes_out) },
                { MEASURE_UPSTREAM_CONNECTIONS, offsetof(struct measure_worker, upstream_connections) },
                { MEASURE_LINKS, offsetof(struct measure_worker, links) },
                { MEASURE_CACHE_BYTES, offsetof(struct measure_worker, cache_bytes) },
                { MEASURE_CACHE_ENTRIES, offsetof(struct measure_worker, cache_entries) },
                { MEASURE_CACHE_EVICTIONS, offsetof(struct measure_worker, cache_evictions) },
                { MEASURE_COMPRESS_IN, offsetof(struct measure_worker, compress_in) },
                { MEASURE_COMPRESS_OUT, offsetof(struct measure_worker, compress_out) },
                { MEASURE_COMPRESS_MEMORY, offsetof(struct measure_worker, compress_memory) },
                { MEASURE_SIGNATURE_SECONDS, offsetof(struct measure_worker, signature_wait) },
        };

        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                *(metric_index *)(void *)((char *)&w->measure + all[i].offset) =
                        series(w->shared->metrics, all[i].measure, STR_NULL, STR_NULL, STR_NULL);
        w->measure.h2_streams_client =
                series(w->shared->metrics, MEASURE_H2_STREAMS, STR("client"), STR_NULL, STR_NULL);
        w->measure.h2_streams_upstream =
                series(w->shared->metrics, MEASURE_H2_STREAMS, STR("upstream"), STR_NULL, STR_NULL);
        for (int i = 0; i < MEASURE_OVERLOAD_LEVELS; i++)
                w->measure.overload[i] =
                        series(w->shared->metrics, MEASURE_OVERLOAD,
                               str_of(overload_level_name((enum overload_level)i)), STR_NULL, STR_NULL);
        measure_overload(w, OVERLOAD_EASY);
        w->measure.udp_flows = series(w->shared->metrics, MEASURE_UDP_FLOWS, STR_NULL, STR_NULL, STR_NULL);
        for (int i = 0; i < UDP_KINDS; i++)
                w->measure.udp[i] = series(w->shared->metrics,
                                           i < UDP_LOST_QUEUE ? MEASURE_UDP_DATAGRAMS : MEASURE_UDP_LOST,
                                           str_of(udp_words[i]), STR_NULL, STR_NULL);
}

_Static_assert((int)MEASURE_LINK_WAYS == (int)LINK_WAYS && (int)MEASURE_LINK_REASONS == (int)LINK_REASONS,
               "as links.h has them");

void measure_link_stream(struct worker *w, unsigned way, unsigned reason)
{
        metric_index *i = &w->measure.link_streams[way][reason].index;

        if (!w->measure.link_streams[way][reason].is_known)
                *i = series(w->shared->metrics, MEASURE_LINK_STREAMS, str_of(link_way_name(way)),
                            str_of(link_reason_name(reason)), STR_NULL);
        w->measure.link_streams[way][reason].is_known = true;
        measure_add(w, *i, 1);
}

void measure_udp(struct worker *w, enum measure_udp what, uint64_t n)
{
        measure_add(w, w->measure.udp[what], n);
}

void measure_udp_flows(struct worker *w, size_t count)
{
        measure_set(w, w->measure.udp_flows, (int64_t)count);
}

void measure_route_init(struct metrics *metrics, struct measure_route *m, struct str route,
                        struct str upstream)
{
        for (int i = 0; i < CLASSES; i++)
                m->by_class[i] = series(metrics, MEASURE_REQUESTS, route, str_of(class_names[i]), upstream);
        m->duration = series(metrics, MEASURE_REQUEST_SECONDS, route, STR_NULL, STR_NULL);
        m->upstream = series(metrics, MEASURE_UPSTREAM_SECONDS, route, STR_NULL, STR_NULL);
        m->added = series(metrics, MEASURE_ADDED_SECONDS, route, STR_NULL, STR_NULL);
}

void measure_target_init(struct metrics *metrics, struct measure_target *m, struct str upstream,
                         struct str target)
{
        m->requests = series(metrics, MEASURE_UPSTREAM_REQUESTS, upstream, target, STR_NULL);
        m->failures = series(metrics, MEASURE_UPSTREAM_FAILURES, upstream, target, STR_NULL);
        m->connects = series(metrics, MEASURE_UPSTREAM_CONNECTS, upstream, target, STR_NULL);
        m->reuses = series(metrics, MEASURE_UPSTREAM_REUSES, upstream, target, STR_NULL);
        m->retries = series(metrics, MEASURE_UPSTREAM_RETRIES, upstream, target, STR_NULL);
        m->ejections = series(metrics, MEASURE_UPSTREAM_EJECTIONS, upstream, target, STR_NULL);
        m->first_byte = series(metrics, MEASURE_UPSTREAM_FIRST_BYTE, upstream, target, STR_NULL);
}

void measure_upstream_init(struct metrics *metrics, struct measure_upstream *m, struct str upstream)
{
        m->queue = series(metrics, MEASURE_UPSTREAM_QUEUE, upstream, STR_NULL, STR_NULL);
}

/* ---- series by name ---- */

/* The worker keeps what it found, as finding means looking through all there are. The key is the metric's number and its
 * values; it lives as long as the process. */
static metric_index series_kept(struct worker *w, enum measure m, const struct str values[METRIC_LABELS_MAX])
{
        char text[4 * METRIC_LABEL_VALUE_MAX];
        struct str key = { text, 0 };
        uintptr_t found;

        text[key.len++] = (char)m;
        for (size_t i = 0; i < METRIC_LABELS_MAX && measure_metrics[m].labels[i]; i++) {
                struct str value = str_sub(values[i], 0, METRIC_LABEL_VALUE_MAX - 2);

                if (value.len)
                        memcpy(text + key.len, value.ptr, value.len);
                key.len += value.len;
                text[key.len++] = '\0';
        }
        if ((found = (uintptr_t)map_find(&w->series, key)))
                return (metric_index)(found - 1);
        found = (uintptr_t)metrics_series(w->shared->metrics, &measure_metrics[m], values) + 1;
        struct str kept = arena_copy(&w->series_keys, key);
        if (!kept.ptr || map_add(&w->series, kept, (void *)found) != ERR_OK)
                log_debug("measure_series_not_kept", LOG_C("metric", measure_metrics[m].name));
        return (metric_index)(found - 1);
}

static struct str text_of(const char *text)
{
        return text ? str_of(text) : STR_NULL;
}

void measure_count(struct worker *w, enum measure m, const char *a, const char *b, const char *c)
{
        struct str values[METRIC_LABELS_MAX] = { text_of(a), text_of(b), text_of(c) };

        measure_add(w, series_kept(w, m, values), 1);
}

void measure_refused(struct worker *w, const char *reason)
{
        measure_count(w, MEASURE_REFUSED, reason, NULL, NULL);
}

void measure_tls(struct worker *w, const char *peer, const struct stream *s, enum err e)
{
        const char *reason = stream_tls_reason(s);

        if (e == ERR_OK)
                measure_count(w, MEASURE_TLS_HANDSHAKES, peer, stream_tls_version(s),
                              stream_tls_is_resumed(s) ? "yes" : "no");
        else
                measure_count(w, MEASURE_TLS_FAILURES, peer, reason ? reason : err_text(e), NULL);
}

/* ---- counting ---- */

void measure_add(struct worker *w, metric_index i, uint64_t n)
{
        metrics_add(w->shared->metrics, w->index, i, n);
}

void measure_set(struct worker *w, metric_index i, int64_t value)
{
        metrics_set(w->shared->metrics, w->index, i, value);
}

void measure_move(struct worker *w, metric_index i, int64_t by)
{
        metrics_move(w->shared->metrics, w->index, i, by);
}

void measure_h2_streams(struct worker *w)
{
        measure_set(w, w->measure.h2_streams_client, (int64_t)pool_taken_count(w->down_streams));
        measure_set(w, w->measure.h2_streams_upstream, (int64_t)pool_taken_count(w->h2_streams));
}

void measure_h2_reset(struct worker *w, const char *peer, bool by_peer, uint32_t code)
{
        measure_count(w, MEASURE_H2_RESETS, peer, by_peer ? "peer" : "gateway", h2_code_name(code));
}

void measure_overload(struct worker *w, unsigned level)
{
        for (unsigned i = 0; i < MEASURE_OVERLOAD_LEVELS; i++)
                measure_set(w, w->measure.overload[i], i == level);
}

static void observe(struct worker *w, enum measure m, metric_index i, int64_t us)
{
        metrics_observe(w->shared->metrics, w->index, &measure_metrics[m], i, (uint64_t)MAX(us, 0));
}

void measure_exchange(struct exchange *x, int64_t total_us, int64_t upstream_us)
{
        const struct route *r = x->route;
        uint16_t status = x->answer_started ? x->status : 0;
        enum measure_class class =
                status >= 100 && status < 600 ? (enum measure_class)(status / 100 - 1) : CLASS_NONE;

        if (x->outcome == OUTCOME_CLIENT_LEFT || x->outcome == OUTCOME_UPSTREAM_BROKE)
                measure_count(x->w, MEASURE_RESETS, x->outcome == OUTCOME_CLIENT_LEFT ? "client" : "upstream",
                              NULL, NULL);
        if (!r)
                return;
        if (x->upstream && x->upstream != r->upstream) {
                struct str values[METRIC_LABELS_MAX] = { r->name, str_of(class_names[class]),
                                                         x->upstream->name };
                measure_add(x->w, series_kept(x->w, MEASURE_REQUESTS, values), 1);
        } else {
                measure_add(x->w, r->measure.by_class[class], 1);
        }
        observe(x->w, MEASURE_REQUEST_SECONDS, r->measure.duration, total_us);
        if (x->attempts == 0)
                return;
        observe(x->w, MEASURE_UPSTREAM_SECONDS, r->measure.upstream, upstream_us);
        observe(x->w, MEASURE_ADDED_SECONDS, r->measure.added, total_us - upstream_us);
}

void measure_signature(struct worker *w, const char *result, int64_t us)
{
        measure_count(w, MEASURE_SIGNATURES, result, NULL, NULL);
        if (us >= 0)
                observe(w, MEASURE_SIGNATURE_SECONDS, w->measure.signature_wait, us);
}

void measure_first_byte(struct worker *w, const struct measure_target *m, int64_t us)
{
        observe(w, MEASURE_UPSTREAM_FIRST_BYTE, m->first_byte, us);
}
