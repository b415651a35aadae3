#include "cli/setup_serve.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/load.h"
#include "cli/out.h"
#include "cli/tailnet.h"
#include "mesh/localapi.h"
#include "json/patch.h"
#include "json/writer.h"

enum { ANSWER_MS = 5000, CONFIG_BYTES_MAX = 4 << 20, CHANGES_MAX = 4 };

struct serving {
        const struct serve_options *options;
        struct arena arena;
        struct str socket, name; /* ours in the tailnet */
        uint16_t port;           /* of our plain listener on loopback */
        char etag[MESH_LOCALAPI_ETAG_MAX + 1];
        struct buf before, after;
        struct str changes[CHANGES_MAX];
        size_t changes_count;
};

static const struct json_options options = { .duplicates_allowed = true };

/* ---- what there is ---- */

static enum exit_code failed(const char *what, enum err e)
{
        if (e == ERR_DENIED)
                out_problem(
                        "%s: tailscaled lets root and its operator do this; use sudo, or once: sudo tailscale set --operator=$USER",
                        what);
        else if (e == ERR_STALE)
                out_problem("%s: somebody changed it meanwhile; run this again", what);
        else
                out_problem("%s: %s", what, err_text(e));
        return e == ERR_DENIED ? EXIT_DENIED : e == ERR_STALE ? EXIT_CONFLICT : EXIT_UNAVAILABLE;
}

static enum err call(struct serving *s, struct str method, struct str path, struct str body,
                     struct mesh_localapi *c)
{
        const struct mesh_localapi_request r = { .socket = s->socket,
                                                 .method = method,
                                                 .path = path,
                                                 .if_match = body.len ? str_of(s->etag) : STR(""),
                                                 .body = body,
                                                 .bytes_max = CONFIG_BYTES_MAX,
                                                 .timeout_ms = ANSWER_MS };
        enum err e = mesh_localapi_ask(c, &r);

        return e == ERR_OK ? mesh_localapi_err(c->status) : e;
}

static enum exit_code name_find(struct serving *s)
{
        struct mesh_tailnet_status status;
        enum err e = tailnet_find(s->socket, false, &s->arena, &status);

        if (e != ERR_OK)
                return failed("tailscaled", e);
        if (!status.is_running || status.self.name.len == 0) {
                out_problem(
                        "tailscaled is here, but not connected (%.*s): run 'tailscale up', then this again",
                        STR_FMT(status.state));
                return EXIT_UNAVAILABLE;
        }
        s->name = status.self.name;
        return EXIT_OK;
}

static enum exit_code port_find(struct serving *s)
{
        struct loaded l;
        enum err e = loaded_init_lenient(&l, s->options->config);

        for (size_t i = 0; e == ERR_OK && i < l.conf->gateway.listens_count && !s->port; i++) {
                const struct conf_listen *p = &l.conf->gateway.listens[i];
                bool is_near = ip_is_loopback(p->address.ip) ||
                               ip_eq(p->address.ip, (struct ip){ .family = 4 }) ||
                               ip_eq(p->address.ip, (struct ip){ .family = 6 });

                if (is_near && p->address.ip.family && !p->is_tls && !p->upstream && !p->redirects_to_https &&
                    !p->takes_proxy_protocol)
                        s->port = p->address.port;
        }
        if (e != ERR_OK)
                out_report(&l.report);
        else if (!s->port)
                out_problem(
                        "the gateway listens nowhere on 127.0.0.1 without TLS; add a listener for Serve to gateway.listen");
        loaded_fini(&l);
        return e == ERR_OK && s->port ? EXIT_OK : EXIT_WRONG;
}

static enum exit_code config_get(struct serving *s)
{
        struct mesh_localapi c;
        enum err e = call(s, STR("GET"), STR("/localapi/v0/serve-config"), STR_NULL, &c);
        struct str text = str_trim(buf_str(&c.body));

        while (text.len && isspace((unsigned char)text.ptr[text.len - 1]))
                text.len--;
        buf_add(&s->before, text.len == 0 || str_eq(text, STR("null")) ? STR("{}") : text);
        memcpy(s->etag, c.etag, sizeof(s->etag));
        mesh_localapi_fini(&c);
        if (e == ERR_OK && !s->etag[0])
                e = ERR_UNSUPPORTED; /* without it what others write meanwhile would be lost */
        return e == ERR_OK ? EXIT_OK : failed("tailscaled's Serve configuration", e);
}

/* ---- what there is to be ---- */

static enum err set(struct serving *s, struct str pointer, struct str value)
{
        struct buf next;
        enum err e;

        buf_init(&next, CONFIG_BYTES_MAX);
        e = json_patch_set(buf_str(&s->after), &options, pointer, value, &next, NULL);
        if (e != ERR_OK) {
                buf_fini(&next);
                return e;
        }
        buf_fini(&s->after);
        s->after = next;
        return ERR_OK;
}

static void change_add(struct serving *s, struct str text)
{
        if (s->changes_count < CHANGES_MAX)
                s->changes[s->changes_count++] = text;
}

static enum exit_code plan(struct serving *s)
{
        struct arena *a = &s->arena;
        const struct json_value *root, *tcp, *web;
        struct str host = arena_format(a, "%.*s:443", STR_FMT(s->name));
        struct str proxy = arena_format(a, "http://127.0.0.1:%u", s->port);
        enum err e = json_read(a, buf_str(&s->before), &options, NULL, &root);

