/*
 * http/h2_session.h - one client's HTTP/2 connection as a value: bytes in, events out, bytes wanted out. Over nghttp2.
 *
 * Does:   frames, HPACK, flow control, stream states (nghttp2, with its limits set here); lists to h2_fields.h and of h2_list.h; lengths
 *         promised against bytes sent; budgets (h2_budget.h); two-step GOAWAY.
 * Not:    sockets, time, what a request means.
 *
 * Credit: a client may send H2_STREAM_WINDOW bytes of one stream (on a link up to H2_WINDOW_MAX, see h2_window.h) and H2_CONNECTION_WINDOW of all before they are taken
 * (h2_stream_took). Answers are taken only while the buffer of h2_session_send has room and the client's windows are open.
 *
 * Thread: the caller's. Events come only from h2_session_receive and, on_closed and on_reset alone, from h2_session_send; inside them
 * h2_session_receive, _send and _free must not be called, everything else may. Source: RFC 9113, RFC 8441, RFC 9218 2.1.
 */
#pragma once

#include "base/list.h"
#include "http/h2_budget.h"
#include "http/h2_code.h"
#include "http/h2_fields.h"
#include "http/h2_list.h"
#include "http/h2_window.h"

enum {
        H2_STREAM_WINDOW = 64 * 1024,
        H2_CONNECTION_WINDOW = 1024 * 1024,
        H2_STREAMS_MAX = 100,
        /* of a link: a gateway's, which proved itself; what one stream does not take holds up no other */
        H2_LINK_STREAMS_MAX = 16 * 1024,
        H2_LINK_CONNECTION_WINDOW = 256 * 1024 * 1024,
        H2_OUT_BYTES_LEAST = 32 * 1024 /* room h2_session_send wants, to be able to send anything */
};

struct h2_session;

/* Embedded in the caller's stream, which lives until on_closed. */
struct h2_stream {
        int32_t id;
        struct h2_section *request; /* until h2_stream_request_drop: heads point into it */
        bool input_is_whole;        /* END_STREAM came */
        bool output_is_whole;       /* END_STREAM went */
        /* private */
        struct list node;
        struct h2_section *trailers; /* NULL: none came */
        bool has_head, has_length, is_reset, is_blameless;
        bool answer_is_open; /* HEADERS went, a body may follow */
        bool is_ending;      /* all of the body was offered */
        uint64_t length_left;
        struct h2_window window;
        mono_ms opened_at;
        const struct str *slices; /* the offer, during h2_stream_data */
        size_t slices_count, slice, offset, taken;
        bool is_last;
        struct h2_list trailers_out;
        void *trailers_memory;
        struct http_field *trailers_in; /* what on_end was given */
};

struct h2_session_events {
        /* A new stream: the caller's, zeroed, or NULL to refuse it. */
        struct h2_stream *(*open)(void *context);
        /* The list is whole: h2_section_request judges it. Then h2_stream_length when it promised one. */
        void (*on_request)(void *context, struct h2_stream *s);
        /* Borrowed until return. What is kept must be told by h2_stream_took once it is gone. What was received together for one
         * stream comes together, in a few pieces. */
        void (*on_data)(void *context, struct h2_stream *s, const struct str *slices, size_t slices_count);
        /* The client's end, clean: all that was promised came. Fields live as long as the stream. */
        void (*on_end)(void *context, struct h2_stream *s, const struct http_field *trailers, size_t count);
        /* The stream is no more. `code` tells how: H2_NO_ERROR with both ends whole is the good case. */
        void (*on_closed)(void *context, struct h2_stream *s, uint32_t code);
        /* RST_STREAM came or went, also of a stream that is none any more; for counting. May be NULL. */
        void (*on_reset)(void *context, bool by_client, uint32_t code);
};

struct h2_session_conf {
        struct h1_limits limits; /* of a request's list */
        bool offers_tunnels;     /* SETTINGS_ENABLE_CONNECT_PROTOCOL */
        bool is_link; /* many visitors behind one peer: wider bounds, and no budget for what they do */
};

