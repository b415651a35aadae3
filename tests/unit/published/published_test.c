#include "../test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/report.h"
#include "conf/conf.h"
#include "crypto/ed25519.h"
#include "crypto/random.h"
#include "crypto/sealedbox.h"
#include "crypto/text.h"
#include "published/published.h"
#include "json/reader.h"

static const uint8_t seed[32] = "thirty-two bytes of a known seed";
static char folder[64];
static const struct node_papers no_papers = { .id = "gw-a", .control = "https://c:8000" }, some_papers = {
        .id = "gw-a", .control = "https://c:8000", .certificate = "-"
};
#define NOW (INT64_C(1790000100) * 1000)

struct given {
        const char *section, *id, *json;
};

static struct wire_document *document_of(const struct given *items, size_t count, int64_t lease)
{
        struct wire_header h = { 1, WIRE_GATEWAY, STR("gw-a"), STR("default"), 1, 1, 1790000000, lease };
        struct wire_document *d;
        struct wire_draft *draft;

        assert_err(wire_draft_new(&h, &draft), ERR_OK);
        for (size_t i = 0; i < count; i++)
                assert_err(wire_draft_add_json(draft, str_of(items[i].section), str_of(items[i].id),
                                               str_of(items[i].json)),
                           ERR_OK);
        assert_err(wire_draft_finish(&draft, seed, &d), ERR_OK);
        return d;
}

/* The operator's file: nothing but that no tokens are asked for. */
static enum err file_read_fake(struct conf_source *s, enum conf_read_kind kind, struct str name,
                               struct conf_text *out)
{
        (void)s, (void)name;
        if (kind != CONF_READ_CONFIG)
                return ERR_NOT_FOUND;
        out->mode = 0600;
        buf_add(&out->bytes, STR("{\"gateway\":{\"auth\":false}}"));
        return ERR_OK;
}

/* The document, stored as a node would, and the configuration that comes of it. NULL: there were errors. */
static struct conf *load(struct wire_document *d, unix_ms now, struct published *p, bool is_gone)
{
        struct conf_source file = { .read = file_read_fake, .file = STR("/f.json"), .now = now };
        struct node_papers papers = {
                .kind = WIRE_GATEWAY, .id = "gw-a", .org = "default", .control = "https://c"
        };
        struct node_state state;
        struct conf *c = NULL;
        struct report r;
        const char *why = "";

        crypto_ed25519_public(seed, papers.document_key);
        if (is_gone)
                strcpy(papers.gone, "removed");
        assert_err(node_state_open(&state, folder, WIRE_GATEWAY, &why), ERR_OK);
        assert_err(node_state_save_papers(&state, &papers), ERR_OK);
        assert_err(node_state_document_store(&state, d), ERR_OK);
        node_state_close(&state);
        published_over(p, &file, str_of(folder), STR_NULL);
        report_init(&r, STR("/f.json"));
        enum err e = conf_load(&p->source, &r, &c);
        if (e != ERR_OK && r.entries_count)
                print_message("%.*s\n", STR_FMT(r.entries[0].text));
        report_fini(&r);
        return c;
}

static const struct given services[] = {
        { "services", "sv-a",
          "{\"name\":\"a\",\"kind\":\"http\",\"hosts\":[\"a.example\"],\"path\":\"/x\",\"access\":{\"kind\":\"public\"},"
          "\"targets\":[{\"id\":\"tg-1\",\"agent\":\"ag-1\",\"weight\":3},{\"id\":\"tg-2\",\"agent\":\"ag-2\"},"
          "{\"id\":\"../x\",\"agent\":\"ag-2\"}],"
          "\"settings\":{\"preserveHost\":true,\"balance\":\"round-robin\",\"upstream\":\"other\",\"access\":\"public\"}}" },
        { "services", "sv-b",
          "{\"name\":\"b\",\"kind\":\"http\",\"hosts\":[\"b.example\"],\"access\":{\"kind\":\"owner\",\"allowedIps\":"
          "[\"10.0.0.0/8\"]},\"targets\":[]}" },
        { "services", "sv-c",
          "{\"name\":\"c\",\"kind\":\"http\",\"hosts\":[\"c.example\"],\"access\":{\"kind\":\"new\"},\"targets\":[]}" },
        { "services", "sv-d",
          "{\"name\":\"d\",\"kind\":\"tcp\",\"listen\":[\"0.0.0.0:22\"],\"targets\":[]}" },
        { "services", "sv-e", "{\"name\":\"e\",\"kind\":\"http\",\"hosts\":[],\"targets\":[]}" },
        { "services", "sv-f",
          "{\"name\":\"f\",\"kind\":\"http\",\"hosts\":[\"f.example\"],\"access\":{\"kind\":\"token\"},\"targets\":[]}" },
};

