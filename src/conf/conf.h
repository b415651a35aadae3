/*
 * conf/conf.h - the configuration as plain structs: read once, checked as a whole, then never changed.
 *
 * Does:   sekisho.json to `struct conf`: defaults filled in, secrets read, names resolved to pointers, all checks made.
 * Not:    the file system or the environment: they are behind `struct conf_source` (conf/source.h), so that a worker
 *         builds the same configuration from a bundle without touching either.
 * Thread: conf_load anywhere; the result is read-only and may be read by many.
 *
 * Every text in it lives in the configuration's own arena until conf_free, and has a NUL after it that len does not
 * count. A count of 0 comes with a NULL array. Durations are milliseconds, sizes bytes; 0 means "no limit" only where
 * the key's documentation says so. The keys, their bounds and defaults: docs/reference/config.md.
 */
#pragma once

#include "base/arena.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/report.h"
#include "base/units.h"
#include "io/listener.h"

struct conf_source;
struct conf_secret;
struct conf_upstream;
struct draft;

struct conf_strs {
        struct str *items;
        size_t count;
};

struct conf_prefixes {
        struct ip_prefix *items;
        size_t count;
};

/* Rights of a token, and what a route may ask for. A set. */
enum conf_scope {
        CONF_SCOPE_LLM = 1 << 0,      /* model APIs */
        CONF_SCOPE_PROXY = 1 << 1,    /* routes to upstreams */
        CONF_SCOPE_ADMIN = 1 << 2,    /* administration */
        CONF_SCOPE_DISPATCH = 1 << 3, /* requests sent out through agents */
};

/* ---- gateway ---- */

enum { CONF_SHA256_BYTES = 32 };

struct conf_token {
        struct str name;                   /* unique; "token-1" and so on for plain strings */
        uint8_t sha256[CONF_SHA256_BYTES]; /* of the token's text, whatever form the file gave it in */
        unsigned scopes;                   /* set of conf_scope; never empty */
        unix_ms expires;                   /* MONO_NEVER: never */
        struct conf_prefixes allowed_ips;  /* empty: every address the gateway admits */
        struct conf_strs models;           /* patterns of str_match; empty: every model */
        struct units_rate rate_limit;      /* count 0: none */
};

/* Addresses of the gateway and the admin together: as many sockets as go to a worker at once. */
enum { CONF_LISTENS_MAX = 240 };

/* Who may open byte streams, and how many. */
struct conf_stream_rules {
        struct conf_prefixes allowed_ips;              /* beside gateway.allowedIps; empty: no more */
        struct conf_prefixes denied_ips;               /* of those */
        struct units_rate rate;                        /* of new ones, per address; count 0: none */
        uint64_t streams_max, streams_per_address_max; /* at a time; 0: no limit */
        int64_t idle;                                  /* nothing passes for so long; 0: not given */
};

struct conf_listen {
        struct listen_address address;
        uint8_t tailnet_family; /* 4, 6: our address of that family in the tailnet; 0: `address` says all */
        bool is_tls;
        bool takes_proxy_protocol;
        bool redirects_to_https; /* answers every request with a redirect (gateway.redirectHttp) */
        bool is_published;       /* control's word: that it cannot be opened stops nothing else */
        struct str upstream_name;
        const struct conf_upstream *upstream; /* every connection is passed on to it as it is; NULL: HTTP */
        struct conf_stream_rules rules;
};

/* TLS that does not end here: whose name is asked for gets the bytes as they are. */
struct conf_pass {
        struct conf_strs hosts; /* lower case, names and "*.name" */
        bool is_published;
        struct str upstream_name;
        const struct conf_upstream *upstream;
        struct conf_stream_rules rules;
};

struct conf_certificate {
        struct str cert_name, key_name; /* as tls.h wants them: for messages */
        struct str cert_pem, key_pem;   /* checked: they fit, and are not out of date */
};

