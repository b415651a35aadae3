/* sekisho service: what is published at every gateway. */
#include "cli/control_priv.h"
#include "cli/control_target.h"

#define SERVICES "/services"

static bool targets_write(struct json_writer *w, const struct control_options *o, struct arena *a)
{
        struct str rest = o->to, one, agent, url;

        if (o->to.len == 0)
                return true;
        json_write_key(w, STR("targets"));
        json_write_array_begin(w);
        while (str_split(&rest, ',', &one)) {
                if (!control_target_split(str_trim(one), o->kind, a, &agent, &url)) {
                        out_problem("--to: \"%.*s\" is no target; write agent/NAME:localhost:8080",
                                    STR_FMT(one));
                        return false;
                }
                json_write_object_begin(w);
                json_write_member_str(w, STR("agent"), agent);
                json_write_member_str(w, STR("url"), url);
                json_write_object_end(w);
        }
        json_write_array_end(w);
        return true;
}

static void service_say(const struct control_options *o, const struct remote *r)
{
        const struct json_value *hosts = json_find(r->root, STR("hosts")),
                                *listen = json_find(r->root, STR("listen"));

        out_print("published ");
        out_foreign(json_str(json_find(r->root, STR("name"))));
        out_print("\n");
        for (size_t i = 0; hosts && i < hosts->count; i++)
                out_print("  https://%.*s%.*s\n", STR_FMT(json_str(json_item(hosts, i))),
                          STR_FMT(json_str(json_find(r->root, STR("path")))));
        if (str_eq(json_str(json_find(r->root, STR("kind"))), STR("llm")))
                out_print("  its models, at every gateway's /v1, for keys with the scope use-models\n");
        for (size_t i = 0; listen && i < listen->count; i++)
                out_print("  %.*s at every gateway\n", STR_FMT(json_str(json_item(listen, i))));
}

static enum exit_code service_add_run(const struct command_call *call)
{
        const struct control_options *o = call->options;
        struct json_writer w;
        struct arena arena;
        struct buf body;
        struct str name;
        enum exit_code code = EXIT_WRONG;

        if (!control_argument(call, 0, "the service's name", &name))
                return EXIT_WRONG;
        arena_init(&arena, NULL, 0, 1 << 20);
        control_body_begin(&w, &body);
        json_write_member_str(&w, STR("name"), name);
        control_write_text(&w, "kind", o->llm ? STR("llm") : o->kind);
        control_write_text(&w, "path", o->path);
        control_write_list(&w, "hosts", o->host);
        control_write_list(&w, "listen", o->listen);
        if (o->access.len || o->allow.len) {
                json_write_key(&w, STR("access"));
                json_write_object_begin(&w);
                control_write_text(&w, "kind", o->access);
                control_write_list(&w, "allowed_ips", o->allow);
                json_write_object_end(&w);
        }
        if (targets_write(&w, o, &arena)) {
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
                                                 { "TARGETS", "targets" },
                                                 { "ENABLED", "enabled" },
                                                 { "ID", "id" },
                                                 { NULL } };

static enum exit_code service_list_run(const struct command_call *call)
{
        return control_list(call->options, SERVICES, service_columns);
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
                  "NAME --host HOST[,…] --to agent/NAME:HOST:PORT[,…] [--kind http|tcp|udp|passthrough|llm] …",
          .examples =
                  (const char *const[]){
                          "sekisho service add app --host app.example.com --to agent/home:localhost:8080",
                          "sekisho service add ssh --kind tcp --listen 0.0.0.0:2222 --to agent/home:22",
                          "sekisho service add wiki --host wiki.example.com --to home:3000,attic:3000 --access token",
                          "sekisho service add gpus --llm --to agent/home:11434,agent/attic:8000", NULL },
          .options =
                  (const struct option[]){
                          TEXT_OPTION("host", host, "HOST",
                                      "names it is published under, with commas between"),
                          TEXT_OPTION("to", to, "TARGET",
                                      "where agents reach it: agent/NAME:HOST:PORT, NAME:PORT or NAME:URL"),
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
                                         .usage = "add|list|show|enable|disable|remove",
                                         .subcommands = service_commands };
