/*
 * cli/daemon_show.h - what `systemctl show` says of a unit. Source: systemctl(1), lines of KEY=VALUE in no promised order.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* What is asked for. */
#define DAEMON_SHOW_PROPERTIES \
        "LoadState,ActiveState,SubState,UnitFileState,Result,MainPID,NRestarts,ActiveEnterTimestamp,StatusText,Job"

struct daemon_unit {
        bool is_installed, is_enabled,
                is_active; /* active: it serves; a role that starts or reloads is not, or is */
        bool has_job;      /* systemd is about to do what it was asked for */
        struct str state, sub_state, result; /* as systemd calls them: "active", "running", "success" */
        struct str since, status;            /* may be empty */
        uint64_t pid, restarts;              /* 0: none */
};

/* Texts point into `text`. Keys that are not known are passed over. ERR_MALFORMED: there is no ActiveState, or a number is none. */
MUST_USE enum err daemon_show_parse(struct str text, struct daemon_unit *out);

/* It failed, or does so again and again, and nothing is about to change that. */
bool daemon_unit_failed(const struct daemon_unit *u);
