#include "cli/command.h"
#include "cli/out.h"

static enum exit_code help_run(const struct command_call *call)
{
        const struct command *table = commands_table(), *path[OPTIONS_ARGUMENTS_MAX];

        if (call->arguments->count == 0) {
                commands_help_print(table);
                return EXIT_OK;
        }
        for (size_t i = 0; i < call->arguments->count; i++) {
                const struct command *c = table;

                while (c && c->name && !str_eq(str_of(c->name), call->arguments->items[i]))
                        c++;
                if (!c || !c->name) {
                        out_problem("there is no such command; 'sekisho help' lists them");
                        return EXIT_WRONG;
                }
                path[i] = c;
                table = c->subcommands;
        }
        command_help_print(path, call->arguments->count);
        return EXIT_OK;
}

const struct command command_help = {
        .name = "help",
        .summary = "say what there is, or more about one command",
        .usage = "[COMMAND...]",
        .examples =
                (const char *const[]){ "sekisho help", "sekisho help setup", "sekisho help token new", NULL },
        .arguments_max = 2,
        .run = help_run,
};
