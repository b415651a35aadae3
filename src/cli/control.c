/* The commands that ask control: node, service, share, domain, key, certificate, audit, login. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "cli/control_priv.h"
#include "crypto/secret.h"
#include "io/file.h"

enum { BODY_BYTES = 256 * 1024, TOUCH_SECONDS = 30 };

#define NODES    "/nodes"
#define SERVICES "/services"

static void body_begin(struct json_writer *w, struct buf *body)
{
        buf_init_secret(body, BODY_BYTES);
        json_writer_init(w, body, JSON_COMPACT);
        json_write_object_begin(w);
}

static void body_end(struct json_writer *w)
{
        json_write_object_end(w);
        json_writer_finish(w);
}

static void text_member(struct json_writer *w, const char *name, struct str value)
{
        if (value.len)
                json_write_member_str(w, str_of(name), value);
}

/* "1h" as seconds, into the body. False: said. */
static bool seconds_member(struct json_writer *w, const char *name, struct str text)
{
        int64_t ms;

        if (text.len == 0)
                return true;
        if (units_parse_duration(text, &ms) != ERR_OK || ms < 1000) {
                out_problem("\"%.*s\" is no time: write 30m, 12h or 30d", STR_FMT(text));
                return false;
        }
        json_write_member_int(w, str_of(name), ms / 1000);
        return true;
}

/* ---- login ---- */

/* "https://host:8000/setup#skown-….FINGERPRINT": the server with its fingerprint, and the one-time token. */
static bool link_split(struct str link, char server[REMOTE_URL_BYTES], struct str *token)
{
        size_t at = str_find(link, STR("/setup#"));
        struct str fingerprint = STR("");

        if (at == STR_NONE)
                return false;
        *token = str_from(link, at + 7);
        size_t dot = str_find_char(*token, '.');
        if (dot != STR_NONE) {
                fingerprint = str_from(*token, dot + 1);
                *token = str_sub(*token, 0, dot);
        }
        snprintf(server, REMOTE_URL_BYTES, "%.*s%s%.*s", STR_FMT(str_sub(link, 0, at)),
                 fingerprint.len ? "#" : "", STR_FMT(fingerprint));
        return true;
}

static enum exit_code login_run(const struct command_call *call)
{
        char server[REMOTE_URL_BYTES];
        struct str link, token;
        struct json_writer w;
        struct remote r;
        struct buf body;
        enum exit_code code;

        if (!control_argument(call, 0, "the link that control printed", &link))
                return EXIT_WRONG;
        if (!link_split(link, server, &token)) {
                out_problem(
                        "this is not the link that control prints at its first start: https://…/setup#skown-…");
                return EXIT_WRONG;
        }
        body_begin(&w, &body);
        json_write_member_str(&w, STR("token"), token);
        body_end(&w);
        if ((code = remote_open(&r, str_of(server), STR(""))) == EXIT_OK &&
            (code = remote_ask(&r, "POST", "/owner", buf_str(&body))) == EXIT_OK) {
                struct str key = json_str(json_find(r.root, STR("key")));

                snprintf(r.key, sizeof(r.key), "%.*s", STR_FMT(key));
                code = remote_remember(server, r.key);
                if (code == EXIT_OK)
                        out_print("you are the owner of %s now; try: sekisho node list\n", r.authority);
                else /* it is shown nowhere else */
                        out_print("your key, shown this once: %s\n", r.key);
        }
        remote_close(&r);
        buf_wipe(&body);
        return code;
}

const struct command command_login = {
        .name = "login",
        .summary = "become the owner of a control server by its one-time link",
        .usage = "LINK",
        .text = "The link is printed by control's first start. Server and key are kept in ~/.config/sekisho/client.json for later "
                "commands.",
        .examples = (const char *const[]){ "sekisho login 'https://control.example.com:8000/setup#skown-…'",
                                           NULL },
        .arguments_max = 1,
        .run = login_run,
};

/* ---- nodes ---- */

static const struct column node_columns[] = {
        { "NAME", "name" },           { "KIND", "kind" },       { "STATE", "state" },
        { "CONNECTED", "connected" }, { "VERSION", "version" }, { "WANTED", "wanted_version" },
        { "ADDRESS", "address4" },    { "ID", "id" },           { NULL }
};

static enum exit_code node_list_run(const struct command_call *call)
{
        const struct control_options *o = call->options;
        char path[64];

