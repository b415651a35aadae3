/*
 * cli/command.h - a command is a row of a table: what it is called, what it takes, what it does.
 *
 * Help, completion and the checking of arguments come from the row, so that they cannot differ from what is done.
 */
#pragma once

#include "cli/options.h"

enum exit_code {
        EXIT_OK,
        EXIT_FAILED,      /* it was tried, and it failed: the far end's fault, or a surprise */
        EXIT_WRONG,       /* the command line or the configuration is wrong */
        EXIT_AUTH,        /* the token is missing, unknown or expired */
        EXIT_NOT_FOUND,   /* there is no such thing, or no such name */
        EXIT_CONFLICT,    /* there is one already */
        EXIT_UNAVAILABLE, /* nobody answers there */
        EXIT_DENIED,      /* known, but not admitted: the address, or the token's rights */
};

struct command;

struct command_call {
        const struct command *command;
        const struct arguments *arguments;
        const void *options; /* the struct of the command's options_bytes */
};

typedef enum exit_code command_fn(const struct command_call *call);

struct command {
        const char *name;             /* NULL ends the table */
        const char *summary;          /* one line */
        const char *usage;            /* behind the name: "URL|HOST [--token TOKEN]" */
        const char *text;             /* more, in sentences; may be NULL */
        const char *const *examples;  /* NULL ends; "what it does\0"-less plain command lines */
        const struct option *options; /* may be NULL */
        size_t options_bytes, arguments_max;
        command_fn *run;                   /* NULL: only the commands below it */
        const struct command *subcommands; /* may be NULL */
};

/* Finds the command argv names in the table, reads its options, runs it. Gives the exit code of the program. */
int commands_run(const struct command *table, int argc, char **argv);

/* What `sekisho help [COMMAND]` and `--help` print. */
void command_help_print(const struct command *const *path, size_t path_len);
void commands_help_print(const struct command *table);

/* The table commands_run was given: for help and completion. */
const struct command *commands_table(void);

extern const struct command command_setup, command_connect, command_config, command_token, command_version,
        command_completion, command_help, command_status, command_policy, command_wg, command_backup,
        command_restore, command_store, command_login, command_node, command_service, command_share,
        command_domain, command_certificate, command_key, command_audit, command_daemon, command_doctor,
        command_logs, command_owner, command_execute, command_discover;
