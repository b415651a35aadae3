/*
 * gateway/gateway.h - the role: reads a configuration and serves until it is told to stop.
 */
#pragma once

#include "base/str.h"

struct gateway_options {
        struct str config_file; /* a NUL after it */
        bool no_auth;           /* --no-auth: serve without tokens, said loudly */
        bool auth;              /* --auth: the predecessor's; insists on tokens */
        bool quiet;
        struct str join; /* --join: "TOKEN@https://CONTROL"; empty: only where it has joined already */
        struct str
                listen; /* --listen: one TLS address more, once control has published; no file and empty: 443 and 80 */
        struct str name;       /* --name: what control is to call it; empty: the host's name */
        struct str access_log; /* overrides log.access: "stdout", "stderr", "off"; empty: as configured */
};

/* In the foreground. 0 after a clean stop; 2 when the configuration is wrong or an address cannot be had. */
int gateway_run(const struct gateway_options *options);
