#include "conf/check_priv.h"
#include "conf/draft_priv.h"
#include "conf/table_priv.h"

#define AT(type, member) .offset = offsetof(struct type, member)

#define SECOND 1000ULL
#define HOUR   (3600 * SECOND)

/* Of byte streams: the same where a port is theirs and where a name of TLS is. */
/* clang-format off */
#define STREAM_RULES(type, when) \
        { "allowedIps", CONF_TYPE_PREFIXES, 0, AT(type, rules.allowed_ips), "[]", \
          .doc = when "Who may connect, beside `gateway.allowedIps`; empty: everyone that admits." }, \
        { "deniedIps", CONF_TYPE_PREFIXES, 0, AT(type, rules.denied_ips), "[]", \
          .doc = when "Who of these may not." }, \
        { "rateLimit", CONF_TYPE_RATE, 0, AT(type, rules.rate), .unless = "no limit", \
          .doc = when "New connections (of `udp:`, flows) of one address in a time, as `10/s`; what is above is closed at once." }, \
        { "maxConnections", CONF_TYPE_NUMBER, 0, AT(type, rules.streams_max), "0", 0, 1000000, \
          .doc = when "Connections or flows at a time, over all workers; 0: no limit of its own, of `udp:` 4096." }, \
        { "maxConnectionsPerAddress", CONF_TYPE_NUMBER, 0, AT(type, rules.streams_per_address_max), "0", 0, 1000000, \
          .doc = when "Of one address at a time; 0: no limit of its own, of `udp:` 256." }, \
        { "idleTimeout", CONF_TYPE_DURATION, 0, AT(type, rules.idle), "\"0s\"", 0, 24 * HOUR, \
          .doc = when "How long nothing may pass on a connection or flow; 0: as `timeouts.tunnel` of the upstream says, of `udp:` 2m." }
/* clang-format on */

static const struct conf_key listen_keys[] = {
        { "address", CONF_TYPE_TEXT, CONF_REQUIRED, AT(draft_listen, address),
          .doc = "Where to listen: `127.0.0.1:3000`, `[::1]:3000`, `:3000` (every address), `unix:/run/sekisho.sock`, `systemd:NAME`: the socket a socket unit opens under this `FileDescriptorName`; `tailnet:443`: this machine's addresses in the tailnet (`gateway.tailnet`), as they come and go; or with `upstream` `udp:0.0.0.0:5353`, for datagrams." },
        { "tls", CONF_TYPE_BOOL, 0, AT(draft_listen, is_tls), "false",
          .doc = "Speak TLS, with `gateway.certificates`." },
        { "proxyProtocol", CONF_TYPE_BOOL, 0, AT(draft_listen, takes_proxy_protocol), "false",
          .doc = "Expect a PROXY protocol header (version 1 or 2) from `gateway.trustedProxies`." },
        { "upstream", CONF_TYPE_TEXT, 0, AT(draft_listen, upstream), .unless = "HTTP, by `routes`",
          .doc = "No HTTP here: each connection is passed on as it is to this one of `upstreams`, whose targets are `tcp://` or "
                 "`link://`. With `tls` TLS ends here. Of an address `udp:` each client's datagrams, to targets `udp://` or `link://`." },
        STREAM_RULES(draft_listen, "With `upstream`. "),
};
static const struct conf_table conf_table_listen = {
        "gateway.listen[]",
        sizeof(struct draft_listen),
        CONF_KEYS(listen_keys),
        .short_key = "address",
        .doc = "One more address to listen on.",
};

static const struct conf_key pass_keys[] = {
        { "host", CONF_TYPE_TEXTS, CONF_REQUIRED, AT(draft_pass, hosts), .check = conf_check_host,
          .doc = "The names: `db.example.com`, or `*.example.com`. A name that a route has is the route's before a wildcard here." },
        { "upstream", CONF_TYPE_TEXT, CONF_REQUIRED, AT(draft_pass, upstream),
          .doc = "The one of `upstreams` whose targets, `tcp://` or `link://`, end TLS themselves." },
        STREAM_RULES(draft_pass, ""),
};
static const struct conf_table conf_table_pass = {
        "gateway.passThrough[]",
        sizeof(struct draft_pass),
        CONF_KEYS(pass_keys),
        .doc = "TLS that is passed on unopened: found by the name its first message asks for (SNI), on every listener with `tls`.",
};

