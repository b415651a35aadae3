/* sekisho node: gateways and agents, and the tokens by which machines become some. */
#include <stdio.h>

#include "base/units.h"
#include "cli/control_priv.h"
#include "io/process.h"

#define NODES  "/nodes"
#define TOKENS "/join-tokens"

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
        control_body_begin(&w, &body);
        json_write_member_str(&w, STR("name"), fresh);
        control_body_end(&w);
        code = control_touch(call->options, NODES, "node", name, "PATCH", buf_str(&body), "renamed");
        buf_fini(&body);
        return code;
}

/* "30d" from now, a time, or "never" as the API has it. False: said. */
static bool moment_write(struct json_writer *w, const char *name, struct str text)
{
        char room[UNITS_TIME_TEXT_MAX];
        unix_ms when;
        int64_t ms;

        if (str_eq(text, STR("never"))) {
                json_write_key(w, str_of(name));
                json_write_null(w);
                return true;
        }
        if (units_parse_time(text, &when) != ERR_OK) {
                if (units_parse_duration(text, &ms) != ERR_OK || ms < 1000) {
                        out_problem("\"%.*s\" is no time: write 12h, 30d, 2027-01-31T00:00:00Z or never",
                                    STR_FMT(text));
                        return false;
                }
                when = process_wall_ms() + ms;
        }
        json_write_member_str(w, str_of(name), units_format_time(when, room));
        return true;
}

static enum exit_code node_expire_run(const struct command_call *call)
{
        struct str name, when;
        struct json_writer w;
        struct buf body;
        enum exit_code code = EXIT_WRONG;

        if (!control_argument(call, 0, "a node's name", &name) ||
            !control_argument(call, 1, "when: 12h, 30d, a time, or never", &when))
                return EXIT_WRONG;
        control_body_begin(&w, &body);
        bool is_good = moment_write(&w, "expires", when);
        control_body_end(&w);
        if (is_good)
                code = control_touch(call->options, NODES, "node", name, "PATCH", buf_str(&body), "set");
        buf_fini(&body);
        return code;
}

/* What of an agent's offers is published by itself: replaces what was said before. */
static enum exit_code node_publish_run(const struct command_call *call)
{
        const struct control_options *o = call->options;
        struct json_writer w;
        struct buf body;
        struct str name;
        enum exit_code code;

        if (!control_argument(call, 0, "an agent's name", &name))
                return EXIT_WRONG;
        control_body_begin(&w, &body);
        json_write_key(&w, STR("settings"));
        json_write_object_begin(&w);
        json_write_key(&w, STR("publish"));
        json_write_object_begin(&w);
        json_write_member_bool(&w, STR("models"), o->models);
        control_write_list(&w, "hosts", o->host);
        control_write_list(&w, "access", o->access);
        json_write_object_end(&w);
        json_write_object_end(&w);
        control_body_end(&w);
        code = control_touch(o, NODES, "node", name, "PATCH", buf_str(&body), "set");
        buf_fini(&body);
        return code;
}

/* By which requests choose agents (sekisho execute --tag). */
static enum exit_code node_tag_run(const struct command_call *call)
{
        struct json_writer w;
        struct buf body;
        struct str name;
        enum exit_code code;

        if (!control_argument(call, 0, "a node's name", &name))
                return EXIT_WRONG;
        control_body_begin(&w, &body);
        json_write_key(&w, STR("settings"));
        json_write_object_begin(&w);
        if (call->arguments->count > 1)
                control_write_list(&w, "tags", call->arguments->items[1]);
        else
                json_write_member_null(&w, STR("tags"));
        json_write_object_end(&w);
        control_body_end(&w);
        code = control_touch(call->options, NODES, "node", name, "PATCH", buf_str(&body), "tagged");
        buf_fini(&body);
        return code;
}

static enum exit_code node_remove_run(const struct command_call *call)
{
        return control_remove(call, NODES, "node");
}

static void invite_say(const struct control_options *o, struct remote *r)
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
        control_body_begin(&w, &body);
        json_write_member_str(&w, STR("kind"), kind);
        json_write_member_uint(&w, STR("uses"), uses);
        control_write_text(&w, "label", o->label);
        control_write_text(&w, "node_name", o->node_name);
        if (o->approval)
                json_write_member_bool(&w, STR("approval"), true);
        if (control_write_seconds(&w, "expires_in", o->expires)) {
                control_body_end(&w);
                code = control_make(o, TOKENS, buf_str(&body), invite_say);
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
        return control_list(call->options, TOKENS, token_columns);
}

static enum exit_code revoke_run(const struct command_call *call)
{
        return control_remove(call, TOKENS, "join token");
}

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
        { .name = "publish",
          .summary = "what of an agent's finds is published by itself; without options: nothing",
          .usage = "NAME [--models] [--host PATTERN[,…] [--access KIND[,…]]]",
          .text = "Servers of models that the agent finds become targets of a service of kind llm. A container is published when its labels ask\n"
                  "for a host that fits a pattern and for a kind of access of the list; without a label it has the first of the list.",
          .examples =
                  (const char *const[]){
                          "sekisho node publish home --models",
                          "sekisho node publish home --host '*.home.example.com' --access token,public",
                          "sekisho node publish home", NULL },
          .options =
                  (const struct option[]){
                          { "models", 0, OPTION_FLAG, offsetof(struct control_options, models), NULL,
                            "servers of models" },
                          TEXT_OPTION("host", host, "PATTERN",
                                      "names that its containers may have, as *.home.example.com"),
                          TEXT_OPTION("access", access, "KIND",
                                      "of them: public, token, owner (token when nothing is said)"),
                          SERVER_OPTIONS,
                          { NULL } },
          ASKS,
          .arguments_max = 1,
          .run = node_publish_run },
        { .name = "tag",
          .summary =
                  "give an agent tags, by which requests choose it (sekisho execute --tag); without tags: none",
          .usage = "NAME [TAG,…]",
          .examples = (const char *const[]){ "sekisho node tag home eu,fast", "sekisho node tag home", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .arguments_max = 2,
          .run = node_tag_run },
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
        { .name = "expire",
          .summary = "have it removed at some time; never: not any more",
          .usage = "NAME TIME",
          .text = "A node that services have as a target is disabled then, and stays so that they can be mended.",
          .examples = (const char *const[]){ "sekisho node expire guest 30d",
                                             "sekisho node expire guest 2027-01-31T00:00:00Z",
                                             "sekisho node expire guest never", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .arguments_max = 2,
          .run = node_expire_run },
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
        .summary = "gateways and agents: invite, list, approve, rename, disable, expire, remove",
        .usage = "list|show|invite|approve|…",
        .subcommands = node_commands
};
