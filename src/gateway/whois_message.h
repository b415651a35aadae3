/*
 * gateway/whois_message.h - what a worker asks the tailnet process about a caller, and what it hears.
 *
 * Each worker has a channel of its own: a SOCK_SEQPACKET pair, one question or one answer a packet. Machine's byte order: both are on one
 * machine. Either side takes a packet for hostile until it has been read to its end.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/ip.h"

enum {
        WHOIS_TAGS_MAX = 32,
        WHOIS_WORD_BYTES_MAX = 320,
        WHOIS_ANSWER_BYTES_MAX = 64 + (WHOIS_TAGS_MAX + 2) * (WHOIS_WORD_BYTES_MAX + 2),
        WHOIS_WAIT_MS = 3000, /* a worker's patience, and tailscaled's time to answer */
};

/* A fixed form: zeroed before it is filled in, for it is sent as it lies. */
struct whois_question {
        uint32_t number;       /* the worker's, given back */
        struct ip peer, local; /* of the connection */
        uint16_t peer_port;
};

struct whois_answer {
        uint32_t number;
        enum err result; /* ERR_OK, ERR_NOT_FOUND, ERR_TIMED_OUT, ERR_TOO_LARGE, ERR_UNREACHABLE */
        struct str login, node, tags[WHOIS_TAGS_MAX];
        size_t tags_count;
};

/* ERR_MALFORMED. */
MUST_USE enum err whois_question_read(struct str packet, struct whois_question *out);
/* False: a word is longer, or there are more. */
bool whois_answer_write(struct buf *packet, const struct whois_answer *a);
/* Borrows from the packet. ERR_MALFORMED. */
MUST_USE enum err whois_answer_read(struct str packet, struct whois_answer *out);
