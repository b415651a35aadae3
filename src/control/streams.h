/*
 * control/streams.h - services of bytes (tcp, udp, passthrough): what they may say beside what all services do.
 *
 * Bytes bring no token, so their access is `public` with addresses; and what stands in `settings` has to be what gateways can do, since a
 * document with a wrong value in it would be refused as a whole.
 */
#pragma once

#include "control/api.h"
#include "control/objects.h"
#include "store/services.h"

/* 400 with what is wrong. Of other kinds nothing is asked. */
MUST_USE enum err stream_service_check(struct api_call *c, const struct object_service *o,
                                       enum store_service_kind kind);

/* `settings` of a target: only `proxyProtocol`, for these kinds. */
MUST_USE enum err stream_target_check(struct api_call *c, const struct object_target *o,
                                      enum store_service_kind kind);
