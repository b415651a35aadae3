/*
 * http/websocket_message.h - whole WebSocket messages out of bytes, and frames for them. Source: RFC 6455 5, 7.4.
 *
 * Does:   masks, fragments joined up to a bound, control frames between them, UTF-8 of texts, close codes.
 * Not:    the handshake (websocket_handshake.h), streams without borders (link/websocket.h), when to ping.
 * Memory: one buf that grows up to a message. Thread: none; a value of its owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"

enum websocket_kind { /* the opcodes */
                      WEBSOCKET_TEXT = 1,
                      WEBSOCKET_BINARY = 2,
                      WEBSOCKET_CLOSE = 8,
                      WEBSOCKET_PING = 9,
                      WEBSOCKET_PONG = 10,
};

enum { WEBSOCKET_CONTROL_MAX = 125, WEBSOCKET_HEADER_MAX = 14, WEBSOCKET_MASK_BYTES = 4 };

/* 7.4.1: why a connection is closed. */
enum websocket_code {
        WEBSOCKET_NORMAL = 1000,
        WEBSOCKET_LEAVING = 1001,
        WEBSOCKET_PROTOCOL_ERROR = 1002,
        WEBSOCKET_NOT_TEXT = 1007,
        WEBSOCKET_POLICY = 1008,
        WEBSOCKET_TOO_BIG = 1009,
};

struct websocket_message {
        enum websocket_kind kind;
        struct str bytes; /* the reader's until the next call; of CLOSE: the reason, `code` before it */
        uint16_t code;    /* CLOSE: 0 when none was said */
};

struct websocket_reader {
        bool is_server; /* what comes must be masked; a client's must not be */
        /* private */
        struct buf message; /* fragments so far */
        uint8_t header[WEBSOCKET_HEADER_MAX];
        uint8_t header_len, header_needs;
        uint8_t control[WEBSOCKET_CONTROL_MAX];
        uint8_t control_len;
        uint8_t mask[WEBSOCKET_MASK_BYTES], mask_at, opcode,
                first_opcode;              /* first_opcode 0: no message is open */
        bool is_last, in_payload, is_done; /* is_done: `message` was given, is to be emptied */
        uint64_t left;
        size_t message_max;
};

void websocket_reader_init(struct websocket_reader *r, bool is_server, size_t message_max);
void websocket_reader_fini(struct websocket_reader *r);

/*
 * Takes bytes off the front of *in. ERR_OK: *out is a message; call again. ERR_AGAIN: *in is used up. ERR_MALFORMED,
 * ERR_TOO_LARGE: close; websocket_code_of says with which code.
 */
MUST_USE enum err websocket_read(struct websocket_reader *r, struct str *in, struct websocket_message *out);
enum websocket_code websocket_code_of(enum err e);

/* Appends one whole frame. `mask` NULL: a server's. Control frames: at most WEBSOCKET_CONTROL_MAX bytes (assert). */
void websocket_write(struct buf *out, enum websocket_kind kind, struct str bytes,
                     const uint8_t mask[WEBSOCKET_MASK_BYTES]);
/* A CLOSE with a code and words, cut to fit. */
void websocket_write_close(struct buf *out, enum websocket_code code, struct str reason,
                           const uint8_t mask[WEBSOCKET_MASK_BYTES]);
