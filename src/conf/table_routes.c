#include "conf/check_priv.h"
#include "conf/draft_priv.h"
#include "conf/table_priv.h"

#define AT(type, member) .offset = offsetof(struct type, member)

#define MS_MAX (30ULL * 24 * 3600 * 1000)

static const struct conf_key client_tls_keys[] = {
        { "ca", CONF_TYPE_TEXT, 0, AT(draft_client_tls, ca), .unless = "the system's",
          .doc = "PEM file of the authorities that may vouch for the other side." },
        { "serverName", CONF_TYPE_TEXT, 0, AT(draft_client_tls, server_name), .unless = "the URL's host",
          .doc = "The name asked for and verified." },
        { "cert", CONF_TYPE_TEXT, 0, AT(draft_client_tls, cert), .unless = "none",
          .doc = "PEM file of a client certificate. Only together with `key`." },
        { "key", CONF_TYPE_TEXT, 0, AT(draft_client_tls, key), .unless = "none",
          .doc = "PEM file of its key." },
        { "skipVerify", CONF_TYPE_BOOL, 0, AT(draft_client_tls, skip_verify), "false",
          .doc = "Take any certificate. Whoever stands in between can then read and change everything." },
};
const struct conf_table conf_table_client_tls = {
        "tls",
        CONF_KEYS(client_tls_keys),
        .doc = "TLS towards an upstream or provider.",
};

#define TIMEOUT_DOC_CONNECT    "For the connection, TLS included. After: 504, or the next target."
#define TIMEOUT_DOC_FIRST_BYTE "From the request's end to the answer's first byte. After: 504."
#define TIMEOUT_DOC_IDLE       "Within an answer, without a byte. After: the answer is cut."
#define TIMEOUT_DOC_TUNNEL \
        "An upgraded connection (WebSocket) without a byte either way. After: it is closed."
#define TIMEOUT_DOC_TOTAL "For the whole exchange; 0: no limit."

static const struct conf_key timeouts_keys[] = {
        { "connect", CONF_TYPE_DURATION, 0, AT(conf_timeouts, connect), "\"5s\"", 10, MS_MAX,
          .doc = TIMEOUT_DOC_CONNECT },
        { "firstByte", CONF_TYPE_DURATION, 0, AT(conf_timeouts, first_byte), "\"60s\"", 10, MS_MAX,
          .doc = TIMEOUT_DOC_FIRST_BYTE },
        { "idle", CONF_TYPE_DURATION, 0, AT(conf_timeouts, idle), "\"60s\"", 10, MS_MAX,
          .doc = TIMEOUT_DOC_IDLE },
        { "tunnel", CONF_TYPE_DURATION, 0, AT(conf_timeouts, tunnel), "\"1h\"", 10, MS_MAX,
          .doc = TIMEOUT_DOC_TUNNEL },
        { "total", CONF_TYPE_DURATION, 0, AT(conf_timeouts, total), "\"0s\"", 0, MS_MAX,
          .doc = TIMEOUT_DOC_TOTAL },
};
const struct conf_table conf_table_timeouts = {
        "upstreams.NAME.timeouts",
        CONF_KEYS(timeouts_keys),
        .doc = "How long an upstream may take.",
};

/* A model may think for minutes before its first byte. */
static const struct conf_key provider_timeouts_keys[] = {
        { "connect", CONF_TYPE_DURATION, 0, AT(conf_timeouts, connect), "\"5s\"", 10, MS_MAX,
          .doc = TIMEOUT_DOC_CONNECT },
        { "firstByte", CONF_TYPE_DURATION, 0, AT(conf_timeouts, first_byte), "\"10m\"", 10, MS_MAX,
          .doc = TIMEOUT_DOC_FIRST_BYTE },
        { "idle", CONF_TYPE_DURATION, 0, AT(conf_timeouts, idle), "\"5m\"", 10, MS_MAX,
          .doc = TIMEOUT_DOC_IDLE },
        { "tunnel", CONF_TYPE_DURATION, 0, AT(conf_timeouts, tunnel), "\"1h\"", 10, MS_MAX,
          .doc = TIMEOUT_DOC_TUNNEL },
        { "total", CONF_TYPE_DURATION, 0, AT(conf_timeouts, total), "\"0s\"", 0, MS_MAX,
          .doc = TIMEOUT_DOC_TOTAL },
};
const struct conf_table conf_table_provider_timeouts = {
        "providers.NAME.timeouts",
        CONF_KEYS(provider_timeouts_keys),
        .doc = "How long a provider may take.",
};

