/* What a right configuration becomes: defaults, values, names resolved, warnings, and what running out of memory does. */
#include "../calls.h"
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>

static const char *root(void)
{
        const char *path = getenv("SEKISHO_SOURCE_ROOT");

        return path ? path : ".";
}

static struct conf *load(struct fake *fake, const char *text, struct report *report)
{
        struct conf *conf;

        fake_init(fake, str_of(text));
        report_init(report, STR_NULL);
        enum err e = conf_load(&fake->source, report, &conf);

        if (e != ERR_OK) {
                struct buf out;

                buf_init(&out, 1 << 20);
                report_format(report, &out);
                buf_add_char(&out, '\0');
                fail_msg("ERR_%s\n%s", err_name(e), out.ptr);
        }
        return conf;
}

static bool warns(const struct report *report, const char *text)
{
        for (size_t i = 0; i < report->entries_count; i++)
                if (str_find(report->entries[i].text, str_of(text)) != STR_NONE)
                        return true;
        return false;
}

static void defaults(void **state)
{
        struct fake fake;
        struct report report;
        struct conf *c = load(&fake,
                              "{\"gateway\": {\"apiTokens\": [{\"env\": \"TOKEN\"}]},"
                              " \"upstreams\": {\"app\": {\"targets\": [\"http://h\"]}},"
                              " \"providers\": {\"p\": {\"kind\": \"openai\"}},"
                              " \"routes\": [{\"upstream\": \"app\"}]}",
                              &report);
        const struct conf_gateway *g = &c->gateway;
        const struct conf_limits *l = &g->limits;

        assert_int_equal(report.warnings_count, 0);
        assert_str(c->file, STR("/etc/sekisho/sekisho.json"));
        assert_int_equal(c->version.len, 16);

        assert_int_equal(g->listens_count, 1);
        assert_int_equal(g->listens[0].address.port, 3000);
        assert_true(ip_is_loopback(g->listens[0].address.ip));
        assert_false(g->listens[0].is_tls);
        assert_true(g->auth);
        assert_int_equal(g->allowed_ips.count, 0);
        assert_int_equal(g->trusted_proxies.count, 0);
        assert_int_equal(g->certificates_count, 0);
        assert_int_equal(g->workers, 0);
        assert_int_equal(g->drain_timeout, 30000);
        const struct {
                uint64_t got, wanted;
        } numbers[] = {
                { l->header_bytes, 32 << 10 },
                { l->target_bytes, 8 << 10 },
                { l->header_lines, 100 },
                { l->request_bytes, 0 },
                { l->answer_header_bytes, 64 << 10 },
                { l->inflight_bytes, 64 << 10 },
                { l->replay_bytes, 64 << 10 },
                { l->model_lookahead_bytes, 8 << 20 },
                { l->connections, 65536 },
                { l->connections_per_address, 4096 },
                { l->concurrent_requests, 10000 },
                { l->failed_auth_per_minute, 20 },
                { l->rate_per_address.count, 0 },
                { (uint64_t)l->header_timeout, 10000 },
                { (uint64_t)l->idle_timeout, 75000 },
                { (uint64_t)l->body_idle_timeout, 60000 },
                { (uint64_t)l->tls_timeout, 10000 },
                { l->minimum_rate, 0 },
                { l->chat_turns, 20 },
                { l->chat_bytes, 256 << 10 },
                { l->chat_message_bytes, 32000 },
                { (uint64_t)l->chat_age, 3600000 },
                { l->chat_sessions, 10000 },
                { (uint64_t)g->dns.ttl_min, 1000 },
                { (uint64_t)g->dns.ttl_max, 600000 },
                { (uint64_t)g->dns.stale_max, 3600000 },
                { (uint64_t)g->dns.timeout, 5000 },
        };
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
                if (numbers[i].got != numbers[i].wanted)
                        fail_msg("number %zu: got %ju, wanted %ju", i, (uintmax_t)numbers[i].got,
                                 (uintmax_t)numbers[i].wanted);

        const struct conf_token *t = &g->tokens[0];
        assert_str(t->name, STR("token-1"));
        assert_int_equal(t->scopes, CONF_SCOPE_LLM | CONF_SCOPE_PROXY);
        assert_true(t->expires == MONO_NEVER);
        assert_int_equal(t->rate_limit.count, 0);

        const struct conf_provider *p = &c->providers[0];
        assert_str(p->base_url.text, STR("https://api.openai.com/v1"));
        assert_int_equal(p->dialects, CONF_OPENAI);
        assert_int_equal(p->timeouts.connect, 5000);
        assert_int_equal(p->timeouts.first_byte, 600000);
        assert_int_equal(p->timeouts.idle, 300000);
        assert_int_equal(p->max_concurrency, 0);

        const struct conf_upstream *u = &c->upstreams[0];
        assert_int_equal(u->targets[0].url.port, 80);
        assert_int_equal(u->targets[0].weight, 1);
        assert_int_equal(u->balance, CONF_TWO_CHOICES);
        assert_int_equal(u->health.path.len, 0);
        assert_int_equal(u->health.interval, 10000);
        assert_int_equal(u->health.timeout, 2000);
        assert_int_equal(u->health.rise, 2);
        assert_int_equal(u->health.fall, 3);
        assert_int_equal(u->health.status_min, 200);
        assert_int_equal(u->health.status_max, 399);
        assert_int_equal(u->passive.failures, 5);
        assert_int_equal(u->passive.window, 10000);
        assert_int_equal(u->passive.eject_time, 30000);
        assert_int_equal(u->timeouts.connect, 5000);
        assert_int_equal(u->timeouts.first_byte, 60000);
        assert_int_equal(u->timeouts.idle, 60000);
        assert_int_equal(u->timeouts.tunnel, 3600000);
        assert_int_equal(u->timeouts.total, 0);
        assert_int_equal(u->retries, 1);
        assert_int_equal(u->keep_alive.connections, 64);
        assert_int_equal(u->keep_alive.idle, 60000);
        assert_false(u->tls.skip_verify);

        const struct conf_route *r = &c->routes[0];
        assert_str(r->name, STR("*/"));
        assert_int_equal(r->path_kind, CONF_PATH_ALL);
        assert_ptr_equal(r->upstream, u);
        assert_true(r->access.needs_token);
        assert_int_equal(r->access.scope, CONF_SCOPE_PROXY);
        assert_true(r->preserve_host);
        assert_memory_equal(&r->timeouts, &u->timeouts, sizeof(r->timeouts));
        assert_int_equal(r->max_body_bytes, 0);

        assert_true(c->admin.is_on);
        assert_int_equal(c->admin.listen.port, 9400);
        assert_int_equal(c->admin.allowed_ips.count, 2);
        assert_int_equal(c->log.level, LOG_INFO);
        assert_int_equal(c->log.format, LOG_JSON);
        assert_int_equal(c->log.access, CONF_LOG_STDOUT);
        conf_free(c);
        report_fini(&report);
}

