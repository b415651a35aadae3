/*
 * http/websocket_handshake.h - is an upgrade to WebSocket asked for, and granted, as the protocol says? Source: RFC 6455 4.
 *
 * A proxy turns into a tunnel only between two heads that pass here; anything less and the bytes behind them could be
 * another request. Frames are not looked at.
 */
#pragma once

#include "base/arena.h"
#include "http/h1_read.h"

/* The request names websocket in Upgrade. It may still be wrong: see the check. */
bool websocket_is_asked(const struct http_head *request);

/*
 * A request for which websocket_is_asked. ERR_MALFORMED, 400: not GET, HTTP/1.0, no "Connection: upgrade", a body, a key
 * that is not 16 bytes of base64, or two of them. ERR_UNSUPPORTED, 426: a version other than 13 or none; the answer
 * carries "Sec-WebSocket-Version: 13" (WEBSOCKET_VERSION).
 */
MUST_USE
enum err websocket_request_check(const struct http_head *request, struct http_refusal *refusal);

/*
 * A 101 answer to a request that passed. ERR_MALFORMED, 502: Upgrade or Connection do not say so, Sec-WebSocket-Accept
 * does not belong to the request's key, or a subprotocol or extension was chosen that was not offered.
 */
MUST_USE
enum err websocket_answer_check(const struct http_head *request, const struct http_head *answer,
                                struct http_refusal *refusal);

#define WEBSOCKET_VERSION STR("13")

enum { WEBSOCKET_KEY_BYTES = 16, WEBSOCKET_ACCEPT_TEXT_MAX = 29 };

/* The value of Sec-WebSocket-Accept for a key as it stands in the request. */
struct str websocket_accept_format(struct str key, char out[WEBSOCKET_ACCEPT_TEXT_MAX]);

/*
 * The 101 answer to a request that passed, with this subprotocol (empty: none is chosen). Its fields and their texts lie in `a`;
 * borrows `protocol`. ERR_NO_MEMORY.
 */
MUST_USE
enum err websocket_answer_make(const struct http_head *request, struct str protocol, struct arena *a,
                               struct http_head *out);