#define TCP(listen, access)                                                         \
        "{\"name\":\"t\",\"kind\":\"tcp\",\"listen\":" listen ",\"access\":" access \
        ",\"targets\":[{\"id\":\"tg-1\",\"agent\":\"ag-1\"}],\"settings\":{}}"
#define TARGET ",\"targets\":[{\"id\":\"tg-1\",\"agent\":\"ag-1\"}]"
#define PASS(hosts, access, settings)                                                                       \
        "{\"kind\":\"passthrough\",\"hosts\":" hosts ",\"access\":" access ",\"settings\":" settings TARGET \
        "}"
#define PUBLIC "{\"kind\":\"public\",\"allowedIps\":[]}"

static const struct conf_route *route(const struct conf *c, const char *name)
{
        for (size_t i = 0; i < c->routes_count; i++)
                if (str_eq(c->routes[i].name, str_of(name)))
                        return &c->routes[i];
        return NULL;
}

#define MODELS(access)                                                                                \
        "{\"name\":\"m\",\"kind\":\"llm\",\"hosts\":[],\"access\":" access                            \
        ",\"targets\":[{\"id\":\"tg-1\",\"agent\":\"ag-1\",\"models\":[\"small\"]},{\"id\":\"tg-2\"," \
        "\"agent\":\"ag-2\"},{\"id\":\"../x\",\"agent\":\"ag-2\"}],\"settings\":{}}"
#define BY_KEY "{\"kind\":\"token\",\"allowedIps\":[]}"

/* A box is a provider; who may use it is said by keys alone. */
static void models_become_providers(void **state)
{
        static const struct {
                const char *why, *json;
                int64_t lease;
                size_t providers;
        } rows[] = {
                { "for keys", MODELS(BY_KEY), 1000, 2 },
                { "for everybody: not so", MODELS(PUBLIC), 1000, 0 },
                { "an access we do not know", MODELS("{\"kind\":\"new\"}"), 1000, 0 },
                { "addresses we would not look at",
                  MODELS("{\"kind\":\"token\",\"allowedIps\":[\"10.0.0.0/8\"]}"), 1000, 0 },
                { "the lease is over", MODELS(BY_KEY), 50, 0 },
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct given items[] = {
                        { "services", "sv-m", rows[i].json },
                        { "tokens", "ak-1",
                          "{\"name\":\"k\",\"sha256\":\"0000000000000000000000000000000000000000000000000000000000000001\","
                          "\"scopes\":[\"models\"],\"expires\":0}" },
                };
                struct wire_document *d = document_of(items, ARRAY_SIZE(items), rows[i].lease);
                struct published p;
                struct conf *c = load(d, NOW, &p, false);

                assert_non_null(c);
                if (c->providers_count != rows[i].providers || c->upstreams_count || c->routes_count)
                        fail_msg("%s: %zu providers", rows[i].why, c->providers_count);
                if (rows[i].lease > 50)
                        assert_int_equal(c->gateway.tokens[0].scopes, CONF_SCOPE_LLM);
                if (rows[i].providers) {
                        const struct conf_provider *one = &c->providers[0];

                        assert_str(one->name, STR("tg-1"));
                        assert_int_equal(one->base_url.scheme, CONF_LINK);
                        assert_str(one->base_url.host, STR("ag-1"));
                        assert_str(one->base_url.path, STR("tg-1"));
                        assert_true(one->is_published && one->finds_dialects);
                        assert_int_equal(one->models.count, 1);
                        assert_int_equal(c->providers[1].models.count, 0);
                }
                conf_free(c);
                published_fini(&p);
                wire_document_put(d);
        }
}

