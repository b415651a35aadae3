/*
 * io/hello.h - the first message of a TLS client, read without touching it: which name it asks for.
 *
 * For what must be decided before TLS begins: who ends this connection (a worker's links), or that nobody here does
 * (pass-through by name). Strict and bounded: PEEK_BYTES_MAX of records, each length checked against its container, no
 * extension of the same kind twice. Pure. Source: RFC 8446 4.1.2, 5.1; RFC 6066 3.
 */
#pragma once

#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

enum { HELLO_BYTES_MAX = 16 * 1024, HELLO_NAME_BYTES_MAX = 253 };

struct hello {
        uint8_t name_len;                /* 0: no name is asked for */
        char name[HELLO_NAME_BYTES_MAX]; /* in lower case */
};

static inline struct str hello_name(const struct hello *h)
{
        return (struct str){ h->name, h->name_len };
}

/*
 * `bytes` is what came so far, from the connection's first byte on. ERR_AGAIN: not all of the message yet. ERR_MALFORMED: no
 * ClientHello, or a broken one: the TLS library says so better. ERR_TOO_LARGE: over HELLO_BYTES_MAX. *out only on ERR_OK.
 */
MUST_USE enum err hello_read(struct str bytes, struct hello *out);
