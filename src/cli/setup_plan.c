#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/out.h"
#include "cli/setup_priv.h"
#include "conf/conf.h"
#include "io/listener.h"
#include "json/writer.h"

static const char fresh[] = "// Written by 'sekisho setup'. All keys: sekisho config schema --markdown\n"
                            "{\n"
                            "  \"gateway\": {\n"
                            "    \"host\": \"127.0.0.1\",\n"
                            "    \"port\": 3000,\n"
                            "    \"apiTokens\": [\n"
                            "    ],\n"
                            "  },\n"
                            "  \"providers\": {\n"
                            "  },\n"
                            "}\n";

enum { VALUE_BYTES_MAX = 64 << 10, PORT = 3000, ADMIN_PORT = 9400, PORTS_TRIED = 50 };

void setup_note(struct setup *s, const char *format, ...)
{
        char text[512];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        if (s->notes_count < SETUP_NOTES_MAX)
                s->notes[s->notes_count++] = arena_copy(&s->arena, str_of(text));
}

/* ---- small steps ---- */

static enum err text_set(struct setup *s, const char *pointer, struct str text)
{
        struct buf value;
        struct json_writer w;

        buf_init(&value, VALUE_BYTES_MAX);
        json_writer_init(&w, &value, JSON_COMPACT);
        json_write_str(&w, text);
        json_writer_finish(&w);
        enum err e = value.full ? ERR_NO_MEMORY : edit_set(&s->edit, pointer, buf_str(&value));

        buf_fini(&value);
        return e;
}

static enum err text_append(struct setup *s, const char *pointer, struct str text)
{
        struct str value = arena_format(&s->arena, "\"%.*s\"", STR_FMT(text));

        return value.ptr ? edit_append(&s->edit, pointer, value) : ERR_NO_MEMORY;
}

static bool has_items(const struct setup *s, const char *pointer)
{
        const struct json_value *v = edit_find(&s->edit, pointer);

        return json_is(v, JSON_ARRAY) && v->count > 0;
}

static bool list_covers(const struct json_value *list, struct str prefix)
{
        struct ip_prefix wanted, have;

        if (ip_prefix_parse(prefix, &wanted) != ERR_OK || !json_is(list, JSON_ARRAY))
                return false;
        for (size_t i = 0; i < list->count; i++)
                if (ip_prefix_parse(json_str(&list->items[i]), &have) == ERR_OK &&
                    ip_prefix_covers(&have, &wanted))
                        return true;
        return false;
}

/* ---- where to listen ---- */

/* With its port, which may be left out. */
static bool listen_parse(struct setup *s, struct str text, struct listen_address *out)
{
        struct ip ip;

        if (ip_parse(text, &ip) == ERR_OK) {
                *out = (struct listen_address){ .ip = ip, .port = PORT };
                return true;
        }
        return listen_address_parse(text, out) == ERR_OK;
}

static enum err host_port_set(struct setup *s, struct ip ip, uint16_t port)
{
        char text[IP_TEXT_MAX], number[8];
        enum err e = text_set(s, "/gateway/host", ip_format(ip, text));

        snprintf(number, sizeof(number), "%u", port);
        return e == ERR_OK ? edit_set(&s->edit, "/gateway/port", str_of(number)) : e;
}

static bool address_covers(const struct listen_address *a, struct ip ip, uint16_t port)
{
        static const struct ip any_v4 = { .family = 4 }, any_v6 = { .family = 6 };

        if (a->port != port || a->ip.family == 0)
                return false;
        return ip_eq(a->ip, ip) || ip_eq(a->ip, any_v6) || (ip.family == 4 && ip_eq(a->ip, any_v4));
}

/* The address host:port of the file, or its default; false where only `listen` counts. */
static bool first_address(const struct setup *s, struct listen_address *out)
{
        const struct json_value *host = edit_find(&s->edit, "/gateway/host"),
                                *port = edit_find(&s->edit, "/gateway/port");
        uint64_t number = PORT;

        if (has_items(s, "/gateway/listen") && !json_is(host, JSON_STRING) && !json_is(port, JSON_NUMBER))
                return false;
        *out = (struct listen_address){ 0 };
        if (json_is(port, JSON_NUMBER) && json_get_uint64(port, &number) != ERR_OK)
                return false;
        out->port = (uint16_t)number;
        struct str text = json_is(host, JSON_STRING) ? json_str(host) : STR("127.0.0.1");

        return ip_parse(str_eq(text, STR("localhost")) ? STR("127.0.0.1") : text, &out->ip) == ERR_OK;
}