static const struct conf_word scopes[] = {
        { "llm", CONF_SCOPE_LLM, "the model APIs" },
        { "proxy", CONF_SCOPE_PROXY, "routes to upstreams" },
        { "admin", CONF_SCOPE_ADMIN, "administration" },
        { "dispatch", CONF_SCOPE_DISPATCH, "requests sent out through agents" },
        { NULL },
};

static const struct conf_key token_keys[] = {
        { "name", CONF_TYPE_TEXT, 0, AT(draft_token, name), .check = conf_check_name,
          .unless = "`token-1`, `token-2` …",
          .doc = "Who holds it: stands in logs and metrics, and must be unique." },
        { "sha256", CONF_TYPE_TEXT, CONF_MASKED, AT(draft_token, sha256),
          .doc = "The SHA-256 of the token, 64 hexadecimal digits; `sekisho token hash` makes it." },
        { "env", CONF_TYPE_TEXT, 0, AT(draft_token, env),
          .doc = "The environment variable that holds the token." },
        { "file", CONF_TYPE_TEXT, 0, AT(draft_token, file),
          .doc = "The file that holds the token; others must not be able to read it." },
        { "token", CONF_TYPE_SECRET, CONF_PLAIN, AT(draft_token, plain),
          .doc = "The token itself. It works, with a warning: whoever reads the file has it." },
        { "scopes", CONF_TYPE_WORDS, 0, AT(draft_token, token.scopes), "[\"llm\", \"proxy\"]",
          .words = scopes, .doc = "What the token may do." },
        { "expires", CONF_TYPE_TIME, 0, AT(draft_token, token.expires), .unless = "never",
          .doc = "When it stops being accepted, as `2027-01-31T00:00:00Z`." },
        { "allowedIps", CONF_TYPE_PREFIXES, 0, AT(draft_token, token.allowed_ips), "[]",
          .doc = "Addresses the token may be used from; empty: every address the gateway admits." },
        { "models", CONF_TYPE_TEXTS, 0, AT(draft_token, token.models), "[]",
          .doc = "Models it may use, `*` and `?` as in file names; empty: every model." },
        { "rateLimit", CONF_TYPE_RATE, 0, AT(draft_token, token.rate_limit), .unless = "no limit",
          .doc = "Requests in a time, as `60/min`; above it the answer is 429 with Retry-After." },
};
static const struct conf_table conf_table_token = {
        "gateway.apiTokens[]",
        sizeof(struct draft_token),
        CONF_KEYS(token_keys),
        .short_key = "token",
        .doc = "A caller's token, given in exactly one of the forms `sha256`, `env`, `file` and `token`.",
};

static const struct conf_key certificate_keys[] = {
        { "cert", CONF_TYPE_TEXT, CONF_REQUIRED, AT(draft_certificate, cert),
          .doc = "PEM file of the certificate and its chain; or, at a gateway, `tailnet`: the one tailscaled gets for this machine's name "
                 "in the tailnet, kept good by it (`gateway.tailnet`). Until it has come, a listener with no other certificate is closed." },
        { "key", CONF_TYPE_TEXT, 0, AT(draft_certificate, key), .unless = "none, with `tailnet`",
          .doc = "PEM file of its key; others must not be able to read it." },
};
const struct conf_table conf_table_certificate = {
        "gateway.certificates[]",
        sizeof(struct draft_certificate),
        CONF_KEYS(certificate_keys),
        .short_key = "cert",
        .doc = "A certificate, chosen by the name the client asks for; the first one when none fits.",
};

