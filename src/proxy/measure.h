/*
 * proxy/measure.h - what the proxy counts: one table of metrics, and the indexes of the series a worker counts often.
 *
 * measure_metrics is the only place that names a metric of the proxy, its labels and its meaning; docs/reference/metrics.md
 * is written from it (tests/unit/gateway/metrics_test.c compares). A new metric is a word in `enum measure` and its line
 * in measure_table.c.
 */
#pragma once

#include "base/err.h"
#include "base/metrics.h"

struct exchange;
struct stream;
struct worker;

enum measure {
        MEASURE_REQUESTS,
        MEASURE_REQUEST_SECONDS,
        MEASURE_UPSTREAM_SECONDS,
        MEASURE_ADDED_SECONDS,
        MEASURE_REFUSED,
        MEASURE_RESETS,
        MEASURE_CONNECTIONS,
        MEASURE_ACCEPTED,
        MEASURE_REQUESTS_ACTIVE,
        MEASURE_BYTES_IN,
        MEASURE_BYTES_OUT,
        MEASURE_TLS_HANDSHAKES,
        MEASURE_TLS_FAILURES,
        MEASURE_TAILNET_LOOKUPS,
        MEASURE_SIGNATURES,
        MEASURE_SIGNATURE_SECONDS,
        MEASURE_UPSTREAM_CONNECTIONS,
        MEASURE_LINKS,
        MEASURE_LINK_STREAMS,
        MEASURE_UPSTREAM_REQUESTS,
        MEASURE_UPSTREAM_FAILURES,
        MEASURE_UPSTREAM_CONNECTS,
        MEASURE_UPSTREAM_REUSES,
        MEASURE_UPSTREAM_RETRIES,
        MEASURE_UPSTREAM_EJECTIONS,
        MEASURE_UPSTREAM_FIRST_BYTE,
        MEASURE_UPSTREAM_QUEUE,
        MEASURE_H2_STREAMS,
        MEASURE_H2_RESETS,
        MEASURE_OVERLOAD,
        MEASURE_LOG_DROPPED,
        MEASURE_CACHE,
        MEASURE_CACHE_BYTES,
        MEASURE_CACHE_ENTRIES,
        MEASURE_CACHE_EVICTIONS,
        MEASURE_COMPRESSED,
        MEASURE_COMPRESS_SKIPPED,
        MEASURE_COMPRESS_IN,
        MEASURE_COMPRESS_OUT,
        MEASURE_COMPRESS_MEMORY,
        MEASURE_UDP_FLOWS,
        MEASURE_UDP_DATAGRAMS,
        MEASURE_UDP_LOST,
        MEASURE_EXPORTED,
        MEASURE_EXPORT_DROPPED,
        /* facts: formatted where the page is made */
        MEASURE_UPSTREAM_UP,
        MEASURE_CONNECTIONS_MAX,
        MEASURE_REQUESTS_MAX,
        MEASURE_CERTIFICATE_EXPIRY,
        MEASURE_CONTROL_CONNECTED,
        MEASURE_CONTROL_VERSION,
        MEASURE_CONTROL_LEASE,
        MEASURE_BUILD_INFO,
        MEASURE_CONFIG_NUMBER,
        MEASURE_SERIES_DROPPED,
        MEASURES
};
extern const struct metric measure_metrics[MEASURES];

enum { MEASURE_OVERLOAD_LEVELS = 3 }; /* of enum overload_level */

enum { MEASURE_LINK_WAYS = 3, MEASURE_LINK_REASONS = 5 }; /* of enum link_way, enum link_reason */

enum measure_class { CLASS_1XX, CLASS_2XX, CLASS_3XX, CLASS_4XX, CLASS_5XX, CLASS_NONE, CLASSES };

/* Of one route. */
struct measure_route {
        metric_index by_class[CLASSES]; /* with the route's own upstream */
        metric_index duration, upstream, added;
};

/* Of one upstream target. */
struct measure_target {
        metric_index requests, failures, connects, reuses, retries, ejections, first_byte;
};

/* Of one upstream. */
struct measure_upstream {
        metric_index queue;
};

/* What becomes of datagrams; the lost ones by where. */
enum measure_udp {
        UDP_FROM_CLIENT,
        UDP_TO_CLIENT,
        UDP_FROM_TARGET,
        UDP_TO_TARGET,
        UDP_LOST_QUEUE,
        UDP_LOST_SEND,
        UDP_LOST_FLOWS,
        UDP_LOST_REFUSED,
        UDP_LOST_CAPSULE,
        UDP_KINDS
};

/* Of one worker, for all. */
struct measure_worker {
        metric_index connections, accepted, requests_active, bytes_in, bytes_out, upstream_connections, links;
        metric_index cache_bytes, cache_entries, cache_evictions;
        metric_index compress_in, compress_out, compress_memory;
        metric_index signature_wait;
        metric_index h2_streams_client, h2_streams_upstream;
        metric_index overload[MEASURE_OVERLOAD_LEVELS];
        metric_index udp_flows, udp[UDP_KINDS];
        struct {
                metric_index index;
                bool is_known; /* few of them ever happen: each has a series from its first stream on */
        } link_streams[MEASURE_LINK_WAYS][MEASURE_LINK_REASONS];
};

void measure_worker_init(struct worker *w);
/* For the snapshot's builder, before a worker has it. `upstream` is empty for a route that has none of its own. */
void measure_route_init(struct metrics *metrics, struct measure_route *m, struct str route,
                        struct str upstream);
void measure_target_init(struct metrics *metrics, struct measure_target *m, struct str upstream,
                         struct str target);
void measure_upstream_init(struct metrics *metrics, struct measure_upstream *m, struct str upstream);

/* One refusal of ours; `reason` is a static word. */
void measure_refused(struct worker *w, const char *reason);

/* One more in the series of these label values (as many as the metric has; they live as long as the process: the worker
 * keeps them). For what happens too seldom to have an index. */
void measure_count(struct worker *w, enum measure m, const char *a, const char *b, const char *c);

void measure_add(struct worker *w, metric_index i, uint64_t n);
void measure_set(struct worker *w, metric_index i, int64_t value);
void measure_move(struct worker *w, metric_index i, int64_t by); /* a gauge that several count in */

/* A stream began on a link; enum link_way, enum link_reason. */
void measure_link_stream(struct worker *w, unsigned way, unsigned reason);

void measure_udp(struct worker *w, enum measure_udp what, uint64_t n);
void measure_udp_flows(struct worker *w, size_t count);

/* How many streams of HTTP/2 are open now, on both sides. */
void measure_h2_streams(struct worker *w);
/* RST_STREAM on a connection with a "client" or "upstream". */
void measure_h2_reset(struct worker *w, const char *peer, bool by_peer, uint32_t code);
/* The worker's level now; enum overload_level. */
void measure_overload(struct worker *w, unsigned level);

/* A request of a client is over; how long it took, and how much of that it waited for its upstream. */
void measure_exchange(struct exchange *x, int64_t total_us, int64_t upstream_us);
void measure_first_byte(struct worker *w, const struct measure_target *m, int64_t us);

/* A handshake's wait for the key holder is over; `result` is a static word. How long it was, -1: not to be told. */
void measure_signature(struct worker *w, const char *result, int64_t us);

/* A TLS handshake with a "client" or "upstream" is over, well (ERR_OK) or not. */
void measure_tls(struct worker *w, const char *peer, const struct stream *s, enum err e);