/* ../shared/design/sekisho.example.json, without its certificate: the files are read in other tests. */
static const char example[] =
        "// A standalone gateway.\n"
        "{ \"gateway\": { \"host\": \"127.0.0.1\", \"port\": 3000,\n"
        "    \"listen\": [ { \"address\": \"[::1]:3000\" }, { \"address\": \"0.0.0.0:443\", \"tls\": true, \"proxyProtocol\": false }, ],\n"
        "    \"auth\": true,\n"
        "    \"apiTokens\": [ \"3f1c9a52-7d0e-4b6a-9c15-5be2d8a40c77\",\n"
        "      { \"name\": \"laptop\", \"sha256\": \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\",\n"
        "        \"scopes\": [\"llm\", \"proxy\"], \"expires\": \"2027-01-31T00:00:00Z\",\n"
        "        \"allowedIps\": [\"100.64.0.0/10\"], \"models\": [\"qwen*\"], \"rateLimit\": \"60/min\" }, ],\n"
        "    \"allowedIps\": [\"127.0.0.1\", \"::1\", \"100.64.0.0/10\", \"fd7a:115c:a1e0::/48\"],\n"
        "    \"trustedProxies\": [], \"tlsCert\": null, \"tlsKey\": null,\n"
        "    \"certificates\": [ { \"cert\": \"a.pem\", \"key\": \"a.key\" } ],\n"
        "    \"limits\": { \"headerBytes\": \"32KiB\", \"concurrentRequests\": 10000, \"failedAuthPerMinute\": 20 }, },\n"
        "  \"providers\": {\n"
        "    \"home\": { \"kind\": \"openai\", \"baseUrl\": \"http://127.0.0.1:11434/v1\" },\n"
        "    \"anthropic\": { \"kind\": \"anthropic\", \"baseUrl\": \"https://api.anthropic.com\", \"apiKey\": { \"env\": \"KEY\" } }, },\n"
        "  \"models\": { \"claude-*\": [ { \"provider\": \"anthropic\" } ],\n"
        "    \"chat\": [ { \"provider\": \"home\", \"model\": \"qwen3:8b\" }, { \"provider\": \"anthropic\", \"model\": \"claude-sonnet-4-5\" } ], },\n"
        "  \"upstreams\": { \"app\": { \"targets\": [\"http://127.0.0.1:8080\", { \"url\": \"http://127.0.0.1:8081\", \"weight\": 2, \"backup\": true }],\n"
        "     \"balance\": \"least-requests\", \"health\": { \"path\": \"/healthz\", \"interval\": \"5s\", \"rise\": 2, \"fall\": 3 } }, },\n"
        "  \"routes\": [\n"
        "    { \"host\": \"app.example.com\", \"path\": \"/\", \"upstream\": \"app\", \"access\": { \"token\": \"proxy\" } },\n"
        "    { \"host\": \"*.example.com\", \"path\": \"/public/*\", \"upstream\": \"app\", \"access\": \"public\", \"stripPrefix\": \"/public\" }, ],\n"
        "  \"admin\": { \"listen\": \"127.0.0.1:9400\" },\n"
        "  \"log\": { \"level\": \"info\", \"format\": \"json\", \"access\": \"stdout\" }, }\n";