#define KIB 1024ULL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static const struct conf_key limits_keys[] = {
        { "headerBytes", CONF_TYPE_BYTES, 0, AT(conf_limits, header_bytes), "\"32KiB\"", KIB, MIB,
          .doc = "Request line and fields together. Above: 431." },
        { "targetBytes", CONF_TYPE_BYTES, 0, AT(conf_limits, target_bytes), "\"8KiB\"", 256, MIB,
          .doc = "The request's target. Above: 414." },
        { "headerLines", CONF_TYPE_NUMBER, 0, AT(conf_limits, header_lines), "100", 10, 250,
          .doc = "Header fields of a request. Above: 431." },
        { "requestBytes", CONF_TYPE_BYTES, 0, AT(conf_limits, request_bytes), "0", 0, 1ULL << 50,
          .doc = "A request's body; 0: no limit. Above: 413." },
        { "answerHeaderBytes", CONF_TYPE_BYTES, 0, AT(conf_limits, answer_header_bytes), "\"64KiB\"", KIB,
          MIB, .doc = "Status line and fields of an upstream's answer. Above: 502." },
        { "inflightBytes", CONF_TYPE_BYTES, 0, AT(conf_limits, inflight_bytes), "\"64KiB\"", 4 * KIB,
          16 * MIB, .doc = "A body's bytes in memory per exchange; above it the sender is made to wait." },
        { "replayBytes", CONF_TYPE_BYTES, 0, AT(conf_limits, replay_bytes), "\"64KiB\"", 0, 64 * MIB,
          .doc = "Up to this size a request's body is kept, so that the request can be tried again elsewhere." },
        { "cacheBytes", CONF_TYPE_BYTES, 0, AT(conf_limits, cache_bytes), "\"64MiB\"", 0, 1024 * 1024 * MIB,
          .doc = "Memory of a worker for kept answers (`routes[].cache`); the longest unused go first. 0: none are kept. "
                 "Changes at the next start." },
        { "compressionBytes", CONF_TYPE_BYTES, 0, AT(conf_limits, compression_bytes), "\"32MiB\"", 0,
          4096 * MIB,
          .doc = "Memory of a worker for codings on the way out (`routes[].compress`); where it is used up, answers go as "
                 "they are. Changes at the next start." },
        { "modelLookaheadBytes", CONF_TYPE_BYTES, 0, AT(conf_limits, model_lookahead_bytes), "\"8MiB\"",
          4 * KIB, GIB, .doc = "How far into a body the model's name is looked for. Above: 413." },
        { "connections", CONF_TYPE_NUMBER, 0, AT(conf_limits, connections), "65536", 1, 10000000,
          .doc = "Client connections at a time. Above: accepting waits." },
        { "connectionsPerAddress", CONF_TYPE_NUMBER, 0, AT(conf_limits, connections_per_address), "4096", 0,
          10000000, .doc = "Of one address (IPv6: one /64); 0: no limit. Above: the connection is closed." },
        { "concurrentRequests", CONF_TYPE_NUMBER, 0, AT(conf_limits, concurrent_requests), "10000", 1,
          10000000, .doc = "Requests at a time. Above: 503 with Retry-After." },
        { "memoryBytes", CONF_TYPE_BYTES, 0, AT(conf_limits, memory_bytes), "0", 0, 1ULL << 44,
          .doc = "Memory of one worker; 0: no limit. From 80 % on new requests get 503 with Retry-After and connections "
                 "without a request are closed, from 90 % on accepting waits; what is under way goes on." },
        { "descriptors", CONF_TYPE_NUMBER, 0, AT(conf_limits, descriptors), "0", 0, 10000000,
          .doc = "Open files and connections of one worker; 0: as many as the system lets it have. From 80 % on connections "
                 "without a request are closed, oldest first, from 90 % on accepting waits." },
        { "failedAuthPerMinute", CONF_TYPE_NUMBER, 0, AT(conf_limits, failed_auth_per_minute), "20", 0,
          1000000,
          .doc = "Wrong tokens from one address; 0: no limit. Above: 429 with Retry-After, whatever the token." },
        { "ratePerAddress", CONF_TYPE_RATE, 0, AT(conf_limits, rate_per_address), .unless = "no limit",
          .doc = "Requests of one address in a time, as `600/min`. Above: 429 with Retry-After." },
        { "headerTimeout", CONF_TYPE_DURATION, 0, AT(conf_limits, header_timeout), "\"10s\"", 100, HOUR,
          .doc = "From a request's first byte to the end of its head. After: 408." },
        { "idleTimeout", CONF_TYPE_DURATION, 0, AT(conf_limits, idle_timeout), "\"75s\"", 100, 24 * HOUR,
          .doc = "A kept-alive connection without a request. After: it is closed." },
        { "bodyIdleTimeout", CONF_TYPE_DURATION, 0, AT(conf_limits, body_idle_timeout), "\"60s\"", 100,
          24 * HOUR,
          .doc = "A body without a byte of progress, either way. After: 408, or the connection is reset." },
        { "tlsTimeout", CONF_TYPE_DURATION, 0, AT(conf_limits, tls_timeout), "\"10s\"", 100, HOUR,
          .doc = "For a TLS handshake. After: the connection is closed." },
        { "minimumRate", CONF_TYPE_BYTES, 0, AT(conf_limits, minimum_rate), "0", 0, GIB,
          .doc = "Bytes a second a request's body must bring on average; 0: none. Below: 408." },
        { "chatTurns", CONF_TYPE_NUMBER, 0, AT(conf_limits, chat_turns), "20", 0, 1000,
          .doc = "Messages of a conversation of `/api/v1/chat` that are kept and sent along." },
        { "chatBytes", CONF_TYPE_BYTES, 0, AT(conf_limits, chat_bytes), "\"256KiB\"", KIB, 16 * MIB,
          .doc = "Bytes of a conversation that are kept." },
        { "chatMessageBytes", CONF_TYPE_BYTES, 0, AT(conf_limits, chat_message_bytes), "32000", 1, 16 * MIB,
          .doc = "One message to `/api/v1/chat`. Above: 413." },
        { "chatAge", CONF_TYPE_DURATION, 0, AT(conf_limits, chat_age), "\"1h\"", SECOND, 30 * 24 * HOUR,
          .doc = "A conversation without a message is forgotten after this." },
        { "chatSessions", CONF_TYPE_NUMBER, 0, AT(conf_limits, chat_sessions), "10000", 1, 10000000,
          .doc = "Conversations kept; the one longest unused makes room." },
};
static const struct conf_table conf_table_limits = {
        "gateway.limits",
        CONF_KEYS(limits_keys),
        .doc = "What one caller, and all of them together, may take. Each has a metric and a stated answer.",
};

