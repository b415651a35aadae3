/* cli/policy_priv.h - what the commands of `sekisho policy` share. Only for policy*.c. */
#pragma once

#include "base/buf.h"
#include "base/report.h"
#include "cli/command.h"
#include "policy/tables.h"
#include "json/writer.h"

enum { POLICY_OUTPUT_BYTES_MAX = 1 << 30 };

/* The options of all the commands below; each takes some of them. */
struct policy_options {
        struct str facts, from, to, login, given, patch, caller, type, preview_for;
        bool json, write, check;
};

/* The whole file, "-" is standard input. False after saying why. */
bool policy_file_load(struct str path, struct buf *out);

/* A policy, facts, tables from files. EXIT_OK, or what the command ends with: it was said why, with --json as JSON too. */
enum exit_code policy_load(const struct policy_options *o, struct str path, struct report *report,
                           struct policy_file **out);
enum exit_code policy_load_facts(const struct policy_options *o, struct report *report,
                                 struct policy_facts **out);
enum exit_code policy_load_tables(const struct policy_options *o, struct str path,
                                  struct policy_tables **out);

/* Compiles, once the names were found. */
enum err policy_put_together(struct policy_file *file, struct policy_facts *facts, struct report *report,
                             struct policy_tables **out);

/* Errors and warnings to standard error; with --json {"message", "errors", "warnings"} to standard output as well. */
void policy_say(const struct policy_options *o, const struct report *report);

/* The members "errors" and "warnings". */
void policy_write_report(struct json_writer *w, const struct report *report);

/* The text to standard output with a line end; frees it. `code`, or EXIT_WRONG when it did not fit. */
enum exit_code policy_print(struct buf *out, enum exit_code code);

/* The argument, or empty when it was not given. */
struct str policy_argument(const struct command_call *call, size_t i);

/* Whether there are as many arguments as the command needs; says so when not. */
bool policy_has_arguments(const struct command_call *call, size_t count);

command_fn policy_check_run, policy_compile_run, policy_test_run;   /* policy_check.c */
command_fn policy_explain_run, policy_preview_run, policy_diff_run; /* policy_ask.c */
command_fn policy_format_run, policy_patch_run;                     /* policy_change.c */
