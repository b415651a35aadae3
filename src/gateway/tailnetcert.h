/*
 * gateway/tailnetcert.h - the certificate tailscaled gets for this machine's name in the tailnet.
 *
 * Does:   asks for it once and checks it, in a process of its own that lives for that (READER_PAIR in reader.h); and gives it to whoever
 *         reads the configuration, by the two names of conf/source.h.
 * Not:    when to ask (tailnetpair.c).
 */
#pragma once

#include "base/clock.h"
#include "conf/source.h"

enum {
        TAILNETCERT_SHA256_BYTES = 32,
        TAILNETCERT_PAIR_BYTES_MAX = 256 << 10,
        TAILNETCERT_WAIT_MS = 120 * 1000
};

struct tailnetcert_pair {
        int fd; /* sealed: the key, the chain, as conf_keys_next takes them apart */
        uint8_t sha256[TAILNETCERT_SHA256_BYTES]; /* of the chain */
        int64_t not_after;                        /* seconds since 1970 */
};

/*
 * For `name`, a host's. tailscaled may have to get it first, which takes it a minute: TAILNETCERT_WAIT_MS at most. `problem`: why
 * not, for people. Blocks; the key is in this process's memory until it ends, so it closes itself in first, for good.
 */
MUST_USE enum err tailnetcert_ask(struct str socket, struct str name, unix_ms now, struct buf *problem,
                                  struct tailnetcert_pair *out);

/* As tailscaled gave it; what it may not be is told in `problem`. Pure. */
MUST_USE enum err tailnetcert_check(struct str body, struct str name, unix_ms now, struct buf *problem,
                                    struct tailnetcert_pair *out);

/* A layer over `inner`, which is kept. fd -1: there is no pair yet (ERR_NOT_FOUND). */
struct tailnetcert {
        struct conf_source source;
        /* private */
        struct conf_source *inner;
        int fd;
};
void tailnetcert_over(struct tailnetcert *c, struct conf_source *inner, int fd);