        snprintf(path, sizeof(path), NODES "%s%.*s", o->kind.len ? "?kind=" : "",
                 STR_FMT(str_sub(o->kind, 0, 20)));
        return control_list(o, path, node_columns);
}

static enum exit_code node_show_run(const struct command_call *call)
{
        struct str name;

        return control_argument(call, 0, "a node's name", &name)
                       ? control_show(call->options, NODES, "node", name)
                       : EXIT_WRONG;
}

static enum exit_code node_state(const struct command_call *call, const char *state, const char *done)
{
        char body[64];
        struct str name;

        if (!control_argument(call, 0, "a node's name", &name))
                return EXIT_WRONG;
        snprintf(body, sizeof(body), "{\"state\":\"%s\"}", state);
        return control_touch(call->options, NODES, "node", name, "PATCH", str_of(body), done);
}

static enum exit_code node_approve_run(const struct command_call *call)
{
        return node_state(call, "active", "approved");
}

static enum exit_code node_disable_run(const struct command_call *call)
{
        return node_state(call, "disabled", "disabled");
}

static enum exit_code node_enable_run(const struct command_call *call)
{
        return node_state(call, "active", "enabled");
}

static enum exit_code node_rename_run(const struct command_call *call)
{
        struct str name, fresh;
        struct json_writer w;
        struct buf body;
        enum exit_code code;

        if (!control_argument(call, 0, "a node's name", &name) ||
            !control_argument(call, 1, "its new name", &fresh))
                return EXIT_WRONG;
        body_begin(&w, &body);
        json_write_member_str(&w, STR("name"), fresh);
        body_end(&w);
        code = control_touch(call->options, NODES, "node", name, "PATCH", buf_str(&body), "renamed");
        buf_fini(&body);
        return code;
}

static enum exit_code remove_run(const struct command_call *call, const char *path, const char *what)
{
        struct str name;

        if (!control_argument(call, 0, "a name", &name))
                return EXIT_WRONG;
        return control_touch(call->options, path, what, name, "DELETE", STR(""), "removed");
}

static enum exit_code node_remove_run(const struct command_call *call)
{
        return remove_run(call, NODES, "node");
}

static void invite_say(const struct control_options *o, const struct remote *r)
{
        struct str kind = json_str(json_find(r->root, STR("kind"))),
                   token = json_str(json_find(r->root, STR("token"))),
                   expires = json_str(json_find(r->root, STR("expires")));
        int64_t uses = 1;

        if (json_get_int64(json_find(r->root, STR("uses")), &uses) != ERR_OK)
                uses = 1;
        out_print(
                "on the machine:\n\n    sekisho %.*s --join %.*s\n\ngood %s until %.*s; it is not shown again\n",
                STR_FMT(kind), STR_FMT(token), uses == 1 ? "once" : "several times", STR_FMT(expires));
}

static enum exit_code node_invite_run(const struct command_call *call)
{
        const struct control_options *o = call->options;
        struct json_writer w;
        struct buf body;
        struct str kind;
        uint64_t uses = 1;
        enum exit_code code = EXIT_WRONG;

        if (!control_argument(call, 0, "gateway or agent", &kind))
                return EXIT_WRONG;
        if (o->uses.len && (units_parse_u64(o->uses, 10000, &uses) != ERR_OK || uses == 0)) {
                out_problem("--uses must be a number from 1 to 10000");
                return EXIT_WRONG;
        }
        body_begin(&w, &body);
        json_write_member_str(&w, STR("kind"), kind);
        json_write_member_uint(&w, STR("uses"), uses);
        text_member(&w, "label", o->label);
        text_member(&w, "node_name", o->node_name);
        if (o->approval)
                json_write_member_bool(&w, STR("approval"), true);
        if (seconds_member(&w, "expires_in", o->expires)) {
                body_end(&w);
                code = control_make(o, "/join-tokens", buf_str(&body), invite_say);
        }
        buf_wipe(&body);
        return code;
}

static const struct column token_columns[] = { { "KIND", "kind" },
                                               { "LABEL", "label" },
                                               { "STATE", "state" },
                                               { "LEFT", "uses_left" },
                                               { "EXPIRES", "expires" },
                                               { "ID", "id" },
                                               { NULL } };

static enum exit_code invitations_run(const struct command_call *call)
{
        return control_list(call->options, "/join-tokens", token_columns);
}

