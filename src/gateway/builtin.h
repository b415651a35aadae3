/*
 * gateway/builtin.h - the gateway's own pages: /health and /ready for everyone, /metrics, /status and /debug/config for the admin.
 */
#pragma once

#include "proxy/worker.h"

struct board;
void builtin_board_set(const struct board *b); /* what /status shows; once a process */

size_t builtin_routes_count(void);
void builtin_routes_add(struct route_table *t); /* to a table with room for them */
MUST_USE enum err builtin_admin_routes(struct route_table *t, struct arena *a);
