/*
 * http/h2_session_priv.h - what a client's connection (h2_session.c) and what goes out on its streams (h2_stream.c) share.
 */
#pragma once

#include <nghttp2/nghttp2.h>
#include <string.h>

#include "http/h2_frame_priv.h"
#include "http/h2_gathered_priv.h"
#include "http/h2_past_priv.h"
#include "http/h2_room_priv.h"
#include "http/h2_session.h"

struct h2_session {
        nghttp2_session *ng;
        const struct h2_session_events *events;
        void *context;
        struct h2_session_conf conf;
        struct h2_budget budget;
        const char *reason; /* a budget that was passed */
        mono_ms now;
        struct list streams;
        struct h2_stream *listing; /* whose fields come, so that not each of them looks for it; or NULL */
        struct h2_windows windows;
        struct h2_gathered gathered;

        /* which streams there were: the library forgets closed ones */
        struct h2_past past;
        bool is_violated;
        bool is_failed, is_draining, was_drained, peer_leaves;

        struct h2_room room; /* of h2_session_send */
};

static inline struct h2_stream *h2_stream_of(struct h2_session *s, int32_t id)
{
        return nghttp2_session_get_stream_user_data(s->ng, id);
}

static inline enum err h2_error_of(int rv)
{
        return rv == 0 ? ERR_OK : rv == NGHTTP2_ERR_NOMEM ? ERR_NO_MEMORY : ERR_CLOSED;
}

/* nghttp2's send_data callback: one DATA frame of a stream's offer, straight into the caller's buffer. */
int h2_stream_source_send(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *header, size_t len,
                          nghttp2_data_source *source, void *context);