static enum exit_code revoke_run(const struct command_call *call)
{
        return remove_run(call, "/join-tokens", "join token");
}

#define ONLY_SERVER             \
        (const struct option[]) \
        {                       \
                SERVER_OPTIONS, \
                {               \
                        NULL    \
                }               \
        }
#define ASKS .options_bytes = sizeof(struct control_options)

static const struct command node_commands[] = {
        { .name = "list",
          .summary = "list gateways and agents: who is connected, who is behind",
          .usage = "[--kind gateway|agent] [--json]",
          .examples =
                  (const char *const[]){ "sekisho node list", "sekisho node list --kind agent --json", NULL },
          .options =
                  (const struct option[]){ { "kind", 0, OPTION_TEXT, offsetof(struct control_options, kind),
                                             "KIND", "only gateway or agent" },
                                           SERVER_OPTIONS,
                                           { NULL } },
          ASKS,
          .run = node_list_run },
        { .name = "show",
          .summary = "all that is known of one",
          .usage = "NAME [--json]",
          .examples = (const char *const[]){ "sekisho node show home", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .arguments_max = 1,
          .run = node_show_run },
        { .name = "invite",
          .summary = "make a join token: a machine that shows it becomes a node",
          .usage = "gateway|agent [--uses N] [--expires 1h] [--approval] [--node-name NAME] [--label TEXT]",
          .examples = (const char *const[]){ "sekisho node invite agent",
                                             "sekisho node invite gateway --uses 3 --expires 12h", NULL },
          .options =
                  (const struct option[]){
                          { "uses", 0, OPTION_TEXT, offsetof(struct control_options, uses), "N",
                            "how often it may be used (1)" },
                          { "expires", 0, OPTION_TEXT, offsetof(struct control_options, expires), "TIME",
                            "how long it is good (1h)" },
                          { "approval", 0, OPTION_FLAG, offsetof(struct control_options, approval), NULL,
                            "nodes wait until somebody approves them" },
                          { "node-name", 0, OPTION_TEXT, offsetof(struct control_options, node_name), "NAME",
                            "the name the node must take" },
                          { "label", 0, OPTION_TEXT, offsetof(struct control_options, label), "TEXT",
                            "what it is for" },
                          SERVER_OPTIONS,
                          { NULL } },
          ASKS,
          .arguments_max = 1,
          .run = node_invite_run },
        { .name = "invitations",
          .summary = "list join tokens",
          .usage = "[--json]",
          .examples = (const char *const[]){ "sekisho node invitations", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .run = invitations_run },
        { .name = "revoke",
          .summary = "revoke a join token",
          .usage = "ID",
          .examples = (const char *const[]){ "sekisho node revoke jt-…", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .arguments_max = 1,
          .run = revoke_run },
        { .name = "approve",
          .summary = "let in one that waits",
          .usage = "NAME",
          .examples = (const char *const[]){ "sekisho node approve home", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .arguments_max = 1,
          .run = node_approve_run },
        { .name = "rename",
          .summary = "give it another name",
          .usage = "NAME NEW",
          .examples = (const char *const[]){ "sekisho node rename agent-2 attic", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .arguments_max = 2,
          .run = node_rename_run },
        { .name = "disable",
          .summary = "send it away until it is enabled again",
          .usage = "NAME",
          .examples = (const char *const[]){ "sekisho node disable home", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .arguments_max = 1,
          .run = node_disable_run },
        { .name = "enable",
          .summary = "let it back in",
          .usage = "NAME",
          .examples = (const char *const[]){ "sekisho node enable home", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .arguments_max = 1,
          .run = node_enable_run },
        { .name = "remove",
          .summary = "remove it for good",
          .usage = "NAME",
          .examples = (const char *const[]){ "sekisho node remove home", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .arguments_max = 1,
          .run = node_remove_run },
        { NULL },
};
const struct command command_node = {
        .name = "node",
        .summary = "gateways and agents: invite, list, approve, rename, disable, remove",
        .usage = "list|show|invite|approve|…",
        .subcommands = node_commands
};

/* ---- services ---- */

/* "agent/home:localhost:8080", "home:8080", "home:tcp://localhost:22": whose, and what the agent dials. */
static bool to_split(struct str to, struct str kind, struct arena *a, struct str *agent, struct str *url)
{
        bool is_raw =
                str_eq(kind, STR("tcp")) || str_eq(kind, STR("udp")) || str_eq(kind, STR("passthrough"));
        const char *scheme = str_eq(kind, STR("udp")) ? "udp" : is_raw ? "tcp" : "http";
        uint64_t port;

        if (str_has_prefix(to, STR("agent/")))
                to = str_from(to, 6);
        size_t colon = str_find_char(to, ':');
        if (colon == STR_NONE || colon == 0)
                return false;
        *agent = str_sub(to, 0, colon);
        *url = str_from(to, colon + 1);
        if (str_find(*url, STR("://")) != STR_NONE || str_has_prefix(*url, STR("unix:")))
                return true;
        if (units_parse_u64(*url, 65535, &port) == ERR_OK)
                *url = arena_format(a, "%s://localhost:%.*s", scheme, STR_FMT(*url));
        else
                *url = arena_format(a, "%s://%.*s", scheme, STR_FMT(*url));
        return true;
}

static bool targets_write(struct json_writer *w, const struct control_options *o, struct arena *a)
{
        struct str rest = o->to, one, agent, url;

        if (o->to.len == 0)
                return true;
        json_write_key(w, STR("targets"));
        json_write_array_begin(w);
        while (str_split(&rest, ',', &one)) {
                if (!to_split(str_trim(one), o->kind, a, &agent, &url)) {
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
        body_begin(&w, &body);
        json_write_member_str(&w, STR("name"), name);
        text_member(&w, "kind", o->kind);
        text_member(&w, "path", o->path);
        control_write_list(&w, "hosts", o->host);
        control_write_list(&w, "listen", o->listen);
        if (o->access.len || o->allow.len) {
                json_write_key(&w, STR("access"));
                json_write_object_begin(&w);
                text_member(&w, "kind", o->access);
                control_write_list(&w, "allowed_ips", o->allow);
                json_write_object_end(&w);
        }
        if (targets_write(&w, o, &arena)) {
                body_end(&w);
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
        return remove_run(call, SERVICES, "service");
}

#define TEXT_OPTION(name_, member_, value_, doc_)                                              \
        {                                                                                      \
                name_, 0, OPTION_TEXT, offsetof(struct control_options, member_), value_, doc_ \
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
                          NULL },
          .options =
                  (const struct option[]){
                          TEXT_OPTION("host", host, "HOST",
                                      "names it is published under, with commas between"),
                          TEXT_OPTION("to", to, "TARGET",
                                      "where agents reach it: agent/NAME:HOST:PORT, NAME:PORT or NAME:URL"),
                          TEXT_OPTION("kind", kind, "KIND",
                                      "http (when nothing is said), tcp, udp, passthrough, llm"),
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

/* ---- share ---- */

static volatile sig_atomic_t is_interrupted;

static void on_interrupt(int number)
{
        is_interrupted = 1;
}

/* Whose machine this is: --agent, else this host's name among the agents, else the only one. */
static enum exit_code agent_choose(struct remote *r, const struct control_options *o, struct str *out)
{
        char host[256] = "";
        enum exit_code code;

        *out = o->agent;
        if (out->len)
                return EXIT_OK;
        if ((code = remote_ask(r, "GET", "/agents?limit=1000", STR(""))) != EXIT_OK)
                return code;
        const struct json_value *items = json_find(r->root, STR("items"));
        if (gethostname(host, sizeof(host) - 1) == 0 && strchr(host, '.'))
                *strchr(host, '.') = '\0';
        for (size_t i = 0; items && i < items->count; i++) {
                struct str name = json_str(json_find(json_item(items, i), STR("name")));

                if (items->count == 1 || str_eq_nocase(name, str_of(host)))
                        *out = name;
        }
        if (out->len)
                return EXIT_OK;
        out_problem(
                "which agent is beside it? name it by --agent; sekisho node list --kind agent shows them");
        return EXIT_WRONG;
}

/* Until Ctrl-C, or until control has it no longer. */
static enum exit_code share_keep(struct remote *r, struct str id)
{
        const struct sigaction stop = { .sa_handler = on_interrupt };
        struct str touch = arena_format(&r->arena, "/shares/%.*s/touch", STR_FMT(id)),
                   place = arena_format(&r->arena, "/shares/%.*s", STR_FMT(id));
        enum exit_code code = EXIT_OK;

        sigaction(SIGINT, &stop, NULL);
        sigaction(SIGTERM, &stop, NULL);
        for (unsigned seconds = 1; !is_interrupted && code != EXIT_NOT_FOUND; seconds++) {
                sleep(1);
                if (!is_interrupted && seconds % TOUCH_SECONDS == 0)
                        code = remote_ask(r, "POST", touch.ptr,
                                          STR("{}")); /* control may be away for a while */
        }
        return code == EXIT_NOT_FOUND ? code : remote_ask(r, "DELETE", place.ptr, STR(""));
}

static enum exit_code share_run(const struct command_call *call)
{
        const struct control_options *o = call->options;
        struct str what, agent, url, joined;
        struct json_writer w;
        struct remote r;
        struct buf body;
        enum exit_code code;

        if (!control_argument(call, 0, "a port or address", &what))
                return EXIT_WRONG;
        code = remote_open(&r, o->server, o->token);
        if (code != EXIT_OK || (code = agent_choose(&r, o, &agent)) != EXIT_OK) {
                remote_close(&r);
                return code;
        }
        struct str parts[] = { agent, STR(":"), what };
        joined = arena_join(&r.arena, parts, 3);
        body_begin(&w, &body);
        if (!to_split(joined, STR("http"), &r.arena, &agent, &url))
                url = what;
        json_write_member_str(&w, STR("agent"), agent);
        json_write_member_str(&w, STR("url"), url);
        text_member(&w, "host", o->host);
        body_end(&w);
        if ((code = remote_ask(&r, "POST", "/shares", buf_str(&body))) == EXIT_OK) {
                struct str id = json_str(json_find(r.root, STR("id")));

                if (o->json)
                        out_str(r.body);
                else
                        out_print("%.*s  →  %.*s at %.*s\nCtrl-C ends it\n",
                                  STR_FMT(json_str(json_find(r.root, STR("public_url")))), STR_FMT(url),
                                  STR_FMT(agent));
                fflush(stdout);
                code = share_keep(&r, id);
        }
        buf_fini(&body);
        remote_close(&r);
        return code;
}

const struct command command_share = {
        .name = "share",
        .summary = "give something a public name for as long as this command runs",
        .usage = "PORT|HOST:PORT|URL [--agent NAME] [--host HOST]",
        .text = "The agent of that name dials it. Without --host the name is a random one below a domain with a wildcard "
                "(sekisho domain add). It is gone when the command ends, and two minutes after it was last heard of.",
        .examples =
                (const char *const[]){ "sekisho share 3000",
                                       "sekisho share localhost:3000 --agent home --host demo.example.com",
                                       NULL },
        .options = (const struct option[]){ TEXT_OPTION("agent", agent, "NAME",
                                                        "the agent beside it (this host's, or the only one)"),
                                            TEXT_OPTION("host", host, "HOST", "the name (a random one)"),
                                            SERVER_OPTIONS,
                                            { NULL } },
        .options_bytes = sizeof(struct control_options),
        .arguments_max = 1,
        .run = share_run,
};

/* ---- domains, keys, the audit trail ---- */

static const struct column domain_columns[] = {
        { "NAME", "name" }, { "WILDCARD", "wildcard" }, { "STATE", "state" }, { "ID", "id" }, { NULL }
};

static enum exit_code domain_list_run(const struct command_call *call)
{
        return control_list(call->options, "/domains", domain_columns);
}

static void added_say(const struct control_options *o, const struct remote *r)
{
        out_print("added ");
        out_foreign(json_str(json_find(r->root, STR("name"))));
        out_print("\n");
}

static enum exit_code domain_add_run(const struct command_call *call)
{
        const struct control_options *o = call->options;
        struct json_writer w;
        struct buf body;
        struct str name;
        enum exit_code code;

        if (!control_argument(call, 0, "a domain", &name))
                return EXIT_WRONG;
        body_begin(&w, &body);
        json_write_member_str(&w, STR("name"), name);
        json_write_member_bool(&w, STR("wildcard"), o->wildcard);
        body_end(&w);
        code = control_make(o, "/domains", buf_str(&body), added_say);
        buf_fini(&body);
        return code;
}

static enum exit_code domain_remove_run(const struct command_call *call)
{
        return remove_run(call, "/domains", "domain");
}

static const struct command domain_commands[] = {
        { .name = "add",
          .summary = "add a name to publish under",
          .usage = "DOMAIN [--wildcard]",
          .examples = (const char *const[]){ "sekisho domain add example.com --wildcard", NULL },
          .options = (const struct option[]){ { "wildcard", 0, OPTION_FLAG,
                                                offsetof(struct control_options, wildcard), NULL,
                                                "names below it too: shares take theirs there" },
                                              SERVER_OPTIONS,
                                              { NULL } },
          ASKS,
          .arguments_max = 1,
          .run = domain_add_run },
        { .name = "list",
          .summary = "list them",
          .usage = "[--json]",
          .examples = (const char *const[]){ "sekisho domain list", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .run = domain_list_run },
        { .name = "remove",
          .summary = "remove one",
          .usage = "DOMAIN",
          .examples = (const char *const[]){ "sekisho domain remove example.com", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .arguments_max = 1,
          .run = domain_remove_run },
        { NULL },
};
const struct command command_domain = { .name = "domain",
                                        .summary = "names that services and shares are published under",
                                        .usage = "add|list|remove",
                                        .subcommands = domain_commands };

static const struct column key_columns[] = { { "NAME", "name" },
                                             { "SCOPES", "scopes" },
                                             { "STATE", "state" },
                                             { "LAST USED", "last_used" },
                                             { "HINT", "hint" },
                                             { "ID", "id" },
                                             { NULL } };

static enum exit_code key_list_run(const struct command_call *call)
{
        return control_list(call->options, "/api-keys", key_columns);
}

static void key_say(const struct control_options *o, const struct remote *r)
{
        out_print("%.*s\n", STR_FMT(json_str(json_find(r->root, STR("key")))));
        out_note("it is not shown again\n");
}

static enum exit_code key_new_run(const struct command_call *call)
{
        const struct control_options *o = call->options;
        struct json_writer w;
        struct buf body;
        struct str name;
        enum exit_code code = EXIT_WRONG;

        if (!control_argument(call, 0, "the key's name", &name))
                return EXIT_WRONG;
        body_begin(&w, &body);
        json_write_member_str(&w, STR("name"), name);
        control_write_list(&w, "scopes", o->scopes.len ? o->scopes : STR("read"));
        if (seconds_member(&w, "expires_in", o->expires)) {
                body_end(&w);
                code = control_make(o, "/api-keys", buf_str(&body), key_say);
        }
        buf_wipe(&body);
        return code;
}

static enum exit_code key_revoke_run(const struct command_call *call)
{
        return remove_run(call, "/api-keys", "API key");
}

static const struct command key_commands[] = {
        { .name = "new",
          .summary = "make an API key; it is shown once",
          .usage = "NAME [--scopes read,services] [--expires 90d]",
          .examples = (const char *const[]){ "sekisho key new ci --scopes read,services --expires 90d",
                                             "sekisho key new visitor --scopes use", NULL },
          .options =
                  (const struct option[]){
                          TEXT_OPTION(
                                  "scopes", scopes, "LIST",
                                  "read, services, nodes, audit, admin; or use, use-owner for published services (read)"),
                          TEXT_OPTION("expires", expires, "TIME", "how long it is good (without an end)"),
                          SERVER_OPTIONS,
                          { NULL } },
          ASKS,
          .arguments_max = 1,
          .run = key_new_run },
        { .name = "list",
          .summary = "list them",
          .usage = "[--json]",
          .examples = (const char *const[]){ "sekisho key list", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .run = key_list_run },
        { .name = "revoke",
          .summary = "revoke one, at once",
          .usage = "NAME",
          .examples = (const char *const[]){ "sekisho key revoke ci", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .arguments_max = 1,
          .run = key_revoke_run },
        { NULL },
};
const struct command command_key = { .name = "key",
                                     .summary = "API keys of control, and keys for published services",
                                     .usage = "new|list|revoke",
                                     .subcommands = key_commands };

static const struct column audit_columns[] = { { "TIME", "time" },     { "ACTOR", "actor" },
                                               { "SOURCE", "source" }, { "ACTION", "action" },
                                               { "OBJECT", "object" }, { NULL } };

static enum exit_code audit_run(const struct command_call *call)
{
        return control_list(call->options, "/audit", audit_columns);
}

const struct command command_audit = {
        .name = "audit",
        .summary = "who did what at control: the newest hundred records",
        .usage = "[--json]",
        .examples = (const char *const[]){ "sekisho audit", NULL },
        .options = (const struct option[]){ SERVER_OPTIONS, { NULL } },
        .options_bytes = sizeof(struct control_options),
        .run = audit_run,
};