struct conf_limits {
        /* what is read */
        uint64_t header_bytes, target_bytes, header_lines;
        uint64_t request_bytes;       /* 0: no limit */
        uint64_t answer_header_bytes; /* of an upstream's head */
        uint64_t inflight_bytes, replay_bytes, model_lookahead_bytes;
        uint64_t cache_bytes;       /* of kept answers, per worker; 0: none are */
        uint64_t compression_bytes; /* of encoders, per worker */
        /* how many */
        uint64_t connections, connections_per_address; /* per address 0: no limit */
        uint64_t concurrent_requests;
        uint64_t memory_bytes, descriptors; /* of one worker; 0: none, the process's */
        uint64_t failed_auth_per_minute;    /* per address; 0: no limit */
        struct units_rate rate_per_address; /* count 0: none */
        /* how long */
        int64_t header_timeout, idle_timeout, body_idle_timeout, tls_timeout;
        uint64_t minimum_rate; /* bytes a second of a request's body; 0: none */
        /* the chat conversations the gateway keeps */
        uint64_t chat_turns, chat_bytes, chat_message_bytes, chat_sessions;
        int64_t chat_age;
};

/* What browsers see of our own errors. */
struct conf_error_page {
        uint16_t status_min, status_max;
        struct str text; /* HTML, with {status}, {message} … in it */
};

struct conf_dns {
        struct str servers; /* "127.0.0.1:5353,…"; empty: the system's */
        int64_t ttl_min, ttl_max, stale_max, timeout;
};

/* An agent that may come; with the SHA-256 of its key where that is pinned. */
struct conf_link_agent {
        struct str id;
        bool is_pinned;
        uint8_t identity[CONF_SHA256_BYTES]; /* of the SubjectPublicKeyInfo */
};

/* Where agents come in. */
struct conf_links {
        struct str authority_pem; /* empty: no agent is taken */
        struct conf_certificate certificate;
        struct conf_link_agent *agents; /* is_listed: nobody else; sorted by id */
        size_t agents_count;
        bool is_listed;
};

/* Which link to an agent goes first where it has some of its own and some over the overlay. */
enum conf_overlay_use { CONF_OVERLAY_SPARE, CONF_OVERLAY_PREFER };

/* This gateway's place in the fleet's overlay. */
struct conf_overlay {
        uint64_t port; /* of UDP; 0: it has none */
        enum conf_overlay_use use;
};

/* This machine's place in a tailnet. */
struct conf_tailnet {
        struct str socket;      /* tailscaled's */
        bool serve_is_in_front; /* what Serve says of callers is believed from loopback */
        bool is_used;           /* some listener, route, certificate or model API asks for it */
        bool wants_certificate; /* gateway.certificates has "tailnet" */
};

enum conf_ai_identity { CONF_BY_TOKEN, CONF_BY_TAILNET };

struct conf_gateway {
        struct conf_tailnet tailnet;
        enum conf_ai_identity ai_identity;
        struct conf_strs ai_callers; /* CONF_BY_TAILNET: logins and tags */
        struct str host;             /* as written; `listens` has the parsed form */
        uint64_t port;
        /* host:port first (left out when the file has `listen` and neither of both), then `listen`, then redirectHttp,
         * then what control published. */
        struct conf_listen *listens;
        size_t listens_count;
        struct conf_pass *passes;
        size_t passes_count;
        bool auth; /* true: at least one token is there */
        struct conf_token *tokens;
        size_t tokens_count;
        struct conf_prefixes allowed_ips;     /* empty: every address */
        struct conf_prefixes trusted_proxies; /* whose X-Forwarded-* and PROXY header are believed */
        /* tlsCert/tlsKey first; at least one when a listener is TLS, or there will be one (tailnet.wants_certificate) */
        struct conf_certificate *certificates;
        size_t certificates_count;
        bool http2;       /* offered on every listener */
        uint64_t workers; /* 0: one per CPU of the affinity mask */
        int64_t drain_timeout;
        int64_t watchdog; /* 0: off */
        int64_t ticket_rotation;
        struct str user; /* whom workers become when root starts us; empty: `sekisho` where there is one */
        struct conf_limits limits;
        struct conf_dns dns;
        struct conf_error_page *error_pages;
        size_t error_pages_count;
        bool is_in_maintenance;
        struct str client_ca_pem;  /* of clients' certificates; empty: none is asked for */
        struct str client_crl_pem; /* revoked ones; empty: not looked at */
        bool client_certificate_is_required;
        struct conf_links links;
        struct conf_overlay overlay;
};

/* ---- shared by providers, upstreams and routes ---- */

enum conf_scheme { CONF_HTTP, CONF_HTTPS, CONF_UNIX, CONF_LINK, CONF_TCP, CONF_UDP };

