/* sekisho domain: names that services and shares are published under. */
#include "cli/control_priv.h"

static const struct column domain_columns[] = {
        { "NAME", "name" }, { "WILDCARD", "wildcard" }, { "STATE", "state" }, { "ID", "id" }, { NULL }
};

static enum exit_code domain_list_run(const struct command_call *call)
{
        return control_list(call->options, "/domains", domain_columns);
}

static void added_say(const struct control_options *o, struct remote *r)
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
        control_body_begin(&w, &body);
        json_write_member_str(&w, STR("name"), name);
        json_write_member_bool(&w, STR("wildcard"), o->wildcard);
        control_body_end(&w);
        code = control_make(o, "/domains", buf_str(&body), added_say);
        buf_fini(&body);
        return code;
}

static enum exit_code domain_remove_run(const struct command_call *call)
{
        return control_remove(call, "/domains", "domain");
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
