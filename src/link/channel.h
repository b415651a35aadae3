/*
 * link/channel.h - a connection that carries DERP frames: TLS below, WebSocket between where it was asked for.
 *
 * Does:   bytes into frames; a bounded queue of frames to send, of which the oldest carried packet goes first when it is full.
 * Not:    dialling, HTTP, what frames mean.
 * Memory: an input buffer that grows up to one frame, a queue up to `queue_bytes_max`. Thread: the loop's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/list.h"
#include "io/stream.h"
#include "link/derp.h"
#include "link/websocket.h"

struct link_channel;

struct link_channel_events {
        /* One frame; borrowed. False: stop, the channel is to be closed (on_end is not called). */
        bool (*on_frame)(struct link_channel *c, const struct link_derp_frame *frame);
        /* The other end is gone or broke the rules (ERR_MALFORMED, ERR_TOO_LARGE): close it. */
        void (*on_end)(struct link_channel *c, enum err e);
};

struct link_channel_stats {
        uint64_t frames_sent, frames_received, bytes_sent, bytes_received;
        uint64_t dropped_oldest; /* packets that gave way to newer ones */
};

/* Embedded in its owner, with the stream it runs over. */
struct link_channel {
        struct stream stream; /* its events are the owner's, who calls link_channel_ready */
        const struct link_channel_events *events;
        struct link_channel_stats stats;
        /* private */
        bool has_ws;
        struct link_ws ws;
        uint8_t *in;
        size_t in_len, in_cap; /* bytes not yet taken as frames */
        size_t ws_len;         /* behind them: bytes not yet taken out of WebSocket */
        struct list queue;
        size_t queued_bytes, queue_bytes_max, head_sent; /* of the first in the queue */
};

void link_channel_init(struct link_channel *c, const struct link_channel_events *events,
                       size_t queue_bytes_max);
void link_channel_fini(struct link_channel *c); /* after on_closed of its stream, or before it was opened */

/* Raw bytes (HTTP's), or a frame, behind all that waits. Not sent when the queue is full or memory runs out: false. */
bool link_channel_send_raw(struct link_channel *c, struct str bytes);
bool link_channel_send(struct link_channel *c, enum link_derp_type type, struct str first, struct str second);

/* Frames begin; `first` bytes of them have come already. With `has_ws` they are inside WebSocket. False: it ended meanwhile. */
bool link_channel_begin(struct link_channel *c, bool has_ws, bool is_client, struct str first);

/* What on_ready said, once frames have begun. Before, only writing. False: on_end was called, or on_frame said stop. */
bool link_channel_ready(struct link_channel *c, unsigned ready);
bool link_channel_flush(struct link_channel *c); /* writes what waits; false as above */
