/*
 * control/routes.h - the one table of what control answers: the API's routes, and the few beside them.
 */
#pragma once

#include "control/api.h"

extern const struct api_route api_table[];
extern const size_t api_table_count;

/* Everything, sorted. */
MUST_USE enum err routes_build(struct route_table *t, const struct control *control, struct arena *a);
