#include "../test.h"

#include <stdio.h>

#include "http/h1_read.h"
#include "http/h1_write.h"
#include "http/rules.h"

static char memory[65536];
static struct arena arena;
static struct http_field fields[64];

static int setup(void **state)
{
        arena_init(&arena, memory, sizeof(memory), sizeof(memory));
        return 0;
}

static int teardown(void **state)
{
        arena_fini(&arena);
        return 0;
}

static struct http_head parse(const char *lines)
{
        static const struct h1_limits limits = { 32768, 256, 60 };
        struct http_head h = { .fields = fields, .fields_max = ARRAY_SIZE(fields) };
        struct http_refusal refusal;
        size_t scanned = 0;

        arena_reset(&arena);
        struct str text = arena_format(&arena, "GET / HTTP/1.1\r\n%s\r\n", lines);
        assert_err(h1_request_parse(text, &limits, &scanned, &h, &refusal), ERR_OK);
        return h;
}

/* What an upstream would be sent, without the start line and the empty line. */
static struct str written(const struct http_head *h)
{
        struct h1_vector v = { 0 };

        assert_err(h1_request_write(h, STR("/"), &arena, &v), ERR_OK);
        assert_err(h1_vector_flatten(&v, &arena), ERR_OK);
        struct str all = { v.parts[0].iov_base, v.parts[0].iov_len };
        all = str_from(all, STR("GET / HTTP/1.1\r\n").len);
        return str_sub(all, 0, all.len - 2);
}

/* Names of the always-reserved family; every spelling of each must vanish, from any peer. */
static const char *const reserved[] = {
        "X-Sekisho-User",
        "X-Sekisho-Groups",
        "X-Sekisho-Request-Id",
        "X-Sekisho",
        "Tailscale-User-Login",
        "Tailscale-User-Name",
        "Tailscale-User-Profile-Pic",
        "Tailscale-Headers-Info",
        "Tailscale-Funnel-Request",
        "Tailscale-App-Capabilities",
};

/* And of the forwarding family, gone unless a trusted proxy sent them. */
static const char *const forwarding[] = {
        "Forwarded",          "X-Forwarded-For", "X-Forwarded-Host",    "X-Forwarded-Proto",
        "X-Forwarded-Port",   "X-Forwarded-Uri", "X-Forwarded-User",    "X-Forwarded-Email",
        "X-Forwarded-Prefix", "X-Forwarded",     "X-Real-IP",           "True-Client-IP",
        "CF-Connecting-IP",   "X-Client-IP",     "X-Cluster-Client-IP", "Fastly-Client-IP",
        "X-Original-URL",     "X-Rewrite-URL",   "X-Original-Host",
};

/* Known names: a second spelling with '_' of these is nobody's to send. */
static const char *const aliased[] = { "Host",         "Content-Length", "Transfer-Encoding",
                                       "Content-Type", "X-Api-Key",      "Proxy-Authorization",
                                       "User-Agent",   "X-Request-Id" };

enum spelling {
        AS_IS,
        LOWER,
        UPPER,
        MIXED,
        UNDERSCORES,
        FIRST_UNDERSCORE,
        LAST_UNDERSCORE,
        UPPER_UNDERSCORES,
        SPELLINGS
};

static void spell(const char *name, enum spelling how, char out[64])
{
        size_t len = strlen(name), dashes = 0, seen = 0;

        for (size_t i = 0; i < len; i++)
                dashes += name[i] == '-';
        for (size_t i = 0; i < len; i++) {
                char c = name[i], low = ascii_lower(c), up = ascii_is_alpha(c) ? (char)(c & ~0x20) : c;

                if (how == LOWER || how == UNDERSCORES)
                        c = low;
                if (how == UPPER || how == UPPER_UNDERSCORES)
                        c = up;
                if (how == MIXED)
                        c = i % 2 ? up : low;
                if (name[i] == '-') {
                        seen++;
                        if (how == UNDERSCORES || how == UPPER_UNDERSCORES ||
                            (how == FIRST_UNDERSCORE && seen == 1) ||
                            (how == LAST_UNDERSCORE && seen == dashes))
                                c = '_';
                }
                out[i] = c;
        }
        out[len] = '\0';
}

