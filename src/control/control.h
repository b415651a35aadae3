/*
 * control/control.h - the role: opens the store, listens, and serves the API and the nodes until it is told to stop.
 */
#pragma once

#include "base/str.h"

struct control_options {
        struct str config_file; /* a NUL after it; empty: there is none, and defaults hold */
        struct str state;       /* --state, over the file's; may be empty */
};

/* In the foreground. 0 after a clean stop; 2 when the configuration is wrong or something cannot be had. */
int control_run(const struct control_options *options);
