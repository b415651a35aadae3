/*
 * proxy/snapshot.h - the rules a request begins with: built aside by the gateway, then never changed, counted.
 *
 * One worker's own (workers are processes), so it also holds the worker's runtime of upstreams.
 */
#pragma once

#include "base/arena.h"
#include "http/h1_read.h"
#include "io/nodename.h"
#include "proxy/access.h"
#include "proxy/error_page.h"
#include "proxy/exporter.h"
#include "proxy/link_in.h"
#include "proxy/route.h"
#include "proxy/trace.h"
#include "proxy/upstream.h"

struct tls_context;

/* An agent that may come over a link; sorted by id. */
struct link_agent_conf {
        struct str id;
        bool is_pinned;
        uint8_t identity[32]; /* SHA-256 of its SubjectPublicKeyInfo */
};

struct links_conf {
        struct tls_context *tls;              /* NULL: no agent is taken */
        struct node_name own;                 /* ours */
        const struct link_agent_conf *agents; /* is_listed: nobody else */
        size_t agents_count;
        bool is_listed;
        bool has_overlay, prefers_overlay; /* agents are dialled there, too; and go first */
        uint64_t authority_key;            /* tells one authority from another */
};

struct proxy_limits {
        struct h1_limits request, answer;
        uint32_t connections_max, connections_per_address_max; /* per address 0: none */
        uint32_t requests_max;
        uint64_t body_bytes_max;                    /* 0: none */
        uint64_t memory_bytes_max, descriptors_max; /* of one worker, for shedding; 0: none */
        uint32_t failed_auth_per_minute;
        struct units_rate rate_per_address; /* count 0: none */
        int64_t header_ms, idle_ms, body_idle_ms, tls_ms;
        uint64_t minimum_rate; /* bytes a second of a request body; 0: none */
        uint32_t model_lookahead_bytes, replay_bytes;
        uint64_t cache_bytes;       /* of a worker; from its start on; 0: no cache */
        uint64_t compression_bytes; /* of a worker's encoders; from its start on */
};

/* How a listener's connections are treated. */
struct listen_conf {
        struct tls_context *tls; /* NULL: plain */
        const struct route *
                raw; /* not NULL: every connection is passed on by it as it is, after TLS where there is some */
        bool is_datagram;            /* with raw: UDP, each client's flow is passed on by it (udp_doors.h) */
        struct units_rate flow_rate; /* new ones of an address; count 0: none */
        int64_t flow_idle_ms;
        bool is_admin;
        bool redirects_to_https;
        bool takes_h2;             /* plain: HTTP/2 with prior knowledge; TLS contexts offer it themselves */
        bool takes_proxy_protocol; /* from trusted proxies, who must send it then */
        uint16_t https_port;       /* where such a redirect points */
};

/* A name whose TLS is passed on unopened: pass.h. */
struct pass {
        struct str host; /* "db.example.com", "*.example.com" */
        struct listen_conf listen;
};

struct pass_table {
        struct pass *passes;
        size_t count;
};

struct snapshot {
        unsigned uses;
        uint64_t number;               /* counts reloads */
        struct str version;            /* of the configuration */
        bool auth;                     /* tokens are asked for */
        bool needs_client_certificate; /* of who comes by TLS */
        bool serve_is_in_front;        /* caller.h */
        struct proxy_limits limits;
        struct resolver_conf names;
        struct trace_conf trace;
        struct exporter_conf exporter;
        struct ip_list allowed_ips, trusted_proxies, admin_ips;
        struct error_page_set pages;
        struct token_set tokens;
        struct route_table routes, admin_routes;
        struct upstream **upstreams;
        size_t upstreams_count;
        struct links_conf links;
        struct link_in_conf link_in; /* an agent's */
        struct listen_conf *listens; /* as many as listening sockets */
        size_t listens_count;
        struct pass_table passes;

        /* what the rooms above hang on it, and how it goes */
        void *llm;
        const void *conf;
        void (*on_free)(struct snapshot *s);
        struct arena arena;
};

static inline struct snapshot *snapshot_get(struct snapshot *s)
{
        s->uses++;
        return s;
}

static inline void snapshot_put(struct snapshot *s)
{
        if (s && --s->uses == 0)
                s->on_free(s);
}