static const struct conf_key dns_keys[] = {
        { "servers", CONF_TYPE_TEXT, 0, AT(draft_gateway, dns_servers), .unless = "the system's",
          .doc = "Name servers to ask, as `192.0.2.53,[2001:db8::53]:53`." },
        { "ttlMin", CONF_TYPE_DURATION, 0, AT(draft_gateway, gateway.dns.ttl_min), "\"1s\"", 0, HOUR,
          .doc = "An answer is kept at least this long." },
        { "ttlMax", CONF_TYPE_DURATION, 0, AT(draft_gateway, gateway.dns.ttl_max), "\"10m\"", SECOND,
          24 * HOUR, .doc = "An answer is kept at most this long." },
        { "staleMax", CONF_TYPE_DURATION, 0, AT(draft_gateway, gateway.dns.stale_max), "\"1h\"", 0, 24 * HOUR,
          .doc = "While a name cannot be looked up, its last answer is used for this long." },
        { "timeout", CONF_TYPE_DURATION, 0, AT(draft_gateway, gateway.dns.timeout), "\"5s\"", 100,
          60 * SECOND, .doc = "For one look-up." },
};
static const struct conf_table conf_table_dns = {
        "gateway.dns",
        CONF_KEYS(dns_keys),
        .doc = "How names of upstreams and providers are looked up.",
};