static bool survives(const char *name, bool peer_is_trusted)
{
        char lines[256];

        snprintf(lines, sizeof(lines), "Host: a\r\n%s: evil\r\nAccept: b\r\n", name);
        struct http_head h = parse(lines);
        http_remove_reserved(&h, peer_is_trusted);
        struct str out = written(&h);
        bool has_ours = str_eq(out, STR("Host: a\r\nAccept: b\r\n"));
        bool has_all = str_eq(out, str_of(lines));
        assert_true(has_ours || has_all); /* never anything else touched */
        return has_all;
}

/* What an upstream says in our name goes; what is its own stays, forwarding fields and second spellings included. */
static void test_answers(void **state)
{
        static const struct {
                const char *name;
                bool stays;
                const char *why;
        } cases[] = {
                { "X-Sekisho-Request-Id", false, "ours alone" },
                { "x_sekisho_user", false, "another spelling of it" },
                { "sekisho-target", false, "between a gateway and its agent" },
                { "Sekisho-Anything", false, "the family grows" },
                { "Tailscale-User-Login", false, "identity" },
                { "X-Sekish", true, "no family" },
                { "X-Forwarded-For", true, "means nothing in an answer" },
                { "content_type", true, "means nothing in an answer" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char lines[256];

                snprintf(lines, sizeof(lines), "Host: a\r\n%s: evil\r\nAccept: b\r\n", cases[i].name);
                struct http_head h = parse(lines);
                http_remove_reserved_answer(&h);
                struct str out = written(&h);
                if (str_eq(out, str_of(lines)) != cases[i].stays)
                        fail_msg("%s: %s", cases[i].name, cases[i].why);
                assert_true(cases[i].stays || str_eq(out, STR("Host: a\r\nAccept: b\r\n")));
        }
}

static void test_spellings(void **state)
{
        size_t spellings = 0;
        char name[64];

        for (int how = AS_IS; how < SPELLINGS; how++) {
                for (size_t i = 0; i < ARRAY_SIZE(reserved); i++, spellings++) {
                        spell(reserved[i], (enum spelling)how, name);
                        if (survives(name, false) || survives(name, true))
                                fail_msg("%s got through", name);
                }
                for (size_t i = 0; i < ARRAY_SIZE(forwarding); i++, spellings++) {
                        spell(forwarding[i], (enum spelling)how, name);
                        if (survives(name, false))
                                fail_msg("%s got through", name);
                        /* a trusted proxy's stays, in its own spelling */
                        if (survives(name, true) != !strchr(name, '_'))
                                fail_msg("%s of a trusted proxy", name);
                }
                for (size_t i = 0; i < ARRAY_SIZE(aliased); i++) {
                        spell(aliased[i], (enum spelling)how, name);
                        if (!strchr(name, '_') || strcmp(aliased[i], "Host") == 0)
                                continue;
                        spellings++;
                        if (survives(name, true))
                                fail_msg("%s got through", name);
                }
        }
        assert_true(spellings >= 200);
}

static void test_innocent(void **state)
{
        static const char *const names[] = {
                "X-Sekishou",
                "X-Seki",
                "Tailscale",
                "Tailscale-Users",
                "X-Forward",
                "X-Forwardedness",
                "Forwarded-Fish",
                "X-Original",
                "X-Real-IPs",
                "My_Header",
                "x_custom",
                "X-Trace-Id",
                "Traceparent",
                "Cf-Ray",
                "X-Client",
                "X_Y_Z",
                "Tailscale-Headers-Information",
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (!survives(names[i], false))
                        fail_msg("%s was removed", names[i]);
}

static const struct {
        const char *why, *in;
        bool keep_upgrade;
        const char *out;
} hops[] = {
        { "nothing to do", "Host: a\r\nAccept: b\r\n", false, "Host: a\r\nAccept: b\r\n" },
        { "the fixed list",
          "Host: a\r\nConnection: close\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nProxy-Authorization: y\r\n"
          "Proxy-Authenticate: z\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\nUpgrade: websocket\r\n"
          "HTTP2-Settings: AA\r\nAccept: b\r\n",
          false, "Host: a\r\nAccept: b\r\n" },
        { "any Proxy field", "Proxy: http://evil\r\nproxy-foo: x\r\nProxyless: y\r\n", false,
          "Proxyless: y\r\n" },
        { "named fields", "Connection: x-a, X-B\r\nX-A: 1\r\nX-b: 2\r\nX-C: 3\r\n", false, "X-C: 3\r\n" },
        { "named in two lines", "Connection: x-a\r\nX-A: 1\r\nConnection: ,,x-c,\r\nX-C: 3\r\nX-D: 4\r\n",
          false, "X-D: 4\r\n" },
        { "ours are not taken away",
          "Connection: close, X-Forwarded-For, x_forwarded_for, Forwarded, X-Sekisho-User, X-Real-IP\r\n"
          "X-Forwarded-For: 1\r\nForwarded: for=1\r\nX-Real-IP: 1\r\nX-Sekisho-User: u\r\n",
          false, "X-Forwarded-For: 1\r\nForwarded: for=1\r\nX-Real-IP: 1\r\nX-Sekisho-User: u\r\n" },
        { "the message's are not either",
          "Connection: host, content-length, authorization, cookie, content-md5, set-cookie, sec-fetch-site\r\nHost: a\r\n"
          "Content-Length: 5\r\nAuthorization: b\r\nCookie: c\r\nContent-MD5: d\r\nSet-Cookie: e\r\nSec-Fetch-Site: f\r\n",
          false,
          "Host: a\r\nContent-Length: 5\r\nAuthorization: b\r\nCookie: c\r\nContent-MD5: d\r\nSet-Cookie: e\r\n"
          "Sec-Fetch-Site: f\r\n" },
        { "TE: trailers stays", "TE: trailers\r\n", false, "TE: trailers\r\n" },
        { "TE is cut down", "TE: gzip;q=0.5, trailers;x=y\r\nX: y\r\n", false, "X: y\r\nTE: trailers\r\n" },
        { "TE goes", "TE: gzip\r\nTE: deflate\r\nX: y\r\n", false, "X: y\r\n" },
        { "named TE still says trailers", "Connection: TE\r\nTE: trailers\r\n", false, "TE: trailers\r\n" },
        { "upgrade kept", "Connection: keep-alive, Upgrade, X-A\r\nX-A: 1\r\nUpgrade: websocket\r\nX: y\r\n",
          true, "Upgrade: websocket\r\nX: y\r\nConnection: upgrade\r\n" },
        { "upgrade asked to stay, but there is none", "Connection: Upgrade\r\nX: y\r\n", true, "X: y\r\n" },
};

static void test_hop_by_hop(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(hops); i++) {
                struct http_head h = parse(hops[i].in);

                assert_err(http_remove_hop_by_hop(&h, hops[i].keep_upgrade), ERR_OK);
                if (!str_eq(written(&h), str_of(hops[i].out)))
                        fail_msg("%s: %.*s", hops[i].why, STR_FMT(written(&h)));
        }
}

static void test_added_fields_stay(void **state)
{
        struct http_head h = parse("Connection: X-Ours\r\nX-Ours: theirs\r\n");

        assert_err(http_add(&h, STR("X-Ours"), STR("ours")), ERR_OK);
        assert_err(http_remove_hop_by_hop(&h, false), ERR_OK);
        assert_str(written(&h), STR("X-Ours: ours\r\n"));
}

static void test_connection_bound(void **state)
{
        char lines[1024];
        struct http_head h;

        for (int n = 64; n <= 65; n++) {
                int len = snprintf(lines, sizeof(lines), "Connection: x");
                for (int i = 1; i < n; i++)
                        len += snprintf(lines + len, sizeof(lines) - (size_t)len, ",x");
                snprintf(lines + len, sizeof(lines) - (size_t)len, "\r\n");
                h = parse(lines);
                assert_err(http_remove_hop_by_hop(&h, false), n == 64 ? ERR_OK : ERR_TOO_LARGE);
        }
}

static struct ip ip_of(const char *text)
{
        struct ip ip = { 0 };

        if (*text)
                assert_err(ip_parse(str_of(text), &ip), ERR_OK);
        return ip;
}

/* Trusted: 10.0.0.0/8 and fd00::/8. */
static const struct {
        const char *why, *peer, *lines, *ip, *proto, *host;
} clients[] = {
        { "untrusted peer", "192.0.2.1",
          "Host: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n", "192.0.2.1", "http", "a" },
        { "trusted, no field", "10.0.0.1", "Host: a\r\n", "10.0.0.1", "http", "a" },
        { "one hop", "10.0.0.1", "X-Forwarded-For: 1.1.1.1\r\n", "1.1.1.1", "http", "" },
        { "the rightmost stranger", "10.0.0.1", "X-Forwarded-For: 9.9.9.9, 1.1.1.1\r\n", "1.1.1.1", "http",
          "" },
        { "over trusted hops", "10.0.0.1", "X-Forwarded-For: 9.9.9.9, 1.1.1.1, 10.2.3.4,10.0.0.2\r\n",
          "1.1.1.1", "http", "" },
        { "all trusted: the leftmost", "10.0.0.1", "X-Forwarded-For: 10.9.9.9, 10.0.0.2\r\n", "10.9.9.9",
          "http", "" },
        { "two lines", "10.0.0.1", "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 1.1.1.1, 10.0.0.2\r\n",
          "1.1.1.1", "http", "" },
        { "line left of a trusted line", "10.0.0.1",
          "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 10.0.0.2\r\n", "1.1.1.1", "http", "" },
        { "IPv6", "10.0.0.1", "X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1", "http", "" },
        { "IPv6 in brackets", "10.0.0.1", "X-Forwarded-For: [2001:db8::1]\r\n", "2001:db8::1", "http", "" },
        { "IPv6 and port", "10.0.0.1", "X-Forwarded-For: [2001:db8::1]:443\r\n", "2001:db8::1", "http", "" },
        { "IPv4 and port", "10.0.0.1", "X-Forwarded-For: 1.1.1.1:5678\r\n", "1.1.1.1", "http", "" },
        { "mapped trusted hop", "10.0.0.1", "X-Forwarded-For: 1.1.1.1, ::ffff:10.0.0.2\r\n", "1.1.1.1",
          "http", "" },
        { "trusted IPv6 peer", "fd00::1", "X-Forwarded-For: 1.1.1.1\r\n", "1.1.1.1", "http", "" },
        { "garbage stops the walk", "10.0.0.1", "X-Forwarded-For: 1.1.1.1, unknown, 10.0.0.2\r\n", "10.0.0.2",
          "http", "" },
        { "garbage at once", "10.0.0.1", "X-Forwarded-For: 1.1.1.1, x\r\n", "10.0.0.1", "http", "" },
        { "empty entry", "10.0.0.1", "X-Forwarded-For: 1.1.1.1,\r\n", "10.0.0.1", "http", "" },
        { "empty field", "10.0.0.1", "X-Forwarded-For:\r\n", "10.0.0.1", "http", "" },
        { "bad port", "10.0.0.1", "X-Forwarded-For: 1.1.1.1:x\r\n", "10.0.0.1", "http", "" },
        { "short address", "10.0.0.1", "X-Forwarded-For: 1.1\r\n", "10.0.0.1", "http", "" },
        { "open bracket", "10.0.0.1", "X-Forwarded-For: [::1\r\n", "10.0.0.1", "http", "" },
        { "proto and host", "10.0.0.1",
          "Host: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: HTTPS\r\nX-Forwarded-Host: b:8443\r\n",
          "1.1.1.1", "https", "b:8443" },
        { "proto: a list says nothing", "10.0.0.1", "X-Forwarded-Proto: https, http\r\n", "10.0.0.1", "http",
          "" },
        { "proto: two lines say nothing", "10.0.0.1",
          "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: https\r\n", "10.0.0.1", "http", "" },
        { "proto: other words", "10.0.0.1", "X-Forwarded-Proto: gopher\r\n", "10.0.0.1", "http", "" },
        { "host: not plausible", "10.0.0.1", "Host: a\r\nX-Forwarded-Host: b/../c\r\n", "10.0.0.1", "http",
          "a" },
        { "Forwarded", "10.0.0.1", "Forwarded: for=9.9.9.9, for=1.1.1.1;proto=https;host=b\r\n", "1.1.1.1",
          "https", "b" },
        { "Forwarded, IPv6", "10.0.0.1", "Forwarded: For=\"[2001:db8::1]:4711\"\r\n", "2001:db8::1", "http",
          "" },
        { "Forwarded over trusted", "10.0.0.1",
          "Forwarded: for=1.1.1.1;proto=https, for=10.0.0.2;proto=http\r\n", "1.1.1.1", "https", "" },
        { "Forwarded, unknown", "10.0.0.1", "Forwarded: for=1.1.1.1, for=unknown\r\n", "10.0.0.1", "http",
          "" },
        { "Forwarded, hidden", "10.0.0.1", "Forwarded: for=1.1.1.1, for=_x\r\n", "10.0.0.1", "http", "" },
        { "Forwarded, no for", "10.0.0.1", "Forwarded: for=1.1.1.1, proto=https\r\n", "10.0.0.1", "http",
          "" },
        { "Forwarded, comma in quotes", "10.0.0.1", "Forwarded: for=1.1.1.1;by=\"a, for=9.9.9.9\"\r\n",
          "1.1.1.1", "http", "" },
        { "Forwarded, open quote", "10.0.0.1", "Forwarded: for=1.1.1.1, for=\"9.9.9.9\r\n", "10.0.0.1",
          "http", "" },
        { "Forwarded, escaped quote", "10.0.0.1",
          "Forwarded: for=1.1.1.1;by=\"\\\", for=9.9.9.9;x=\\\"\"\r\n", "1.1.1.1", "http", "" },
        { "X-Forwarded-For goes first", "10.0.0.1", "Forwarded: for=9.9.9.9\r\nX-Forwarded-For: 1.1.1.1\r\n",
          "1.1.1.1", "http", "" },
        { "Unix socket", "", "X-Forwarded-For: 1.1.1.1\r\n", "", "http", "" },
};

static struct http_client client_of(const struct http_head *h, struct ip peer, bool is_tls)
{
        struct ip_prefix trusted[2];
        struct http_client client;

        assert_err(ip_prefix_parse(STR("10.0.0.0/8"), &trusted[0]), ERR_OK);
        assert_err(ip_prefix_parse(STR("fd00::/8"), &trusted[1]), ERR_OK);
        http_client_find(h, peer, is_tls, trusted, ARRAY_SIZE(trusted), &client);
        return client;
}

static void test_clients(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
                struct http_head h = parse(clients[i].lines);
                struct ip peer = ip_of(clients[i].peer);
                struct http_client client = client_of(&h, peer, false);
                char text[IP_TEXT_MAX];

                if (!ip_eq(client.ip, ip_of(clients[i].ip)))
                        fail_msg("%s: %s", clients[i].why, ip_format(client.ip, text).ptr);
                assert_true(ip_eq(client.peer, peer));
                if (!str_eq(client.proto, str_of(clients[i].proto)) ||
                    !str_eq(client.host, str_of(clients[i].host)))
                        fail_msg("%s: %.*s %.*s", clients[i].why, STR_FMT(client.proto),
                                 STR_FMT(client.host));
        }
}