#define CONTROL(more)                                                                           \
        "{\"name\":\"api\",\"kind\":\"http\",\"hosts\":[\"api.example\"],\"path\":\"/api\","    \
        "\"access\":{\"kind\":\"public\"},\"targets\":[{\"id\":\"tg-1\",\"control\":true}" more \
        "],\"settings\":{\"rateLimit\":\"5/s\"}}"

/* What leads to control is dialled by the gateway itself, wherever control is, under its own name and by its own authority. */
static void control_is_dialled(void **state)
{
        static const struct given items[] = {
                { "controls", "ct-1", "{\"url\":\"https://c2.example:8000\"}" },
                { "controls", "ct-2", "{\"url\":\"https://c:8000\"}" },
                { "services", "sv-a", CONTROL("") },
                { "services", "sv-b", CONTROL(",{\"id\":\"tg-2\",\"agent\":\"ag-1\"}") },
                { "services", "sv-t",
                  "{\"name\":\"t\",\"kind\":\"tcp\",\"listen\":[\"0.0.0.0:22\"],\"access\":{\"kind\":\"public\"},"
                  "\"targets\":[{\"id\":\"tg-1\",\"control\":true}]}" },
                { "self", "gw-a", "{\"voucher\":\"00aa\"}" },
        };
        struct wire_document *d = document_of(items, ARRAY_SIZE(items), 1000);
        struct buf text;
        size_t unusable;

        buf_init(&text, 1 << 20);
        assert_err(published_text(d, &no_papers, NOW, &text, &unusable), ERR_OK);
        struct arena a;
        const struct json_value *root;
        arena_init(&a, NULL, 0, 1 << 20);
        assert_err(json_read_strict(&a, buf_str(&text), NULL, &root), ERR_OK);
        const struct json_value *upstreams = json_find(root, STR("upstreams")),
                                *u = json_find(upstreams, STR("sv-a")),
                                *targets = json_find(u, STR("targets")),
                                *r = json_item(json_find(root, STR("routes")), 0);
        assert_int_equal(targets->count, 2); /* where it joined, and the other; not the first twice */
        assert_str(json_str(json_item(targets, 0)), STR("https://c:8000"));
        assert_str(json_str(json_item(targets, 1)), STR("https://c2.example:8000"));
        assert_str(json_str(json_find(json_find(u, STR("tls")), STR("serverName"))),
                   STR("callers.sekisho.internal"));
        assert_str(json_str(json_find(json_find(u, STR("tls")), STR("ca"))),
                   STR("/sekisho.published/authority.pem"));
        assert_str(json_str(json_find(r, STR("upstream"))), STR("sv-a"));
        assert_str(json_str(json_find(r, STR("path"))), STR("/api/*"));
        assert_str(json_str(json_find(r, STR("rateLimit"))), STR("5/s"));
        assert_false(json_find(r, STR("preserveHost"))->boolean);
        /* with something beside it, or of another kind, it is no such service */
        assert_int_equal(json_find(json_find(upstreams, STR("sv-b")), STR("targets"))->count, 1);
        assert_null(json_find(upstreams, STR("sv-t")));
        assert_int_equal(json_find(json_find(root, STR("gateway")), STR("listen"))->count, 0);
        arena_fini(&a);
        buf_fini(&text);
        wire_document_put(d);
}