static const struct conf_key route_timeouts_keys[] = {
        { "connect", CONF_TYPE_DURATION, 0, AT(conf_timeouts, connect), NULL, 10, MS_MAX,
          .unless = "the upstream's", .doc = TIMEOUT_DOC_CONNECT },
        { "firstByte", CONF_TYPE_DURATION, 0, AT(conf_timeouts, first_byte), NULL, 10, MS_MAX,
          .unless = "the upstream's", .doc = TIMEOUT_DOC_FIRST_BYTE },
        { "idle", CONF_TYPE_DURATION, 0, AT(conf_timeouts, idle), NULL, 10, MS_MAX,
          .unless = "the upstream's", .doc = TIMEOUT_DOC_IDLE },
        { "tunnel", CONF_TYPE_DURATION, 0, AT(conf_timeouts, tunnel), NULL, 10, MS_MAX,
          .unless = "the upstream's", .doc = TIMEOUT_DOC_TUNNEL },
        { "total", CONF_TYPE_DURATION, 0, AT(conf_timeouts, total), NULL, 0, MS_MAX,
          .unless = "the upstream's", .doc = TIMEOUT_DOC_TOTAL },
};
const struct conf_table conf_table_route_timeouts = {
        "routes[].timeouts",
        CONF_KEYS(route_timeouts_keys),
        .doc = "Where this route may take longer, or less long, than its upstream's others.",
};

static const struct conf_key target_keys[] = {
        { "url", CONF_TYPE_TEXT, CONF_REQUIRED, AT(draft_target, url),
          .doc = "`http://host:port`, `https://host` or `unix:/path/of.sock`." },
        { "weight", CONF_TYPE_NUMBER, 0, AT(draft_target, target.weight), "1", 1, 1000,
          .doc = "Its share among the targets." },
        { "backup", CONF_TYPE_BOOL, 0, AT(draft_target, target.is_backup), "false",
          .doc = "Used only while no other target is healthy." },
        { "maxConnections", CONF_TYPE_NUMBER, 0, AT(draft_target, target.max_connections), "0", 0, 1000000,
          .doc = "Requests at it at a time, per worker; 0: no limit. Above: another target, or the `queue`." },
};
static const struct conf_table conf_table_target = {
        "upstreams.NAME.targets[]", sizeof(struct draft_target),         CONF_KEYS(target_keys),
        .short_key = "url",         .doc = "One server of an upstream.",
};

static const struct conf_word balances[] = {
        { "two-choices", CONF_TWO_CHOICES,
          "of two drawn by weight the one that answers faster and has less to do" },
        { "round-robin", CONF_ROUND_ROBIN, "each in turn, by weight" },
        { "least-requests", CONF_LEAST_REQUESTS,
          "the one with the fewest requests under way for its weight" },
        { "hash", CONF_HASH,
          "the same one for requests alike in `hashBy`, as long as it has no more than 125 % of its part" },
        { NULL },
};

static const struct conf_word protocols[] = {
        { "auto", CONF_PROTOCOL_AUTO,
          "`https://`: HTTP/2 where TLS agrees on it; in plain text HTTP/1.1, or HTTP/2 to a server on "
          "this machine that is found to speak it" },
        { "h1", CONF_PROTOCOL_H1, "HTTP/1.1" },
        { "h2", CONF_PROTOCOL_H2, "HTTP/2 only, over TLS" },
        { "h2c", CONF_PROTOCOL_H2C, "HTTP/2 only, in plain text, without asking first" },
        { NULL },
};

