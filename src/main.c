/*
 * main.c - picks a role or a command from argv, nothing else.
 */
#include "cli/command.h"

int main(int argc, char **argv)
{
        const struct command table[] = {
                command_config, command_policy, command_version, command_completion, command_help, { NULL },
        };

        return commands_run(table, argc, argv);
}
