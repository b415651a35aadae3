/*
 * proxy/route.h - who serves a host and path. A table made with the snapshot, then read only.
 *
 * Order: exact host before wildcard ("*.example.com", the longer first) before any host; then exact path before segment
 * pattern before the longest prefix. Within the same host and path a route that names the method wins.
 */
#pragma once

#include "http/target.h"
#include "proxy/access.h"
#include "proxy/exchange.h"
#include "proxy/filter.h"
#include "proxy/measure.h"

/* Answers a route's requests: finds or makes the up side. One static struct a kind; its configuration is the route's. */
struct handler {
        const char *name;
        bool takes_websocket; /* its up side answers 101 and speaks frames */
        bool forgets_tunnels; /* behind a 101 it looks at nothing of the request: that is given back (settle.h) */
        /* The step `pick`. Ends with exchange_start_up and STEP_NEXT, or STEP_WAIT, or exchange_refuse. Called again after a
         * wait, and to pick another target after exchange_up_reset allowed a retry. */
        enum step_result (*pick)(struct exchange *x);
        /* A piece of the body arrived while the exchange collects it (exchange_collect). May run the exchange on. */
        void (*on_body)(struct exchange *x, bool is_last);
        /* The exchange ends, or is handed to another target: cancel what `pick` left waiting. */
        void (*cancel)(struct exchange *x);
        /* A final answer's head before anything of it goes down: true to pass it over and `pick` again (another provider).
         * Asked only while the request can be sent again. */
        bool (*declines)(struct exchange *x, const struct http_head *head);
        /* An upstream failed and a 5xx of ours would be the answer: true when the handler answered instead. */
        bool (*rescues)(struct exchange *x);
        /* An error of ours in the API's own form; NULL: Sekisho's. */
        void (*format_error)(struct exchange *x, uint16_t status, const char *type, const char *message,
                             struct buf *out);
};

enum path_kind { PATH_EXACT, PATH_PATTERN, PATH_PREFIX };

struct header_rule {
        enum { HEADER_SET, HEADER_ADD, HEADER_REMOVE } kind;
        struct str name, value;
};

struct route_access {
        bool is_public;
        bool needs_client_certificate;
        unsigned scopes;            /* one of these; 0 with !is_public: any valid token */
        struct ip_list allowed_ips; /* empty: any */
        struct ip_list denied_ips;  /* of these */
        const struct str *tailnet;  /* who may by the tailnet (caller.h); a token is then not needed */
        size_t tailnet_count;       /* 0: the tailnet is not asked */
        bool takes_tokens_too;      /* with `tailnet`: or by a token */
};

struct route_filter {
        const struct filter *filter;
        const void *conf;
};

struct route {
        struct str name; /* for log and metrics */
        struct str host; /* "" any; "*.example.com" */
        struct str path; /* canonical; pattern segments as "{id}" or "*" */
        enum path_kind path_kind;
        size_t fixed_bytes; /* of a pattern's path, before its first variable segment; by route_table_sort */
        unsigned methods;   /* bits of enum http_method; 0: all */
        struct route_access access;

        const struct handler *handler;
        const void *handler_conf;
        struct upstream *upstream; /* of the proxying handler */

        struct str strip_prefix, add_prefix;
        bool preserve_host;
        const struct header_rule *request_rules, *answer_rules;
        size_t request_rules_count, answer_rules_count;
        const struct route_filter *filters;
        size_t filters_count;

        const struct upstream_waits *waits;                  /* NULL: the upstream's */
        struct units_rate rate;                              /* per client address; count 0: none */
        uint32_t concurrent_max, concurrent_per_address_max; /* under way at a time; 0: none */
        uint64_t body_bytes_max;                             /* 0: none */
        uint64_t minimum_rate; /* bytes a second of a body, either way; 0: none */
        int64_t total_ms;      /* 0: none */
        uint32_t replay_bytes_max;
        bool retries_posts;     /* a POST may be sent again before the first byte of an answer */
        bool trusts_trace;      /* takes over its clients' traces */
        bool is_builtin;        /* ours, at every name */
        bool is_in_maintenance; /* answers 503 for now */
        bool is_outward;        /* an agent's: whoever asked is told an error of ours from an answer */
        bool is_quiet;          /* not in the access log: health, metrics */
        uint64_t key;
        struct measure_route measure;
};

struct route_table {
        struct route *routes; /* sorted by route_table_sort */
        size_t count;
        bool has_named_hosts; /* some route is for a host of its own */
};

/* Puts the routes in the order of matching. Once, when the snapshot is built. */
void route_table_sort(struct route_table *t);

/*
 * The route for this request, or NULL with *status 421 (no route for this host), 404 (none for this path) or 405 (none for
 * this method; *allowed are the methods there are).
 */
const struct route *route_find(const struct route_table *t, const struct http_target *target,
                               enum http_method method, uint16_t *status, unsigned *allowed);