static const struct conf_key health_keys[] = {
        { "path", CONF_TYPE_TEXT, 0, AT(draft_upstream, health_path), .check = conf_check_path,
          .unless = "no active checks", .doc = "Asked with GET to learn whether a target is well." },
        { "interval", CONF_TYPE_DURATION, 0, AT(draft_upstream, upstream.health.interval), "\"10s\"", 100,
          MS_MAX, .doc = "Between two checks of a target." },
        { "timeout", CONF_TYPE_DURATION, 0, AT(draft_upstream, upstream.health.timeout), "\"2s\"", 10, MS_MAX,
          .doc = "For one check." },
        { "rise", CONF_TYPE_NUMBER, 0, AT(draft_upstream, upstream.health.rise), "2", 1, 100,
          .doc = "Good checks in a row until a target is used again." },
        { "fall", CONF_TYPE_NUMBER, 0, AT(draft_upstream, upstream.health.fall), "3", 1, 100,
          .doc = "Bad checks in a row until a target is no longer used." },
        { "status", CONF_TYPE_TEXT, 0, AT(draft_upstream, health_status), "\"200-399\"",
          .doc = "Status codes of a good check: `200` or `200-399`." },
};
static const struct conf_table conf_table_health = {
        "upstreams.NAME.health",
        CONF_KEYS(health_keys),
        .doc = "Active health checks.",
};

static const struct conf_key passive_keys[] = {
        { "failures", CONF_TYPE_NUMBER, 0, AT(conf_passive, failures), "5", 0, 100000,
          .doc = "Failed connections, resets and 5xx answers in a row, within `window`, that take a target out; 0: off." },
        { "window", CONF_TYPE_DURATION, 0, AT(conf_passive, window), "\"10s\"", 100, MS_MAX,
          .doc = "See `failures`." },
        { "ejectTime", CONF_TYPE_DURATION, 0, AT(conf_passive, eject_time), "\"30s\"", 100, MS_MAX,
          .doc = "How long it stays out, twice as long each time in a row, up to ten minutes. Then one request at a "
                 "time tries it, until one is answered well." },
        { "maxEjectedPercent", CONF_TYPE_NUMBER, 0, AT(conf_passive, max_ejected_percent), "50", 0, 100,
          .doc = "How many of the targets may be out at a time; one always may, unless this is 0." },
};
static const struct conf_table conf_table_passive = {
        "upstreams.NAME.passive",
        CONF_KEYS(passive_keys),
        .doc = "Health judged from the traffic itself.",
};

static const struct conf_key keep_alive_keys[] = {
        { "connections", CONF_TYPE_NUMBER, 0, AT(conf_keep_alive, connections), "64", 0, 100000,
          .doc = "Idle connections kept per worker and target." },
        { "idle", CONF_TYPE_DURATION, 0, AT(conf_keep_alive, idle), "\"60s\"", 10, MS_MAX,
          .doc = "After this an idle one is closed." },
};
static const struct conf_table conf_table_keep_alive = {
        "upstreams.NAME.keepAlive",
        CONF_KEYS(keep_alive_keys),
        .doc = "Connections kept for the next request.",
};

static const struct conf_word proxy_protocols[] = {
        { "off", CONF_PROXY_OFF, NULL },
        { "v1", CONF_PROXY_V1, "a line of text" },
        { "v2", CONF_PROXY_V2, "binary" },
        { NULL },
};

static const struct conf_key queue_keys[] = {
        { "length", CONF_TYPE_NUMBER, 0, AT(conf_queue, length), "100", 0, 1000000,
          .doc = "Requests that wait, per worker; 0: none does. Above: 503 with Retry-After." },
        { "wait", CONF_TYPE_DURATION, 0, AT(conf_queue, wait), "\"1s\"", 10, MS_MAX,
          .doc = "How long one waits. After: 503 with Retry-After. The oldest is served first; once it has waited half of "
                 "this, the newest, so that some are answered in time." },
};
static const struct conf_table conf_table_queue = {
        "upstreams.NAME.queue",
        CONF_KEYS(queue_keys),
        .doc = "Where requests wait while every target is at its `maxConnections`.",
};