static void the_word_for_callers_is_read(void **state)
{
        static const struct {
                const char *why, *self, *text;
        } rows[] = {
                { "as control gave it", "{\"voucher\":\"00aa\"}", "gw-a:00aa" },
                { "an older control gives none", "{\"address4\":\"100.64.0.1\"}", "-" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct given items[] = { { "self", "gw-a", rows[i].self } };
                struct wire_document *d = document_of(items, 1, 1000);
                struct conf_text out = { 0 };
                struct published p;
                struct conf *c = load(d, NOW, &p, false);

                print_message("%s\n", rows[i].why);
                buf_init(&out.bytes, 1024);
                assert_err(
                        p.source.read(&p.source, CONF_READ_SECRET, STR("/sekisho.published/voucher"), &out),
                        ERR_OK);
                assert_str(buf_str(&out.bytes), str_of(rows[i].text));
                assert_int_equal(out.mode, 0600);
                buf_fini(&out.bytes);
                conf_free(c);
                published_fini(&p);
                wire_document_put(d);
        }
}

static void services_become_routes(void **state)
{
        struct wire_document *d = document_of(services, ARRAY_SIZE(services), 1000);
        struct published p;
        struct conf *c = load(d, NOW, &p, false);
        (void)state;

        assert_non_null(c);
        const struct conf_route *a = route(c, "sv-a"), *b = route(c, "sv-b");
        assert_int_equal(a->action, CONF_TO_UPSTREAM);
        assert_int_equal(a->path_kind, CONF_PATH_PREFIX);
        assert_str(a->path, STR("/x"));
        assert_true(a->preserve_host);
        assert_int_equal(a->upstream->targets_count, 2); /* what is no id is no target */
        assert_str(a->upstream->targets[0].url.text, STR("link://ag-1/tg-1"));
        assert_int_equal(a->upstream->targets[0].weight, 3);
        assert_int_equal(a->upstream->balance, CONF_ROUND_ROBIN);
        assert_str(a->upstream->name, STR("sv-a")); /* settings do not say where it goes */
        assert_int_equal(b->action, CONF_RESPOND);
        assert_int_equal(b->access.allowed_ips.count, 1);
        assert_non_null(route(c, "sv-c"));
        assert_non_null(route(c, "sv-f"));
        assert_null(route(c, "sv-d")); /* not yet */
        assert_null(route(c, "sv-e")); /* no host: it would catch everything */
        conf_free(c);
        published_fini(&p);
        wire_document_put(d);
}

static void who_may_use_it(void **state)
{
        struct wire_document *d = document_of(services, ARRAY_SIZE(services), 1000);
        struct buf text;
        size_t unusable;
        (void)state;

        buf_init(&text, 1 << 20);
        assert_err(published_text(d, &no_papers, NOW, &text, &unusable), ERR_OK);
        assert_int_equal(unusable, 2);
        static const struct {
                const char *name, *scope;
        } wanted[] = { { "sv-a", "public" }, { "sv-b", "admin" }, { "sv-c", "admin" }, { "sv-f", "proxy" } };
        for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
                char name[64], scope[64];
                snprintf(name, sizeof(name), "\"name\": \"%s\"", wanted[i].name);
                snprintf(scope, sizeof(scope), "\"token\": \"%s\"", wanted[i].scope);
                size_t at = str_find(buf_str(&text), str_of(name));
                assert_true(at != STR_NONE);
                struct str rest = str_from(buf_str(&text), at);
                size_t found = str_find(rest, STR("\"token\": "));
                if (!str_has_prefix(str_from(rest, found), str_of(scope)))
                        fail_msg("%s: %.*s", wanted[i].name, 40, str_from(rest, found).ptr);
        }
        buf_fini(&text);
        wire_document_put(d);
}

/* The first agent dials as soon as it knows of the gateway: by then it is awaited, by name or not yet. */
static void agents_are_awaited_before_there_are_any(void **state)
{
        static const struct given agent = { "agents", "ag-1", "{\"identity\":\"00\"}" };
        static const struct {
                const char *why;
                size_t agents;
                bool has_papers, over, takes;
        } cases[] = {
                { "none yet", 0, true, false, true },
                { "none, and nothing to show who we are", 0, false, false, false },
                { "one", 1, true, false, true },
                { "what was published is no longer good", 1, true, true, false },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct wire_document *d = document_of(&agent, cases[i].agents, 1000);
                struct buf text;
                size_t unusable;

                buf_init(&text, 1 << 20);
                assert_err(published_text(d, cases[i].has_papers ? &some_papers : &no_papers,
                                          cases[i].over ? NOW + 2000 * 1000 : NOW, &text, &unusable),
                           ERR_OK);
                if ((str_find(buf_str(&text), STR("\"links\"")) != STR_NONE) != cases[i].takes)
                        fail_msg("%s: %.*s", cases[i].why, STR_FMT(buf_str(&text)));
                buf_fini(&text);
                wire_document_put(d);
        }
}