        if (e != ERR_OK)
                return failed("tailscaled's Serve configuration", e);
        tcp = json_find(json_find(root, STR("TCP")), STR("443"));
        web = json_find(json_find(json_find(json_find(root, STR("Web")), host), STR("Handlers")), STR("/"));
        buf_add(&s->after, buf_str(&s->before));
        if (tcp && !json_bool(json_find(tcp, STR("HTTPS")), false)) {
                out_problem(
                        "port 443 of %.*s is forwarded by Serve already, not as HTTPS; stop that first: tailscale serve --tcp=443 off",
                        STR_FMT(s->name));
                return EXIT_CONFLICT;
        }
        if (!tcp) {
                e = set(s, STR("/TCP/443"), STR("{\"HTTPS\": true}"));
                change_add(s, arena_format(a, "+ HTTPS on port 443 of %.*s", STR_FMT(s->name)));
        }
        if (e == ERR_OK && !str_eq(json_str(json_find(web, STR("Proxy"))), proxy)) {
                if (web)
                        change_add(s, arena_format(a, "- https://%.*s/ -> %.*s", STR_FMT(s->name),
                                                   STR_FMT(web->raw)));
                change_add(s, arena_format(a, "+ https://%.*s/ -> %.*s", STR_FMT(s->name), STR_FMT(proxy)));
                e = set(s, arena_format(a, "/Web/%.*s/Handlers/~1", STR_FMT(host)),
                        arena_format(a, "{\"Proxy\": \"%.*s\"}", STR_FMT(proxy)));
        }
        if (e == ERR_OK && s->options->funnel &&
            !json_bool(json_find(json_find(root, STR("AllowFunnel")), host), false)) {
                change_add(s, arena_format(a, "+ Funnel: everybody on the internet reaches https://%.*s/",
                                           STR_FMT(s->name)));
                e = set(s, arena_format(a, "/AllowFunnel/%.*s", STR_FMT(host)), STR("true"));
        }
        if (e == ERR_OK && a->full)
                e = ERR_NO_MEMORY;
        return e == ERR_OK ? EXIT_OK : failed("tailscaled's Serve configuration", e);
}

/* ---- asking, doing, saying ---- */

static bool is_confirmed(void)
{
        char line[16];

        out_print("Write this? [y/N] ");
        fflush(stdout);
        return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static void say_json(const struct serving *s, bool is_applied)
{
        struct json_writer w;
        struct buf out;

        buf_init(&out, 2 * CONFIG_BYTES_MAX);
        json_writer_init(&w, &out, 2);
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("name"), s->name);
        json_write_member_str(
                &w, STR("url"),
                arena_format((struct arena *)(uintptr_t)&s->arena, "https://%.*s/", STR_FMT(s->name)));
        json_write_key(&w, STR("changes"));
        json_write_array_begin(&w);
        for (size_t i = 0; i < s->changes_count; i++)
                json_write_str(&w, s->changes[i]);
        json_write_array_end(&w);
        json_write_member_str(&w, STR("before"), buf_str(&s->before));
        json_write_member_str(&w, STR("after"), buf_str(&s->after));
        json_write_member_bool(&w, STR("applied"), is_applied);
        json_write_object_end(&w);
        json_writer_finish(&w);
        buf_add_char(&out, '\n');
        out_str(buf_str(&out));
        buf_fini(&out);
}

static enum exit_code apply(struct serving *s)
{
        struct mesh_localapi c;
        enum err e = call(s, STR("POST"), STR("/localapi/v0/serve-config"), buf_str(&s->after), &c);

        mesh_localapi_fini(&c);
        return e == ERR_OK ? EXIT_OK : failed("tailscaled's Serve configuration", e);
}

static enum exit_code show_and_do(struct serving *s)
{
        const struct serve_options *o = s->options;
        enum exit_code code = EXIT_OK;

        if (!o->json) {
                for (size_t i = 0; i < s->changes_count; i++) {
                        out_str(STR("  "));
                        out_foreign(s->changes[i]);
                        out_str(STR("\n"));
                }
                if (s->changes_count == 0)
                        out_print("Serve is set up already: https://%.*s/\n", STR_FMT(s->name));
        }
        bool is_to_do = s->changes_count && !o->print;

        if (is_to_do && !o->yes && (o->json || !isatty(STDIN_FILENO))) {
                out_problem("nothing was changed: say --yes to write it, or --print to see it only");
                return EXIT_WRONG;
        }
        if (is_to_do && !o->yes && !is_confirmed()) {
                out_print("Nothing was changed.\n");
                return EXIT_OK;
        }
        if (is_to_do && (code = apply(s)) != EXIT_OK)
                return code;
        if (o->json)
                say_json(s, is_to_do);
        else if (is_to_do)
                out_print(
                        "Written. To know callers by what Serve says of them, set gateway.tailnet.serve to true and name them in a "
                        "route's access.tailnet.\n");
        return EXIT_OK;
}

enum exit_code setup_serve(const struct serve_options *o)
{
        struct serving s = { .options = o, .socket = o->socket.len ? o->socket : STR(MESH_TAILNET_SOCKET) };
        enum exit_code code;

        arena_init(&s.arena, NULL, 0, 64 << 20);
        buf_init(&s.before, CONFIG_BYTES_MAX);
        buf_init(&s.after, CONFIG_BYTES_MAX);
        if ((code = port_find(&s)) == EXIT_OK && (code = name_find(&s)) == EXIT_OK &&
            (code = config_get(&s)) == EXIT_OK && (code = plan(&s)) == EXIT_OK)
                code = show_and_do(&s);
        buf_fini(&s.before);
        buf_fini(&s.after);
        arena_fini(&s.arena);
        return code;
}