struct conf_url {
        struct str text; /* as written */
        enum conf_scheme scheme;
        struct str
                host; /* name, lower case, or address without brackets; empty for unix; the agent's id for link */
        struct ip ip;  /* when the host is an address; else family 0: to be resolved */
        uint16_t port; /* filled in from the scheme */
        struct str
                path; /* unix: the socket's; link: the target's id; else the base path without its last '/': "" or "/v1" */
};

/* What Host says to it: the name, with the port where that is not the scheme's own; a Unix socket is "localhost", a link's target
 * "ID.sekisho.internal", which the agent replaces. In `a`. */
struct str conf_url_authority(const struct conf_url *url, struct arena *a);

struct conf_timeouts {
        int64_t connect, first_byte, idle;
        int64_t tunnel; /* idle time of an upgraded connection */
        int64_t total;  /* 0: none */
};

struct conf_client_tls {
        struct str ca_pem;            /* empty: the system's store */
        struct str server_name;       /* empty: the target's host */
        struct str cert_pem, key_pem; /* client certificate, or both empty */
        bool skip_verify;
};

struct conf_header {
        struct str name, value;
};

struct conf_header_rules {
        struct conf_header *set, *add;
        size_t set_count, add_count;
        struct conf_strs remove;
};

/* ---- providers and models ---- */

enum conf_dialect {
        CONF_OPENAI = 1 << 0,
        CONF_ANTHROPIC = 1 << 1,
        CONF_OLLAMA = 1 << 2,
};

struct conf_provider {
        struct str name;
        enum conf_dialect kind; /* how it lists its models and takes its key */
        unsigned dialects;      /* set: the forms of call it understands; has `kind` */
        bool is_published;   /* control's word, not the file's: all of these share what they have in common */
        bool finds_dialects; /* behind a link, and nobody said what it understands: it is found out */
        struct conf_url base_url;
        struct str api_key; /* secret, or empty */
        struct conf_header *headers;
        size_t headers_count;
        struct conf_strs models; /* what it serves; empty: it is asked */
        struct conf_timeouts timeouts;
        struct conf_client_tls tls;
        uint64_t max_concurrency; /* 0: no limit */
};

struct conf_model_target {
        const struct conf_provider *provider;
        struct str model;  /* what the provider calls it; empty: the name the caller used */
        uint64_t weight;   /* share among those of the same priority */
        uint64_t priority; /* lower first; the next is tried when all before it failed */
};

struct conf_model {
        struct str name; /* exact, or a pattern of str_match */
        bool is_pattern;
        struct conf_model_target *targets; /* sorted by priority, else in the order of the file */
        size_t targets_count;
};

/* ---- upstreams and routes ---- */

struct conf_target {
        struct conf_url url; /* http, https or unix; no base path */
        uint64_t weight;
        bool is_backup;
        uint64_t max_connections; /* 0: no limit */
};

enum conf_protocol { CONF_PROTOCOL_AUTO, CONF_PROTOCOL_H1, CONF_PROTOCOL_H2, CONF_PROTOCOL_H2C };
enum conf_balance { CONF_TWO_CHOICES, CONF_ROUND_ROBIN, CONF_LEAST_REQUESTS, CONF_HASH };
enum conf_hash_by { CONF_BY_SOURCE, CONF_BY_HEADER, CONF_BY_COOKIE };

struct conf_health {
        struct str path; /* empty: no active checks */
        int64_t interval, timeout;
        uint64_t rise, fall;
        uint16_t status_min, status_max; /* what counts as healthy */
};

struct conf_passive {
        uint64_t failures; /* 0: off */
        int64_t window, eject_time;
        uint64_t max_ejected_percent;
};

struct conf_keep_alive {
        uint64_t connections; /* idle ones kept per worker and target */
        int64_t idle;
};

/* Requests that wait while every target is at its limit. */
struct conf_queue {
        uint64_t length; /* 0: none waits */
        int64_t wait;
};

enum conf_proxy_protocol { CONF_PROXY_OFF, CONF_PROXY_V1, CONF_PROXY_V2 };

struct conf_upstream {
        struct str name;
        bool is_published; /* control's word, not the file's */
        struct conf_target *targets;
        size_t targets_count;
        enum conf_balance balance;
        enum conf_protocol protocol;
        enum conf_hash_by hash_by; /* CONF_HASH */
        struct str hash_name;      /* of the header or cookie */
        int64_t slow_start;        /* 0: none */
        struct conf_health health;
        struct conf_passive passive;
        struct conf_timeouts timeouts;
        uint64_t retries, retry_budget_percent;
        int64_t try_timeout; /* 0: none */
        struct conf_queue queue;
        enum conf_proxy_protocol proxy_protocol;
        struct conf_keep_alive keep_alive;
        struct conf_client_tls tls;
};

