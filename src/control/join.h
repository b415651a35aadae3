/*
 * control/join.h - how a machine becomes a node. Source: docs/protocol/nodes.md 2.
 *
 * Challenges are held here, in the loop's memory, a minute each and bounded; what came of a join is in the store, so that a
 * node may ask again after a restart of ours.
 */
#pragma once

#include "control/api.h"

struct joins;

MUST_USE enum err joins_new(struct joins **out);
void joins_free(struct joins *j);

bool join_begin_prepare(struct api_call *c);
enum err join_begin(struct api_call *c, struct store_txn *t, const struct identity_permit *permit);
void join_challenge(struct api_call *c);
bool join_finish_prepare(struct api_call *c);
enum err join_finish(struct api_call *c, struct store_txn *t, const struct identity_permit *permit);