static const struct conf_key upstream_keys[] = {
        { "targets", CONF_TYPE_LIST, CONF_REQUIRED, AT(draft_upstream, targets), .table = &conf_table_target,
          .doc = "The servers, as URLs or objects." },
        { "balance", CONF_TYPE_WORD, 0, AT(draft_upstream, upstream.balance), "\"two-choices\"",
          .words = balances, .doc = "Which target is next." },
        { "hashBy", CONF_TYPE_TEXT, 0, AT(draft_upstream, hash_by), "\"source\"",
          .doc = "With `hash`: `source` (the client's address), `header:NAME` or `cookie:NAME`. Requests without it go "
                 "by two-choices." },
        { "slowStart", CONF_TYPE_DURATION, 0, AT(draft_upstream, upstream.slow_start), "\"10s\"", 0, MS_MAX,
          .doc = "A target that comes back gets a tenth of its share, and all of it after this; 0: at once." },
        { "protocol", CONF_TYPE_WORD, 0, AT(draft_upstream, upstream.protocol), "\"auto\"",
          .words = protocols, .doc = "What is spoken with the targets." },
        { "health", CONF_TYPE_TABLE, 0, .table = &conf_table_health, .doc = "Active checks." },
        { "passive", CONF_TYPE_TABLE, 0, AT(draft_upstream, upstream.passive), .table = &conf_table_passive,
          .doc = "Passive checks." },
        { "timeouts", CONF_TYPE_TABLE, 0, AT(draft_upstream, upstream.timeouts),
          .table = &conf_table_timeouts, .doc = "Timeouts." },
        { "retries", CONF_TYPE_NUMBER, 0, AT(draft_upstream, upstream.retries), "1", 0, 10,
          .doc = "Further tries at other targets, before the first byte of an answer. What was sent is sent again only "
                 "with a method that may be repeated." },
        { "retryBudgetPercent", CONF_TYPE_NUMBER, 0, AT(draft_upstream, upstream.retry_budget_percent), "20",
          0, 100,
          .doc = "Tries again are at most this share of the last ten seconds' requests, and 3 a second beside it, per "
                 "worker; 0: none at all." },
        { "tryTimeout", CONF_TYPE_DURATION, 0, AT(draft_upstream, upstream.try_timeout), "\"0s\"", 0, MS_MAX,
          .doc = "A try without an answer is given up after this, where the request may be repeated and another target "
                 "can take it; 0: never." },
        { "queue", CONF_TYPE_TABLE, 0, AT(draft_upstream, upstream.queue), .table = &conf_table_queue,
          .doc = "Waiting for a target with room." },
        { "keepAlive", CONF_TYPE_TABLE, 0, AT(draft_upstream, upstream.keep_alive),
          .table = &conf_table_keep_alive, .doc = "Kept connections." },
        { "proxyProtocol", CONF_TYPE_WORD, 0, AT(draft_upstream, upstream.proxy_protocol), "\"off\"",
          .words = proxy_protocols,
          .doc = "Begin each connection with a PROXY header that names the client, before TLS. A connection then serves one "
                 "request, as the next may be another client's. Before `udp://` targets v2 alone, in front of each datagram." },
        { "tls", CONF_TYPE_TABLE, 0, AT(draft_upstream, tls), .table = &conf_table_client_tls,
          .doc = "For `https://` targets." },
};
const struct conf_table conf_table_upstream = {
        "upstreams.NAME",
        sizeof(struct draft_upstream),
        CONF_KEYS(upstream_keys),
        .doc = "A web service behind the gateway: one server or several alike.",
};

