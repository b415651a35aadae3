#include "proxy/measure.h"

/* Microseconds: 0.5 ms to 5 minutes. */
static const uint64_t duration_bounds[] = { 500,     1000,     2500,     5000,     10000,    25000,
                                            50000,   100000,   250000,   500000,   1000000,  2500000,
                                            5000000, 10000000, 30000000, 60000000, 300000000 };
/* What a gateway adds is a few hundred microseconds on a good day. */
static const uint64_t added_bounds[] = { 50,   100,  200,   300,   500,    750,    1000,    1500,
                                         2500, 5000, 10000, 25000, 100000, 250000, 1000000, 5000000 };

/* clang-format off */
#define LABELS(...)                  { __VA_ARGS__ }
#define COUNTER(name_, labels_, help_, ...) \
        { .kind = METRIC_COUNTER, .name = (name_), .help = (help_), .labels = labels_, .unit = 1, __VA_ARGS__ }
#define GAUGE(name_, labels_, help_) \
        { .kind = METRIC_GAUGE, .name = (name_), .help = (help_), .labels = labels_, .unit = 1 }
#define SECONDS(name_, labels_, bounds_, help_) \
        { .kind = METRIC_HISTOGRAM, .name = (name_), .help = (help_), .labels = labels_, .bounds = (bounds_), \
          .bounds_count = ARRAY_SIZE(bounds_), .unit = 1e6 }
#define OF_TARGET LABELS("upstream", "target")

