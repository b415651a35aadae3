/*
 * cli/tailnet.h - what the tailscaled of this machine says about it. Source: its LocalAPI, HTTP over a Unix socket.
 */
#pragma once

#include "base/arena.h"
#include "base/ip.h"
#include "cli/client.h"

#define TAILNET_SOCKET "/var/run/tailscale/tailscaled.sock"
#define TAILNET_V4     "100.64.0.0/10"
#define TAILNET_V6     "fd7a:115c:a1e0::/48"

struct tailnet {
        bool is_running;  /* BackendState is "Running" */
        struct str state; /* as tailscaled calls it */
        struct ip v4, v6; /* our own; family 0: none */
        struct str name;  /* our MagicDNS name without the last dot; may be empty */
};

/*
 * Texts go into the arena. ERR_NOT_FOUND: there is no such socket; ERR_REFUSED and others: nobody answers there;
 * ERR_DENIED: it answers, and not to us; ERR_MALFORMED: what it says is no status.
 */
MUST_USE enum err tailnet_find(struct client *c, struct str socket, struct arena *a, struct tailnet *out);
