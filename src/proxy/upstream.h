/*
 * proxy/upstream.h - a named group of targets: which of them may take the next request, and the connections kept to each.
 *
 * Who may: those that are up, else the backups that are, else, when every one is out by its failures alone, all of these;
 * the choice among them is balance.h's. A target whose ejection is over is tried by one request at a time, by preference
 * one that may be repeated, so that nobody pays for the question.
 *
 * Configuration is fixed when the snapshot is built; the counts and pools beside it are this worker's own. Health is in
 * memory shared by the workers (standing.h).
 */
#pragma once

#include "base/ip.h"
#include "io/dial.h"
#include "io/resolver.h"
#include "proxy/balance.h"
#include "proxy/measure.h"
#include "proxy/retry_budget.h"
#include "proxy/standing.h"
#include "proxy/waitline.h"

struct links;
struct tls_context;
struct upstream;
struct worker;

/* What is spoken with targets. AUTO: agreed on in TLS, found out in plain text (up.c). */
enum upstream_protocol { PROTOCOL_H1, PROTOCOL_H2, PROTOCOL_AUTO };

/* What a consistent hash tells requests apart by. */
enum upstream_hash_by { HASH_BY_SOURCE, HASH_BY_HEADER, HASH_BY_COOKIE };

struct target {
        /* identity */
        struct upstream *upstream;
        struct str url;  /* as configured, for the log */
        struct str host; /* name or address; empty for a Unix socket */
        struct str path; /* of a Unix socket */
        struct str agent,
                agent_target; /* behind a link (links.h): whose, and what it is called there; empty: dialled */
        struct str base_path; /* before every target: "" or "/v1" */
        struct str authority; /* what goes into Host when it is not preserved */
        struct ip ip;         /* family 0: a name, resolved when dialled */
        struct ip source;     /* the address connections come from; family 0: the kernel's choice */
        uint16_t port;
        bool is_tls, is_backup;
        uint32_t connections_max; /* requests at a time; 0: no bound */
        struct standing *standing;

        /* hot path: this worker's */
        struct balance_seat seat; /* weight, load, latency */
        struct list idle;         /* of up_h1.idle_node, most recent first */
        struct list dials;        /* of up_dial.node: on their way up, several may wait for one */
        struct list shared;       /* of up_h2.node: HTTP/2 connections */
        mono_ms learned_until, probe_after;
        enum upstream_protocol learned; /* under PROTOCOL_AUTO; AUTO: nothing yet */
        uint32_t idle_count, requests_active, connections;
        uint32_t address_next; /* of several addresses of one name */

        struct measure_target measure;
};

/* How long things may take. */
struct upstream_waits {
        int64_t connect_ms, first_byte_ms, idle_ms, tunnel_ms;
};

struct upstream {
        struct str name;
        struct target *targets;
        size_t targets_count;
        enum balance_kind balance;
        enum upstream_hash_by hash_by;
        struct str hash_name; /* of the header or cookie */
        uint64_t random;      /* the choices' state */
        int64_t slow_start_ms;
        enum upstream_protocol protocol;
        bool is_published;          /* control's word, not the operator's own file's */
        bool is_outward;            /* a request's word: may_dial judges it by rules of its own */
        bool is_quiet;              /* that nobody answers there is no news */
        bool is_raw;                /* byte streams only: its targets speak no HTTP */
        bool is_datagram;           /* with is_raw: of datagrams (udp://) */
        bool may_speak_h2;          /* a target does, or may: it can refuse a request it has not looked at */
        struct tls_context *tls;    /* shared by the targets; NULL when none is https */
        struct tls_context *tls_h2; /* the same, offering HTTP/2; NULL when that is not wanted */
        uint8_t proxy_version; /* each connection begins with a PROXY header of it and serves one client; 0: none */
        struct str tls_server_name; /* empty: the target's host */

        struct upstream_waits waits; /* a route may have its own */
        int64_t keep_alive_ms;
        uint32_t idle_connections_max; /* per target */

        uint8_t tries_max; /* targets tried for one request, at least 1 */
        int64_t try_ms;    /* an attempt without an answer is then given up for another target; 0: none */
        struct retry_budget retries;
        struct waitline line;
        uint32_t called_count; /* out of the line, on their way to pick */
        struct measure_upstream measure;

        /* passive health */
        struct standing_rule passive;
        uint32_t ejected_percent_max; /* of the targets; one may always be, unless 0 */

        /* active health: path empty means none */
        struct str health_path;
        int64_t health_interval_ms, health_timeout_ms;
        uint32_t health_rise, health_fall;
        uint16_t health_status_min, health_status_max; /* what counts as healthy */
};

/* A request in want of a target. */
struct upstream_ask {
        mono_ms now;
        const struct links *links;       /* the worker's: a target behind one that is not there is down */
        struct target *const *not_again; /* tried already */
        size_t not_again_count;
        uint64_t hash; /* of what hash_by names, where it has that */
        bool has_hash;
        bool is_repeatable; /* if it fails it can be sent again */
};

enum upstream_answer {
        UPSTREAM_FOUND,
        UPSTREAM_FULL, /* some could, but all of them are at their limit: worth waiting for */
        UPSTREAM_DOWN  /* none is left to try */
};

/*
 * The target for the next request, in *out. *is_probe: it is out of its ejection and this request tries it; target_leave
 * wants to know.
 */
enum upstream_answer upstream_pick(struct upstream *u, const struct upstream_ask *ask, struct target **out,
                                   bool *is_probe);

/* True when a target that is up, has room and was not tried could take it as well. */
bool upstream_has_other(const struct upstream *u, const struct upstream_ask *ask, const struct target *but);

/* The request is the target's until it left: counts as load. */
void target_enter(struct target *t);
void target_leave(struct target *t, bool is_probe);

/* A failure to connect or to answer. True when this ejected the target. */
bool target_failed(struct target *t, mono_ms now);
void target_succeeded(struct target *t, mono_ms now);