static void the_example(void **state)
{
        struct fake fake;
        struct report report;
        struct conf *c = load(&fake, example, &report);

        assert_int_equal(report.warnings_count, 1);
        assert_true(warns(&report, "gateway.apiTokens[0]: the token stands in the file itself"));
        assert_int_equal(c->gateway.listens_count, 3);
        assert_true(c->gateway.listens[2].is_tls);
        assert_int_equal(c->gateway.tokens_count, 2);
        assert_str(c->gateway.tokens[1].name, STR("laptop"));
        assert_int_equal(c->gateway.tokens[1].rate_limit.period_ms, 60000);
        assert_str(c->gateway.tokens[1].models.items[0], STR("qwen*"));
        assert_int_equal(c->gateway.tokens[1].sha256[31], 0x08);
        assert_int_equal(c->gateway.certificates_count, 1);
        assert_str(c->gateway.certificates[0].cert_pem, str_of(pem_a_cert));
        assert_str(c->providers[0].base_url.path, STR("/v1"));
        assert_str(c->providers[1].api_key, STR("sk-from-the-environment"));
        assert_str(c->models[0].name, STR("chat")); /* patterns come last */
        assert_ptr_equal(c->models[0].targets[1].provider, &c->providers[1]);
        assert_str(c->models[0].targets[0].model, STR("qwen3:8b"));
        assert_true(c->models[1].is_pattern);
        assert_int_equal(c->models[1].targets[0].model.len, 0);
        assert_true(c->upstreams[0].targets[1].is_backup);
        assert_int_equal(c->upstreams[0].balance, CONF_LEAST_REQUESTS);
        assert_int_equal(c->upstreams[0].health.interval, 5000);
        assert_int_equal(c->routes[1].path_kind, CONF_PATH_PREFIX);
        assert_str(c->routes[1].path, STR("/public"));
        assert_str(c->routes[1].strip_prefix, STR("/public"));
        assert_false(c->routes[1].access.needs_token);
        conf_free(c);
        report_fini(&report);
}