static void raw_tcp_becomes_listeners(void **state)
{
        static const struct {
                const char *why, *json;
                size_t listeners, unusable, allowed;
        } cases[] = {
                { "one address", TCP("[\"0.0.0.0:2222\"]", PUBLIC), 1, 0, 0 },
                { "several, of both families", TCP("[\"127.0.0.1:22\",\"[::1]:22\",\":23\"]", PUBLIC), 3, 0,
                  0 },
                { "the rule of addresses goes along",
                  TCP("[\"0.0.0.0:22\"]", "{\"kind\":\"public\",\"allowedIps\":[\"10.0.0.0/8\",\"::1\"]}"), 1,
                  0, 2 },
                { "bytes bring no token", TCP("[\"0.0.0.0:22\"]", "{\"kind\":\"token\",\"allowedIps\":[]}"),
                  0, 1, 0 },
                { "nor say who they are", TCP("[\"0.0.0.0:22\"]", "{\"kind\":\"owner\",\"allowedIps\":[]}"),
                  0, 1, 0 },
                { "a kind of access we do not know", TCP("[\"0.0.0.0:22\"]", "{\"kind\":\"new\"}"), 0, 1, 0 },
                { "no word of it", TCP("[\"0.0.0.0:22\"]", "{}"), 0, 1, 0 },
                { "a rule that cannot be read is not none",
                  TCP("[\"0.0.0.0:22\"]", "{\"kind\":\"public\",\"allowedIps\":\"10.0.0.0/8\"}"), 0, 1, 0 },
                { "a range to one port", TCP("[\"0.0.0.0:2000-2010\"]", PUBLIC), 11, 0, 0 },
                { "a range that is none", TCP("[\"0.0.0.0:2010-2000\"]", PUBLIC), 0, 1, 0 },
                { "more than a range may have", TCP("[\"0.0.0.0:2000-2128\"]", PUBLIC), 0, 1, 0 },
                { "no address", TCP("[]", PUBLIC), 0, 1, 0 },
                { "a file of this machine", TCP("[\"unix:/tmp/x\"]", PUBLIC), 0, 1, 0 },
                { "the service manager's", TCP("[\"systemd:web\"]", PUBLIC), 0, 1, 0 },
                { "any port", TCP("[\"0.0.0.0:0\"]", PUBLIC), 0, 1, 0 },
                { "no text", TCP("[22]", PUBLIC), 0, 1, 0 },
                { "no target yet: closed, and nothing to complain of",
                  "{\"kind\":\"tcp\",\"listen\":[\"0.0.0.0:22\"],\"access\":" PUBLIC ",\"targets\":[]}", 0, 0,
                  0 },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct given item = { "services", "sv-t", cases[i].json };
                struct wire_document *d = document_of(&item, 1, 1000);
                struct published p;
                struct conf *c = load(d, NOW, &p, false);
                size_t unusable, found = 0;
                struct buf text;

                if (!c)
                        fail_msg("%s: refused", cases[i].why);
                for (size_t n = 0; n < c->gateway.listens_count; n++) {
                        const struct conf_listen *listen = &c->gateway.listens[n];
                        if (!listen->is_published)
                                continue;
                        found++;
                        assert_str(listen->upstream->name, STR("sv-t"));
                        assert_str(listen->upstream->targets[0].url.text, STR("link://ag-1/tg-1"));
                        assert_int_equal(listen->rules.allowed_ips.count, cases[i].allowed);
                        assert_false(listen->is_tls);
                }
                buf_init(&text, 1 << 20);
                assert_err(published_text(d, &no_papers, NOW, &text, &unusable), ERR_OK);
                if (found != cases[i].listeners || unusable != cases[i].unusable)
                        fail_msg("%s: %zu listeners, %zu unusable", cases[i].why, found, unusable);
                assert_int_equal(c->gateway.listens_count, found + 1); /* the file's default stays */
                assert_int_equal(c->routes_count, 0);
                buf_fini(&text);
                conf_free(c);
                published_fini(&p);
                c = load(d, NOW + 1000 * 1000, &p, false); /* the lease is over: the port is closed */
                assert_int_equal(c->gateway.listens_count, 1);
                conf_free(c);
                published_fini(&p);
                wire_document_put(d);
        }
}

