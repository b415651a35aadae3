/*
 * gateway/keyclient.h - a worker's side of the key holder: what its handshakes want signed, and their waiting.
 *
 * Requests of a turn go together before the loop waits. Their number is bounded, and each has a deadline; the handshake that
 * finds no room, or waits for too long, fails. When the key holder dies what it had not answered is asked again of the next.
 */
#pragma once

#include "base/buf.h"
#include "io/timer.h"
#include "io/tls_keys.h"

struct worker;

enum { KEYCLIENT_WAITING_MAX = 512, KEYCLIENT_WAIT_MS = 5000 };

struct keyclient {
        struct tls_signer signer; /* for the worker's contexts */
        /* private */
        struct loop *loop;
        struct worker *worker; /* whose metrics; NULL until there are some */
        struct watch watch;    /* fd -1: there is no key holder now */
        struct list unsent, sent;
        unsigned waiting_count;
        uint32_t number;
        struct timer look;
        struct buf packet;
};

/* Takes the channel's descriptor; -1: there is none yet. */
void keyclient_init(struct keyclient *k, struct loop *l, int fd);
void keyclient_measure(struct keyclient *k, struct worker *w);
/* There is another key holder. Takes the descriptor. */
void keyclient_channel_set(struct keyclient *k, int fd);