const struct metric measure_metrics[MEASURES] = {
        [MEASURE_REQUESTS] = COUNTER("sekisho_requests_total", LABELS("route", "class", "upstream"),
                "Requests answered, by route, status class (none: no answer began) and upstream (empty: none was asked).", ),
        [MEASURE_REQUEST_SECONDS] = SECONDS("sekisho_request_duration_seconds", LABELS("route"), duration_bounds,
                "Time from a request's whole head to its answer's last byte."),
        [MEASURE_UPSTREAM_SECONDS] = SECONDS("sekisho_request_upstream_seconds", LABELS("route"), duration_bounds,
                "Of that, time spent waiting for the upstream: connecting, and from the request sent to its answer's last byte."),
        [MEASURE_ADDED_SECONDS] = SECONDS("sekisho_request_added_seconds", LABELS("route"), added_bounds,
                "Of that, the rest: time that went by in this gateway. Requests that asked an upstream only."),
        [MEASURE_REFUSED] = COUNTER("sekisho_refused_total", LABELS("reason"),
                "Requests and connections refused here, by reason; limits reached among them.", .series_max = 256),
        [MEASURE_RESETS] = COUNTER("sekisho_resets_total", LABELS("by"),
                "Exchanges broken off before a whole answer: the client left, or the upstream broke after its answer began.", .series_max = 4),
        [MEASURE_CONNECTIONS] = GAUGE("sekisho_connections", LABELS(NULL), "Client connections open now."),
        [MEASURE_ACCEPTED] = COUNTER("sekisho_connections_accepted_total", LABELS(NULL), "Client connections accepted.", ),
        [MEASURE_REQUESTS_ACTIVE] = GAUGE("sekisho_requests_active", LABELS(NULL), "Requests under way now."),
        [MEASURE_BYTES_IN] = COUNTER("sekisho_request_bytes_total", LABELS(NULL), "Body bytes taken from clients.", ),
        [MEASURE_BYTES_OUT] = COUNTER("sekisho_answer_bytes_total", LABELS(NULL), "Body bytes sent to clients.", ),
        [MEASURE_TLS_HANDSHAKES] = COUNTER("sekisho_tls_handshakes_total", LABELS("peer", "version", "resumed"),
                "TLS handshakes done, with clients, agents and upstreams, by version and whether a session was resumed.", .series_max = 16),
        [MEASURE_TLS_FAILURES] = COUNTER("sekisho_tls_failures_total", LABELS("peer", "reason"),
                "TLS handshakes that failed, by what the library said of them.", .series_max = 64),
        [MEASURE_TAILNET_LOOKUPS] = COUNTER("sekisho_tailnet_lookups_total", LABELS("result"),
                "Callers looked up in the tailnet: ok, unknown (nobody of it), or why nobody could be asked: unavailable, timeout, full.", .series_max = 8),
        [MEASURE_SIGNATURES] = COUNTER("sekisho_signatures_total", LABELS("result"),
                "Signatures that handshakes asked the key holder for: ok, or why there was none: unknown_key (it does not have it), refused, "
                "timeout, full (too many handshakes of this worker wait).", .series_max = 8),
        [MEASURE_SIGNATURE_SECONDS] = SECONDS("sekisho_signature_wait_seconds", LABELS(NULL), added_bounds,
                "Time from a handshake's question to the key holder's signature."),
        [MEASURE_UPSTREAM_CONNECTIONS] = GAUGE("sekisho_upstream_connections", LABELS(NULL),
                "Connections to upstreams open now, idle ones included."),
        [MEASURE_LINKS] = GAUGE("sekisho_links", LABELS(NULL), "Links of agents open now, each to one worker."),
        [MEASURE_LINK_STREAMS] = COUNTER("sekisho_link_streams_total", LABELS("way", "reason"),
                "Streams begun on agents' links, repeats included, by way (straight, websocket, overlay) and why it was that one: no_overlay, overlay_down, "
                "no_own_link, preferred, preferred_full.", .series_max = 16),
        [MEASURE_UPSTREAM_REQUESTS] = COUNTER("sekisho_upstream_requests_total", OF_TARGET,
                "Requests sent to a target, repeats included.", ),
        [MEASURE_UPSTREAM_FAILURES] = COUNTER("sekisho_upstream_failures_total", OF_TARGET,
                "Connections refused, answers broken or late.", ),
        [MEASURE_UPSTREAM_CONNECTS] = COUNTER("sekisho_upstream_connects_total", OF_TARGET,
                "Connections opened to a target.", ),
        [MEASURE_UPSTREAM_REUSES] = COUNTER("sekisho_upstream_reuses_total", OF_TARGET,
                "Requests that found a kept connection.", ),
        [MEASURE_UPSTREAM_RETRIES] = COUNTER("sekisho_upstream_retries_total", OF_TARGET,
                "Requests moved on to another target.", ),
        [MEASURE_UPSTREAM_EJECTIONS] = COUNTER("sekisho_upstream_ejections_total", OF_TARGET,
                "Times a target was set aside after failures in a row.", ),
        [MEASURE_UPSTREAM_FIRST_BYTE] = SECONDS("sekisho_upstream_first_byte_seconds", OF_TARGET, duration_bounds,
                "Time from sending a request to the first byte of its answer."),
        [MEASURE_UPSTREAM_QUEUE] = GAUGE("sekisho_upstream_queue", LABELS("upstream"),
                "Requests that wait in line for a target with room."),
        [MEASURE_H2_STREAMS] = GAUGE("sekisho_h2_streams", LABELS("peer"),
                "Streams of HTTP/2 open now, with clients and with upstreams; one of a client counts until its upstream's work ended."),
        [MEASURE_H2_RESETS] = COUNTER("sekisho_h2_resets_total", LABELS("peer", "by", "code"),
                "Streams of HTTP/2 ended by RST_STREAM, with clients and with upstreams, by who sent it (peer, gateway) and its error code.",
                .series_max = 64),
        [MEASURE_OVERLOAD] = GAUGE("sekisho_overload_workers", LABELS("level"),
                "Workers at each level of overload: easy, shedding (new requests and idle connections go), closed (accepting waits)."),
        [MEASURE_LOG_DROPPED] = COUNTER("sekisho_log_dropped_total", LABELS("log", "reason"),
                "Lines that were not written: full (whoever reads is behind, or the disk is full), or over the rate of lines strangers may cause.",
                .series_max = 8),
        [MEASURE_CACHE] = COUNTER("sekisho_cache_total", LABELS("result"),
                "Requests of routes with a cache, by what it did: hit, collapsed (waited for another's fetch), stale (served while fetched anew), "
                "stale_error (served because the upstream failed), revalidated, expired, miss, pass (not shared), bypass.", .series_max = 16),
        [MEASURE_CACHE_BYTES] = GAUGE("sekisho_cache_bytes", LABELS(NULL), "Memory of kept answers, and of those being fetched."),
        [MEASURE_CACHE_ENTRIES] = GAUGE("sekisho_cache_entries", LABELS(NULL), "Kept answers."),
        [MEASURE_CACHE_EVICTIONS] = COUNTER("sekisho_cache_evictions_total", LABELS(NULL), "Kept answers that went to make room.", ),
        [MEASURE_COMPRESSED] = COUNTER("sekisho_compressed_total", LABELS("coding"),
                "Answers sent in a coding made here.", .series_max = 4),
        [MEASURE_COMPRESS_SKIPPED] = COUNTER("sekisho_compress_skipped_total", LABELS("reason"),
                "Answers that were to be coded and went as they were: no memory for an encoder, or no room in the head.", .series_max = 4),
        [MEASURE_COMPRESS_IN] = COUNTER("sekisho_compress_in_bytes_total", LABELS(NULL), "Body bytes given to encoders.", ),
        [MEASURE_COMPRESS_OUT] = COUNTER("sekisho_compress_out_bytes_total", LABELS(NULL), "Coded bytes sent.", ),
        [MEASURE_COMPRESS_MEMORY] = GAUGE("sekisho_compress_memory_bytes", LABELS(NULL),
                "Memory reserved for encoders, those that wait included."),
        [MEASURE_UDP_FLOWS] = GAUGE("sekisho_udp_flows", LABELS(NULL), "Flows of datagrams open now: a client's address and port, at one of ours."),
        [MEASURE_UDP_DATAGRAMS] = COUNTER("sekisho_udp_datagrams_total", LABELS("direction"),
                "Datagrams, from_client and to_client, from_target and to_target (where this process speaks with the target itself).", .series_max = 8),
        [MEASURE_UDP_LOST] = COUNTER("sekisho_udp_lost_total", LABELS("reason"),
                "Datagrams that went no further: queue (the other end of the flow is behind), send (the socket's), flows (too many of them), refused (a "
                "flow that was refused a moment ago), capsule (the other end of a link sent what is none, and the flow was ended).", .series_max = 8),
        [MEASURE_EXPORTED] = COUNTER("sekisho_exported_total", LABELS("signal"),
                "Requests (traces) and lines (logs) that the collector took.", .series_max = 4),
        [MEASURE_EXPORT_DROPPED] = COUNTER("sekisho_export_dropped_total", LABELS("signal", "reason"),
                "Requests and lines that were to be exported and were not: full (the queue), failed (the collector away), refused by it.",
                .series_max = 16),
        [MEASURE_UPSTREAM_UP] = GAUGE("sekisho_upstream_up", OF_TARGET,
                "Whether a target takes requests (health checks and ejection)."),
        [MEASURE_CONNECTIONS_MAX] = GAUGE("sekisho_connections_max", LABELS(NULL),
                "How many client connections there may be, all workers together."),
        [MEASURE_REQUESTS_MAX] = GAUGE("sekisho_requests_active_max", LABELS(NULL),
                "How many requests may be under way, all workers together."),
        [MEASURE_CERTIFICATE_EXPIRY] = GAUGE("sekisho_certificate_expiry_seconds", LABELS(NULL),
                "When the first of the certificates that listeners present ends, in seconds since 1970."),
        [MEASURE_CONTROL_CONNECTED] = GAUGE("sekisho_control_connected", LABELS(NULL),
                "Whether control is heard (only where the gateway has joined one)."),
        [MEASURE_CONTROL_VERSION] = GAUGE("sekisho_control_document_version", LABELS(NULL),
                "The version of what control published last."),
        [MEASURE_CONTROL_LEASE] = GAUGE("sekisho_control_lease_end_seconds", LABELS(NULL),
                "Until when what control published is served without a word from it, in seconds since 1970."),
        [MEASURE_BUILD_INFO] = GAUGE("sekisho_build_info", LABELS("version"), "The running version."),
        [MEASURE_CONFIG_NUMBER] = GAUGE("sekisho_config_number", LABELS(NULL), "Configurations applied since the start."),
        [MEASURE_SERIES_DROPPED] = COUNTER("sekisho_metrics_dropped_total", LABELS(NULL),
                "Times a label value found no place of its own and was counted as other.", ),
};
/* clang-format on */