static bool is_listened_on(const struct setup *s, struct ip ip, uint16_t port)
{
        const struct json_value *list = edit_find(&s->edit, "/gateway/listen");
        struct listen_address a;

        if (first_address(s, &a) && address_covers(&a, ip, port))
                return true;
        for (size_t i = 0; json_is(list, JSON_ARRAY) && i < list->count; i++) {
                struct str text = json_str(&list->items[i]);

                if (!text.ptr)
                        text = json_str(json_find(&list->items[i], STR("address")));
                if (listen_address_parse(text, &a) == ERR_OK && address_covers(&a, ip, port))
                        return true;
        }
        return false;
}

/* One more address. Where host and port are only defaults they are written down first: with `listen` they would go. */
static enum err listen_append(struct setup *s, const struct listen_address *a)
{
        char text[LISTEN_ADDRESS_TEXT_MAX];
        struct listen_address first;
        enum err e = ERR_OK;

        if (!has_items(s, "/gateway/listen") && !edit_find(&s->edit, "/gateway/host") &&
            !edit_find(&s->edit, "/gateway/port") && first_address(s, &first))
                e = host_port_set(s, first.ip, first.port);
        if (e == ERR_OK)
                e = text_append(s, "/gateway/listen", listen_address_format(a, text));
        setup_note(s, "listens on %s", text);
        return e;
}

static enum err listen_option(struct setup *s, bool is_new)
{
        char text[LISTEN_ADDRESS_TEXT_MAX];
        struct listen_address a;

        if (!listen_parse(s, s->options->listen, &a)) {
                out_problem(
                        "--listen %.*s is no address; write it as 127.0.0.1:3000, [::1]:3000, :3000 or unix:/path",
                        STR_FMT(s->options->listen));
                return ERR_MALFORMED;
        }
        if (is_new && a.ip.family) {
                setup_note(s, "listens on %.*s", STR_FMT(listen_address_format(&a, text)));
                return host_port_set(s, a.ip, a.port);
        }
        if (a.ip.family && is_listened_on(s, a.ip, a.port))
                return ERR_OK;
        const struct json_value *list = edit_find(&s->edit, "/gateway/listen");

        listen_address_format(&a, text);
        for (size_t i = 0; json_is(list, JSON_ARRAY) && i < list->count; i++)
                if (str_eq(json_str(&list->items[i]), str_of(text)))
                        return ERR_OK;
        return listen_append(s, &a);
}

/* The tailnet's addresses of this machine, on the port of host:port. */
static enum err listen_tailnet(struct setup *s)
{
        const struct ip addresses[] = { s->tailnet.self.v4, s->tailnet.self.v6 };
        struct listen_address first, more = { .port = PORT };
        enum err e = ERR_OK;

        if (first_address(s, &first))
                more.port = first.port;
        for (size_t i = 0; i < ARRAY_SIZE(addresses) && e == ERR_OK; i++) {
                more.ip = addresses[i];
                if (more.ip.family && !is_listened_on(s, more.ip, more.port))
                        e = listen_append(s, &more);
        }
        return e;
}

static bool port_is_free(uint16_t port)
{
        struct listen_address a = { .ip = { 4, { 127, 0, 0, 1 } }, .port = port };
        int fd;

        if (listen_socket_open(&a, false, &fd) != ERR_OK)
                return false;
        close(fd);
        return true;
}

static uint16_t port_free_from(uint16_t port)
{
        for (int i = 0; i < PORTS_TRIED; i++)
                if (port_is_free((uint16_t)(port + i)))
                        return (uint16_t)(port + i);
        return port;
}

/* Whoever has the usual ports was there first: a file that never was in use goes round them. */
static enum err ports_plan(struct setup *s)
{
        bool is_free = s->options->admin.len > 0; /* somebody has looked */
        uint16_t port = port_free_from(PORT), admin = is_free ? ADMIN_PORT : port_free_from(ADMIN_PORT);
        char text[32];
        enum err e = ERR_OK;

        if (port != PORT && !s->options->listen.len) {
                setup_note(s, "uses port %u: %u is taken by another program", port, PORT);
                snprintf(text, sizeof(text), "%u", port);
                e = edit_set(&s->edit, "/gateway/port", str_of(text));
        }
        if (admin != ADMIN_PORT && e == ERR_OK) {
                setup_note(s, "uses port %u for metrics: %u is taken by another program", admin, ADMIN_PORT);
                snprintf(text, sizeof(text), "127.0.0.1:%u", admin);
                e = text_set(s, "/admin/listen", str_of(text));
        }
        return e;
}

static enum err listen_plan(struct setup *s, bool is_new)
{
        enum err e = s->edit.exists ? ERR_OK : ports_plan(s);

        if (e != ERR_OK)
                return e;
        if (s->options->listen.len)
                return listen_option(s, is_new);
        return s->tailnet.is_running ? listen_tailnet(s) : ERR_OK;
}

static enum err admin_plan(struct setup *s)
{
        const struct json_value *now = edit_find(&s->edit, "/admin/listen");

