/* sekisho service: what is published at every gateway. */
#include "cli/control_priv.h"
#include "cli/control_target.h"
#include "cli/reached.h"

#include "base/units.h"

#define SERVICES "/services"

/* --tls, --tcp and --udp say kind and place at once. */
static bool kind_find(const struct control_options *o, struct control_options *out)
{
        const struct {
                struct str given;
                const char *kind;
        } short_forms[] = { { o->tls, "passthrough" }, { o->tcp, "tcp" }, { o->udp, "udp" } };
        size_t given = o->kind.len > 0;

        *out = *o;
        for (size_t i = 0; i < ARRAY_SIZE(short_forms); i++) {
                if (!short_forms[i].given.len)
                        continue;
                given++;
                out->kind = str_of(short_forms[i].kind);
        }
        if (given > 1) {
                out_problem("--kind, --tls, --tcp and --udp are ways to say the same: give one of them");
                return false;
        }
        if (o->tls.len)
                out->host = o->tls;
        return true;
}

/* "2222", "2222-2230", "192.0.2.1:2222", with commas between: a port alone is one of every address. */
static void ports_write(struct json_writer *w, struct str ports, struct arena *a)
{
        struct str one;

        json_write_key(w, STR("listen"));
        json_write_array_begin(w);
        while (str_split(&ports, ',', &one)) {
                one = str_trim(one);
                json_write_str(w, str_find_char(one, ':') == STR_NONE
                                          ? arena_format(a, "0.0.0.0:%.*s", STR_FMT(one))
                                          : one);
        }
        json_write_array_end(w);
}

static bool number_write(struct json_writer *w, const char *key, const char *option, struct str text)
{
        uint64_t number;

        if (text.len == 0)
                return true;
        if (units_parse_u64(text, UINT32_MAX, &number) != ERR_OK) {
                out_problem("%s: \"%.*s\" is no number", option, STR_FMT(text));
                return false;
        }
        json_write_member_uint(w, str_of(key), number);
        return true;
}

static bool settings_write(struct json_writer *w, const struct control_options *o)
{
        bool ok = true;

        if (!o->rate.len && !o->most.len && !o->most_each.len && !o->idle.len)
                return true;
        json_write_key(w, STR("settings"));
        json_write_object_begin(w);
        control_write_text(w, "rateLimit", o->rate);
        control_write_text(w, "idleTimeout", o->idle);
        ok = number_write(w, "maxConnections", "--max", o->most) &&
             number_write(w, "maxConnectionsPerAddress", "--max-per-address", o->most_each);
        json_write_object_end(w);
        return ok;
}

static bool targets_write(struct json_writer *w, const struct control_options *o, struct arena *a)
{
        struct str rest = o->to, one, agent, url;

        if (o->to.len == 0)
                return true;
        json_write_key(w, STR("targets"));
        json_write_array_begin(w);
        while (str_split(&rest, ',', &one)) {
                one = str_trim(one);
                if (o->llm && str_find_char(one, ':') == STR_NONE && one.len) { /* all that it found */
                        json_write_object_begin(w);
                        json_write_member_str(w, STR("agent"),
                                              str_has_prefix(one, STR("agent/")) ? str_from(one, 6) : one);
                        json_write_object_end(w);
                        continue;
                }
                if (!control_target_split(str_trim(one), o->kind, a, &agent, &url)) {
                        out_problem("--to: \"%.*s\" is no target; write agent/NAME:localhost:8080",
                                    STR_FMT(one));
                        return false;
                }
                json_write_object_begin(w);
                control_write_text(w, "agent", agent);
                json_write_member_str(w, STR("url"), url);
                if (o->proxy_protocol.len) {
                        json_write_key(w, STR("settings"));
                        json_write_object_begin(w);
                        json_write_member_str(w, STR("proxyProtocol"), o->proxy_protocol);
                        json_write_object_end(w);
                }
                json_write_object_end(w);
        }
        json_write_array_end(w);
        return true;
}

static void service_say(const struct control_options *o, struct remote *r)
{
        const struct json_value *hosts = json_find(r->root, STR("hosts")),
                                *listen = json_find(r->root, STR("listen"));
        struct str port = hosts && hosts->count ? reached_port(r) : STR("");

        out_print("published ");
        out_foreign(json_str(json_find(r->root, STR("name"))));
        out_print("\n");
        for (size_t i = 0; hosts && i < hosts->count; i++)
                out_print("  https://%.*s%.*s%.*s\n", STR_FMT(json_str(json_item(hosts, i))), STR_FMT(port),
                          STR_FMT(json_str(json_find(r->root, STR("path")))));
        if (str_eq(json_str(json_find(r->root, STR("kind"))), STR("llm")))
                out_print("  its models, at every gateway's /v1, for keys with the scope use-models\n");
        for (size_t i = 0; listen && i < listen->count; i++)
                out_print("  %.*s at every gateway\n", STR_FMT(json_str(json_item(listen, i))));
}

