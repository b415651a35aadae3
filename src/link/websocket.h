/*
 * link/websocket.h - a byte stream in WebSocket's binary messages. Source: RFC 6455 5.
 *
 * Borders of messages mean nothing here: what they hold, one behind the other, is the stream. So nothing is collected, and
 * a message may be endless. No extensions; text is refused. Pure: bytes in place.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

enum {
        LINK_WS_HEADER_MAX = 14,
        LINK_WS_CONTROL_MAX = 125,
        LINK_WS_MASK_BYTES = 4,
};

enum link_ws_opcode {
        LINK_WS_CONTINUATION = 0,
        LINK_WS_TEXT = 1,
        LINK_WS_BINARY = 2,
        LINK_WS_CLOSE = 8,
        LINK_WS_PING = 9,
        LINK_WS_PONG = 10,
};

struct link_ws {
        bool is_client; /* we mask, and must not be sent masked bytes; a server the other way round */
        /* private */
        bool in_message; /* a fragmented message goes on */
        uint64_t left;   /* of the frame under way */
        uint8_t mask[LINK_WS_MASK_BYTES];
        uint8_t mask_at;
};

/* What was found: bytes of the stream, or a whole control frame. */
struct link_ws_part {
        enum link_ws_opcode opcode; /* BINARY: of the stream; else CLOSE, PING or PONG */
        struct str bytes;           /* in place, unmasked; may be empty */
        size_t consumed;            /* of the input: drop it, after the bytes were used */
};

/* ERR_AGAIN: more is needed. ERR_MALFORMED, ERR_UNSUPPORTED (text, or an extension's bits): close. */
MUST_USE enum err link_ws_read(struct link_ws *w, uint8_t *in, size_t len, struct link_ws_part *out);

/*
 * The header of a whole message of `len` bytes; returns its length. A client's `mask` is random; the caller masks the bytes
 * with link_ws_mask.
 */
size_t link_ws_header_put(const struct link_ws *w, enum link_ws_opcode opcode, uint64_t len,
                          const uint8_t mask[LINK_WS_MASK_BYTES], uint8_t out[LINK_WS_HEADER_MAX]);
void link_ws_mask(const uint8_t mask[LINK_WS_MASK_BYTES], size_t at, uint8_t *bytes, size_t len);
