/*
 * node/papers_priv.h - node.json and join.json as text. For this room only.
 */
#pragma once

#include "node/state.h"

void node_papers_write(const struct node_papers *p, struct buf *out);
MUST_USE enum err node_papers_read(struct str text, struct node_papers *out);
void node_pending_write(const struct node_pending *p, struct buf *out);
MUST_USE enum err node_pending_read(struct str text, struct node_pending *out);
