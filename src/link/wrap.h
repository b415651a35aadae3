/*
 * link/wrap.h - a link inside of a WebSocket: frames on the way, the link's own bytes at a descriptor.
 *
 * Whoever speaks on a link wants a connected socket. Here he gets one half of a pair; the other half is read and written here, and what goes over
 * it goes outside in binary messages. Two buffers and no more: who does not take makes the other side wait.
 *
 * Not:    what the WebSocket goes over (an agent's TLS connection, a gateway's exchange): the caller moves bytes.
 * Thread: the loop's. Source: RFC 6455 5; docs/decisions/0077.
 */
#pragma once

#include "io/stream.h"
#include "link/websocket.h"

enum { LINK_WRAP_IN_BYTES = 32 * 1024, LINK_WRAP_OUT_BYTES = 32 * 1024 };

#define LINK_WRAP_PATH     "/.sekisho/link"
#define LINK_WRAP_PROTOCOL "sekisho-link.1"

struct link_wrap;

struct link_wrap_events {
        /* Something waits to be sent, or it is over: see link_wrap_pending. In a turn of its own. */
        void (*on_pending)(struct link_wrap *w);
        /* link_wrap_receive took less than it was given: it takes more now. */
        void (*on_room)(struct link_wrap *w);
        /* Last call, after link_wrap_close: the owner may free the memory. */
        void (*on_closed)(struct link_wrap *w);
};

/* Embedded in its owner, which lives until on_closed. */
struct link_wrap {
        /* private */
        const struct link_wrap_events *events;
        struct stream inner; /* our half of the pair */
        struct link_ws ws;
        uint8_t in
                [LINK_WRAP_IN_BYTES]; /* as it came; in_held bytes before in_at are the link's and not yet written */
        size_t in_at, in_end, in_held;
        uint8_t out[LINK_WS_HEADER_MAX + LINK_WRAP_OUT_BYTES]; /* a frame under way */
        size_t out_at, out_end;
        uint8_t pong[LINK_WS_CONTROL_MAX];
        uint8_t pong_len;
        bool has_pong, is_full; /* is_full: on_room is owed */
        bool is_over, said_close;
};

/* `*other` is the half to speak on; the caller's. `is_client`: we mask. Keeps `events`. */
MUST_USE enum err link_wrap_open(struct link_wrap *w, struct loop *l, bool is_client,
                                 const struct link_wrap_events *events, int *other);
/* Bytes from outside; gives how many were taken. All are once it is over. */
size_t link_wrap_receive(struct link_wrap *w, struct str bytes);
/* Nothing more comes from outside. */
void link_wrap_received_all(struct link_wrap *w);

/* What is to be sent, in place until the next call of anything here; empty: nothing now. *is_last: after these bytes it is over,
 * as either side wished, or because what came was no WebSocket. Reads on from the link when all was sent. */
struct str link_wrap_pending(struct link_wrap *w, bool *is_last);
void link_wrap_sent(struct link_wrap *w, size_t len);

/* Once, also before it is over: who speaks on the other half meets its end. */
void link_wrap_close(struct link_wrap *w);