static const struct conf_key header_rules_keys[] = {
        { "set", CONF_TYPE_HEADERS, 0, AT(draft_header_rules, set), "{}",
          .doc = "Fields put in place of any of that name." },
        { "add", CONF_TYPE_HEADERS, 0, AT(draft_header_rules, add), "{}",
          .doc = "Fields put beside those of that name." },
        { "remove", CONF_TYPE_TEXTS, 0, AT(draft_header_rules, remove), "[]", .check = conf_check_field,
          .doc = "Names of fields taken away; before `set` and `add`." },
};
static const struct conf_table conf_table_header_rules = {
        "routes[].requestHeaders, routes[].responseHeaders",
        CONF_KEYS(header_rules_keys),
        .doc = "Changes of header fields.",
};

static const struct conf_key redirect_keys[] = {
        { "to", CONF_TYPE_TEXT, CONF_REQUIRED, AT(draft_redirect, to), .check = conf_check_value,
          .doc = "The Location: a path or a URL; `{host}` and `{path}` (path and query) stand for the request's." },
        { "status", CONF_TYPE_NUMBER, 0, AT(draft_redirect, status), "308", 301, 308,
          .doc = "301, 302, 303, 307 or 308." },
};
static const struct conf_table conf_table_redirect = {
        "routes[].redirect",      .has_place = true, .is_optional = true,
        CONF_KEYS(redirect_keys), .short_key = "to", .doc = "An answer that sends the caller elsewhere.",
};

static const struct conf_key respond_keys[] = {
        { "status", CONF_TYPE_NUMBER, 0, AT(draft_respond, status), "200", 200, 599,
          .doc = "The status code." },
        { "body", CONF_TYPE_TEXT, 0, AT(draft_respond, body), "\"\"", .doc = "The answer's text." },
        { "contentType", CONF_TYPE_TEXT, 0, AT(draft_respond, content_type), "\"text/plain; charset=utf-8\"",
          .check = conf_check_value, .doc = "Its type." },
};
static const struct conf_table conf_table_respond = {
        "routes[].respond",      .has_place = true,        .is_optional = true,
        CONF_KEYS(respond_keys), .doc = "A fixed answer.",
};

static const struct conf_word accesses[] = {
        { "public", DRAFT_PUBLIC, "everybody, without a token" },
        { "llm", CONF_SCOPE_LLM, "tokens with the scope `llm`" },
        { "proxy", CONF_SCOPE_PROXY, "tokens with the scope `proxy`" },
        { "admin", CONF_SCOPE_ADMIN, "tokens with the scope `admin`" },
        { "dispatch", CONF_SCOPE_DISPATCH, "tokens with the scope `dispatch`" },
        { NULL },
};

static const struct conf_key access_keys[] = {
        { "token", CONF_TYPE_WORD, 0, AT(draft_route, access), "\"proxy\"", .words = accesses,
          .doc = "The scope a caller's token must have." },
        { "allowedIps", CONF_TYPE_PREFIXES, 0, AT(draft_route, route.access.allowed_ips), "[]",
          .doc = "Addresses that may call, of those `gateway.allowedIps` admits; empty: all of them." },
        { "deniedIps", CONF_TYPE_PREFIXES, 0, AT(draft_route, route.access.denied_ips), "[]",
          .doc = "Of these, the ones that may not." },
        { "tailnet", CONF_TYPE_TEXTS, 0, AT(draft_route, route.access.tailnet), "[]",
          .check = conf_check_caller,
          .doc = "Who may call over the tailnet: logins (`user@example.com`, `*@example.com`) and tags (`tag:ci`, `tag:*`). "
                 "tailscaled says who a connection's other end is; nobody else is let in, and no token is asked for. The "
                 "upstream sees `X-Sekisho-Tailnet-Login`, `-Tags` and `-Node`. Empty: by token." },
        { "clientCertificate", CONF_TYPE_BOOL, 0, AT(draft_route, route.access.needs_client_certificate),
          "false",
          .doc = "Callers must have shown a certificate of `gateway.clientCertificates`. Else: 403." },
};
static const struct conf_table conf_table_access = {
        "routes[].access",
        CONF_KEYS(access_keys),
        .short_key = "token",
        .doc = "Who may use the route.",
};

