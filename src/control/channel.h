/*
 * control/channel.h - the route of the push channel: who asks, and what becomes of the exchange.
 */
#pragma once

#include "control/api.h"

bool channel_prepare(struct api_call *c);
enum err channel_admit(struct api_call *c, struct store_txn *t, const struct identity_permit *permit);
void channel_begin(struct api_call *c);