/* What the predecessor writes: every maker, mostly without a key, and chapters we have no use for. */
static const char predecessor[] =
        "{ \"agents\": { \"defaults\": { \"model\": \"anthropic/claude-opus-4-5\", \"maxTokens\": 8192 } },\n"
        "  \"channels\": { \"telegram\": { \"enabled\": false, \"token\": \"\" } },\n"
        "  \"tools\": { \"web\": { \"search\": { \"apiKey\": \"\" } } },\n"
        "  \"providers\": { \"anthropic\": { \"apiKey\": \"sk-ant-x\", \"apiBase\": null }, \"openai\": { \"apiKey\": \"\", \"apiBase\": null },\n"
        "    \"openrouter\": { \"apiKey\": \"sk-or-x\", \"apiBase\": \"https://router.example/api/v1\" },\n"
        "    \"deepseek\": { \"apiKey\": \"\" }, \"groq\": { \"apiKey\": \"\" }, \"zhipu\": { \"apiKey\": \"\" }, \"gemini\": { \"apiKey\": \"\" },\n"
        "    \"moonshot\": { \"apiKey\": \"\" }, \"vllm\": { \"apiKey\": \"\", \"apiBase\": \"http://127.0.0.1:8000/v1\" } },\n"
        "  \"gateway\": { \"host\": \"0.0.0.0\", \"port\": 18790, \"apiTokens\": [\"3f1c9a52-7d0e-4b6a-9c15-5be2d8a40c77\"],\n"
        "    \"allowedIps\": [\"127.0.0.1\", \"100.64.0.0/10\"], \"tlsCert\": null, \"tlsKey\": null } }\n";

static void the_predecessors_file(void **state)
{
        struct fake fake;
        struct report report;
        struct conf *c = load(&fake, predecessor, &report);

        assert_true(warns(&report, "agents: is not used by Sekisho"));
        assert_true(warns(&report, "channels: is not used"));
        assert_true(warns(&report, "tools: is not used"));
        assert_int_equal(report.warnings_count, 6); /* and two keys and a token in plain */
        assert_int_equal(c->gateway.listens[0].address.port, 18790);
        assert_int_equal(c->providers_count, 3);
        assert_int_equal(c->providers[0].kind, CONF_ANTHROPIC);
        assert_str(c->providers[0].base_url.host, STR("api.anthropic.com"));
        assert_str(c->providers[1].base_url.text, STR("https://router.example/api/v1"));
        assert_str(c->providers[2].name, STR("vllm"));
        assert_int_equal(c->providers[2].api_key.len, 0);
        conf_free(c);
        report_fini(&report);
}