        if (!s->options->admin.len || str_eq(json_str(now), s->options->admin))
                return ERR_OK;
        setup_note(s, "serves metrics on %.*s", STR_FMT(s->options->admin));
        return text_set(s, "/admin/listen", s->options->admin);
}

/* ---- whom to admit ---- */

static enum err ips_append(struct setup *s, const struct str *prefixes, size_t count)
{
        enum err e = ERR_OK;

        for (size_t i = 0; i < count && e == ERR_OK; i++)
                if (!list_covers(edit_find(&s->edit, "/gateway/allowedIps"), prefixes[i]))
                        e = text_append(s, "/gateway/allowedIps", prefixes[i]);
        return e;
}

/* A list with anything but this machine in it is somebody's decision. */
static bool is_only_loopback(const struct json_value *list)
{
        struct ip_prefix p;

        for (size_t i = 0; i < list->count; i++)
                if (ip_prefix_parse(json_str(&list->items[i]), &p) != ERR_OK || !ip_is_loopback(p.ip))
                        return false;
        return true;
}

static enum err ips_plan(struct setup *s)
{
        static const struct str loopback[] = { STR_INIT("127.0.0.1"), STR_INIT("::1") };
        static const struct str tailnet[] = { STR_INIT(MESH_TAILNET_V4), STR_INIT(MESH_TAILNET_V6) };
        const struct json_value *list = edit_find(&s->edit, "/gateway/allowedIps");
        enum err e = ERR_OK;

        if (json_is(list, JSON_ARRAY) && list->count == 0) {
                setup_note(
                        s,
                        "gateway.allowedIps is an empty list: every address may call (a token is still asked for)");
                return ERR_OK;
        }
        if (!json_is(list, JSON_ARRAY)) {
                if ((e = ips_append(s, loopback, ARRAY_SIZE(loopback))) != ERR_OK)
                        return e;
                setup_note(s, "admits this machine (127.0.0.1, ::1)");
        }
        if (!s->tailnet.is_running)
                return ERR_OK;
        list = edit_find(&s->edit, "/gateway/allowedIps");
        if (is_only_loopback(list)) {
                setup_note(s, "admits the tailnet (%s, %s)", MESH_TAILNET_V4, MESH_TAILNET_V6);
                return ips_append(s, tailnet, ARRAY_SIZE(tailnet));
        }
        if (!list_covers(list, tailnet[0]) || !list_covers(list, tailnet[1]))
                setup_note(
                        s,
                        "gateway.allowedIps does not admit all of the tailnet (%s, %s); it was left as it is",
                        MESH_TAILNET_V4, MESH_TAILNET_V6);
        return ERR_OK;
}

/* ---- the token ---- */

static enum err token_plan(struct setup *s)
{
        const struct json_value *auth = edit_find(&s->edit, "/gateway/auth");
        char hash[TOKEN_HASH_TEXT_MAX];

        if (has_items(s, "/gateway/apiTokens"))
                return ERR_OK;
        if (json_is(auth, JSON_BOOL) && !auth->boolean) {
                setup_note(s, "gateway.auth is false: no token was made, and none is asked for");
                return ERR_OK;
        }
        s->token = token_text_make(s->token_text);
        struct str entry = arena_format(&s->arena, "{ \"name\": \"default\", \"sha256\": \"%s\" }",
                                        token_text_hash(s->token, hash).ptr);

        setup_note(s, "made a token, \"default\"; the file has its SHA-256 only");
        return entry.ptr ? edit_append(&s->edit, "/gateway/apiTokens", entry) : ERR_NO_MEMORY;
}

/* ---- providers ---- */

static const struct json_value *providers_of(const struct setup *s)
{
        const struct json_value *v = edit_find(&s->edit, "/providers");

        return json_is(v, JSON_OBJECT) ? v : NULL;
}

static struct str provider_url(const struct json_value *provider)
{
        struct str url = json_str(json_find(provider, STR("baseUrl")));

        return url.len ? url : json_str(json_find(provider, STR("apiBase")));
}

/* "http://127.0.0.1:11434/v1" and "http://localhost:11434" are the same server. */
static bool is_provided(const struct setup *s, uint16_t port)
{
        static const char *const hosts[] = { "127.0.0.1", "localhost", "[::1]" };
        const struct json_value *providers = providers_of(s);
        char prefix[64];

        for (size_t i = 0; providers && i < providers->count; i++)
                for (size_t j = 0; j < ARRAY_SIZE(hosts); j++) {
                        struct str url = provider_url(&providers->members[i].value);
                        int len = snprintf(prefix, sizeof(prefix), "http://%s:%u", hosts[j], port);
                        struct str rest = str_from(url, (size_t)len);

                        if (str_has_prefix(url, str_of(prefix)) && (rest.len == 0 || rest.ptr[0] == '/'))
                                return true;
                }
        return false;
}

