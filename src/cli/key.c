/* sekisho key: API keys of control. */
#include "cli/control_priv.h"

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

static void key_say(const struct control_options *o, struct remote *r)
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
        control_body_begin(&w, &body);
        json_write_member_str(&w, STR("name"), name);
        control_write_list(&w, "scopes", o->scopes.len ? o->scopes : STR("read"));
        if (control_write_seconds(&w, "expires_in", o->expires)) {
                control_body_end(&w);
                code = control_make(o, "/api-keys", buf_str(&body), key_say);
        }
        buf_wipe(&body);
        return code;
}

static enum exit_code key_revoke_run(const struct command_call *call)
{
        return control_remove(call, "/api-keys", "API key");
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
                                  "read, services, nodes, audit, dispatch, admin; or use, use-owner for published services, use-models for models (read)"),
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
