/*
 * cli/tailnet.h - what the tailscaled of this machine says about it, waited for. For commands; blocks.
 */
#pragma once

#include "base/arena.h"
#include "mesh/tailnet.h"

/*
 * Texts go into the arena. ERR_NOT_FOUND, ERR_REFUSED and others: nobody answers there; ERR_DENIED: it answers, and not to us;
 * ERR_MALFORMED: what it says is no status. On all of them *out is zeroed.
 */
MUST_USE enum err tailnet_find(struct str socket, bool with_peers, struct arena *a,
                               struct mesh_tailnet_status *out);
