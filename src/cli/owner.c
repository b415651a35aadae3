/* `sekisho owner link`: one more owner, or the same one in another place. */
#include "cli/control_priv.h"

static void link_say(const struct control_options *o, struct remote *r)
{
        struct str link = json_str(json_find(r->root, STR("link")));

        (void)o;
        out_print("%.*s\n", STR_FMT(link));
        out_note("good once, until %.*s: in a browser, or sekisho login '…'; who uses it is an owner\n",
                 STR_FMT(json_str(json_find(r->root, STR("expires")))));
}

static enum exit_code link_run(const struct command_call *call)
{
        return control_make(call->options, "/owner-links", STR("{}"), link_say);
}

static const struct command owner_commands[] = {
        { .name = "link",
          .summary = "make a one-time link: who opens it within a day is an owner, too",
          .usage = "[--json]",
          .text = "For a browser, another machine of yours, or one more person. Links that were made before and not used are no "
                  "longer good. Each use makes an API key of its own (sekisho key list), which can be revoked.",
          .examples = (const char *const[]){ "sekisho owner link", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .run = link_run },
        { NULL },
};
const struct command command_owner = { .name = "owner",
                                       .summary = "who owns a control server",
                                       .usage = "link",
                                       .subcommands = owner_commands };