/* What is listened on and where each goes: "address upstream target". */
static void ranges_and_datagrams(void **state)
{
#define RANGE(kind, listen, ports)                                                              \
        "{\"kind\":\"" kind "\",\"listen\":[" listen "],\"access\":" PUBLIC ",\"settings\":{}," \
        "\"targets\":[{\"id\":\"tg-1\",\"agent\":\"ag-1\"" ports "}]}"
        static const struct {
                const char *why, *json, *listens;
                size_t unusable;
        } cases[] = {
                { "datagrams", RANGE("udp", "\"0.0.0.0:53\",\"[::]:53\"", ""),
                  "udp:0.0.0.0:53 sv-t link://ag-1/tg-1|udp:[::]:53 sv-t link://ag-1/tg-1|", 0 },
                { "of both families in one socket", RANGE("udp", "\":53\"", ""), "", 1 },
                { "beside bytes of the same port", RANGE("udp", "\"127.0.0.1:3000\"", ""),
                  "udp:127.0.0.1:3000 sv-t link://ag-1/tg-1|", 0 },
                { "a range to a range", RANGE("tcp", "\"0.0.0.0:70-71\"", ",\"ports\":2"),
                  "0.0.0.0:70 sv-t-0 link://ag-1/tg-1-0|0.0.0.0:71 sv-t-1 link://ag-1/tg-1-1|", 0 },
                { "of datagrams", RANGE("udp", "\"0.0.0.0:70-71\"", ",\"ports\":2"),
                  "udp:0.0.0.0:70 sv-t-0 link://ag-1/tg-1-0|udp:0.0.0.0:71 sv-t-1 link://ag-1/tg-1-1|", 0 },
                { "of other lengths", RANGE("tcp", "\"0.0.0.0:70-72\"", ",\"ports\":2"), "", 1 },
                { "one port to a range", RANGE("tcp", "\"0.0.0.0:70\"", ",\"ports\":2"), "", 1 },
                { "a range of more than there may be",
                  RANGE("tcp", "\"0.0.0.0:70-71\"", ",\"ports\":1000000"), "", 1 },
                { "no number", RANGE("tcp", "\"0.0.0.0:70-71\"", ",\"ports\":\"2\""), "", 1 },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct given item = { "services", "sv-t", cases[i].json };
                struct wire_document *d = document_of(&item, 1, 1000);
                char address[LISTEN_ADDRESS_TEXT_MAX];
                struct published p;
                struct conf *c = load(d, NOW, &p, false);
                struct buf got, text;
                size_t unusable;

                if (!c)
                        fail_msg("%s: refused", cases[i].why);
                buf_init(&got, 1 << 16);
                for (size_t n = 0; n < c->gateway.listens_count; n++) {
                        const struct conf_listen *l = &c->gateway.listens[n];
                        if (l->is_published)
                                buf_addf(&got, "%s %.*s %.*s|",
                                         listen_address_format(&l->address, address).ptr,
                                         STR_FMT(l->upstream->name),
                                         STR_FMT(l->upstream->targets[0].url.text));
                }
                buf_init(&text, 1 << 20);
                assert_err(published_text(d, &no_papers, NOW, &text, &unusable), ERR_OK);
                if (!str_eq(buf_str(&got), str_of(cases[i].listens)) || unusable != cases[i].unusable)
                        fail_msg("%s: %.*s, %zu", cases[i].why, STR_FMT(buf_str(&got)), unusable);
                buf_fini(&text);
                buf_fini(&got);
                conf_free(c);
                published_fini(&p);
                wire_document_put(d);
        }
}

