/*
 * http/h2_client_priv.h - what the connection (h2_client.c), answers (h2_client_answer.c) and requests
 * (h2_client_request.c) know of each other.
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "http/h2_client.h"
#include "http/h2_gathered_priv.h"
#include "http/h2_room_priv.h"

struct h2_held {
        struct list node; /* h2_client.held */
        struct h2_client_stream *stream;
        struct h2_section section;
};

struct h2_client {
        nghttp2_session *session;
        const struct h2_client_events *events;
        void *context;
        struct h1_limits limits;
        struct h2_section section; /* the list being received, or the last one */
        struct h2_section given;   /* of the last held head: lent until on_flush */
        bool has_given;
        struct list held; /* heads that wait for data */
        bool has_section, saw_settings, is_goaway, is_receiving, is_flooded;
        int32_t section_of; /* stream */
        struct h2_gathered gathered;
        uint32_t frame_left;  /* of a DATA frame */
        bool frame_is_padded; /* then its end is only known when it is whole */
        uint32_t streams_count, pongs;
        int64_t tokens;
        bool is_wide;
        mono_ms tokens_at;
        struct list roomy; /* streams with room again */
        struct h2_windows windows;
        struct h2_room room; /* of h2_client_fill */
};

/* NULL: it has none, or it was forgotten. */
static inline struct h2_client_stream *h2_client_stream_of(nghttp2_session *session, int32_t id)
{
        return id > 0 ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

/* Its head is whole and waits for what comes behind it. */
static inline bool h2_client_is_held(const struct h2_client_stream *s)
{
        return s->held != NULL;
}

/* Less came than the head promised. RFC 9113 8.1.1. */
static inline bool h2_client_is_short(const struct h2_client_stream *s)
{
        return s->has_length && s->body_left > 0;
}

/* The stream breaks: reset, and told. It is the caller's again. */
void h2_client_fail(struct h2_client *c, struct h2_client_stream *s, uint32_t code);
/* Tells the head that waits; the stream may be gone behind it. */
void h2_client_held_give(struct h2_client *c, struct h2_client_stream *s);
/* A list of the stream is whole. */
void h2_client_headers_take(struct h2_client *c, struct h2_client_stream *s, bool is_end);

/* nghttp2's, of h2_client_request.c: a frame of a request's body, straight into the room. */
int h2_client_on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *header, size_t len,
                           nghttp2_data_source *source, void *user_data);
/* Of h2_client_answer.c. */
int h2_client_on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user_data);
int h2_client_on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user_data);
int h2_client_on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                        nghttp2_rcbuf *value, uint8_t flags, void *user_data);