static const struct {
        const char *why, *route; /* the inside of a route of upstream "app" */
        enum conf_path_kind kind;
        const char *path, *strip, *add, *name;
} routes[] = {
        { "nothing said", "", CONF_PATH_ALL, "/", "", "", "*/" },
        { "all, with a star", "\"path\": \"/*\"", CONF_PATH_ALL, "/", "", "", "*/*" },
        { "exact", "\"path\": \"/x\"", CONF_PATH_EXACT, "/x", "", "", "*/x" },
        { "prefix", "\"path\": \"/x/*\", \"host\": [\"A.example\", \"b.example\"]", CONF_PATH_PREFIX, "/x",
          "", "", "a.example/x/*" },
        { "segments", "\"path\": \"/u/{id}/a\", \"methods\": \"get\"", CONF_PATH_PATTERN, "/u/{id}/a", "", "",
          "*/u/{id}/a GET" },
        { "segments and a rest", "\"path\": \"/u/{id}/*\"", CONF_PATH_PATTERN, "/u/{id}/*", "", "",
          "*/u/{id}/*" },
        { "strip", "\"path\": \"/a/b/*\", \"stripPrefix\": \"/a\"", CONF_PATH_PREFIX, "/a/b", "/a", "",
          "*/a/b/*" },
        { "strip and add", "\"path\": \"/a/*\", \"stripPrefix\": \"/a/\", \"addPrefix\": \"/v2\"",
          CONF_PATH_PREFIX, "/a", "/a", "/v2", "*/a/*" },
        { "rewrite", "\"path\": \"/a/*\", \"rewritePrefix\": \"/b/c\", \"name\": \"r\"", CONF_PATH_PREFIX,
          "/a", "/a", "/b/c", "r" },
        { "rewrite to the root", "\"path\": \"/a/*\", \"rewritePrefix\": \"/\"", CONF_PATH_PREFIX, "/a", "/a",
          "", "*/a/*" },
};

static void paths_of_routes(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
                struct fake fake;
                struct report report;
                char text[1024];

                snprintf(
                        text, sizeof(text),
                        "{\"gateway\": {\"apiTokens\": [{\"env\": \"TOKEN\"}]}, \"upstreams\": {\"app\": {\"targets\": [\"unix:/s\"]}}, "
                        "\"routes\": [{\"upstream\": \"app\"%s%s}]}",
                        routes[i].route[0] ? ", " : "", routes[i].route);
                struct conf *c = load(&fake, text, &report);

                print_message("%s\n", routes[i].why);
                assert_int_equal(c->routes[0].path_kind, routes[i].kind);
                assert_str(c->routes[0].path, str_of(routes[i].path));
                assert_str(c->routes[0].strip_prefix, str_of(routes[i].strip));
                assert_str(c->routes[0].add_prefix, str_of(routes[i].add));
                assert_str(c->routes[0].name, str_of(routes[i].name));
                conf_free(c);
                report_fini(&report);
        }
}

static const struct {
        const char *why, *url;
        enum conf_scheme scheme;
        const char *host;
        uint16_t port;
        const char *path;
        bool is_address;
} urls[] = {
        { "name", "http://Host.Example", CONF_HTTP, "host.example", 80, "", false },
        { "port", "https://h:8443/", CONF_HTTPS, "h", 8443, "", false },
        { "tls", "https://h", CONF_HTTPS, "h", 443, "", false },
        { "IPv4", "http://127.0.0.1:1", CONF_HTTP, "127.0.0.1", 1, "", true },
        { "IPv6", "http://[::1]:1", CONF_HTTP, "::1", 1, "", true },
        { "socket", "unix:/run/a.sock", CONF_UNIX, "", 0, "/run/a.sock", false },
};

static void urls_of_targets(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
                struct fake fake;
                struct report report;
                char text[1024];

                snprintf(
                        text, sizeof(text),
                        "{\"gateway\": {\"auth\": false}, \"upstreams\": {\"app\": {\"targets\": [\"%s\"]}}}",
                        urls[i].url);
                struct conf *c = load(&fake, text, &report);
                const struct conf_url *u = &c->upstreams[0].targets[0].url;

                print_message("%s\n", urls[i].why);
                assert_int_equal(u->scheme, urls[i].scheme);
                assert_str(u->host, str_of(urls[i].host));
                assert_int_equal(u->port, urls[i].port);
                assert_str(u->path, str_of(urls[i].path));
                assert_int_equal(u->ip.family != 0, urls[i].is_address);
                conf_free(c);
                report_fini(&report);
        }
}