static const struct conf_key client_certificates_keys[] = {
        { "ca", CONF_TYPE_TEXT, 0, AT(draft_gateway, client_ca), .unless = "none is asked for",
          .doc = "PEM file of the authorities whose certificates clients may show." },
        { "required", CONF_TYPE_BOOL, 0, AT(draft_gateway, gateway.client_certificate_is_required), "true",
          .doc = "Nobody connects without one. With false a client may come without, and `access.clientCertificate` of a "
                 "route decides." },
        { "crl", CONF_TYPE_TEXT, 0, AT(draft_gateway, client_crl), .unless = "revocation is not looked at",
          .doc = "PEM file of the authorities' lists of revoked certificates, read anew at each reload. Clients whose "
                 "authority has no list in it, or one past its time, are not let in." },
};
static const struct conf_table conf_table_client_certificates = {
        "gateway.clientCertificates",
        CONF_KEYS(client_certificates_keys),
        .doc = "Clients that prove who they are in the TLS handshake. Upstreams see `X-Sekisho-Client-Sha256` (of the "
               "certificate), `X-Sekisho-Client-Subject` and `X-Sekisho-Client-Names`; nobody else can send these.",
};

static const struct conf_key link_agent_keys[] = {
        { "identity", CONF_TYPE_TEXT, 0, AT(draft_link_agent, identity),
          .unless = "any key the authority vouched for",
          .doc = "SHA-256 of its public key (SubjectPublicKeyInfo), 64 hexadecimal digits." },
};
static const struct conf_table conf_table_link_agent = {
        "gateway.links.agents.ID", sizeof(struct draft_link_agent),
        .keys = link_agent_keys,   .keys_count = ARRAY_SIZE(link_agent_keys),
        .short_key = "identity",   .doc = "An agent that may come.",
};

static const struct conf_key links_keys[] = {
        { "authority", CONF_TYPE_TEXT, 0, AT(draft_gateway, links_authority), .unless = "no agent is taken",
          .doc = "PEM file of the authority whose certificates agents show, with the name `sekisho://ORG/agent/ID` in them." },
        { "cert", CONF_TYPE_TEXT, 0, AT(draft_gateway, links_cert), .unless = "required with `authority`",
          .doc = "PEM file of the gateway's own certificate from that authority: `sekisho://ORG/gateway/ID`." },
        { "key", CONF_TYPE_TEXT, 0, AT(draft_gateway, links_key), .unless = "required with `authority`",
          .doc = "PEM file of its key." },
        { "agents", CONF_TYPE_MAP, 0, AT(draft_gateway, links_agents), "{}", .table = &conf_table_link_agent,
          .doc = "The agents that may come, by id; empty: every agent of the authority." },
};
static const struct conf_table conf_table_links = {
        "gateway.links",
        .keys = links_keys,
        .keys_count = ARRAY_SIZE(links_keys),
        .doc = "Agents behind NAT dial in on the TLS listeners, by the name `link.sekisho.internal`, and serve the targets "
               "`link://AGENT/TARGET` of `upstreams`. Visitors never get there.",
};

static const struct conf_word overlay_words[] = {
        { "spare", CONF_OVERLAY_SPARE, "the overlay where the agent has no link of its own here" },
        { "prefer", CONF_OVERLAY_PREFER, "the overlay while it is up" },
        { NULL },
};
static const struct conf_key overlay_keys[] = {
        { "port", CONF_TYPE_NUMBER, 0, AT(draft_gateway, gateway.overlay.port), "0", 0, 65535,
          .doc = "The UDP port where agents reach this gateway for the overlay, which control tells them; 51820 is usual. 0: there is none." },
        { "use", CONF_TYPE_WORD, 0, AT(draft_gateway, gateway.overlay.use), "\"spare\"",
          .words = overlay_words,
          .doc = "What goes first where an agent has links of its own here and can be dialled over the overlay, too. What goes over the overlay is "
                 "encrypted twice and costs more; it needs no way out for TCP." },
};
static const struct conf_table conf_table_overlay = {
        "gateway.overlay",
        .keys = overlay_keys,
        .keys_count = ARRAY_SIZE(overlay_keys),
        .short_key = "port",
        .doc = "Agents' addresses in the overlay that control gives out are dialled as well. For a gateway that has joined a control; the tunnel "
               "is in a private network of the process and changes nothing of this host.",
};

