/*
 * node/controls.h - the controls a node may connect to: the one it joined at, then those its document names.
 *
 * Source: docs/protocol/nodes.md 3, the section "controls". An address that is none, and the first one's own, are passed over.
 */
#pragma once

#include "node/state.h"

/* At least 1. `d` may be NULL: no document yet. */
size_t node_controls_count(const struct node_papers *p, const struct wire_document *d);
/* `which` is below the count. `text`: "https://control.example.com:8000", that can be dialled. */
void node_controls_get(const struct node_papers *p, const struct wire_document *d, size_t which,
                       char text[NODE_URL_MAX]);