static void secrets_from_files(void **state)
{
        struct fake fake;
        struct report report;
        struct conf *c = load(
                &fake,
                "{\"gateway\": {\"auth\": false}, \"providers\": {"
                " \"openai\": {\"apiKey\": {\"file\": \"key.txt\"}},"
                " \"groq\": {\"apiKey\": {\"file\": \"~/key.txt\"}, \"headers\": {\"X-Org\": {\"env\": \"KEY\"}}}}}",
                &report);

        assert_str(c->providers[0].api_key, STR("sk-from-a-file"));
        assert_str(c->providers[1].api_key, STR("sk-from-home"));
        assert_str(c->providers[1].headers[0].name, STR("X-Org"));
        assert_str(c->providers[1].headers[0].value, STR("sk-from-the-environment"));
        assert_true(warns(&report, "gateway.auth is off"));
        conf_free(c);
        report_fini(&report);
}

static void a_key_for_both_sides_is_with_the_workers(void **state)
{
        static const char *const keys[] = { "a", "b" };
        struct fake fake;
        struct report report;
        char text[512];

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                snprintf(
                        text, sizeof(text),
                        "{\"gateway\": {\"auth\": false, \"certificates\": [{\"cert\": \"a.pem\", \"key\": \"a.key\"}]},"
                        " \"upstreams\": {\"app\": {\"targets\": [\"https://app.example\"],"
                        " \"tls\": {\"cert\": \"%s.pem\", \"key\": \"%s.key\"}}}}",
                        keys[i], keys[i]);
                struct conf *c = load(&fake, text, &report);

                assert_true(warns(&report, "this is a listener's key too") == (i == 0));
                conf_free(c);
                report_fini(&report);
        }
}

static void a_plain_secret_in_an_open_file(void **state)
{
        struct fake fake;
        struct report report;
        struct conf *conf;

        fake_init(&fake, STR("{\"gateway\": {\"apiTokens\": [\"0123456789012345678901234\"]}}"));
        fake.mode = 0644;
        report_init(&report, STR_NULL);
        assert_err(conf_load(&fake.source, &report, &conf), ERR_OK);
        assert_true(warns(&report, "chmod 600 /etc/sekisho/sekisho.json"));
        conf_free(conf);
        report_fini(&report);
}

static void priorities_of_models(void **state)
{
        struct fake fake;
        struct report report;
        struct conf *c = load(
                &fake,
                "{\"gateway\": {\"auth\": false}, \"providers\": {\"a\": {\"kind\": \"ollama\"}, \"b\": {\"kind\": \"openai\"}},"
                " \"models\": {\"m\": [{\"provider\": \"a\", \"priority\": 2}, \"b\"],"
                "             \"n\": [{\"provider\": \"a\", \"weight\": 3}, {\"provider\": \"b\", \"weight\": 1}]}}",
                &report);

        assert_str(c->models[0].targets[0].provider->name,
                   STR("b")); /* its place in the list is 1, before 2 */
        assert_int_equal(c->models[0].targets[0].priority, 1);
        assert_int_equal(c->models[1].targets[0].priority, 0);
        assert_int_equal(c->models[1].targets[1].priority, 0);
        assert_int_equal(c->models[1].targets[0].weight, 3);
        conf_free(c);
        report_fini(&report);
}

static void listening_only_where_listed(void **state)
{
        struct fake fake;
        struct report report;
        struct conf *c = load(
                &fake,
                "{\"gateway\": {\"auth\": false, \"listen\": [\"unix:/s\", {\"address\": \":443\", \"tls\": true}], "
                "\"certificates\": [{\"cert\": \"a.pem\", \"key\": \"a.key\"}], \"redirectHttp\": \":80\"}}",
                &report);

        assert_int_equal(c->gateway.listens_count, 3);
        assert_str(c->gateway.listens[0].address.path, STR("/s"));
        assert_true(c->gateway.listens[2].redirects_to_https);
        conf_free(c);
        report_fini(&report);
}

