/*
 * find/engine_events.h - the Engine's stream of events: is there something about containers that calls for a look?
 *
 * Bytes in, a yes or no out. One JSON object a line; a line over its bound, or one that is no object, counts as a yes: to look once more
 * costs little, to miss one would be seen. Source: Docker Engine API v1.41, GET /events.
 */
#pragma once

#include "base/buf.h"

enum { ENGINE_EVENT_BYTES_MAX = 64 * 1024 };

struct engine_events {
        struct buf line;
        bool is_skipping; /* the rest of a line that was too long */
};

void engine_events_init(struct engine_events *e);
void engine_events_fini(struct engine_events *e);
/* True: among what ended in these bytes is news. */
bool engine_events_feed(struct engine_events *e, struct str bytes);
