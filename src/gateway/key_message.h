/*
 * gateway/key_message.h - what a worker asks the key holder to sign, and what it hears.
 *
 * Each worker has a channel of its own: a SOCK_SEQPACKET pair, a packet a message. A packet holds one or more requests, or
 * answers, one after the other; what a turn gathered goes together. Machine's byte order: both are on one machine. Either
 * side takes a packet for hostile until it has been read to its end.
 *
 * Request: number 4, scheme 2, content length 2, key's id 32, content. Answer: number 4, result 2, signature length 2,
 * signature.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "io/tls_keys.h"

enum {
        KEY_PACKET_BYTES_MAX = 16 * 1024,
        KEY_REQUESTS_MAX = 16, /* of one packet: no worker keeps the others waiting for longer */
};

enum key_result { KEY_SIGNED, KEY_UNKNOWN, KEY_REFUSED, KEY_RESULTS };

struct key_request {
        uint32_t number; /* the worker's, given back */
        uint16_t scheme; /* as in struct tls_signature */
        const uint8_t *key_id;
        struct str content; /* TLS_SIGNED_BYTES_MAX at most */
};

struct key_answer {
        uint32_t number;
        enum key_result result;
        struct str signature; /* TLS_SIGNATURE_BYTES_MAX at most; empty unless KEY_SIGNED */
};

/* To a packet that is being gathered. False: it does not fit any more, and the packet is unchanged. */
bool key_request_add(struct buf *packet, const struct key_request *r);
bool key_answer_add(struct buf *packet, const struct key_answer *a);

/* Takes the next off the front; borrows from the packet. ERR_NOT_FOUND: that was all. ERR_MALFORMED: nothing more may be
 * taken from it. */
MUST_USE enum err key_request_next(struct str *packet, struct key_request *out);
MUST_USE enum err key_answer_next(struct str *packet, struct key_answer *out);
