/*
 * proxy/upstream.h - a named group of targets: which one takes the next request, and the connections kept to each.
 *
 * Configuration is fixed when the snapshot is built; the counts and pools beside it are this worker's own. Health is in
 * memory shared by the workers (standing.h).
 */
#pragma once

#include "base/ip.h"
#include "io/dial.h"
#include "io/resolver.h"
#include "proxy/measure.h"
#include "proxy/standing.h"

struct tls_context;
struct upstream;
struct worker;

enum upstream_balance { BALANCE_ROUND_ROBIN, BALANCE_LEAST_REQUESTS };

struct target {
        /* identity */
        struct upstream *upstream;
        struct str url;       /* as configured, for the log */
        struct str host;      /* name or address; empty for a Unix socket */
        struct str path;      /* of a Unix socket */
        struct str base_path; /* before every target: "" or "/v1" */
        struct str authority; /* what goes into Host when it is not preserved */
        struct ip ip;         /* family 0: a name, resolved when dialled */
        uint16_t port;
        bool is_tls, is_backup;
        uint32_t weight;          /* at least 1 */
        uint32_t connections_max; /* 0: no bound */
        struct standing *standing;

        /* hot path: this worker's */
        struct list idle; /* of up_h1.idle_node, most recent first */
        uint32_t idle_count, requests_active, connections;
        uint32_t address_next; /* of several addresses of one name */
        int64_t smooth_weight; /* weighted round robin */

        struct measure_target measure;
};

struct upstream {
        struct str name;
        struct target *targets;
        size_t targets_count;
        enum upstream_balance balance;
        struct tls_context *tls;    /* shared by the targets; NULL when none is https */
        struct str tls_server_name; /* empty: the target's host */

        int64_t connect_ms, first_byte_ms, idle_ms, tunnel_ms, keep_alive_ms;
        uint32_t idle_connections_max; /* per target */
        uint8_t tries_max;             /* targets tried for one request, at least 1 */

        /* passive health: `failures_max` in a row (0: off) eject for `eject_ms`, doubled each time up to 10 minutes */
        uint32_t failures_max;
        int64_t eject_ms;

        /* active health: path empty means none */
        struct str health_path;
        int64_t health_interval_ms, health_timeout_ms;
        uint32_t health_rise, health_fall;
        uint16_t health_status_min, health_status_max; /* what counts as healthy */
};

/*
 * The target for the next request, or NULL when none may be used: usable ones first, backups when no other is, and when
 * every one is down the ones that are only ejected. `not_again` are the targets tried already.
 */
struct target *upstream_pick(struct upstream *u, mono_ms now, struct target *const *not_again,
                             size_t not_again_count);

/* A failure to connect or to answer, or a success; moves the ejection. True when this ejected the target. */
bool target_failed(struct target *t, mono_ms now);
void target_succeeded(struct target *t);
