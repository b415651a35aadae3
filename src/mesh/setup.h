/*
 * mesh/setup.h - what a wg-quick file asks of the host besides the tunnel: addresses, MTU, routes and rules.
 *
 * Blocks for microseconds a step, through rtnetlink. Needs CAP_NET_ADMIN. Undone by deleting the interface, but for the rules
 * (mesh_setup_rules_remove). Not here: DNS and hooks, which start programs (cli).
 */
#pragma once

#include "base/report.h"
#include "mesh/quick.h"

enum {
        MESH_TABLE_DEFAULT = 51820
}; /* the table and mark of a default route through a tunnel, as wg-quick chooses them */

/* Addresses, MTU, up. ERR_CONFIG: `report` says which step failed and why. */
MUST_USE enum err mesh_setup_addresses(const struct mesh_quick *q, uint32_t index, struct report *report);

/*
 * Routes for all allowed IPs, unless Table = off. *fwmark_out is the mark the tunnel's own datagrams need, 0 for none: it
 * must be set on the interface when a default route goes into the tunnel, or the tunnel would swallow itself.
 */
MUST_USE enum err mesh_setup_routes(const struct mesh_quick *q, uint32_t index, uint32_t *fwmark_out,
                                    struct report *report);

/* Does the file send a default route into the tunnel, by rules? Then the mark to remove them by, else 0. */
uint32_t mesh_setup_mark(const struct mesh_quick *q);
void mesh_setup_rules_remove(uint32_t mark);
