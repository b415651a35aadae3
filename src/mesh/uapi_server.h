/*
 * mesh/uapi_server.h - the socket /var/run/wireguard/NAME.sock, where `wg` finds an interface. Only its owner may connect.
 *
 * Thread: the loop's. At most MESH_UAPI_CLIENTS_MAX at a time; the next waits in the kernel's queue.
 */
#pragma once

#include "mesh/interface.h"

enum { MESH_UAPI_CLIENTS_MAX = 8 };

/* /var/run is where `wg` looks; it links to /run. */
#define MESH_UAPI_FOLDER "/var/run/wireguard"

struct mesh_uapi_server;

/* ERR_EXISTS: somebody else answers there. Keeps the interface until stop. */
MUST_USE enum err mesh_uapi_server_start(struct loop *l, struct mesh_interface *i,
                                         struct mesh_uapi_server **out);

/* Open connections are closed in the next turns; the server frees itself after the last. NULL is fine. */
void mesh_uapi_server_stop(struct mesh_uapi_server *s);