/* ERR_NO_MEMORY. Keeps events and context. */
MUST_USE
enum err h2_session_new(const struct h2_session_conf *conf, const struct h2_session_events *events,
                        void *context, mono_ms now, struct h2_session **out);
/* Every stream gets on_closed first. */
void h2_session_free(struct h2_session *s);

/*
 * Takes all of `in`, or a bite of it when the connection is doubtful; *taken_out says how much. ERR_OK; ERR_DENIED: a budget was passed, *reason_out says which, GOAWAY is on its way; ERR_MALFORMED: the
 * connection is beyond repair (preface, HPACK, frames), likewise. After an error: send what is wanted, then close.
 */
MUST_USE
enum err h2_session_receive(struct h2_session *s, struct str in, mono_ms now, size_t *taken_out,
                            const char **reason_out);
/* So many of its streams came to nothing lately that others should not wait for it. */
bool h2_session_is_doubtful(const struct h2_session *s, mono_ms now);

/* The same of what was sent: resets that the client made us send are its own. Ask after h2_session_send. */
MUST_USE
enum err h2_session_judge(struct h2_session *s, const char **reason_out);

/* Writes what is wanted out; returns its length. Less than H2_OUT_BYTES_LEAST of room may give 0 though more is wanted. */
size_t h2_session_send(struct h2_session *s, char *out, size_t room);
bool h2_session_wants_send(const struct h2_session *s);

/* Nothing more will come or go. */
bool h2_session_is_over(const struct h2_session *s);
bool h2_session_is_idle(const struct h2_session *s); /* no stream is open, nor a list half received */

/* First step: "no more streams, please", and a PING. Second, of itself when that is answered, or by h2_session_drain_now:
 * the last stream that counts is named. */
void h2_session_drain(struct h2_session *s);
void h2_session_drain_now(struct h2_session *s);
/* GOAWAY with an error; streams are closed. */
void h2_session_fail(struct h2_session *s, enum h2_code code);

/* ---- a stream's answer ---- */

/* HEADERS. `is_final` false: interim, more heads follow. `is_end`: no body, no trailers. Copies the list. */
MUST_USE
enum err h2_stream_head(struct h2_session *s, struct h2_stream *st, const struct h2_list *list, bool is_final,
                        bool is_end);

/*
 * Offers body bytes and sends into `out` what it can of all there is, as h2_session_send does; *taken_out are of the offer.
 * With is_last and all taken the stream ends, behind trailers when there are any (copied). Returns the bytes written.
 */
size_t h2_stream_data(struct h2_session *s, struct h2_stream *st, const struct str *slices,
                      size_t slices_count, bool is_last, const struct h2_list *trailers, char *out,
                      size_t room, size_t *taken_out);
/* The same end, from inside an event: sent with the next h2_session_send. */
MUST_USE
enum err h2_stream_end(struct h2_session *s, struct h2_stream *st, const struct h2_list *trailers);

/* True when an offer would be taken, as far as the client's windows go. */
bool h2_stream_has_room(const struct h2_session *s, const struct h2_stream *st);
/* END_STREAM of the answer has been written out by h2_session_send. */
bool h2_stream_output_is_out(const struct h2_session *s, const struct h2_stream *st);

/* RST_STREAM. `is_blameless`: not for anything the client did, so it costs no budget. on_closed follows. */
void h2_stream_reset(struct h2_session *s, struct h2_stream *st, enum h2_code code, bool is_blameless);

void h2_stream_length(struct h2_stream *st, uint64_t content_length);
/* Nobody reads the request's list any more; once at the latest when the stream's memory goes. May be dropped already. */
void h2_stream_request_drop(struct h2_stream *st);
/* `n` bytes of on_data are done with: the client may send as many more. */
void h2_stream_took(struct h2_session *s, struct h2_stream *st, size_t n);
