/*
 * cli/setup_serve.h - `sekisho setup --serve`: Tailscale's Serve, or Funnel, in front of the gateway of this machine.
 *
 * Shows what would change of tailscaled's configuration, asks, and writes it in one piece; what stands there for others stays, and what
 * changed meanwhile is not overwritten (the LocalAPI's ETag).
 */
#pragma once

#include "base/str.h"
#include "cli/command.h"

struct serve_options {
        struct str config, socket;
        bool funnel, yes, json, print;
};

enum exit_code setup_serve(const struct serve_options *o);