/* The name, or the name with a number that is free. */
static struct str name_free(struct setup *s, struct str name)
{
        struct str found = name;

        for (int n = 2; json_find(providers_of(s), found) && found.ptr; n++)
                found = arena_format(&s->arena, "%.*s-%d", STR_FMT(name), n);
        return found;
}

static enum err server_add(struct setup *s, struct str wanted, struct str base_url, struct str dialects)
{
        struct str name = name_free(s, wanted);
        struct str pointer = arena_format(&s->arena, "/providers/%.*s", STR_FMT(name));
        struct str value = arena_format(&s->arena, "{ \"kind\": \"openai\", \"baseUrl\": \"%.*s\"%.*s }",
                                        STR_FMT(base_url), STR_FMT(dialects));

        return pointer.ptr && value.ptr ? edit_set(&s->edit, pointer.ptr, value) : ERR_NO_MEMORY;
}

static enum err servers_plan(struct setup *s)
{
        enum err e = ERR_OK;

        for (size_t i = 0; i < s->servers_count && e == ERR_OK; i++) {
                const struct server *p = &s->servers[i];

                if (is_provided(s, p->port) || is_listened_on(s, (struct ip){ 4, { 127, 0, 0, 1 } }, p->port))
                        continue;
                if (p->wants_key) {
                        setup_note(s, "something on 127.0.0.1:%u wants a key; add it to providers by hand",
                                   p->port);
                        continue;
                }
                e = server_add(s, p->name, p->base_url, STR(""));
                setup_note(s, "uses %.*s at %.*s (%zu model%s)", STR_FMT(p->title), STR_FMT(p->base_url),
                           p->models_count, p->models_count == 1 ? "" : "s");
        }
        return e;
}

/* A maker's key in the environment: named in the file, never written into it. */
static enum err key_plan(struct setup *s, const struct setup_maker *m)
{
        const struct json_value *provider = json_find(providers_of(s), m->name);
        const struct json_value *key = json_find(provider, STR("apiKey"));
        struct str pointer, value;

        if (json_is(key, JSON_OBJECT) || json_str(key).len)
                return ERR_OK;
        if (json_is(provider, JSON_OBJECT)) {
                pointer = arena_format(&s->arena, "/providers/%.*s/apiKey", STR_FMT(m->name));
                value = arena_format(&s->arena, "{ \"env\": \"%.*s\" }", STR_FMT(m->variable));
        } else {
                pointer = arena_format(&s->arena, "/providers/%.*s", STR_FMT(m->name));
                value = arena_format(&s->arena, "{ \"kind\": \"%.*s\", \"apiKey\": { \"env\": \"%.*s\" } }",
                                     STR_FMT(m->kind), STR_FMT(m->variable));
        }
        setup_note(s, "uses %.*s with the key in $%.*s, which the gateway must find in its environment, too",
                   STR_FMT(m->title), STR_FMT(m->variable));
        return pointer.ptr && value.ptr ? edit_set(&s->edit, pointer.ptr, value) : ERR_NO_MEMORY;
}

static enum err sample_plan(struct setup *s)
{
        const struct json_value *providers = providers_of(s);
        struct str url = s->options->sample, base;

        while (url.len && url.ptr[url.len - 1] == '/')
                url.len--;
        base = str_has_suffix(url, STR("/v1")) ? url : arena_format(&s->arena, "%.*s/v1", STR_FMT(url));
        for (size_t i = 0; providers && i < providers->count; i++)
                if (str_eq(provider_url(&providers->members[i].value), base))
                        return ERR_OK;
        setup_note(s,
                   "uses the bundled sample model server at %.*s; it runs no model, it only speaks like one",
                   STR_FMT(base));
        return server_add(s, STR("sample"), base, STR(", \"dialects\": [\"openai\", \"anthropic\"]"));
}

enum err setup_plan(struct setup *s)
{
        bool is_new = !s->edit.exists || s->options->force;
        enum err e = is_new ? edit_begin(&s->edit, STR(fresh)) : ERR_OK;

        if (e == ERR_OK)
                e = listen_plan(s, is_new);
        if (e == ERR_OK)
                e = admin_plan(s);
        if (e == ERR_OK)
                e = token_plan(s);
        if (e == ERR_OK)
                e = ips_plan(s);
        if (e == ERR_OK)
                e = servers_plan(s);
        for (size_t i = 0; i < SETUP_KEYS && e == ERR_OK; i++)
                if (s->has_key[i])
                        e = key_plan(s, &setup_makers[i]);
        if (e == ERR_OK && s->options->sample.len)
                e = sample_plan(s);
        return e;
}