static void test_long_chain(void **state)
{
        char lines[2048];
        int len = snprintf(lines, sizeof(lines), "X-Forwarded-For: 1.1.1.1");

        for (int i = 0; i < 40; i++)
                len += snprintf(lines + len, sizeof(lines) - (size_t)len, ", 10.0.0.%d", i);
        snprintf(lines + len, sizeof(lines) - (size_t)len, "\r\n");
        struct http_head h = parse(lines);
        struct http_client client = client_of(&h, ip_of("10.0.0.200"), false);
        assert_true(ip_eq(client.ip, ip_of("10.0.0.8"))); /* the 32nd from the right */
}

static const struct {
        const char *why, *peer, *lines;
        bool is_tls;
        const char *out;
} forwards[] = {
        { "stranger", "192.0.2.1", "Host: a:80\r\nX-Forwarded-For: 9.9.9.9\r\nForwarded: for=9.9.9.9\r\n",
          false,
          "Host: a:80\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a:80\r\n"
          "Forwarded: for=192.0.2.1;host=\"a:80\";proto=http\r\n" },
        { "IPv6 stranger with TLS", "2001:db8::1", "Host: a\r\n", true,
          "Host: a\r\nX-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a\r\n"
          "Forwarded: for=\"[2001:db8::1]\";host=\"a\";proto=https\r\n" },
        { "trusted proxy", "10.0.0.1",
          "Host: a\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n"
          "X-Forwarded-Host: b\r\nForwarded: for=1.1.1.1\r\n",
          false,
          "Host: a\r\nX-Forwarded-For: 9.9.9.9, 1.1.1.1, 10.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\n"
          "Forwarded: for=1.1.1.1, for=10.0.0.1;host=\"b\";proto=https\r\n" },
        { "http before our TLS", "10.0.0.1", "Host: a\r\nX-Forwarded-Proto: http\r\n", true,
          "Host: a\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"
          "Forwarded: for=10.0.0.1;host=\"a\";proto=http\r\n" },
        { "an empty chain", "10.0.0.1", "Host: a\r\nX-Forwarded-For:\r\nForwarded:\r\n", false,
          "Host: a\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"
          "Forwarded: for=10.0.0.1;host=\"a\";proto=http\r\n" },
        { "Unix socket", "", "Host: a\r\n", false,
          "Host: a\r\nX-Forwarded-For: unknown\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"
          "Forwarded: for=unknown;host=\"a\";proto=http\r\n" },
        { "no host", "192.0.2.1", "X: y\r\nX-Forwarded-Host: evil\r\n", false,
          "X: y\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nForwarded: for=192.0.2.1;proto=http\r\n" },
};