enum conf_path_kind {
        CONF_PATH_ALL,    /* "/" */
        CONF_PATH_EXACT,  /* "/x" */
        CONF_PATH_PREFIX, /* "/x/…": path holds "/x" */
        CONF_PATH_PATTERN, /* "/users/{id}/avatar": as written, segments in braces match any one segment; a last
                            * segment "*" matches the rest */
};

enum { CONF_CODINGS_MAX = 3 };

struct conf_compress {
        bool is_on;
        struct conf_strs
                codings; /* of "zstd", "br", "gzip", in the order of preference; CONF_CODINGS_MAX at most */
        struct conf_strs types; /* lower case, "*" for any run */
        uint64_t bytes_min;
        bool with_cookies;
};

struct conf_cache {
        bool is_on;
        uint64_t object_bytes;
        int64_t wait;
};

enum conf_action { CONF_TO_UPSTREAM, CONF_REDIRECT, CONF_RESPOND };

struct conf_access {
        bool needs_client_certificate;
        bool needs_token;                 /* false also for every route when gateway.auth is off */
        unsigned scope;                   /* one of conf_scope, with needs_token */
        struct conf_prefixes allowed_ips; /* beside gateway.allowedIps; empty: no more */
        struct conf_prefixes denied_ips;  /* of those */
        struct conf_strs tailnet;         /* logins and tags; not empty: these, and no token is asked for */
};

struct conf_route {
        struct str name;        /* unique; made from host and path when not given */
        struct conf_strs hosts; /* lower case; "*.example.com" or "*"; empty: every host */
        enum conf_path_kind path_kind;
        struct str path;          /* canonical */
        struct conf_strs methods; /* upper case; empty: all */
        struct conf_access access;

        enum conf_action action;
        const struct conf_upstream *upstream; /* CONF_TO_UPSTREAM */
        struct str redirect_to;               /* CONF_REDIRECT; "{path}" and "{host}" are replaced */
        uint16_t status;                      /* CONF_REDIRECT, CONF_RESPOND */
        struct str body, content_type;        /* CONF_RESPOND */

        struct str strip_prefix, add_prefix; /* in this order; empty: nothing */
        bool preserve_host;
        bool trusts_trace;
        bool is_in_maintenance;
        struct conf_header_rules request_headers, response_headers;
        struct conf_timeouts timeouts; /* the upstream's where the route has none of its own */
        struct conf_compress compress;
        struct conf_cache cache;
        struct units_rate rate_limit; /* per token or address; count 0: none */
        uint64_t minimum_rate;        /* bytes a second of a body, either way; 0: none */
        uint64_t max_body_bytes;      /* gateway.limits.requestBytes where the route has none; 0: no limit */
};

/* ---- agent ---- */

enum { CONF_AGENT_ADDRESSES_MAX = 16 }; /* of one gateway */

struct conf_agent_address {
        struct str host; /* name or address */
        struct ip ip;    /* when it is an address; else family 0 */
        uint16_t port;
};

struct conf_agent_gateway {
        struct conf_agent_address *addresses; /* at least one */
        size_t addresses_count;
        struct str id; /* what its certificate must say; empty: any gateway of the authority */
};

/* What the agent may dial. */
struct conf_allow {
        struct str text;         /* as written */
        struct str name;         /* a host's name, lower case, "*.lan" too; empty: the prefix, or the path */
        struct ip_prefix prefix; /* family 0: none */
        struct str path;         /* of a Unix socket */
        uint16_t port_min, port_max;
};

/* Requests sent out for callers; empty `allow`: off. */
struct conf_dispatch {
        struct conf_allow *allow; /* destinations */
        size_t allow_count;
        struct ip *addresses; /* an agent's to send from, as the operator names them; none: those it finds */
        size_t addresses_count;
        /* control's */
        uint64_t agent_requests, caller_requests;  /* at a time */
        struct units_rate agent_rate, caller_rate; /* count 0: none */
        uint64_t waiting, answer_bytes;            /* for a turn; held of one answer in JSON */
        int64_t waiting_ms;
        uint64_t history_rows;
        int64_t history_ms;
        uint64_t history_body_bytes, history_bodies_bytes; /* of one body (0: none is kept), of all */
        int64_t history_bodies_ms;
};