static const struct conf_key tailnet_keys[] = {
        { "socket", CONF_TYPE_TEXT, 0, AT(draft_gateway, tailnet_socket),
          "\"/var/run/tailscale/tailscaled.sock\"", .doc = "Where tailscaled listens." },
        { "serve", CONF_TYPE_BOOL, 0, AT(draft_gateway, gateway.tailnet.serve_is_in_front), "false",
          .doc = "Tailscale's Serve is in front, on this machine: believe the `Tailscale-User-Login` it sets, from loopback, where "
                 "`access.tailnet` or `ai.identity` ask who calls. Any program of this machine can then say so, too; let no other "
                 "proxy pass strangers' requests on from here." },
};
static const struct conf_table conf_table_tailnet = {
        "gateway.tailnet",
        CONF_KEYS(tailnet_keys),
        .doc = "The Tailscale or Headscale network this machine is in. It is asked only where a listener, a route, a certificate or `ai` wants it.",
};

static const struct conf_word identities[] = {
        { "token", CONF_BY_TOKEN, "by a token with the scope `llm`" },
        { "tailnet", CONF_BY_TAILNET, "by a token, or by their machine's place in the tailnet" },
        { NULL },
};
static const struct conf_key ai_keys[] = {
        { "identity", CONF_TYPE_WORD, 0, AT(draft_gateway, gateway.ai_identity), "\"token\"",
          .words = identities, .doc = "How callers of the model APIs are known." },
        { "tailnet", CONF_TYPE_TEXTS, 0, AT(draft_gateway, gateway.ai_callers), "[\"*\", \"tag:*\"]",
          .check = conf_check_caller,
          .doc = "With `tailnet`: which of its users and tagged machines; see `routes[].access.tailnet`." },
};
static const struct conf_table conf_table_ai = {
        "gateway.ai",
        CONF_KEYS(ai_keys),
        .short_key = "identity",
        .doc = "Who may call the model APIs.",
};

static const struct conf_key error_page_keys[] = {
        { "status", CONF_TYPE_TEXT, 0, AT(draft_error_page, status), "\"400-599\"",
          .doc = "The statuses it is for: `404` or `500-599`. Of several pages the first fits." },
        { "file", CONF_TYPE_TEXT, CONF_REQUIRED, AT(draft_error_page, file),
          .doc = "An HTML file, read when the configuration is loaded, 64 KiB at most; `{status}`, `{reason}`, `{message}`, "
                 "`{request_id}`, `{host}` and `{path}` in it are put in, escaped." },
};
static const struct conf_table conf_table_error_page = {
        "gateway.errorPages[]",
        sizeof(struct draft_error_page),
        CONF_KEYS(error_page_keys),
        .doc = "What callers whose `Accept` prefers HTML see of the gateway's own errors; programs get JSON, and errors of "
               "an upstream pass as they are.",
};

