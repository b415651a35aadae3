/*
 * agent/agent.h - the role: keeps links to gateways and serves what they ask for, until it is told to stop.
 */
#pragma once

#include "base/str.h"

struct agent_options {
        struct str config_file; /* a NUL after it */
        struct str join, name;  /* "TOKEN@URL": belong to that control from now on; under this name */
};

/* In the foreground. 0 after a clean stop; 2 when the configuration is wrong. */
int agent_run(const struct agent_options *options);
