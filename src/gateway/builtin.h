/*
 * gateway/builtin.h - the gateway's own pages: /health and /ready for everyone, /metrics and /debug/config for the admin.
 */
#pragma once

#include "proxy/worker.h"

size_t builtin_routes_count(void);
void builtin_routes_add(struct route_table *t); /* to a table with room for them */
MUST_USE enum err builtin_admin_routes(struct route_table *t, struct arena *a);