static void test_forwarded(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(forwards); i++) {
                struct http_head h = parse(forwards[i].lines);
                struct http_client client = client_of(&h, ip_of(forwards[i].peer), forwards[i].is_tls);
                bool is_trusted = strncmp(forwards[i].peer, "10.", 3) == 0;

                http_remove_reserved(&h, is_trusted);
                assert_err(http_add_forwarded(&h, &client, is_trusted, &arena), ERR_OK);
                if (!str_eq(written(&h), str_of(forwards[i].out)))
                        fail_msg("%s:\n%.*s", forwards[i].why, STR_FMT(written(&h)));
        }
}

/* With every size of arena: all is there, or it is said that it is not. */
static void test_no_room(void **state)
{
        bool fitted = false;

        for (size_t room = 0; room < 200; room++) {
                struct http_head h =
                        parse("Host: a\r\nX-Forwarded-For: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\n");
                struct http_client client = client_of(&h, ip_of("10.0.0.1"), false);
                char small[200];
                struct arena full;

                arena_init(&full, small, room, room);
                enum err e = http_add_forwarded(&h, &client, true, &full);
                assert_true(e == ERR_OK || (e == ERR_NO_MEMORY && !fitted));
                fitted |= e == ERR_OK;
                if (fitted)
                        assert_str(http_value(&h, HTTP_FIELD_X_FORWARDED_FOR), STR("1.1.1.1, 10.0.0.1"));
                arena_fini(&full);
        }
        assert_true(fitted);
        struct http_head h = parse("Host: a\r\n");
        struct http_client client = client_of(&h, ip_of("192.0.2.1"), false);
        h.fields_max = h.fields_count;
        assert_err(http_add_forwarded(&h, &client, false, &arena), ERR_TOO_LARGE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_answers),           cmocka_unit_test(test_spellings),
                cmocka_unit_test(test_innocent),          cmocka_unit_test(test_hop_by_hop),
                cmocka_unit_test(test_added_fields_stay), cmocka_unit_test(test_connection_bound),
                cmocka_unit_test(test_clients),           cmocka_unit_test(test_long_chain),
                cmocka_unit_test(test_forwarded),         cmocka_unit_test(test_no_room),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