static void name_servers_leave_the_rest_alone(void **state)
{
        struct fake fake;
        struct report report;
        struct conf *c = load(&fake,
                              "{\"gateway\": {\"apiTokens\": [{\"env\": \"TOKEN\"}],"
                              " \"dns\": {\"ttlMin\": \"3s\", \"servers\": \"127.0.0.1:5353\"}}}",
                              &report);

        assert_str(c->gateway.dns.servers, STR("127.0.0.1:5353"));
        assert_int_equal(c->gateway.dns.ttl_min, 3000);
        assert_int_equal(c->gateway.dns.ttl_max, 600000);
        assert_int_equal(c->gateway.dns.stale_max, 3600000);
        conf_free(c);
        report_fini(&report);
}

static void the_version_follows_what_was_read(void **state)
{
        struct fake fake;
        struct report report;
        struct conf *a = load(&fake, "{\"gateway\": {\"auth\": false}}", &report);
        report_fini(&report);
        struct conf *b = load(&fake, "{\"gateway\": {\"auth\": false}}", &report);
        report_fini(&report);
        struct conf *c = load(&fake, "{\"gateway\": {\"auth\": false}} ", &report);
        report_fini(&report);

        assert_str(a->version, b->version);
        assert_false(str_eq(a->version, c->version));
        conf_free(a);
        conf_free(b);
        conf_free(c);
}

static void what_is_shown_is_masked(void **state)
{
        struct fake fake;
        struct report report;
        struct conf *c = load(
                &fake,
                "{\"gateway\": {\"apiTokens\": [\"0123456789012345678901234\", {\"name\": \"h\", \"sha256\": "
                "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"}]},"
                " \"providers\": {\"openai\": {\"apiKey\": \"sk-plain-key\", \"headers\": {\"A\": \"hidden-value\"}},"
                "                 \"groq\": {\"apiKey\": {\"env\": \"KEY\"}}},"
                " \"upstreams\": {\"app\": {\"targets\": [\"http://h\"]}},"
                " \"routes\": [{\"upstream\": \"app\", \"rateLimit\": \"5/s\"}]}",
                &report);
        static const char *const secrets[] = { "0123456789012345678901234", "9f86d0", "sk-plain-key",
                                               "hidden-value", "sk-from-the-environment" };
        static const char *const shown[] = { "\"port\": 3000",         "\"***\"",
                                             "\"env\": \"KEY\"",       "\"headerBytes\": \"32KiB\"",
                                             "\"idle\": \"1m\"",       "\"rateLimit\": \"5/s\"",
                                             "\"status\": \"200-399\"" };
        struct buf out;

        buf_init(&out, 1 << 20);
        conf_show(c, &out);
        assert_false(out.full);
        for (size_t i = 0; i < ARRAY_SIZE(secrets); i++)
                if (str_find(buf_str(&out), str_of(secrets[i])) != STR_NONE)
                        fail_msg("shows %s", secrets[i]);
        for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
                if (str_find(buf_str(&out), str_of(shown[i])) == STR_NONE)
                        fail_msg("does not show %s", shown[i]);
        buf_fini(&out);
        conf_free(c);
        report_fini(&report);
}

static void the_nth_allocation_fails(void **state)
{
        struct buf whole, shown;
        unsigned n = 1;

        buf_init(&whole, 1 << 20);
        for (;; n++) {
                struct fake fake;
                struct report report;
                struct conf *conf;

                fake_init(&fake, str_of(example));
                report_init(&report, STR_NULL);
                calls_fail_at(n);
                calls_count_on(true);
                enum err e = conf_load(&fake.source, &report, &conf);
                bool failed = calls_failed() != NULL;

                calls_count_on(false);
                /* The TLS library may call what it has no memory for bad input; nothing may pass for a success that is
                 * not whole. Only a line of the report may be missing. */
                assert_true((e == ERR_OK) == (conf != NULL));
                if (!failed)
                        assert_err(e, ERR_OK);
                if (conf) {
                        buf_init(&shown, 1 << 20);
                        conf_show(conf, &shown);
                        if (!whole.len)
                                buf_add(&whole, buf_str(&shown));
                        assert_str(buf_str(&shown), buf_str(&whole));
                        assert_str(conf->routes[0].name, STR("app.example.com/"));
                        assert_str(conf->models[0].targets[1].model, STR("claude-sonnet-4-5"));
                        buf_fini(&shown);
                }
                conf_free(conf);
                report_fini(&report);
                if (!failed)
                        break;
        }
        buf_fini(&whole);
        assert_true(n > 10);
}

