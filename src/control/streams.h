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

/* Every port that services of bytes may have together, at each gateway. */
enum { STREAM_PORTS_MAX = 200 };

/* A target that is a range has as many ports as each of what is listened on; else 400. */
MUST_USE enum err stream_ports_check(struct api_call *c, const struct schema_texts *listen, struct str url);

/*
 * Whether two services of that kind could not both be listened on. *mine, *theirs: where.
 */
bool stream_listens_overlap(const struct schema_texts *a, const struct schema_texts *b, bool is_datagram,
                            struct str *mine, struct str *theirs);
size_t stream_ports_count(const struct schema_texts *listen);

/* `settings` of a target: only `proxyProtocol`, for these kinds. */
MUST_USE enum err stream_target_check(struct api_call *c, const struct object_target *o,
                                      enum store_service_kind kind);