static enum exit_code service_add_run(const struct command_call *call)
{
        struct control_options own;
        const struct control_options *o = &own;
        struct json_writer w;
        struct arena arena;
        struct buf body;
        struct str name;
        enum exit_code code = EXIT_WRONG;

        if (!kind_find(call->options, &own) || !control_argument(call, 0, "the service's name", &name))
                return EXIT_WRONG;
        arena_init(&arena, NULL, 0, 1 << 20);
        control_body_begin(&w, &body);
        json_write_member_str(&w, STR("name"), name);
        control_write_text(&w, "kind", o->llm ? STR("llm") : o->kind);
        control_write_text(&w, "path", o->path);
        control_write_list(&w, "hosts", o->host);
        if (o->tcp.len || o->udp.len)
                ports_write(&w, o->tcp.len ? o->tcp : o->udp, &arena);
        else
                control_write_list(&w, "listen", o->listen);
        if (o->access.len || o->allow.len || o->deny.len) {
                json_write_key(&w, STR("access"));
                json_write_object_begin(&w);
                control_write_text(&w, "kind", o->access);
                control_write_list(&w, "allowed_ips", o->allow);
                control_write_list(&w, "denied_ips", o->deny);
                json_write_object_end(&w);
        }
        if (settings_write(&w, o) && targets_write(&w, o, &arena)) {
                control_body_end(&w);
                code = control_make(o, SERVICES, buf_str(&body), service_say);
        }
        buf_fini(&body);
        arena_fini(&arena);
        return code;
}

static const struct column service_columns[] = { { "NAME", "name" },
                                                 { "KIND", "kind" },
                                                 { "HOSTS", "hosts" },
                                                 { "LISTEN", "listen" },
                                                 { "ACCESS", "access.kind" },
                                                 { "MODELS", "models" },
                                                 { "TARGETS", "targets" },
                                                 { "ENABLED", "enabled" },
                                                 { "ID", "id" },
                                                 { NULL } };

static enum exit_code service_list_run(const struct command_call *call)
{
        return control_list(call->options, SERVICES, service_columns);
}

static const struct column found_columns[] = {
        { "AGENT", "agent" },   { "SOURCE", "source" }, { "STATE", "state" },
        { "NAME", "name" },     { "URL", "url" },       { "HOSTS", "hosts" },
        { "MODELS", "models" }, { "REASON", "reason" }, { NULL }
};

static enum exit_code service_found_run(const struct command_call *call)
{
        return control_list(call->options, "/offers", found_columns);
}

static enum exit_code service_show_run(const struct command_call *call)
{
        struct str name;

        return control_argument(call, 0, "a service's name", &name)
                       ? control_show(call->options, SERVICES, "service", name)
                       : EXIT_WRONG;
}

static enum exit_code service_enable(const struct command_call *call, bool is_enabled)
{
        struct str name;

        if (!control_argument(call, 0, "a service's name", &name))
                return EXIT_WRONG;
        return control_touch(call->options, SERVICES, "service", name, "PATCH",
                             is_enabled ? STR("{\"enabled\":true}") : STR("{\"enabled\":false}"),
                             is_enabled ? "enabled" : "disabled");
}

static enum exit_code service_enable_run(const struct command_call *call)
{
        return service_enable(call, true);
}

static enum exit_code service_disable_run(const struct command_call *call)
{
        return service_enable(call, false);
}

static enum exit_code service_remove_run(const struct command_call *call)
{
        return control_remove(call, SERVICES, "service");
}