static void the_files_of_the_repository(void **state)
{
        const char *vectors = getenv("SEKISHO_VECTORS");
        char path[4096];

        if (vectors)
                snprintf(path, sizeof(path), "%s/../design/sekisho.example.json", vectors);
        else
                snprintf(path, sizeof(path), "%s/../shared/design/sekisho.example.json", root());
        FILE *f = fopen(path, "r");
        if (!f) {
                leave_out("the design's example is not here; its copy above was used");
                return;
        }
        static char text[1 << 16];
        size_t len = fread(text, 1, sizeof(text), f);
        fclose(f);
        struct fake fake;
        struct report report;
        struct conf *conf;

        fake_init(&fake, (struct str){ text, len });
        report_init(&report, STR_NULL);
        /* Everything but the two things this machine does not have. */
        assert_err(conf_load(&fake.source, &report, &conf), ERR_CONFIG);
        assert_int_equal(report.errors_count, 1);
        assert_true(warns(&report, "ANTHROPIC_API_KEY is not set"));
        report_fini(&report);
}

static void the_tailnets_certificate(void **state)
{
        static const struct {
                const char *why, *cert, *key;
                int64_t now;
                size_t count;
                const char *warning;
        } cases[] = {
                { "not there yet: all else can be served", NULL, NULL, FAKE_NOW, 0, NULL },
                { "there", pem_b_cert, pem_b_key, FAKE_NOW, 1, NULL },
                { "ended: nobody has another", pem_b_cert, pem_b_key, 4102444800000, 1, "has ended" },
                { "of another key", pem_b_cert, pem_a_key, FAKE_NOW, 0, "cannot be used" },
                { "a certificate alone", pem_b_cert, NULL, FAKE_NOW, 0, NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct fake fake;
                struct report report;
                struct conf *c;

                fake_init(
                        &fake,
                        STR("{\"gateway\": {\"auth\": false, \"listen\": [{\"address\": \"tailnet:443\", \"tls\": true}],"
                            " \"certificates\": [\"tailnet\"]}}"));
                fake.source.now = cases[i].now;
                fake.pair[0] = cases[i].cert;
                fake.pair[1] = cases[i].key;
                report_init(&report, STR_NULL);
                assert_err(conf_load(&fake.source, &report, &c), ERR_OK);
                if (c->gateway.certificates_count != cases[i].count ||
                    !c->gateway.tailnet.wants_certificate || !c->gateway.tailnet.is_used ||
                    c->gateway.listens_count != 2)
                        fail_msg("%s", cases[i].why);
                if (cases[i].warning)
                        assert_true(warns(&report, cases[i].warning));
                conf_free(c);
                report_fini(&report);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(defaults),
                cmocka_unit_test(the_example),
                cmocka_unit_test(a_key_for_both_sides_is_with_the_workers),
                cmocka_unit_test(the_predecessors_file),
                cmocka_unit_test(the_tailnets_certificate),
                cmocka_unit_test(paths_of_routes),
                cmocka_unit_test(urls_of_targets),
                cmocka_unit_test(secrets_from_files),
                cmocka_unit_test(a_plain_secret_in_an_open_file),
                cmocka_unit_test(priorities_of_models),
                cmocka_unit_test(listening_only_where_listed),
                cmocka_unit_test(name_servers_leave_the_rest_alone),
                cmocka_unit_test(the_version_follows_what_was_read),
                cmocka_unit_test(what_is_shown_is_masked),
                cmocka_unit_test(the_nth_allocation_fails),
                cmocka_unit_test(the_files_of_the_repository),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
