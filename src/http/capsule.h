/*
 * http/capsule.h - UDP datagrams in a stream of capsules: what follows a CONNECT of the protocol connect-udp.
 *
 * Does:   one datagram after the other out of whatever pieces the stream comes in, and the head before one that is sent.
 *         Capsules of other kinds, and datagrams of another context than 0, are passed over, as both RFCs say.
 * Not:    the stream, the sockets.
 * Limits: 65,527 bytes a datagram. A length beyond that is an error before any memory is taken; an ordinary datagram that comes in one piece
 *         is never copied. What a large one that came in pieces took is given back by the next call.
 * Source: RFC 9297 3.2, 3.5; RFC 9298 5; RFC 9000 16 (numbers). Pure.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"

enum { CAPSULE_DATAGRAM_BYTES_MAX = 65527, CAPSULE_HEAD_MAX = 6 };

/* Embedded in its owner; zeroed by capsule_init. */
struct capsule_reader {
        uint64_t passed_count; /* capsules and datagrams that meant nothing to us */
        /* private */
        uint8_t head[24]; /* type, length, context */
        uint8_t head_len;
        bool is_inside, is_datagram;
        uint64_t left;
        struct buf gathered;
};

void capsule_init(struct capsule_reader *r);
void capsule_fini(struct capsule_reader *r);

/*
 * Takes bytes off *in until a datagram is whole. ERR_OK: *out is its payload, valid until the next call or the end of *in's; it may be empty.
 * ERR_AGAIN: *in is used up. ERR_MALFORMED, ERR_TOO_LARGE: the stream is over, nothing more is read. ERR_NO_MEMORY: the same.
 */
MUST_USE enum err capsule_read(struct capsule_reader *r, struct str *in, struct str *out);
/* Nothing of a capsule was begun: an end of the stream here is a clean one. */
bool capsule_is_between(const struct capsule_reader *r);

/* What goes before a datagram of so many bytes, CAPSULE_DATAGRAM_BYTES_MAX at most. */
struct str capsule_head(size_t datagram_bytes, uint8_t out[CAPSULE_HEAD_MAX]);
