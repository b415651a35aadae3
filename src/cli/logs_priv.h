/*
 * cli/logs_priv.h - `sekisho logs`: what a role of this machine wrote, and what was done at control.
 */
#pragma once

#include "cli/command.h"

struct logs_options {
        struct str state, lines, server, token;
        bool follow, json;
};

enum { LOGS_LINES_DEFAULT = 50, LOGS_LINES_MAX = 10000, LOGS_WAIT_MS = 250 };

/* The file of a role, its last lines and then (follow) what comes; also over a new file of that name. */
MUST_USE enum exit_code logs_file(const struct logs_options *o, const char *path, uint64_t lines);

/* Control's audit trail, likewise. */
MUST_USE enum exit_code logs_trail(const struct logs_options *o, uint64_t lines);

/* One line of a role's log as people read it: "TIME LEVEL EVENT name=value …"; what is no JSON object stays as it is. */
void logs_line_say(struct str line);

void logs_wait(void); /* LOGS_WAIT_MS */