#define COMPRESS_TYPES                                                                                        \
        "[\"text/*\", \"*/json\", \"*+json\", \"*/javascript\", \"*/xml\", \"*+xml\", \"application/wasm\", " \
        "\"font/ttf\", \"font/otf\", \"image/bmp\", \"image/x-icon\"]"

static const struct conf_key compress_keys[] = {
        { "on", CONF_TYPE_BOOL, 0, AT(draft_compress, compress.is_on), "true", .doc = "Whether to." },
        { "codings", CONF_TYPE_TEXTS, 0, AT(draft_compress, compress.codings), "[\"zstd\", \"br\", \"gzip\"]",
          .check = conf_check_coding,
          .doc = "Of `zstd`, `br` and `gzip`: the first that the client likes best." },
        { "types", CONF_TYPE_TEXTS, 0, AT(draft_compress, compress.types), COMPRESS_TYPES,
          .check = conf_check_media_type,
          .doc = "Content types; `*` stands for any run of characters. An event stream is meant only by "
                 "`text/event-stream` itself; its events are passed on one by one all the same." },
        { "minBytes", CONF_TYPE_BYTES, 0, AT(draft_compress, compress.bytes_min), "\"1KiB\"", 0, 1ULL << 30,
          .doc = "Shorter answers go as they are; without a known length all are coded." },
        { "withCookies", CONF_TYPE_BOOL, 0, AT(draft_compress, compress.with_cookies), "false",
          .doc = "Also answer requests with a cookie or Basic credentials that may come from another site's page. "
                 "Only where no answer holds a secret beside something a stranger chose (BREACH)." },
};
static const struct conf_table conf_table_compress = {
        "routes[].compress",
        .has_place = true,
        .is_optional = true,
        CONF_KEYS(compress_keys),
        .short_key = "on",
        .doc = "Answers coded on their way to clients that take it. `true` stands for the defaults.",
};

static const struct conf_key cache_keys[] = {
        { "on", CONF_TYPE_BOOL, 0, AT(draft_cache, cache.is_on), "true", .doc = "Whether to." },
        { "objectBytes", CONF_TYPE_BYTES, 0, AT(draft_cache, cache.object_bytes), "\"1MiB\"", 1, 1ULL << 30,
          .doc = "The largest answer that is kept." },
        { "wait", CONF_TYPE_DURATION, 0, AT(draft_cache, cache.wait), "\"5s\"", 0, MS_MAX,
          .doc = "How long a request waits for an answer that another is fetching, before it asks for itself." },
};
static const struct conf_table conf_table_cache = {
        "routes[].cache",
        .has_place = true,
        .is_optional = true,
        CONF_KEYS(cache_keys),
        .short_key = "on",
        .doc = "Answers kept and served again, as their Cache-Control and Expires allow. `true` stands for the defaults. "
               "Only for routes with an upstream.",
};