static const struct command service_commands[] = {
        { .name = "add",
          .summary = "publish something that runs beside an agent, at every gateway",
          .usage =
                  "NAME --host HOST[,…]|--tls HOST[,…]|--tcp PORTS|--udp PORTS --to agent/NAME:HOST:PORT[,…] …",
          .examples =
                  (const char *const[]){
                          "sekisho service add app --host app.example.com --to agent/home:localhost:8080",
                          "sekisho service add ssh --tcp 2222 --to agent/home:22 --allow 203.0.113.0/24 --rate 5/min",
                          "sekisho service add dns --udp 5353 --to agent/home:localhost:53",
                          "sekisho service add game --udp 30000-30010 --to agent/home:game:40000-40010",
                          "sekisho service add db --tls db.example.com --to agent/home:localhost:5432 --proxy-protocol v2",
                          "sekisho service add wiki --host wiki.example.com --to home:3000,attic:3000 --access token",
                          "sekisho service add gpus --llm --to agent/home",
                          "sekisho service add api --host api.example.com --to control",
                          "sekisho service add gpus --llm --to agent/home:11434,agent/attic:8000", NULL },
          .options =
                  (const struct option[]){
                          TEXT_OPTION("host", host, "HOST",
                                      "names it is published under, with commas between"),
                          TEXT_OPTION(
                                  "to", to, "TARGET",
                                  "where agents reach it: agent/NAME:HOST:PORT, NAME:PORT or NAME:URL; with --llm NAME "
                                  "alone: all that it found; control: control's own /api/execute and its reading calls"),
                          TEXT_OPTION("tls", tls, "HOST",
                                      "names whose TLS is passed on unopened, with commas between"),
                          TEXT_OPTION("tcp", tcp, "PORTS",
                                      "what gateways listen on, bytes passed on: 2222 or 192.0.2.1:2222"),
                          TEXT_OPTION("udp", udp, "PORTS", "the same, for datagrams"),
                          TEXT_OPTION("kind", kind, "KIND",
                                      "http (when nothing is said), tcp, udp, passthrough, llm"),
                          { "llm", 0, OPTION_FLAG, offsetof(struct control_options, llm), NULL,
                            "a server of models (Ollama, llama.cpp, vLLM, ...): --kind llm" },
                          TEXT_OPTION("listen", listen, "ADDRESS",
                                      "tcp, udp: what gateways listen on, as 0.0.0.0:2222"),
                          TEXT_OPTION("path", path, "PATH", "where it begins (/)"),
                          TEXT_OPTION("access", access, "KIND",
                                      "public (when nothing is said), token, owner"),
                          TEXT_OPTION("allow", allow, "PREFIX",
                                      "addresses that may use it, with commas between"),
                          TEXT_OPTION("deny", deny, "PREFIX", "addresses that may not"),
                          TEXT_OPTION("rate", rate, "RATE",
                                      "tls, tcp, udp: new connections of one address in a time, as 10/s"),
                          TEXT_OPTION("max", most, "N", "tls, tcp, udp: connections at a time"),
                          TEXT_OPTION("max-per-address", most_each, "N", "tls, tcp, udp: of one address"),
                          TEXT_OPTION("idle", idle, "TIME",
                                      "tls, tcp, udp: how long nothing may pass, as 60s"),
                          TEXT_OPTION("proxy-protocol", proxy_protocol, "VERSION",
                                      "tls, tcp: tell the target who connects, v1 or v2"),
                          SERVER_OPTIONS,
                          { NULL } },
          ASKS,
          .arguments_max = 1,
          .run = service_add_run },
        { .name = "list",
          .summary = "list what is published",
          .usage = "[--json]",
          .examples = (const char *const[]){ "sekisho service list", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .run = service_list_run },
        { .name = "found",
          .summary = "list what agents found on their machines: servers of models, labelled containers",
          .usage = "[--json]",
          .examples = (const char *const[]){ "sekisho service found", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .run = service_found_run },
        { .name = "show",
          .summary = "all that is known of one",
          .usage = "NAME [--json]",
          .examples = (const char *const[]){ "sekisho service show app", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .arguments_max = 1,
          .run = service_show_run },
        { .name = "enable",
          .summary = "publish it again",
          .usage = "NAME",
          .examples = (const char *const[]){ "sekisho service enable app", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .arguments_max = 1,
          .run = service_enable_run },
        { .name = "disable",
          .summary = "take it back for now",
          .usage = "NAME",
          .examples = (const char *const[]){ "sekisho service disable app", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .arguments_max = 1,
          .run = service_disable_run },
        { .name = "remove",
          .summary = "end it",
          .usage = "NAME",
          .examples = (const char *const[]){ "sekisho service remove app", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .arguments_max = 1,
          .run = service_remove_run },
        { NULL },
};
const struct command command_service = { .name = "service",
                                         .summary = "publish services at every gateway",
                                         .usage = "add|list|found|show|enable|disable|remove",
                                         .subcommands = service_commands };