/* Links as WebSockets. */
enum conf_websocket { CONF_WEBSOCKET_FALLBACK, CONF_WEBSOCKET_ALWAYS, CONF_WEBSOCKET_NEVER };

struct conf_agent_service {
        struct str target; /* the id gateways ask for */
        const struct conf_upstream *upstream;
};

struct conf_agent {
        struct conf_agent_gateway *gateways;
        size_t gateways_count;
        struct conf_url proxy;        /* host empty: none */
        struct str proxy_credentials; /* "user:password"; empty: none */
        struct str authority_pem;
        struct conf_certificate certificate;
        struct conf_agent_service *services;
        size_t services_count;
        struct conf_allow *allow; /* empty: see docs/reference */
        size_t allow_count;
        uint64_t links; /* to each worker of a gateway */
        enum conf_websocket websocket;
        uint64_t overlay;     /* gateways' UDP port of the overlay; 0: not used */
        struct str docker;    /* the Engine's socket; empty: not asked */
        struct str inference; /* "offer", "off", or places as find/server.h reads them */
        struct conf_dispatch dispatch;
};

/* ---- admin and log ---- */

struct conf_admin {
        bool is_on;
        struct listen_address listen;
        struct conf_prefixes allowed_ips; /* who may ask; never empty (loopback by default) */
};

enum conf_access_log { CONF_LOG_STDOUT, CONF_LOG_STDERR, CONF_LOG_OFF, CONF_LOG_FILE, CONF_LOG_JOURNAL };
enum conf_access_format { CONF_ACCESS_JSON, CONF_ACCESS_COMBINED };

struct conf_log {
        enum log_level level;
        enum log_format format;
        enum conf_access_log access;
        struct str access_path; /* CONF_LOG_FILE; CONF_LOG_JOURNAL: the socket's */
        enum conf_access_format access_format;
        struct units_rate refused_lines; /* of each worker */
};

/* ---- traces ---- */

struct conf_trace {
        bool is_on;                           /* requests get a traceparent of ours */
        const struct conf_upstream *upstream; /* the collector; NULL: nothing is exported */
        struct str path;                      /* before /v1/traces: "" or "/otlp" */
        struct str service;
        uint64_t one_in; /* 0: none of ours */
        bool sends_logs, propagates;
        struct conf_header *headers;
        size_t headers_count;
};

/* ---- control ---- */

struct conf_control {
        bool is_given; /* the file has the key */
        struct listen_address listen;
        struct conf_url public_url; /* text empty: made from the machine's name and the port */
        struct str organisation;
        struct str state;                      /* folder; empty: the program's choice */
        struct str store_url;                  /* empty: control.db in `state` */
        struct conf_certificate *certificates; /* for people's names; none: the authority's own */
        size_t certificates_count;
        struct ip_prefix pool4,
                pool6; /* of nodes' addresses; pool6 without an address: made at the first start */
        struct conf_dispatch dispatch;
};

/* ---- the whole ---- */

struct conf {
        struct str file; /* the name it was read from */
        struct str
                version; /* 16 hexadecimal digits of the SHA-256 of all that was read: changes when anything does */
        struct conf_gateway gateway;
        struct conf_provider *providers;
        size_t providers_count;
        struct conf_model *models; /* exact names first, then patterns in the order of the file */
        size_t models_count;
        struct conf_upstream *upstreams;
        size_t upstreams_count;
        struct conf_route *routes; /* in the order of the file */
        size_t routes_count;
        struct conf_admin admin;
        struct conf_log log;
        struct conf_trace trace;
        struct conf_agent agent;
        struct conf_control control;
        /* private */
        struct arena arena;
        struct conf_secret *secrets; /* wiped at the end */
        const struct draft *draft;   /* as written, for conf_show */
};

/*
 * Reads and checks everything `source` gives. Borrows it. On ERR_OK gives *out (there may be warnings in the report).
 * ERR_CONFIG: the report says what is wrong, where, and what would be right. ERR_NO_MEMORY. *out is NULL on error.
 * A report without a file's name gets the source's; it is borrowed.
 */
MUST_USE
enum err conf_load(struct conf_source *source, struct report *r, struct conf **out);
void conf_free(struct conf *c); /* wipes the secrets; NULL is fine */

/* The configuration as it is in force, defaults and all, as JSON; every secret is "***". */
void conf_show(const struct conf *c, struct buf *out);