static const struct conf_key route_keys[] = {
        { "name", CONF_TYPE_TEXT, 0, AT(draft_route, name), .check = conf_check_name,
          .unless = "made from host and path", .doc = "What logs and metrics call it; must be unique." },
        { "host", CONF_TYPE_TEXTS, 0, AT(draft_route, route.hosts), "[]", .check = conf_check_host,
          .doc = "Names it answers to: `app.example.com`, or `*.example.com` for one label more. Empty: every name." },
        { "path", CONF_TYPE_TEXT, 0, AT(draft_route, path), "\"/\"",
          .doc = "`/x` is exactly that, `/x/*` all below it (and `/x`), `/users/{id}/avatar` any one segment in the "
                 "braces, `/` every path." },
        { "methods", CONF_TYPE_TEXTS, 0, AT(draft_route, route.methods), "[]", .check = conf_check_method,
          .doc = "Methods it takes; empty: all." },
        { "upstream", CONF_TYPE_TEXT, 0, AT(draft_route, upstream), .unless = "none",
          .doc = "The upstream that answers. Each route has one of `upstream`, `redirect`, `respond`." },
        { "redirect", CONF_TYPE_TABLE, 0, AT(draft_route, redirect), .table = &conf_table_redirect,
          .doc = "A redirect." },
        { "respond", CONF_TYPE_TABLE, 0, AT(draft_route, respond), .table = &conf_table_respond,
          .doc = "A fixed answer." },
        { "access", CONF_TYPE_TABLE, 0, .table = &conf_table_access, .doc = "Who may use it." },
        { "stripPrefix", CONF_TYPE_TEXT, 0, AT(draft_route, strip_prefix), .unless = "nothing",
          .doc = "Taken off the front of the path before it is forwarded." },
        { "addPrefix", CONF_TYPE_TEXT, 0, AT(draft_route, add_prefix), .unless = "nothing",
          .doc = "Put in front of the path, after `stripPrefix`." },
        { "rewritePrefix", CONF_TYPE_TEXT, 0, AT(draft_route, rewrite_prefix), .unless = "nothing",
          .doc = "Put in place of the part of `path` before `/*`. Short for both of the above." },
        { "preserveHost", CONF_TYPE_BOOL, 0, AT(draft_route, route.preserve_host), "true",
          .doc = "Forward the Host the caller sent; with false the target's (of https:// its `tls.serverName`, where there is one)." },
        { "trustTrace", CONF_TYPE_BOOL, 0, AT(draft_route, route.trusts_trace), "false",
          .doc = "With `trace`: go on with the trace a caller's `traceparent` names, and with its decision to sample. For "
                 "callers you know; a stranger's begins anew." },
        { "requestHeaders", CONF_TYPE_TABLE, 0, AT(draft_route, request_headers),
          .table = &conf_table_header_rules, .doc = "Changes of the request's fields." },
        { "responseHeaders", CONF_TYPE_TABLE, 0, AT(draft_route, response_headers),
          .table = &conf_table_header_rules, .doc = "Changes of the answer's fields." },
        { "cache", CONF_TYPE_TABLE, 0, AT(draft_route, cache), .table = &conf_table_cache,
          .doc = "Keeping answers. Without it none are kept." },
        { "compress", CONF_TYPE_TABLE, 0, AT(draft_route, compress), .table = &conf_table_compress,
          .doc = "Codings on the way out. Without it answers go as the upstream sent them." },
        { "timeouts", CONF_TYPE_TABLE, 0, AT(draft_route, route.timeouts),
          .table = &conf_table_route_timeouts, .doc = "Timeouts of its own." },
        { "rateLimit", CONF_TYPE_RATE, 0, AT(draft_route, route.rate_limit), .unless = "no limit",
          .doc = "Requests per token (public: per address) in a time, as `60/min`. Above: 429." },
        { "maintenance", CONF_TYPE_BOOL, 0, AT(draft_route, route.is_in_maintenance), "false",
          .doc = "Answer with 503 and Retry-After for now." },
        { "minimumRate", CONF_TYPE_BYTES, 0, AT(draft_route, route.minimum_rate), "0", 0, 1ULL << 30,
          .doc = "Bytes a second the caller must send of a request's body, and take of an answer's, while nothing waits "
                 "but for the caller, over 5 s; 0: none. Below: 408, or the connection is cut." },
        { "maxBodyBytes", CONF_TYPE_BYTES, 0, AT(draft_route, route.max_body_bytes), NULL, 0, 1ULL << 50,
          .unless = "`gateway.limits.requestBytes`", .doc = "A request's body; 0: no limit. Above: 413." },
};
const struct conf_table conf_table_route = {
        "routes[]",
        sizeof(struct draft_route),
        CONF_KEYS(route_keys),
        .doc = "What the gateway answers for a host and path. The more exact host wins, then the more exact path, then "
               "the first in the file.",
};