static void tls_that_is_passed_on(void **state)
{
        static const struct {
                const char *why, *json;
                size_t names, unusable, allowed, denied, streams;
        } cases[] = {
                { "two names", PASS("[\"a.example\",\"*.b.example\"]", PUBLIC, "{}"), 2, 0, 0, 0, 0 },
                { "with its rules",
                  PASS("[\"a.example\"]",
                       "{\"kind\":\"public\",\"allowedIps\":[\"10.0.0.0/8\"],\"deniedIps\":[\"10.1.0.0/16\",\"::1\"]}",
                       "{\"maxConnections\":7,\"rateLimit\":\"5/s\",\"idleTimeout\":\"9s\"}"),
                  1, 0, 1, 2, 7 },
                { "bytes bring no token", PASS("[\"a.example\"]", "{\"kind\":\"token\"}", "{}"), 0, 1, 0, 0,
                  0 },
                { "no name", PASS("[]", PUBLIC, "{}"), 0, 1, 0, 0, 0 },
                { "no names at all", "{\"kind\":\"passthrough\",\"access\":" PUBLIC TARGET "}", 0, 1, 0, 0,
                  0 },
                { "no target yet: it ends here",
                  "{\"kind\":\"passthrough\",\"hosts\":[\"a.example\"],\"access\":" PUBLIC "}", 0, 0, 0, 0,
                  0 },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct given item = { "services", "sv-t", cases[i].json };
                struct wire_document *d = document_of(&item, 1, 1000);
                struct published p;
                struct conf *c = load(d, NOW, &p, false);
                const struct conf_pass *pass;
                size_t unusable;
                struct buf text;

                if (!c)
                        fail_msg("%s: refused", cases[i].why);
                buf_init(&text, 1 << 20);
                assert_err(published_text(d, &no_papers, NOW, &text, &unusable), ERR_OK);
                buf_fini(&text);
                pass = c->gateway.passes_count ? &c->gateway.passes[0] : NULL;
                if ((pass ? pass->hosts.count : 0) != cases[i].names || unusable != cases[i].unusable)
                        fail_msg("%s: %zu unusable", cases[i].why, unusable);
                if (pass) {
                        assert_str(pass->upstream->targets[0].url.text, STR("link://ag-1/tg-1"));
                        assert_int_equal(pass->rules.allowed_ips.count, cases[i].allowed);
                        assert_int_equal(pass->rules.denied_ips.count, cases[i].denied);
                        assert_int_equal(pass->rules.streams_max, cases[i].streams);
                }
                if (cases[i].streams)
                        assert_int_equal(pass->rules.idle, 9000);
                conf_free(c);
                published_fini(&p);
                c = load(d, NOW + 1000 * 1000, &p, false); /* the lease is over */
                assert_int_equal(c->gateway.passes_count, 0);
                conf_free(c);
                published_fini(&p);
                wire_document_put(d);
        }
}

static void a_lease_that_is_over(void **state)
{
        struct wire_document *d = document_of(services, ARRAY_SIZE(services), 100);
        struct published p;
        struct conf *c = load(d, NOW + 999, &p, false); /* its last second */
        (void)state;

        assert_int_equal(route(c, "sv-a")->action, CONF_TO_UPSTREAM);
        conf_free(c);
        published_fini(&p);
        c = load(d, NOW + 1000, &p, false);
        assert_int_equal(route(c, "sv-a")->action, CONF_RESPOND);
        assert_int_equal(route(c, "sv-a")->status, 503);
        assert_true(str_find(route(c, "sv-a")->body, STR("lease_expired")) != STR_NONE);
        assert_int_equal(c->upstreams_count, 0);
        conf_free(c);
        published_fini(&p);
        wire_document_put(d);
}

