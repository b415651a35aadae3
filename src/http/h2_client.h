/*
 * http/h2_client.h - one HTTP/2 connection from the client's end: requests go out, answers come in. Source: RFC 9113, 8441.
 *
 * Pure: bytes in and out, no socket and no clock. Frames, HPACK and windows are nghttp2's; heads are judged by h2_fields.h.
 * The peer is not trusted: what it may make us keep or do is bounded, and an answer has a clean end only if it is whole.
 *
 * Back-pressure: an answer's bytes come up to the stream's window (H2_CLIENT_WINDOW_BYTES; on a link up to H2_WINDOW_MAX, see
 * h2_window.h) and no further until h2_client_credit says that they were used; a request's bytes are taken up to the first.
 *
 * Events come inside h2_client_receive and h2_client_fill, never inside another call. In an event every other call but those
 * two and h2_client_free may be made.
 */
#pragma once

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "http/h2_fields.h"
#include "http/h2_list.h"
#include "http/h2_window.h"

struct h2_client;
struct h2_client_stream;
struct h2_held;

enum {
        H2_CLIENT_WINDOW_BYTES = 64 * 1024,
        H2_CLIENT_CONNECTION_WINDOW_BYTES =
                16 * 1024 * 1024, /* all streams' windows: none waits for another */
        H2_CLIENT_STREAMS_MAX = 250,
        H2_CLIENT_LINK_STREAMS_MAX = 16 * 1024,
        H2_CLIENT_LINK_WINDOW_BYTES = 256 * 1024 * 1024
};

/* Why a stream was reset, beside the error. */
enum h2_client_reset {
        H2_RESET_BROKEN,      /* it may have been worked on */
        H2_RESET_UNPROCESSED, /* refused, or above a GOAWAY's last stream: safe to send again (RFC 9113 8.7) */
        H2_RESET_USE_H1,      /* HTTP_1_1_REQUIRED: the same, over HTTP/1.1 */
};

struct h2_client_events {
        /* The peer's SETTINGS came: for the first time, or others. */
        void (*on_settings)(void *context);
        /* Heads given so far lose their bytes after this: send on what was made of them. Also at the end of each receive. A head
         * comes with its first data where both are received together, whatever frames of others stand between. */
        void (*on_flush)(void *context);
        /* A head; interim ones (1xx) may come before the final one. A 200 to an extended CONNECT comes as a 101 that fits the
         * request's key. `is_end`: nothing follows, and neither on_data nor on_end comes. Borrowed until on_flush. */
        void (*on_head)(struct h2_client_stream *s, struct http_head *head, bool is_end);
        /* Body bytes, borrowed until return; credit them when they are used. `is_end`: these are the last. What was received
         * together for one stream comes together, in a few pieces. */
        void (*on_data)(struct h2_client_stream *s, const struct str *slices, size_t slices_count,
                        bool is_end);
        /* The end, when it did not come with head or data. */
        void (*on_end)(struct h2_client_stream *s, const struct http_field *trailers, size_t trailers_count);
        /* After h2_client_write took less than it was offered: it takes more now. */
        void (*on_room)(struct h2_client_stream *s);
        /* No clean end will come. The stream is forgotten: its memory is the caller's again. */
        void (*on_reset)(struct h2_client_stream *s, enum err e, enum h2_client_reset how);
        /* The peer wants no new streams on this connection (GOAWAY). */
        void (*on_goaway)(void *context);
        /* RST_STREAM came or went, also of a stream that is forgotten; for counting. Also inside h2_client_fill. May be NULL. */
        void (*on_reset_frame)(void *context, bool by_peer, uint32_t code);
};

/* One request; embedded in its owner, from h2_client_request until on_reset or h2_client_forget. */
struct h2_client_stream {
        /* private */
        int32_t id; /* 0: none */
        enum http_method method;
        char websocket_key[24]; /* of an extended CONNECT; empty: none */
        struct buf out;         /* of the request's body, not yet framed */
        size_t out_at;
        const struct h2_list *trailers;
        struct list room_node;
        uint64_t body_left; /* of an answer with a length */
        struct h2_window window;
        bool has_length, is_tunnel, is_raw;
        bool out_is_last, out_is_done, is_deferred, wants_room;
        struct h2_held *held; /* a head that waits for its first data, within one receive; or NULL */
        bool head_is_done, end_is_told, was_reset_by_peer;
};

/* NULL: no memory. Keeps `events`. The preface waits in the output. `is_link`: the peer is an agent of ours and carries the streams of
 * all its services: wider bounds, and fields that come again are sent by their place in the table (HPACK). */
MUST_USE struct h2_client *h2_client_new(const struct h1_limits *answer_limits, bool is_link,
                                         const struct h2_client_events *events, void *context);
void h2_client_free(struct h2_client *c); /* streams are forgotten without an event; NULL is fine */

/*
 * ERR_OK; else the connection is over, close it when the output is sent: ERR_MALFORMED (broke the protocol), ERR_DENIED (flood),
 * ERR_CLOSED (ended, nothing is open), ERR_NO_MEMORY. Streams that are open then are the caller's to end.
 */
MUST_USE enum err h2_client_receive(struct h2_client *c, struct str in, mono_ms now);

/* Writes up to `cap` bytes of what is to be sent; 0: nothing now. */
size_t h2_client_fill(struct h2_client *c, char *out, size_t cap);
/* Nothing will come or go any more; after an error found by us, once the GOAWAY is out. */
bool h2_client_is_over(const struct h2_client *c);
bool h2_client_has_output(struct h2_client *c); /* fill would very likely give something */

/* How many streams may be opened now: by the peer's limit and ours; 0 after a GOAWAY. */
uint32_t h2_client_room(const struct h2_client *c);
bool h2_client_saw_settings(const struct h2_client *c);
bool h2_client_takes_tunnels(const struct h2_client *c); /* extended CONNECT; known once settings were seen */

/*
 * Opens a stream. `list` is copied until the head is sent; `head` says what it was made of (method, WebSocket key). `is_end`: no body.
 * ERR_TOO_LARGE: no room; ERR_NO_MEMORY. Trailers given to h2_client_write live as long as the stream.
 */
MUST_USE enum err h2_client_request(struct h2_client *c, struct h2_client_stream *s,
                                    const struct http_head *head, const struct h2_list *list, bool is_end);
/* Returns how many bytes were taken. With all of them taken, `is_last` ends the request. */
size_t h2_client_write(struct h2_client *c, struct h2_client_stream *s, const struct str *slices,
                       size_t slices_count, bool is_last, const struct h2_list *trailers);
/* Bytes of on_data are used. Also after the stream was forgotten or reset: the connection's window has them still. */
void h2_client_credit(struct h2_client *c, struct h2_client_stream *s, size_t bytes);
/* No more of it: RST_STREAM where it is still open. No event follows; its memory is the caller's again. */
void h2_client_forget(struct h2_client *c, struct h2_client_stream *s);

/* Asks whether the peer is there: each answer counts one more. */
void h2_client_ping(struct h2_client *c);
uint32_t h2_client_pongs(const struct h2_client *c);

/* Says GOAWAY: nothing is wrong, nothing more will come. */
void h2_client_say_goaway(struct h2_client *c);