static const struct conf_key gateway_keys[] = {
        { "host", CONF_TYPE_TEXT, 0, AT(draft_gateway, host), "\"127.0.0.1\"",
          .doc = "The address to listen on: `127.0.0.1`, `::1`, `0.0.0.0`, or `::` for every address of IPv6 and IPv4." },
        { "port", CONF_TYPE_PLACED, 0, AT(draft_gateway, port), "3000", 1, 65535, .doc = "Its port." },
        { "listen", CONF_TYPE_LIST, 0, AT(draft_gateway, listen), "[]", .table = &conf_table_listen,
          .doc = "More addresses. With `listen` and neither `host` nor `port`, only these." },
        { "passThrough", CONF_TYPE_LIST, 0, AT(draft_gateway, passes), "[]", .table = &conf_table_pass,
          .doc = "Names whose TLS is passed on unopened." },
        { "redirectHttp", CONF_TYPE_TEXT, 0, AT(draft_gateway, redirect_http), .unless = "none",
          .doc = "An address such as `0.0.0.0:80` where every request is answered with a redirect to https." },
        { "auth", CONF_TYPE_BOOL, 0, AT(draft_gateway, gateway.auth), "true",
          .doc = "Ask callers for a token. With true and no token in `apiTokens` the gateway does not start." },
        { "apiTokens", CONF_TYPE_LIST, 0, AT(draft_gateway, tokens), "[]", .table = &conf_table_token,
          .doc = "The callers' tokens: objects, or plain strings as in the predecessor's file." },
        { "allowedIps", CONF_TYPE_PREFIXES, 0, AT(draft_gateway, gateway.allowed_ips), "[]",
          .doc = "Addresses and ranges that may call at all; asked before the token. Empty: every address." },
        { "trustedProxies", CONF_TYPE_PREFIXES, 0, AT(draft_gateway, gateway.trusted_proxies), "[]",
          .doc = "Proxies whose `X-Forwarded-*` and `Forwarded` fields and PROXY header are believed." },
        { "tlsCert", CONF_TYPE_TEXT, 0, AT(draft_gateway, tls_cert), .unless = "no TLS on host:port",
          .doc = "PEM file of the certificate and its chain, for `host`:`port`. Only together with `tlsKey`." },
        { "tlsKey", CONF_TYPE_TEXT, 0, AT(draft_gateway, tls_key), .unless = "no TLS on host:port",
          .doc = "PEM file of its key." },
        { "certificates", CONF_TYPE_LIST, 0, AT(draft_gateway, certificates), "[]",
          .table = &conf_table_certificate, .doc = "Certificates of all TLS listeners." },
        { "http2", CONF_TYPE_BOOL, 0, AT(draft_gateway, gateway.http2), "true",
          .doc = "Offer HTTP/2: under TLS by ALPN, in the clear to clients that begin with it." },
        { "workers", CONF_TYPE_NUMBER, 0, AT(draft_gateway, gateway.workers), "0", 0, 256,
          .doc = "Worker processes; 0: one per CPU the program may use." },
        { "drainTimeout", CONF_TYPE_DURATION, 0, AT(draft_gateway, gateway.drain_timeout), "\"30s\"", 0,
          24 * HOUR, .doc = "How long requests may go on after the gateway was told to stop." },
        { "user", CONF_TYPE_TEXT, 0, AT(draft_gateway, user),
          .unless = "`sekisho` where there is such a user",
          .doc = "Whom the processes that meet strangers become when the gateway is started as root." },
        { "ticketRotation", CONF_TYPE_DURATION, 0, AT(draft_gateway, gateway.ticket_rotation), "\"12h\"",
          SECOND, 7 * 24 * HOUR,
          .doc = "How often the key of TLS session tickets is made anew; a ticket of the key before is still taken." },
        { "watchdog", CONF_TYPE_DURATION, 0, AT(draft_gateway, gateway.watchdog), "\"5s\"", 0, HOUR,
          .doc = "A worker whose loop stands still for so long is killed and replaced; 0: never." },
        { "limits", CONF_TYPE_TABLE, 0, AT(draft_gateway, gateway.limits), .table = &conf_table_limits,
          .doc = "Limits." },
        { "dns", CONF_TYPE_TABLE, 0, .table = &conf_table_dns, .doc = "Look-ups." },
        { "clientCertificates", CONF_TYPE_TABLE, 0, .table = &conf_table_client_certificates,
          .doc = "Certificates of clients, on every TLS listener." },
        { "links", CONF_TYPE_TABLE, 0, .table = &conf_table_links, .doc = "Agents that dial in." },
        { "overlay", CONF_TYPE_TABLE, 0, .table = &conf_table_overlay,
          .doc = "Agents that are dialled over the overlay." },
        { "tailnet", CONF_TYPE_TABLE, 0, .table = &conf_table_tailnet, .doc = "This machine's tailnet." },
        { "ai", CONF_TYPE_TABLE, 0, .table = &conf_table_ai, .doc = "Callers of the model APIs." },
        { "errorPages", CONF_TYPE_LIST, 0, AT(draft_gateway, error_pages), "[]",
          .table = &conf_table_error_page, .doc = "Pages for browsers in place of the plain ones." },
        { "maintenance", CONF_TYPE_BOOL, 0, AT(draft_gateway, gateway.is_in_maintenance), "false",
          .doc = "Answer every route with 503 and Retry-After, before a token is asked for; `/health` and the admin listener "
                 "go on. In force with the next reload." },
};
const struct conf_table conf_table_gateway = {
        "gateway",
        .has_place = true,
        CONF_KEYS(gateway_keys),
        .doc = "Where the gateway listens, and whom it admits.",
};
