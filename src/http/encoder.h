/*
 * http/encoder.h - content codings on the way out: gzip, br and zstd as streams of bytes in, bytes out.
 *
 * Does:   one body through one encoder, in any pieces; what was given so far pushed out on demand (flush).
 * Not:    deciding whether to (proxy/compress.h), which coding (http/encoding.h), decoding (http/decoder.h).
 * Memory: encoders come from a pool that counts what they may hold, and gives none past its bound. An encoder that can be
 *         used again waits there for the next body. Windows stay small (128 KiB): many bodies at once matter more than the
 *         last percent.
 * Thread: a pool and its encoders belong to one.
 * Source: RFC 1952 (gzip), RFC 7932 (br), RFC 8878 (zstd; window within the 8 MiB a browser takes).
 */
#pragma once

#include "base/list.h"
#include "http/encoding.h"

struct encoder;

struct encoder_pool {
        size_t bytes_max, bytes_taken; /* by what encoder_cost says of those in use and waiting */
        /* private */
        struct list idle[HTTP_CODINGS];
};

void encoder_pool_init(struct encoder_pool *p, size_t bytes_max);
void encoder_pool_fini(struct encoder_pool *p); /* those that were put back; zeroed storage is fine */

/* What one of that coding may hold at most, its output included; 0: there is no encoder for it. */
size_t encoder_cost(enum http_coding coding);

/* For one body. NULL: the pool's bound is reached, memory ran out, or there is no encoder for it. */
MUST_USE struct encoder *encoder_take(struct encoder_pool *p, enum http_coding coding);
void encoder_put(struct encoder_pool *p, struct encoder *e); /* however far its body came; NULL is fine */

enum encoder_wish {
        ENCODER_MORE,  /* the encoder may keep what it likes */
        ENCODER_FLUSH, /* all given so far can be decoded from what comes out */
        ENCODER_END,   /* the body ends with `in` */
};

/*
 * Takes from the front of *in (advances it) and makes bytes, up to encoder_room. *is_done: all of `in` is taken and the
 * wish fulfilled; else call again, with the same wish, once there is room. ERR_NO_MEMORY: the body cannot be ended.
 */
MUST_USE enum err encoder_run(struct encoder *e, struct str *in, enum encoder_wish wish, bool *is_done);

/* The bytes made and not yet passed on; borrowed until the next call. */
struct str encoder_made(const struct encoder *e);
void encoder_passed(struct encoder *e, size_t len); /* so many of them are gone */