static void who_is_gone_serves_nothing_of_it(void **state)
{
        struct wire_document *d = document_of(services, ARRAY_SIZE(services), 1000);
        struct published p;
        struct conf *c = load(d, NOW, &p, true);
        (void)state;

        assert_int_equal(c->routes_count, 0);
        assert_false(published_is_on(&p));
        conf_free(c);
        published_fini(&p);
        wire_document_put(d);
}

/* Control's store has a box only; this machine's seal key opens it. */
static void keys_are_opened_here(void **state)
{
        static const char secret[] = "-----BEGIN PRIVATE KEY-----\nstory\n-----END PRIVATE KEY-----\n";
        uint8_t box[sizeof(secret) + CRYPTO_SEALEDBOX_OVERHEAD];
        char box_text[CRYPTO_BASE64_SIZE(sizeof(box))], json[1024];
        struct conf_text text = { 0 };
        struct node_state s;
        struct published p;
        const char *why = "";
        (void)state;

        assert_err(node_state_open(&s, folder, WIRE_GATEWAY, &why), ERR_OK);
        assert_err(crypto_sealedbox_seal(s.seal_public, STR(secret), box), ERR_OK);
        node_state_close(&s);
        crypto_base64_format((struct str){ (char *)box, sizeof(secret) - 1 + CRYPTO_SEALEDBOX_OVERHEAD },
                             box_text);
        snprintf(json, sizeof(json), "{\"hosts\":[\"a.example\"],\"chain\":\"CHAIN\",\"key\":\"%s\"}",
                 box_text);
        const struct given items[] = { { "certificates", "ct-a", json },
                                       { "certificates", "ct-b", "{\"chain\":\"CHAIN\",\"key\":\"AAAA\"}" } };
        struct wire_document *d = document_of(items, 2, 1000);
        assert_null(load(d, NOW, &p, false)); /* CHAIN is no certificate */
        buf_init_secret(&text.bytes, 4096);
        assert_err(p.source.read(&p.source, CONF_READ_KEY, STR(PUBLISHED_FOLDER "ct-a.key"), &text), ERR_OK);
        assert_str(buf_str(&text.bytes), STR(secret));
        buf_clear(&text.bytes);
        assert_err(p.source.read(&p.source, CONF_READ_FILE, STR(PUBLISHED_FOLDER "ct-a.crt"), &text), ERR_OK);
        assert_str(buf_str(&text.bytes), STR("CHAIN"));
        buf_clear(&text.bytes);
        assert_err(p.source.read(&p.source, CONF_READ_KEY, STR(PUBLISHED_FOLDER "ct-b.key"), &text),
                   ERR_MALFORMED);
        assert_err(p.source.read(&p.source, CONF_READ_KEY, STR(PUBLISHED_FOLDER "ct-c.key"), &text),
                   ERR_NOT_FOUND);
        assert_err(p.source.read(&p.source, CONF_READ_KEY, STR(PUBLISHED_FOLDER "../node.json"), &text),
                   ERR_NOT_FOUND);
        buf_wipe(&text.bytes);
        published_fini(&p);
        wire_document_put(d);
}

static int make_folder(void **state)
{
        (void)state;
        snprintf(folder, sizeof(folder), "/tmp/sekisho-published-XXXXXX");
        return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
        static const char *const files[] = {
                "identity.key", "seal.key", "tunnel.key", "node.json", "document.json", "lock", ""
        };
        char path[256];
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                snprintf(path, sizeof(path), "%s/gateway/%s", folder, files[i]);
                if (remove(path) != 0)
                        return -1;
        }
        return rmdir(folder);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
        const struct CMUnitTest tests[] = {
                T(services_become_routes),
                T(models_become_providers),
                cmocka_unit_test(control_is_dialled),
                T(the_word_for_callers_is_read),
                cmocka_unit_test(who_may_use_it),
                cmocka_unit_test(agents_are_awaited_before_there_are_any),
                T(a_lease_that_is_over),
                T(who_is_gone_serves_nothing_of_it),
                T(keys_are_opened_here),
                T(raw_tcp_becomes_listeners),
                T(tls_that_is_passed_on),
                T(ranges_and_datagrams),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
